"""What is answered as it comes: rows of a stream, records of a topic, until enough came or the client went away."""

from __future__ import annotations

import logging
import random
from collections.abc import Generator
from contextlib import closing, suppress
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaException, Message, TopicPartition

from local.ksqldb import tree as t
from local.ksqldb.expressions import Scope, compile_expression
from local.ksqldb.pipeline import row_filter, row_reader
from local.ksqldb.planner import QueryPlan
from local.ksqldb.serde import SerdeError
from local.ksqldb.settings import Settings

_POLL = 0.25
_BATCH = 500


def query_id(query: t.Query) -> str:
    """A fresh id for a push query."""
    return f"transient_{query.alias}_{random.getrandbits(63)}"


def rows(settings: Settings, plan: QueryPlan, from_beginning: bool, limit: int | None) -> Generator[list[list[Any]]]:
    """The rows of a plan in batches, a batch at least every quarter of a second, so that the caller can give up.

    Bad records are left out. Closing the iterator ends the query. Raises KafkaException.
    """
    read, keep = row_reader(plan), row_filter(plan)
    scope = Scope(plan.source.schema, "SELECT")
    selected = [compile_expression(projection.expression, scope) for projection in plan.values]
    left = limit
    with closing(messages(settings, plan.source.topic, from_beginning)) as batches:
        while left is None or left > 0:
            batch: list[list[Any]] = []
            for message in next(batches):
                with suppress(SerdeError):
                    row = read(message.key(), message.value())
                    if row is not None and (keep is None or keep(row)):
                        batch.append([evaluate(row) for evaluate in selected])
            batch = batch[:left]
            if left is not None:
                left -= len(batch)
            yield batch


def messages(settings: Settings, topic: str, from_beginning: bool) -> Generator[list[Message]]:
    """A topic's committed records as they come, without end; an empty batch after a quarter of a second without any.

    Closing the iterator ends the reading. Raises KafkaException.
    """
    consumer = Consumer(
        {
            **settings.kafka(),
            "group.id": "ksqldb-push-query",  # a consumer needs one; nothing is ever committed to it
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 100,
            "queued.max.messages.kbytes": 4096,
        },
        logger=logging.getLogger("librdkafka"),
    )
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        start = OFFSET_BEGINNING if from_beginning else OFFSET_END
        consumer.assign([TopicPartition(topic, partition, start) for partition in partitions])
        while True:
            batch = consumer.consume(_BATCH, _POLL)
            for message in batch:
                if message.error() is not None:
                    raise KafkaException(message.error())
            yield batch
    finally:
        consumer.close()
