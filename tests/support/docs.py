"""The docs as tests read them: shell blocks with what they print, links, headings, tables."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from local.settings import ROOT

# <!-- run: WHERE --> or <!-- not run: WHY -->, a block of commands, and the output that is shown right below it.
_BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>run|not run): (?P<text>[^\n]+) -->\n)?```sh\n(?P<script>.*?)^```$(?:\n\n```text\n(?P<shown>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Block:
    """Commands as a reader types them. `where` they are run, or `why` nowhere; `shown` is their output, if the text has it."""

    place: str
    script: str
    where: str | None
    why: str | None
    shown: str | None


def files() -> list[Path]:
    """Every Markdown file that git knows."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT / name for name in sorted(filter(None, listed.split("\0"))) if (ROOT / name).exists()]


def blocks(file: Path) -> Iterator[Block]:
    """The shell blocks of a file, in order."""
    text = file.read_text()
    for found in _BLOCK.finditer(text):
        place = f"{file.relative_to(ROOT)}:{text.count(chr(10), 0, found.start('script'))}"
        run = found["mark"] == "run"
        yield Block(
            place, found["script"], found["text"] if run else None, None if run else found["text"], found["shown"]
        )


def prose(file: Path) -> str:
    """The text without its code, in which a bracket is no link and a # no heading."""
    return _INLINE.sub("", _FENCED.sub("", file.read_text()))


def inline_code(file: Path) -> list[str]:
    """What stands in backquotes."""
    return _INLINE.findall(_FENCED.sub("", file.read_text()))


def anchors(file: Path) -> set[str]:
    """What a link into the file may name, as GitHub makes it of the headings."""
    headings = re.findall(r"^#+ (.*)$", _FENCED.sub("", file.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def prints(shown: str, output: str) -> str | None:
    """The first shown line that the output has not, in the shown order; None when it has all of them.

    Numbers may differ, `...` stands for what is left out of a line or for whole lines, and tables are as wide as what is in
    them.
    """
    lines = iter(map(_spaced, output.splitlines()))
    for line in shown.splitlines():
        if line.strip() in ("", "..."):
            continue
        wanted = _pattern(line)
        if not any(wanted.fullmatch(printed) for printed in lines):
            return line
    return None


def _spaced(line: str) -> str:
    return re.sub(r"[\s━─]+", " ", line).strip()


_NUMBER = r"\d+(?:[.,:]\d+)*"


def _pattern(line: str) -> re.Pattern[str]:
    anything = {"...": ".*"}
    parts = re.split(rf"({_NUMBER}|\.\.\.)", _spaced(line))
    return re.compile("".join(anything.get(one, _NUMBER if one[:1].isdigit() else re.escape(one)) for one in parts))
