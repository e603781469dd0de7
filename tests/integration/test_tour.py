"""The docs followed by a reader with a fresh clone: the tour from its first command to its last, then every other block."""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.settings import ROOT, Ports, cache_folder
from tests.compose.conftest import clone
from tests.support import docs
from tests.support.docs import Block
from tests.support.stack import START_SECONDS, free_ports, processes_of

pytestmark = [pytest.mark.long, pytest.mark.timeout(3 * START_SECONDS)]

TOUR = [block for block in docs.blocks(ROOT / "docs" / "tour.md") if block.where == "tour"]
OTHERS = [block for file in docs.files() for block in docs.blocks(file) if block.where == "stack"]


@dataclass(frozen=True)
class Reader:
    """Types what the docs show, in a clone whose stack has ports of its own."""

    folder: Path
    environment: Mapping[str, str]

    def follow(self, block: Block) -> None:
        """Run the block, which must succeed and print what is shown."""
        done = subprocess.run(
            ["bash", "-ec", self.here(block.script)],
            check=False,
            cwd=self.folder,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
        )
        printed = f"{block.place}\n{done.stdout}{done.stderr}"
        assert done.returncode == 0, printed
        missing = docs.prints(self.here(block.shown or ""), done.stdout + done.stderr)
        assert missing is None, f"not printed: {missing}\n{printed}"

    def here(self, text: str) -> str:
        """With the ports of this stack in place of the defaults."""
        for name, field in Ports.model_fields.items():
            text = re.sub(
                rf"\b(localhost|127\.0\.0\.1):{field.default}\b", rf"\1:{self.environment[name.upper()]}", text
            )
        return text


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    folder = clone(tmp_path_factory.mktemp("reader") / "clone")
    one = Reader(folder, {**free_ports(), "XDG_CACHE_HOME": str(cache_folder().parent)})
    yield one
    subprocess.run(["bash", str(folder / "start.sh"), "--local", "--clean"], check=True, timeout=120)
    assert processes_of(folder / ".local") == []


def test_the_tour(reader: Reader) -> None:
    for block in TOUR:
        reader.follow(block)


def test_every_other_block(reader: Reader) -> None:
    """On the stack as a newcomer has it."""
    for block in [TOUR[0], *OTHERS]:
        reader.follow(block)
