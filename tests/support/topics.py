"""Reads topics as a read_committed consumer does."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from confluent_kafka import Consumer, IsolationLevel, Message, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from contracts.records import headers_of
from runtime.reading import end_of, records_between


class Record(NamedTuple):
    """What a test looks at."""

    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes | None]
    partition: int
    offset: int
    timestamp: int


def read_all(bootstrap: str, topic: str) -> list[Record]:
    """Every record that is committed by now."""
    return list(_read(bootstrap, topic))


def ends(bootstrap: str, names: Iterable[str], isolation: IsolationLevel) -> dict[tuple[str, int], int]:
    """Where a reader's topics end, by topic and partition: for a read_committed one before the first open transaction."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    found = admin.list_topics(timeout=10).topics
    request = {
        TopicPartition(name, partition): OffsetSpec.latest() for name in names for partition in found[name].partitions
    }
    answers = admin.list_offsets(request, isolation_level=isolation)
    return {(at.topic, at.partition): future.result(10).offset for at, future in answers.items()}


def _read(bootstrap: str, topic: str) -> Iterator[Record]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "test-reader",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    try:
        for batch in records_between(consumer, topic, {}, end_of(consumer, topic)):
            yield from map(_record, batch)
    finally:
        consumer.close()


def _record(message: Message) -> Record:
    return Record(
        message.key(),
        message.value(),
        dict(headers_of(message) or []),
        message.partition(),
        message.offset(),
        message.timestamp()[1],
    )
