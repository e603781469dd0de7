"""The committed jar lists."""

import re
from pathlib import Path

import pytest

LISTS = sorted((Path(__file__).parents[3] / "local" / "jars").glob("*.txt"))
LINE = re.compile(r"[\w.-]+:[\w.-]+:[\w.-]+(:[\w.-]+)? [0-9a-f]{64}")


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)
def test_every_line_is_one_pinned_artifact(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert all(LINE.fullmatch(line) for line in lines)
    coordinates = [line.split()[0].split(":") for line in lines]
    assert len({tuple(parts) for parts in coordinates}) == len(lines)
    # The files of one list have to fit into one folder, and on one class path.
    assert len({"-".join(parts[1:]) for parts in coordinates}) == len(lines)


def test_s3proxy_has_its_jackson_annotations_first() -> None:
    (path,) = (path for path in LISTS if path.stem == "s3proxy")
    assert path.read_text().startswith("com.fasterxml.jackson.core:jackson-annotations:2.21 ")


def test_a_jar_that_two_lists_share_has_one_checksum() -> None:
    seen: dict[str, str] = {}
    for path in LISTS:
        for line in path.read_text().splitlines():
            coordinates, sha256 = line.split()
            assert seen.setdefault(coordinates, sha256) == sha256
