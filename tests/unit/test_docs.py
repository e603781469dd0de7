"""What the docs say is so: blocks run or say why not, paths and options exist, links lead somewhere, tables are complete."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from contracts import topics
from contracts.mapping import to_result, to_user_rows
from contracts.models import Transaction
from local.settings import ROOT
from tests.support import docs
from tests.support.docs import Block

FILES = docs.files()
BLOCKS = [block for file in FILES for block in docs.blocks(file)]
PLACES = {"unit", "stack", "tour"}  # here, and in tests/integration/test_tour.py

each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
each_block = pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.place)


def test_there_are_blocks_of_each_kind() -> None:
    """The tests below would pass if nothing was found."""
    assert {block.where for block in BLOCKS} - {None} == PLACES
    assert sum(block.shown is not None for block in BLOCKS) > 5


@each_block
def test_a_block_is_run_or_says_why_not(block: Block) -> None:
    assert block.where in PLACES or len(block.why or "") > 10


@pytest.mark.parametrize("block", [one for one in BLOCKS if one.where == "unit"], ids=lambda block: block.place)
def test_a_block_that_needs_nothing_does_what_it_shows(block: Block) -> None:
    done = subprocess.run(
        ["bash", "-ec", block.script], cwd=ROOT, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert block.shown
    assert docs.prints(block.shown, done.stdout) is None, done.stdout


@each_block
def test_a_block_is_bash(block: Block) -> None:
    checked = subprocess.run(["bash", "-n"], input=block.script, check=False, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert not re.search(r"(^|\s)#", block.script, re.MULTILINE), "zsh has no comments at its prompt"


OPTIONS = set(re.findall(r"--[a-z-]+", (ROOT / "start.sh").read_text()))
SUITES = set(
    re.findall(r"[a-z-]+", re.findall(r"there is no suite '\$1': (.*), or", (ROOT / "tests" / "run.sh").read_text())[0])
)


@each_file
def test_commands_of_the_repository_have_the_options_that_are_shown(file: Path) -> None:
    text = file.read_text()
    for command in re.findall(r"(?:\./|source )start\.sh([^`|;&#\n]*)", text):
        assert set(re.findall(r"(?<!\S)--[a-z-]+", command)) <= OPTIONS, command
    for suite in re.findall(r"bash tests/run\.sh ([a-z-]+)", text):
        assert suite in SUITES, suite


@pytest.mark.parametrize(
    "file", [one for one in FILES if one.name != "CHANGELOG.md"], ids=lambda file: str(file.relative_to(ROOT))
)
def test_paths_that_are_named_exist(file: Path) -> None:
    """Those in code, from the top of the repository; `*` is any name, and a word in capitals is for the reader to fill in."""
    top, not_kept = {path.name for path in ROOT.iterdir()}, tuple((ROOT / ".gitignore").read_text().split())
    for code in docs.inline_code(file):
        for path in re.findall(r"(?<![\w./~-])[\w.*-]+/[\w./*-]*", code):
            ours = path.split("/")[0] in top and not path.startswith(not_kept)
            if ours and not re.search("[A-Z]{4}", Path(path).name):
                assert list(ROOT.glob(path.rstrip("/"))), path


@each_file
def test_links_lead_somewhere(file: Path) -> None:
    text = docs.prose(file)
    for link in [*re.findall(r"\]\(([^)\s]+)\)", text), *re.findall(r'src="([^"]+)"', text)]:
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (file.parent / path).resolve() if path else file
        assert target.exists(), link
        if anchor:
            assert anchor in docs.anchors(target), link


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_every_page_is_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        file = waiting.pop()
        if file not in seen and file.suffix == ".md":
            seen.add(file)
            waiting += [
                (file.parent / link).resolve() for link in re.findall(r"\]\(([^)#\s:]+)[^):]*\)", docs.prose(file))
            ]
    assert {file for file in FILES if file.parent == ROOT / "docs"} <= seen


def test_every_variable_is_explained_with_its_default() -> None:
    example = dict(re.findall(r"^#([A-Z0-9_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    page = (ROOT / "docs" / "configuration.md").read_text()
    rows = dict(re.findall(r"^\| `([A-Z0-9_]+)` \| ([^|]*) \|", page, re.MULTILINE))
    assert (
        rows.pop("START_TIMEOUT")
        == re.findall(r"\{START_TIMEOUT:-(\d+)\}", (ROOT / "init" / "compose.sh").read_text())[0]
    )
    assert rows.pop("LOCAL_DIR") == ".local"
    assert rows.pop("XDG_CACHE_HOME") == "~/.cache"
    assert rows == {name: default or "not set" for name, default in example.items()}


def test_the_readme_s_variables_are_explained() -> None:
    explained = set(re.findall(r"`([A-Z0-9_]+)`", (ROOT / "docs" / "configuration.md").read_text()))
    rows = re.findall(r"^\| (`[A-Z0-9_]+`[^|]*)\|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert rows
    assert {name for row in rows for name in re.findall(r"`([A-Z0-9_]+)`", row)} <= explained


def test_every_topic_is_listed() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    table = page[page.index("| topic | holds | key |") :].partition("\n\n")[0]
    assert set(re.findall(r"`([a-z0-9-]+)`", table)) == {*topics.CREATED}


def test_the_metrics_that_are_named_exist() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    table = page[page.index("| metric | of | says |") :].partition("\n\n")[0]
    code = "".join(path.read_text() for path in ROOT.rglob("metrics.py"))
    named = re.findall(r"`([a-z]+_[a-z_]+)`", table)
    assert named
    assert [name for name in named if f'"{name.removesuffix("_total")}"' not in code] == []


def test_the_example_event_is_one() -> None:
    """In full, with the rows that are made of it."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    event, result, sender = map(json.loads, re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    assert event == json.loads((ROOT / "docs" / "transaction.json").read_text())
    transaction = Transaction.from_json(json.dumps(event).encode())
    assert transaction.model_dump(exclude_defaults=True) == event
    assert to_result(transaction, "fraudulent", "ksql").model_dump(exclude_defaults=True) == result
    assert to_user_rows(transaction, "ksql")[0].model_dump(exclude_defaults=True) == sender


@pytest.mark.skipif(not os.access("/usr/bin/make", os.X_OK), reason="make is not installed")
def test_make_lists_its_verbs() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    verbs = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^make ([a-z]+)\t", listed, re.MULTILINE)) == verbs


def test_shown_output_is_compared_line_by_line() -> None:
    output = "a  1\nb │ 22 MiB │ up\n● healthy\n"
    assert docs.prints("a 7\n", output) is None
    assert docs.prints("b │ 3,456 MiB │ ...\n● healthy\n", output) is None
    assert docs.prints("● healthy\na 1\n", output) == "a 1"  # not in this order
    assert docs.prints("● health\n", output) == "● health"
    assert docs.prints("c\n", output) == "c"
    assert docs.prints("id-7,...,1.5,x", "id-12,GB33,1250.75,x") is None
