"""What the ingestor does with a batch: each record is routed or becomes a dead letter."""

import logging
import time
from collections import Counter
from collections.abc import Callable
from threading import Event
from typing import TYPE_CHECKING

from confluent_kafka import Consumer, Producer

from contracts import topics
from contracts.dead_letters import dead_letter, forwarded
from contracts.records import Record
from contracts.timestamps import impossible, with_bank_timestamp
from contracts.wire import Invalid
from ingestor import metrics
from ingestor.routing import route
from ingestor.settings import SERVICE
from runtime.metrics import LAST_COMMIT
from runtime.service import Totals
from runtime.transactions import Transactions

if TYPE_CHECKING:
    from runtime.spans import Tracer

logger = logging.getLogger(__name__)


def ingest(
    consumer: Consumer, new_producer: Callable[[], Producer], stopping: Event, tracer: "Tracer | None" = None
) -> None:
    """Route batches, each in one transaction, until `stopping` is set. Raises what Transactions.run raises."""
    totals, last_commit = Totals(logger, metrics.RECORDS), LAST_COMMIT.labels(SERVICE)
    started_at = 0.0

    def write(producer: Producer, batch: list[Record]) -> Counter[str]:
        nonlocal started_at
        produce = producer.produce
        started_at, now = time.monotonic(), time.time()
        counts: Counter[str] = Counter()
        if tracer is not None:
            batch = [tracer.follow(record) for record in batch]
        for record in batch:
            headers = with_bank_timestamp(forwarded(record.headers or []), record.timestamp)
            reason = impossible(record.timestamp, now)
            outcome = Invalid(reason) if reason else route(record.value, None if record.headers is None else headers)
            if isinstance(outcome, Invalid):
                topic = topics.BANK_TRANSACTIONS_DLQ
                if tracer is not None:
                    tracer.refused(record.position, outcome.reason)
                dead = dead_letter(record._replace(headers=headers), outcome.reason, SERVICE)
                produce(topic, dead.value, dead.key, headers=dead.headers)
            else:
                topic = outcome.topic
                produce(topic, outcome.value, outcome.key, headers=headers)
            counts[topic] += 1
        return counts

    def after(batch: list[Record], counts: Counter[str] | None) -> None:
        if tracer is not None and batch:
            tracer.end(committed=counts is not None)
        if counts is not None:
            last_commit.set_to_current_time()
            metrics.BATCH_RECORDS.observe(len(batch))
        elif batch:
            metrics.ABORTED.inc()
        if batch:
            metrics.TRANSACTION_SECONDS.observe(time.monotonic() - started_at)
        totals.add(counts or {})

    Transactions(consumer, new_producer, stopping).run(topics.BANK_TRANSACTIONS, write, after)
