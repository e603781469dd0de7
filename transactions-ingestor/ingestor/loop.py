"""The loop around the rule: a batch is consumed, routed, produced and its offsets committed in one transaction."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from threading import Event

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from contracts import topics
from contracts.dead_letters import dead_letter
from contracts.metrics import LAST_COMMIT
from contracts.records import Headers, headers_of, headers_size
from contracts.service import Totals
from contracts.timestamps import impossible, with_bank_timestamp
from ingestor import metrics
from ingestor.routing import Refused, route
from ingestor.settings import SERVICE

logger = logging.getLogger(__name__)

# A batch is what has arrived in this time, which is most of the delay that a transaction sees here, or so many records, or so
# many bytes: the bank's topic takes records of 8 MiB, and a batch is in memory two times, as it came and as it is written.
BATCH_SECONDS = 0.05
BATCH_SIZE = 2_000
BATCH_BYTES = 8 * 1024 * 1024
# One try of a transaction's operation: a signal is only heard in between. Called again it goes on, it does not begin anew.
TRY_SECONDS = 2.0
COMMITTED_SECONDS = 10.0

# A message and its headers, which can be read only once; they are None when they cannot be read.
Record = tuple[Message, Headers | None]


class Stopped(Exception):
    """The service was told to stop while the broker did not answer."""


def ingest(consumer: Consumer, producer: Producer, stopping: Event) -> None:
    """Route batches until `stopping` is set; the batch in hand is finished first, unless the broker does not answer: what is
    left of its transaction is aborted by the next process with this replica's id, and the batch is read again.

    Raises Stopped in that case, and KafkaException for what a restart has to mend (fenced by another process with the same
    replica id, for one).
    """
    totals, last_commit = Totals(logger, metrics.RECORDS), LAST_COMMIT.labels(SERVICE)
    _retried(producer.init_transactions, stopping)
    consumer.subscribe([topics.BANK_TRANSACTIONS])
    while not stopping.is_set():
        batch = _read_batch(consumer)
        if not batch:
            totals.add({})
            continue
        try:
            with metrics.TRANSACTION_SECONDS.time():
                counts = _route_batch(consumer, producer, batch, stopping)
        except KafkaException as error:
            if not error.args[0].txn_requires_abort():
                raise
            logger.warning("transaction aborted, its batch is read again: %s", error.args[0].str())
            _retried(producer.abort_transaction, stopping)
            _rewind(consumer)
            metrics.ABORTED.inc()
        else:
            last_commit.set_to_current_time()
            metrics.BATCH_RECORDS.observe(len(batch))
            totals.add(counts)


def _read_batch(consumer: Consumer) -> list[Record]:
    batch: list[Record] = []
    size, deadline = 0, time.monotonic() + BATCH_SECONDS
    while len(batch) < BATCH_SIZE and size < BATCH_BYTES and (seconds := deadline - time.monotonic()) > 0:
        # Waits for one, then takes what is there: waiting for more of them would set no limit to their bytes.
        messages = consumer.consume(1, seconds) + consumer.consume(BATCH_SIZE - len(batch) - 1, 0)
        for message in _without_errors(messages):
            headers = headers_of(message)
            size += len(message) + len(message.key() or b"")
            if headers is None:
                size += BATCH_BYTES  # how large they are is not known
            elif headers:
                size += headers_size(headers)
            batch.append((message, headers))
    return batch


def _route_batch(consumer: Consumer, producer: Producer, batch: list[Record], stopping: Event) -> Counter[str]:
    counts: Counter[str] = Counter()
    next_offsets: dict[int, int] = {}
    producer.begin_transaction()
    produce, now = producer.produce, time.time()
    for message, read in batch:
        timestamp = message.timestamp()
        headers = with_bank_timestamp(read or [], timestamp)
        reason = impossible(timestamp, now)
        outcome = Refused(reason) if reason else route(message.value(), None if read is None else headers)
        if isinstance(outcome, Refused):
            topic = topics.BANK_TRANSACTIONS_DLQ
            place = message.topic(), message.partition(), message.offset()
            letter = dead_letter(message.value(), message.key(), headers, outcome.reason, *place, SERVICE)
            produce(topic, letter.value, letter.key, headers=letter.headers)
        else:
            topic = outcome.topic
            produce(topic, outcome.value, outcome.key, headers=headers)
        counts[topic] += 1
        next_offsets[message.partition()] = message.offset() + 1
    positions = [TopicPartition(topics.BANK_TRANSACTIONS, *position) for position in next_offsets.items()]
    group = consumer.consumer_group_metadata()
    _retried(lambda seconds: producer.send_offsets_to_transaction(positions, group, seconds), stopping)
    _retried(producer.commit_transaction, stopping)
    return counts


def _retried(operation: Callable[[float], object], stopping: Event) -> None:
    """Call a transaction's operation until it succeeds or fails for good: by contract a retriable one is called again.

    Raises Stopped instead of calling it again once `stopping` is set.
    """
    while True:
        try:
            operation(TRY_SECONDS)
            return
        except KafkaException as error:
            if not error.args[0].retriable():
                raise
            if stopping.is_set():
                raise Stopped from error
            logger.warning("the broker does not answer, trying again: %s", error.args[0].str())


def _rewind(consumer: Consumer) -> None:
    """Put every assigned partition back to its committed offset."""
    for position in consumer.committed(consumer.assignment(), timeout=COMMITTED_SECONDS):
        if position.offset < 0:
            position.offset = OFFSET_BEGINNING
        consumer.seek(position)


def _without_errors(messages: Iterable[Message]) -> list[Message]:
    """The records of a batch; errors among them are the client's own news, which it recovers from unless they are fatal."""
    records = []
    for message in messages:
        error = message.error()
        if error is None:
            records.append(message)
        elif error.fatal() or error.code() == KafkaError._FATAL:  # the consumer is dead, a new process takes its place
            raise KafkaException(error)
        else:
            logger.warning("consumer: %s", error.str())
    return records
