"""Reads what is on a topic by now, and no more."""

from collections.abc import Iterator, Mapping

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

BATCH_SIZE = 1_000
BATCH_SECONDS = 0.25
SECONDS = 10.0


def end_of(consumer: Consumer, topic: str) -> dict[int, int]:
    """By partition, the offset after the last record of now."""
    partitions = consumer.list_topics(topic, timeout=SECONDS).topics[topic].partitions
    return {one: consumer.get_watermark_offsets(TopicPartition(topic, one), timeout=SECONDS)[1] for one in partitions}


def records_between(
    consumer: Consumer, topic: str, begin: Mapping[int, int], end: Mapping[int, int]
) -> Iterator[list[Message]]:
    """The records from one offset to another, by partition, in batches; without a begin a partition is read from its start.

    The consumer has `enable.partition.eof`: what is last before an end may be a transaction's marker, which no consumer
    sees, and then only the end of the partition tells that there is no more. Raises KafkaException.
    """
    unread = {partition for partition, offset in end.items() if begin.get(partition, 0) < offset}
    consumer.assign([TopicPartition(topic, one, begin.get(one) or OFFSET_BEGINNING) for one in unread])
    while unread:
        batch = []
        for message in consumer.consume(BATCH_SIZE, BATCH_SECONDS):
            error, partition, offset = message.error(), message.partition(), message.offset()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            if error is None and offset < end[partition]:
                batch.append(message)
            if error is not None or offset >= end[partition] - 1:
                unread.discard(partition)
        yield batch
