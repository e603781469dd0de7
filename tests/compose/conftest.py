"""Compose itself, without an engine, and a copy of the repository to write .env into."""

import shutil
import subprocess
from pathlib import Path

import pytest

from local.settings import ROOT, cache_folder
from tests.compose.compose_binary import fetch


@pytest.fixture(scope="session")
def compose() -> Path:
    """The pinned Compose v2 binary."""
    return fetch(cache_folder() / "compose-2.40.3")


def clone(folder: Path) -> Path:
    """The files that git knows (or would take), as they are now, in a folder of their own: start.sh writes .env beside itself."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    return folder
