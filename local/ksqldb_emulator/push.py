"""Push queries: rows of a stream as they come, until enough of them came or the client went away."""

from __future__ import annotations

import logging
import random
from collections.abc import Generator
from contextlib import suppress
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaException, TopicPartition

from local.ksqldb_emulator import tree as t
from local.ksqldb_emulator.expressions import Scope, compile_expression
from local.ksqldb_emulator.pipeline import row_filter, row_reader
from local.ksqldb_emulator.planner import QueryPlan
from local.ksqldb_emulator.serde import SerdeError
from local.ksqldb_emulator.settings import Settings

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
    left = limit
    try:
        topic = plan.source.topic
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        start = OFFSET_BEGINNING if from_beginning else OFFSET_END
        consumer.assign([TopicPartition(topic, partition, start) for partition in partitions])
        while left is None or left > 0:
            batch: list[list[Any]] = []
            for message in consumer.consume(_BATCH, _POLL):
                if message.error() is not None:
                    raise KafkaException(message.error())
                with suppress(SerdeError):
                    row = read(message.key(), message.value())
                    if row is not None and (keep is None or keep(row)):
                        batch.append([evaluate(row) for evaluate in selected])
            batch = batch[:left]
            if left is not None:
                left -= len(batch)
            yield batch
    finally:
        consumer.close()
