"""The tables of the page, whatever the records hold."""

import json
import logging
from typing import Any

import pytest

from console import tables
from console.page import run_all
from console.records import DeadLetter, Fraud
from console.state import State
from contracts import topics

ROW = {
    "TRANSACTION_ID": "t1",
    "SENDER_ID": "u1",
    "RECEIVER_ID": "u2",
    "AMOUNT": 1234.5,
    "SENDER_BANK": "Bank A",
    "SOURCE_PROCESS": "ksql",
}
SHOWN = {
    "key": "t1",
    "id": {"text": "t1", "href": "/transaction/t1"},
    "at": 7,
    "sender": "Name u1",
    "receiver": "Name u2",
    "amount": "1,234.50",
    "bank": "Bank A",
    "found_by": "bank (ksql)",
}
DEEP = "stands for lists so deep that no str() comes to their end"


def shown(row: Any, at: int = 7) -> list[tables.Row]:
    value = json.dumps(row).replace(f'"{DEEP}"', "[" * 1_000 + "]" * 1_000)
    return tables.frauds([Fraud(at, value.encode())], lambda user: user and f"Name {user}")


def test_a_row() -> None:
    assert shown(ROW) == [SHOWN]
    assert shown(ROW | {"AMOUNT": 0})[0]["amount"] == "0.00"


@pytest.mark.parametrize(
    "value", ["12.50", [1], {}, None, True, DEEP], ids=["text", "list", "dict", "null", "bool", "deep"]
)
def test_a_poisoned_amount_is_not_shown(value: Any) -> None:
    assert shown(ROW | {"AMOUNT": value}) == [SHOWN | {"amount": "-"}]


@pytest.mark.parametrize("value", [5, [1], {}, None, DEEP], ids=["number", "list", "dict", "null", "deep"])
def test_a_field_that_is_no_text_is_not_shown(value: Any) -> None:
    poisoned = ROW | dict.fromkeys(("SENDER_ID", "RECEIVER_ID", "SENDER_BANK", "SOURCE_PROCESS"), value)
    assert shown(poisoned) == [SHOWN | dict.fromkeys(("sender", "receiver", "bank", "found_by"), "-")]
    assert shown(ROW | {"TRANSACTION_ID": value}) == []


def test_two_rows_of_one_transaction_are_two() -> None:
    keys = [
        row["key"]
        for row in tables.frauds([Fraud(2, json.dumps(ROW).encode()), Fraud(1, json.dumps(ROW).encode())], str)
    ]
    assert len(set(keys)) == 2


def test_a_time_that_no_browser_can_show_is_the_last_that_it_can() -> None:
    assert shown(ROW, at=2**62)[0]["at"] == tables.LAST_DATE
    (dead_letter,) = tables.dead_letters([DeadLetter(2**62, topics.S3_SINK_DLQ, 0, 0, "why", "where", b"{}", 2)])
    assert dead_letter["at"] == tables.LAST_DATE


def test_one_broken_table_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    updated: list[State] = []

    def broken(_: State) -> None:
        raise ValueError("unusual row")

    with caplog.at_level(logging.ERROR):
        run_all([broken, updated.append], State())
    assert updated == [State()]
    assert "unusual row" in caplog.text
