"""Readers that commit nothing, and the records that topics hold now."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

BATCH_SIZE = 1_000
BATCH_SECONDS = 0.05  # how long the last batch of a read waits for more records
SECONDS = 10.0
RETRY_SECONDS = 0.1
# In a cluster one broker may list a new leader before that broker itself knows that it leads the partition, and the client may
# forget a broker that was lost while it is asked.
TRANSIENT = (
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError._DESTROY_BROKER,
    KafkaError._TRANSPORT,
)

# A consumer that commits nothing. `records_of` needs the last one.
READ_ONLY = {
    "enable.auto.commit": False,
    "auto.offset.reset": "earliest",
    "isolation.level": "read_committed",
    "enable.partition.eof": True,
}

# By topic and partition: the first offset, and the one after the last.
Spans = Mapping[tuple[str, int], tuple[int, int]]


def reader(group: str, config: Mapping[str, Any]) -> closing[Consumer]:
    """A consumer for a `with` block. A consumer needs a group's name; nothing is ever committed to it."""
    return closing(Consumer({**READ_ONLY, "group.id": group, **config}, logger=logging.getLogger("kafka")))


def end_of(consumer: Consumer, topic: str) -> dict[int, int]:
    """The current end offset of each partition. Raises KafkaException when a leader does not give it within SECONDS."""
    partitions = consumer.list_topics(topic, timeout=SECONDS).topics[topic].partitions
    return {one: _end(consumer, TopicPartition(topic, one)) for one in partitions}


def assign_more(consumer: Consumer, topic: str, read: set[int], start: int, seconds: float) -> set[int]:
    """Read the partitions too that the topic has by now, from `start`. Gives all that are read; when no broker answers, the
    same ones as before.
    """
    try:
        partitions = set(consumer.list_topics(topic, timeout=seconds).topics[topic].partitions)
    except KafkaException:
        return read
    if new := partitions - read:
        consumer.incremental_assign([TopicPartition(topic, one, start) for one in new])
    return read | new


def _end(consumer: Consumer, partition: TopicPartition) -> int:
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return consumer.get_watermark_offsets(partition, timeout=SECONDS)[1]
        except KafkaException as error:
            if error.args[0].code() not in TRANSIENT or time.monotonic() > deadline:
                raise
        time.sleep(RETRY_SECONDS)


def records_between(
    consumer: Consumer, topic: str, begin: Mapping[int, int], end: Mapping[int, int]
) -> Iterator[list[Message]]:
    """The records from `begin` to before `end`, in batches; a partition without a begin is read from its start."""
    return records_of(consumer, {(topic, one): (begin.get(one, 0), offset) for one, offset in end.items()})


def records_of(consumer: Consumer, spans: Spans) -> Iterator[list[Message]]:
    """The records of spans of several topics, in batches.

    The consumer needs `enable.partition.eof`: the last offset before an end may be a transaction marker, which is never
    delivered, and then only the end-of-partition event shows that nothing is left. Raises KafkaException.
    """
    unread = {place for place, (begin, end) in spans.items() if begin < end}
    consumer.assign([TopicPartition(*place, spans[place][0] or OFFSET_BEGINNING) for place in unread])
    while unread:
        batch = []
        for message in consumer.consume(BATCH_SIZE, BATCH_SECONDS):
            error, place, offset = message.error(), (message.topic(), message.partition()), message.offset()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            if error is None and offset < spans[place][1]:
                batch.append(message)
            if error is not None or offset >= spans[place][1] - 1:
                unread.discard(place)
        yield batch
