"""A full disk, in words. Nothing of the stack ends for good because of it: it goes on when there is space again."""

import errno
import os
from pathlib import Path

MIB = 1024 * 1024
# With less left, the next file that a service opens does not fit: Kafka takes 10 MiB for the index of a segment.
FULL_BYTES = 10 * MIB


def full(folder: Path) -> str | None:
    """What is to be said when the folder's disk is full, or None."""
    found = os.statvfs(next(path for path in (folder, *folder.parents) if path.exists()))
    free = found.f_bavail * found.f_frsize
    if free < FULL_BYTES:
        return f"the disk of {folder} is full: {free // MIB} MiB left, make space"
    if found.f_files and not found.f_favail:
        return f"the disk of {folder} is full: it can take no more files, remove some"
    return None


def refused(error: OSError, folder: Path) -> str:
    """What is to be said when something in the folder could not be written for want of space. Raises any other error."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        raise error
    return full(folder) or f"the disk of {folder} is full ({error.strerror}): make space"
