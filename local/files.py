"""Atomic writes: a file is whole or not there, whatever interrupts its writer."""

import os
from pathlib import Path


def write(file: Path, text: str, mode: int = 0o644) -> None:
    """Replace the file in one step, on the disk before it has its name: a power cut leaves the old one or the new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.name}.partial")
    partial.unlink(missing_ok=True)  # its mode would stay
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as output:
        output.write(text)
        output.flush()
        os.fsync(output.fileno())
    partial.replace(file)
