"""How batches are cut: by what is there, by time since the last transaction, by count and by bytes."""

import time
from threading import Event
from typing import Any

import pytest

from contracts import transactions
from contracts.transactions import BATCH_SIZE, Transactions
from tests.unit.test_ingestor import FakeMessage


class Topic:
    """A consumer of a topic with more on it than the client's queue holds."""

    def __init__(self, *messages: FakeMessage, queue: int = 4) -> None:
        self.messages = list(messages)
        self._queue = queue

    def consume(self, count: int, seconds: float) -> list[FakeMessage]:
        """What is there, up to what the queue holds."""
        count = min(count, self._queue)
        taken, self.messages = self.messages[:count], self.messages[count:]
        if not taken:
            time.sleep(seconds)
        return taken


def batches(consumer: Topic, begun_at: float = 0.0) -> list[int]:
    """The sizes of the batches that are read until one is empty."""
    reader = Transactions(consumer, None, Event())  # type: ignore[arg-type]
    sizes = [1]
    while sizes[-1]:
        reader._begun_at = begun_at
        sizes.append(len(reader._read()))
    return sizes[1:]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "IDLE_SECONDS", 0.01)


@pytest.mark.parametrize(
    "large",
    [{"value": b"x" * 5_000_000}, {"value": b"", "headers": [("large", b"x" * 5_000_000)]}],
    ids=["value", "headers"],
)
def test_a_batch_ends_at_its_bytes(large: Any) -> None:
    consumer = Topic(*(FakeMessage(offset, **large) for offset in range(20)))
    # One is waited for, and what is in the client's queue then comes along.
    assert batches(consumer, begun_at=time.monotonic() + 60) == [5, 5, 5, 5, 0]


def test_a_batch_ends_at_its_count() -> None:
    consumer = Topic(*(FakeMessage(offset, b"x") for offset in range(BATCH_SIZE + 5)))
    begun_at = time.monotonic() + 0.5 - transactions.PERIOD_SECONDS
    assert batches(consumer, begun_at)[0] == BATCH_SIZE


def test_unreadable_headers_end_a_batch() -> None:
    consumer = Topic(*(FakeMessage(offset, b"x", headers=None) for offset in range(6)))
    assert batches(consumer, begun_at=time.monotonic() + 60) == [5, 1, 0]


def test_with_no_transaction_lately_a_batch_ends_with_what_is_there() -> None:
    consumer = Topic(*(FakeMessage(offset, b"x") for offset in range(10)))
    assert batches(consumer) == [5, 5, 0]


def test_after_a_transaction_a_batch_gathers_for_the_rest_of_the_period() -> None:
    consumer = Topic(*(FakeMessage(offset, b"x") for offset in range(10)))
    assert batches(consumer, begun_at=time.monotonic() + 0.1) == [10, 0]
