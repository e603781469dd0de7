"""What the ingestor does with a batch: each record is routed or becomes a dead letter."""

import logging
import time
from collections import Counter
from threading import Event

from confluent_kafka import Consumer, Producer

from contracts import topics
from contracts.dead_letters import dead_letter
from contracts.metrics import LAST_COMMIT
from contracts.records import Record
from contracts.service import Totals
from contracts.timestamps import impossible, with_bank_timestamp
from contracts.transactions import Transactions
from ingestor import metrics
from ingestor.routing import Refused, route
from ingestor.settings import SERVICE

logger = logging.getLogger(__name__)


def ingest(consumer: Consumer, producer: Producer, stopping: Event) -> None:
    """Route batches, each in one transaction, until `stopping` is set. Raises Stopped and KafkaException as Transactions.run."""
    totals, last_commit = Totals(logger, metrics.RECORDS), LAST_COMMIT.labels(SERVICE)
    produce = producer.produce
    begun_at = 0.0

    def write(batch: list[Record]) -> Counter[str]:
        nonlocal begun_at
        begun_at, now = time.monotonic(), time.time()
        counts: Counter[str] = Counter()
        for record in batch:
            headers = with_bank_timestamp(record.headers or [], record.timestamp)
            reason = impossible(record.timestamp, now)
            outcome = Refused(reason) if reason else route(record.value, None if record.headers is None else headers)
            if isinstance(outcome, Refused):
                topic = topics.BANK_TRANSACTIONS_DLQ
                place = record.topic, record.partition, record.offset
                letter = dead_letter(record.value, record.key, headers, outcome.reason, *place, SERVICE)
                produce(topic, letter.value, letter.key, headers=letter.headers)
            else:
                topic = outcome.topic
                produce(topic, outcome.value, outcome.key, headers=headers)
            counts[topic] += 1
        return counts

    def after(batch: list[Record], counts: Counter[str] | None) -> None:
        if counts is not None:
            last_commit.set_to_current_time()
            metrics.BATCH_RECORDS.observe(len(batch))
        elif batch:
            metrics.ABORTED.inc()
        if batch:
            metrics.TRANSACTION_SECONDS.observe(time.monotonic() - begun_at)
        totals.add(counts or {})

    Transactions(consumer, producer, stopping).run(topics.BANK_TRANSACTIONS, write, after)
