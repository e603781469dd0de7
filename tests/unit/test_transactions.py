"""How batches are cut: by what is there, by time since the last transaction, by count and by bytes."""

import subprocess
import sys
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from contracts import topics
from contracts.records import Record
from local.settings import ROOT
from runtime import hang, transactions
from runtime.lost import OFFSETS_SECONDS
from runtime.quix import end_unacknowledged
from runtime.transactions import BATCH_SIZE, LONGEST_PERIOD, SHORTEST_PERIOD, Transactions, period
from tests.support.messages import Message
from tests.unit.test_ingestor import a_message

# The clock of the tests: only waiting for records takes time.
NOW = SimpleNamespace(seconds=0.0)


class Topic:
    """A consumer of a topic with more on it than the client's queue holds."""

    def __init__(self, *messages: Message, queue: int = 4) -> None:
        self.messages = list(messages)
        self._queue = queue

    def consume(self, count: int, seconds: float) -> list[Message]:
        """What is there, up to what the queue holds."""
        count = min(count, self._queue)
        taken, self.messages = self.messages[:count], self.messages[count:]
        if not taken:
            NOW.seconds += seconds
        return taken


def batches(consumer: Topic, due: float = 0.0) -> list[int]:
    """The sizes of the batches that are read until one is empty."""
    reader = Transactions(consumer, None, Event())  # type: ignore[arg-type]
    sizes = [1]
    while sizes[-1]:
        reader._due = due
        sizes.append(len(reader._read()))
    return sizes[1:]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "IDLE_SECONDS", 0.01)
    monkeypatch.setattr(transactions, "time", SimpleNamespace(monotonic=lambda: NOW.seconds))


@pytest.mark.parametrize(
    "large",
    [{"value": b"x" * 5_000_000}, {"value": b"", "headers": [("large", b"x" * 5_000_000)]}],
    ids=["value", "headers"],
)
def test_a_batch_ends_at_its_bytes(large: Any) -> None:
    consumer = Topic(*(a_message(offset, **large) for offset in range(20)))
    # One is waited for, and a slice of what is in the client's queue then comes along.
    assert batches(consumer, due=NOW.seconds + 60) == [5, 5, 5, 5, 0]


def test_a_batch_ends_at_its_count() -> None:
    consumer = Topic(*(a_message(offset, b"x") for offset in range(BATCH_SIZE + 5)))
    assert batches(consumer, due=NOW.seconds + 0.5)[0] == BATCH_SIZE


def test_unreadable_headers_end_a_batch() -> None:
    consumer = Topic(*(a_message(offset, b"x", broken="headers") for offset in range(6)))
    assert batches(consumer, due=NOW.seconds + 60) == [1] * 6 + [0]


def test_what_was_small_while_it_was_compressed_is_read_in_slices() -> None:
    consumer = Topic(*(a_message(offset, b"x" * 120_000) for offset in range(1_000)), queue=1_000)
    assert max(batches(consumer)) * 120_000 < transactions.BATCH_BYTES + (transactions.SLICE + 1) * 120_000


def test_many_small_headers_are_large_in_memory() -> None:
    headers: list[tuple[str, bytes | None]] = [("", None)] * 60_000
    assert (Record.of(a_message(0, b"x", headers=headers)).size or 0) > 60_000 * 100


def test_with_no_transaction_lately_a_batch_ends_with_what_is_there() -> None:
    consumer = Topic(*(a_message(offset, b"x") for offset in range(10)))
    assert batches(consumer) == [5, 5, 0]


def test_after_a_transaction_a_batch_gathers_for_the_rest_of_the_period() -> None:
    consumer = Topic(*(a_message(offset, b"x") for offset in range(10)))
    assert batches(consumer, due=NOW.seconds + 0.1) == [10, 0]


@pytest.mark.parametrize("call", [2, 3, 4])
def test_what_was_read_before_its_partition_went_is_dropped(call: int) -> None:
    """A rebalance may come within any call to the consumer; the partition's new owner reads those records again."""
    consumer = Topic(*(a_message(offset, b"x") for offset in range(10)))
    reader = Transactions(consumer, None, Event())  # type: ignore[arg-type]
    reader._due = NOW.seconds + 0.1
    calls, before = 0, list[int]()
    consume = consumer.consume

    def consume_while_it_goes(count: int, seconds: float) -> list[Message]:
        nonlocal calls
        calls += 1
        if calls == call:
            before.extend(range(10 - len(consumer.messages)))
            reader._revoke(None, [TopicPartition(topics.BANK_TRANSACTIONS, 0)])  # type: ignore[arg-type]
        return consume(count, seconds)

    consumer.consume = consume_while_it_goes  # type: ignore[method-assign]
    read = [record.offset for record in reader._read()]
    assert before
    assert read == list(range(len(before), 10))


class Group:
    """A consumer whose group's offsets are not known yet, and a producer whose broker answers, or not."""

    def __init__(self) -> None:
        self.offset: int | None = None
        self.error: KafkaError | None = None
        self.answers = True
        self.assigned: list[list[int]] = []
        self.current: list[Any] = []
        self.closing = False

    def consumer_group_metadata(self) -> str:
        if self.closing:
            raise RuntimeError("Consumer group metadata not available")
        return "group"

    def assignment(self) -> list[Any]:
        return self.current

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[Any]:
        NOW.seconds += timeout
        if self.offset is None:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return [SimpleNamespace(offset=self.offset, error=self.error) for _ in partitions]

    def assign(self, partitions: list[Any]) -> None:
        self.assigned.append([one.offset for one in partitions])

    def poll(self, _: float) -> None: ...

    def list_topics(self, timeout: float) -> None:
        if not self.answers:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))


@pytest.fixture
def placed(monkeypatch: pytest.MonkeyPatch) -> tuple[Group, Transactions, list[str]]:
    """A partition was assigned; also what ended the process."""
    group, ended = Group(), list[str]()
    reader = Transactions(group, None, Event())  # type: ignore[arg-type]
    reader._producer = group  # type: ignore[assignment]
    monkeypatch.setattr(hang, "end", ended.append)
    reader._assign(group, [TopicPartition("bank", 3)])  # type: ignore[arg-type]
    return group, reader, ended


def test_nothing_is_read_until_the_group_s_offsets_are_known(placed: tuple[Group, Transactions, list[str]]) -> None:
    group, reader, ended = placed
    reader._place()
    assert group.assigned == [[]]
    group.offset, group.error = -1001, KafkaError(KafkaError.UNSTABLE_OFFSET_COMMIT)
    reader._place()
    assert group.assigned == [[]]
    group.offset, group.error = 7, None
    reader._place()
    reader._place()
    assert group.assigned == [[], [7]]
    assert ended == []


def test_what_was_read_before_a_new_assignment_is_dropped(placed: tuple[Group, Transactions, list[str]]) -> None:
    """The old one is not always taken away first: not when the topic's partitions change while it is under way."""
    group, reader, _ = placed
    assert reader._revoked == set()
    group.current = [TopicPartition("bank", 3)]
    reader._assign(group, [TopicPartition("bank", 4)])  # type: ignore[arg-type]
    assert reader._revoked == {("bank", 3)}


def test_an_assignment_that_comes_while_the_consumer_is_closed_is_none(
    placed: tuple[Group, Transactions, list[str]],
) -> None:
    group, reader, _ = placed
    group.closing = True
    assigned = list(group.assigned)
    reader._assign(group, [TopicPartition("bank", 4)])  # type: ignore[arg-type]
    assert group.assigned == assigned


def test_what_was_taken_away_meanwhile_is_not_read(placed: tuple[Group, Transactions, list[str]]) -> None:
    group, reader, _ = placed
    reader._revoke(None, [TopicPartition("bank", 3)])  # type: ignore[arg-type]
    group.offset = 7
    reader._place()
    assert group.assigned == [[]]


def test_the_process_ends_when_a_broker_that_answers_withholds_the_offsets(
    placed: tuple[Group, Transactions, list[str]],
) -> None:
    group, reader, ended = placed
    group.answers = False
    for _ in range(int(OFFSETS_SECONDS)):
        reader._place()
    assert ended == []
    group.answers = True
    for _ in range(int(OFFSETS_SECONDS)):
        reader._place()
    assert ended[0] == "the Kafka client that reads bank is not given the offsets of its group"


HANGS = """
import subprocess
import sys
import time
from threading import Event
from runtime import hang
from runtime.quix import end_hangs
from runtime.transactions import Transactions

class Producer:
    def hang(self, *_):
        time.sleep(30)

    init_transactions = begin_transaction = commit_transaction = abort_transaction = hang

hang.HANG_SECONDS = 0.2
producer = Producer()
"""


@pytest.mark.parametrize(
    "call",
    [
        "Transactions(None, lambda: producer, Event()).run('topic', None, None)",
        "end_hangs(producer); producer.begin_transaction()",
        "end_hangs(producer); producer.commit_transaction([], None)",
        "end_hangs(producer); producer.abort_transaction(5)",
    ],
)
def test_a_client_that_hangs_ends_its_process(call: str) -> None:
    """librdkafka's operations can wait for ever; the process is then started again."""
    ended = subprocess.run(
        [sys.executable, "-c", HANGS + call], check=False, cwd=ROOT, capture_output=True, text=True, timeout=20
    )
    assert ended.returncode == 1
    assert "has not returned for" in ended.stderr


SILENT = """
import ctypes
import time
from runtime import hang
from runtime.service import run_service

hang.SILENT_SECONDS = {seconds}

def main(stopping):
    hang.alive("client")
    {call}
"""


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("ctypes.PyDLL(None).sleep(30)", 1),  # as some calls of the client, it lets no other thread run
        ("time.sleep(30)", 1),
        ("[(time.sleep(0.1), hang.alive('client')) for _ in range(60)]", 0),
        ("[(time.sleep(0.1), hang.alive('another')) for _ in range(20)]", 1),
        ("hang.over('client'); time.sleep(6)", 0),
        ("hang.over('client'); [(time.sleep(0.1), hang.alive('another')) for _ in range(60)]", 0),
    ],
)
def test_a_process_that_gives_no_sign_of_life_ends(call: str, code: int) -> None:
    script = f"{SILENT.format(call=call, seconds=0.5 if code else 4)}run_service(main); time.sleep(1)"
    ended = subprocess.run(
        [sys.executable, "-c", script], check=False, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == code, ended.stderr
    assert ("most recent call first" in ended.stderr) == (code == 1)


def test_transactions_follow_one_another_more_slowly_when_they_take_longer() -> None:
    assert [period(taken) for taken in (0.001, 0.02, 0.5)] == [SHORTEST_PERIOD, 4 * 0.02, LONGEST_PERIOD]


class Unacknowledged:
    """In place of Quix's producer."""

    def __init__(self, count: int) -> None:
        self.count, self.aborted = count, False

    def flush(self, _: float) -> int:
        return self.count

    def abort_transaction(self, _: float) -> None:
        self.aborted = True


def test_quix_aborts_no_transaction_with_unacknowledged_records() -> None:
    producer = Unacknowledged(0)
    end_unacknowledged(producer)
    producer.abort_transaction(5)
    assert producer.aborted
    producer = Unacknowledged(1)
    end_unacknowledged(producer)
    with pytest.raises(RuntimeError, match="1 records are not acknowledged"):
        producer.abort_transaction(5)
    assert not producer.aborted
