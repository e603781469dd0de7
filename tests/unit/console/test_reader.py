"""The reader's thread, with a log that is in memory."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from threading import Event, Thread
from types import SimpleNamespace

import pytest
from confluent_kafka import OFFSET_BEGINNING, KafkaError, TopicPartition

from console import reader
from console.reader import Reader
from console.records import Place
from contracts import topics
from tests.support.messages import Message
from tests.support.stack import wait_until


class Log:
    """What each partition holds: records by offset, and its end, where transactions have taken the rest."""

    def __init__(self) -> None:
        self.partitions = dict.fromkeys(topics.ALL, 1)
        self.records = defaultdict[Place, list[Message]](list)
        self.ends = Counter[Place]()
        self.consumers = 0

    def put(self, *records: Message) -> None:
        for record in records:
            place = record.topic(), record.partition()
            self.records[place].append(record)
            self.ends[place] = record.offset() + 1


class Consumer:
    """Of the client's consumer what the reader uses."""

    log: Log

    def __init__(self, _: object) -> None:
        self.log.consumers += 1
        self._places: dict[Place, int] = {}
        self._told: dict[Place, int] = {}

    def list_topics(self, timeout: float) -> SimpleNamespace:
        known = {name: SimpleNamespace(partitions=range(count)) for name, count in self.log.partitions.items()}
        return SimpleNamespace(topics=known)

    def assign(self, places: list[TopicPartition]) -> None:
        self._places = {
            (place.topic, place.partition): 0 if place.offset == OFFSET_BEGINNING else place.offset for place in places
        }

    def consume(self, _: int, seconds: float) -> list[Message]:
        found = []
        for place, position in self._places.items():
            end = self.log.ends[place]
            found += [record for record in self.log.records[place] if position <= record.offset() < end]
            if self._told.get(place) != end:
                found.append(Message(place[0], end, partition=place[1], error=KafkaError(KafkaError._PARTITION_EOF)))
            self._places[place] = self._told[place] = end
        Event().wait(0 if found else seconds / 10)
        return found

    def close(self) -> None:
        pass


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVER", "nowhere:1")
    monkeypatch.setattr(reader, "Consumer", Consumer)
    monkeypatch.setattr(reader, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(reader, "PARTITIONS_SECONDS", 0.05)
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
    log.ends |= {(topics.USERS, 0): 9, (topics.S3_SINK_DLQ, 0): 10}
    wait_until(lambda: reading.records.next.get((topics.S3_SINK_DLQ, 0)) == 10, 10, "an empty topic's end is known")
    wait_until(lambda: reading.records.next[topics.USERS, 0] == 9, 10, "a transaction's marker is passed")
    assert reading.records.totals[topics.USERS] == 2
    assert reading.records.last[topics.USERS, 0] == 7


def test_a_record_that_breaks_the_reader_is_counted_and_passed(
    log: Log, reading: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    began = reading.worked_at
    log.put(*(Message(topics.USERS, offset, broken="value" if offset == 1 else "") for offset in range(4)))
    wait_until(lambda: reading.records.totals[topics.USERS] >= 4, 10, "the records behind it are read")
    wait_until(lambda: reading.worked_at > began and not reading.counting, 10, "it works again")
    assert reading.records.totals[topics.USERS] == 4
    assert log.consumers == 2
    assert caplog.text.count("Traceback") == 1


def test_partitions_that_a_topic_is_given_and_a_topic_that_comes_later_are_read_from_their_start(
    log: Log, reading: Reader
) -> None:
    log.put(Message(topics.USERS, 0))
    del log.partitions[topics.S3_SINK_DLQ]
    wait_until(lambda: reading.records.totals[topics.USERS] == 1, 10, "what is there is read")
    log.put(*(Message(topics.USERS, offset, partition=1) for offset in range(3)), Message(topics.USERS, 1))
    log.put(Message(topics.S3_SINK_DLQ, 0))
    log.partitions |= {topics.USERS: 2, topics.S3_SINK_DLQ: 1}
    wait_until(lambda: reading.records.totals[topics.USERS] == 5, 10, "the new partition is read, the old one goes on")
    wait_until(lambda: reading.records.totals[topics.S3_SINK_DLQ] == 1, 10, "the topic that came is read")
    assert log.consumers == 1
