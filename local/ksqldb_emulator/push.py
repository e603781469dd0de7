"""Push queries and PRINT: records of a topic as they come, until enough of them came or the client went away."""

from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any, TypeVar

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, KafkaException, Message, TopicPartition

from contracts.timestamps import utc
from local.ksqldb_emulator.pipeline import row_reader
from local.ksqldb_emulator.planner import QueryPlan
from local.ksqldb_emulator.serde import Unreadable
from local.ksqldb_emulator.settings import Settings
from runtime.reading import reader

_POLL = 0.25
_BATCH = 500
_SMALL = {"enable.partition.eof": False, "fetch.wait.max.ms": 100, "queued.max.messages.kbytes": 4096}
# What PRINT says first.
FORMATS = "Key format: KAFKA_STRING\nValue format: JSON or KAFKA_STRING\n"

T = TypeVar("T")
Batches = Generator[list[T]]


def rows(settings: Settings, plan: QueryPlan, from_beginning: bool, limit: int | None) -> Batches[list[Any]]:
    """The rows of a plan. Bad records are left out."""
    read, keep = row_reader(plan), plan.keep
    selected = [projection.evaluate for projection in plan.values]

    def row_of(message: Message) -> list[Any] | None:
        with suppress(Unreadable):
            row = read(message.key(), message.value())
            if row is not None and (keep is None or keep(row)):
                return [evaluate(row) for evaluate in selected]
        return None

    return _records(settings, plan.source.topic, from_beginning, limit, row_of)


def lines(settings: Settings, topic: str, from_beginning: bool, limit: int | None) -> Batches[str]:
    """A topic's records as PRINT shows them."""
    return _records(settings, topic, from_beginning, limit, _line)


def _line(message: Message) -> str:
    time = utc(message.timestamp()[1]).strftime("%Y/%m/%d %H:%M:%S.%f")[:-3]
    key, value = map(_shown, (message.key(), message.value()))
    return f"rowtime: {time} Z, key: {key}, value: {value}, partition: {message.partition()}"


def _shown(data: bytes | None) -> str:
    return "<null>" if data is None else data.decode("utf-8", "replace")


def _records(
    settings: Settings, topic: str, from_beginning: bool, limit: int | None, convert: Callable[[Message], T | None]
) -> Batches[T]:
    """What `convert` makes of the records in batches, a batch at least every quarter of a second, so that the caller can
    give up; None is left out. Closing the generator ends it. Raises KafkaException.
    """
    left = limit
    with reader("ksqldb-push-query", {**settings.kafka, **_SMALL}) as consumer:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        start = OFFSET_BEGINNING if from_beginning else OFFSET_END
        consumer.assign([TopicPartition(topic, partition, start) for partition in partitions])
        while left is None or left > 0:
            batch: list[T] = []
            for message in consumer.consume(_BATCH, _POLL):
                if message.error() is not None:
                    raise KafkaException(message.error())
                if (converted := convert(message)) is not None:
                    batch.append(converted)
            batch = batch[:left]
            if left is not None:
                left -= len(batch)
            yield batch
