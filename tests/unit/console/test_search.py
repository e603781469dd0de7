"""What a search finds among rows, without a broker."""

import pytest

from console import search
from console.records import Fraud, row_of
from contracts import topics

DEEP = b"[" * 1_000 + b"]" * 1_000  # no str() comes to its end
ROWS = {
    topics.USERS: [b'{"ID": "u1", "NAME": "Ann"}', b'{"NAME": "Ann"}', b'{"ID": "u2", "NAME": ' + DEEP + b"}", b"[1]"],
    topics.FRAUDULENT_TRANSACTIONS_RESULT: [
        b'{"TRANSACTION_ID": "t1", "SENDER_ID": "u1", "AMOUNT": "12.50"}',
        b'{"TRANSACTION_ID": ' + DEEP + b', "RECEIVER_ID": "u2"}',
        b'{"TRANSACTION_ID": "t3"}',
    ],
}


@pytest.mark.parametrize(("wanted", "found"), [("ann", [0]), ("T1", [0]), ("u2", [1]), ("None", []), ("t3", [2])])
def test_rows_are_found_whatever_else_the_topics_hold(
    monkeypatch: pytest.MonkeyPatch, wanted: str, found: list[int]
) -> None:
    def scan(topic: str, take, _: float) -> tuple[int, bool]:
        for value in ROWS[topic]:
            take(row_of(value), Fraud(0, value))
        return len(ROWS[topic]), True

    monkeypatch.setattr(search, "_scan", scan)
    rows = ROWS[topics.FRAUDULENT_TRANSACTIONS_RESULT]
    assert [fraud.value for fraud in search.find(wanted).frauds] == [rows[number] for number in found]
