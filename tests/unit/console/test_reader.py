"""The reader's thread, with a log that is in memory."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from threading import Event, Thread
from types import SimpleNamespace

import pytest
from confluent_kafka import OFFSET_BEGINNING, KafkaError, TopicPartition

from console import reader
from console.reader import Reader
from contracts import topics
from tests.support.stack import wait_until


class Message:
    """A record, or with an error what the client has to tell."""

    def __init__(self, topic: str, offset: int, error: KafkaError | None = None, broken: bool = False) -> None:
        self._topic, self._offset, self._error, self._broken = topic, offset, error, broken

    def topic(self) -> str:
        return self._topic

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset

    def error(self) -> KafkaError | None:
        return self._error

    def timestamp(self) -> tuple[int, int]:
        return 1, 0

    def key(self) -> None:
        return None

    def value(self) -> bytes:
        if self._broken:
            raise SystemError("the client cannot make sense of it")
        return b"{}"

    def headers(self) -> None:
        return None


class Log:
    """What one partition of each topic holds: records by offset, and its end, where transactions have taken the rest."""

    def __init__(self) -> None:
        self.records = defaultdict[str, list[Message]](list)
        self.ends = Counter[str]()
        self.consumers = 0

    def put(self, *records: Message) -> None:
        for record in records:
            self.records[record.topic()].append(record)
            self.ends[record.topic()] = record.offset() + 1


class Consumer:
    """Of the client's consumer what the reader uses."""

    log: Log

    def __init__(self, _: object) -> None:
        self.log.consumers += 1
        self._places: dict[str, int] = {}
        self._told: dict[str, int] = {}

    def list_topics(self, timeout: float) -> SimpleNamespace:
        return SimpleNamespace(topics=dict.fromkeys(topics.ALL, SimpleNamespace(partitions=[0])))

    def assign(self, places: list[TopicPartition]) -> None:
        self._places = {place.topic: 0 if place.offset == OFFSET_BEGINNING else place.offset for place in places}

    def consume(self, _: int, seconds: float) -> list[Message]:
        found = []
        for topic, place in self._places.items():
            end = self.log.ends[topic]
            found += [record for record in self.log.records[topic] if place <= record.offset() < end]
            if self._told.get(topic) != end:
                found.append(Message(topic, end, KafkaError(KafkaError._PARTITION_EOF)))
            self._places[topic] = self._told[topic] = end
        Event().wait(0 if found else seconds / 10)
        return found

    def close(self) -> None:
        pass


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVER", "nowhere:1")
    monkeypatch.setattr(reader, "Consumer", Consumer)
    monkeypatch.setattr(reader, "RETRY_SECONDS", 0.01)
    Consumer.log = Log()
    return Consumer.log


@pytest.fixture
def reading(log: Log) -> Iterator[Reader]:
    """A reader at work; it has to come to its end with the test."""
    stopping = Event()
    made = Reader(stopping)
    thread = Thread(target=made.run)
    thread.start()
    yield made
    stopping.set()
    thread.join(10)
    assert not thread.is_alive()


def test_offsets_are_counted_also_where_no_record_is_left(log: Log, reading: Reader) -> None:
    log.put(Message(topics.USERS, 4), Message(topics.USERS, 7))
    log.ends |= {topics.USERS: 9, topics.S3_SINK_DLQ: 10}
    wait_until(lambda: reading.records.next.get((topics.S3_SINK_DLQ, 0)) == 10, 10, "an empty topic's end is known")
    wait_until(lambda: reading.records.next[topics.USERS, 0] == 9, 10, "a transaction's marker is passed")
    assert reading.records.totals[topics.USERS] == 2
    assert reading.records.last[topics.USERS, 0] == 7


def test_a_record_that_breaks_the_reader_is_counted_and_passed(
    log: Log, reading: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    began = reading.worked_at
    log.put(*(Message(topics.USERS, offset, broken=offset == 1) for offset in range(4)))
    wait_until(lambda: reading.records.totals[topics.USERS] >= 4, 10, "the records behind it are read")
    wait_until(lambda: reading.worked_at > began and not reading.counting, 10, "it works again")
    assert reading.records.totals[topics.USERS] == 4
    assert log.consumers == 2
    assert caplog.text.count("Traceback") == 1
