"""Reads topics as a read_committed consumer does."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, IsolationLevel, Message, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec


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
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
        unread = set(partitions)
        while unread:
            for message in consumer.consume(5_000, 0.5):
                if message.error() is None:
                    yield _record(message)
                else:
                    unread.discard(message.partition())
    finally:
        consumer.close()


def _record(message: Message) -> Record:
    return Record(
        message.key(),
        message.value(),
        dict(message.headers() or []),
        message.partition(),
        message.offset(),
        message.timestamp()[1],
    )
