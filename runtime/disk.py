"""How much space is left on the disk of the stack's data, and how to say so. No service ends for good on a full disk: it goes on
when there is space again."""

import errno
import os
from dataclasses import dataclass
from pathlib import Path

MIB, GIB = 2**20, 2**30
# With less left, the next file that a service opens does not fit: Kafka takes 10 MiB for the index of a segment.
FULL_BYTES = 10 * MIB
# With less left it is time to act, and no time to start: a start alone writes some 50 MiB.
LOW_BYTES = 150 * MIB
# The local S3 store makes up to 2.4 files/s: this is an hour of them.
LOW_FILES = 10_000


@dataclass(frozen=True)
class Space:
    """What a folder's disk has left, in bytes and `files`: None where the file system does not count them."""

    folder: str
    free: int
    files: int | None = None

    @property
    def full(self) -> str | None:
        """The message when the disk is full, or None."""
        if self.free < FULL_BYTES:
            return f"the disk of {self.folder} is full: {self.free // MIB} MiB left, make space"
        return f"the disk of {self.folder} is full: it can take no more files, remove some" if self.files == 0 else None

    @property
    def problem(self) -> str | None:
        """The message when the disk is full or almost full, or None."""
        almost = f"the disk of {self.folder} is almost full"
        if self.full:
            return self.full
        if self.free < LOW_BYTES:
            return f"{almost}: {self.free // MIB} MiB left, at least {LOW_BYTES // MIB} MiB are needed"
        if self.files is not None and self.files < LOW_FILES:
            return f"{almost}: it can take {self.files:,} more files, at least {LOW_FILES:,} are needed"
        return None

    @property
    def state(self) -> str:
        """The same in a word or two."""
        return "full" if self.full else "almost full" if self.problem else "has space"

    @property
    def left(self) -> str:
        """How much there is."""
        amount = f"{self.free / GIB:,.1f} GiB" if self.free >= GIB else f"{self.free // MIB} MiB"
        return f"{amount} left for {self.folder}"


def space(folder: Path) -> Space:
    """Of the disk on which the folder is, or will be."""
    found = os.statvfs(next(path for path in (folder, *folder.parents) if path.exists()))
    return Space(str(folder), found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None)


def refused(error: OSError, folder: Path) -> str:
    """The message when something in the folder could not be written for want of space. Raises any other error."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        raise error
    return space(folder).full or f"the disk of {folder} is full ({error.strerror}): make space"
