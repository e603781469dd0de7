"""The files of ksqldb/ run, and those that were recorded do what the real server did. Their columns: test_one_model.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from local.ksqldb_emulator.parser import parse
from local.ksqldb_emulator.settings import SERVER_SETTINGS
from tests.unit.ksqldb_emulator.conftest import GOLDEN
from tests.unit.ksqldb_emulator.test_golden_statements import shape

FILES = sorted(SERVER_SETTINGS.parent.glob("*.sql"))
RECORDED = sorted((GOLDEN / "sql").glob("*.sql"))


def test_one_statement_a_file() -> None:
    assert [file.name for file in FILES] == [
        "01_fraudulent_transactions.sql",
        "02_fraudulent_transactions_result.sql",
        "03_sender_users.sql",
        "04_receiver_users.sql",
    ]
    for file in FILES:
        assert len(parse(file.read_text("utf-8"))) == 1, file.name


def test_the_answers_to_the_recorded_files_are_the_recorded_ones(world: Any, statements: list[dict[str, Any]]) -> None:
    for file, recorded in zip(RECORDED, statements, strict=False):
        assert shape(world.run(file.read_text("utf-8"))) == shape(recorded["response"]), file.name


def test_again_changes_nothing(world: Any) -> None:
    for file in FILES:
        world.run(file.read_text("utf-8"))
    commands = list(world.commands.commands)
    for file in FILES:
        answer = world.run(file.read_text("utf-8"))
        assert [entity["@type"] for entity in answer] == ["warning_entity"]
    assert world.commands.commands == commands


def test_comments_are_no_trap_for_the_real_server() -> None:
    """Its lexer takes the character after `--` into the comment, the end of the line too."""
    for file in FILES:
        lines = Path(file).read_text("utf-8").splitlines()
        assert not [line for line in lines if line.rstrip().endswith("--")]
