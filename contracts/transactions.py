"""Exactly-once from topic to topic: a batch is read, and what comes of it is written in one transaction with its offsets."""

import logging
import time
from collections.abc import Callable, Iterable
from threading import Event
from typing import TypeVar

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from contracts.records import Record

logger = logging.getLogger(__name__)

# A batch ends when all that is there has been read, but transactions begin no sooner one after the other than this: a lone
# record is handled at once, and under load the batches grow. Each transaction costs the broker the same, however full it is.
PERIOD_SECONDS = 0.03
BATCH_SIZE = 2_000
# The bank's topic takes records of 8 MiB, and a batch is in memory two times, as it came and as it is written.
BATCH_BYTES = 8 * 1024 * 1024
IDLE_SECONDS = 0.5
# One try of a transaction's operation: a signal is only heard in between. Called again it goes on, it does not start again.
TRY_SECONDS = 2.0
COMMITTED_SECONDS = 10.0

T = TypeVar("T")


class Stopped(Exception):
    """The service was told to stop while the broker did not answer."""


class Transactions:
    """Both clients of a service: the consumer commits nothing itself, the producer has a transactional.id."""

    def __init__(self, consumer: Consumer, producer: Producer, stopping: Event) -> None:
        self._consumer = consumer
        self._producer = producer
        self._stopping = stopping
        self._begun_at = 0.0

    def run(
        self, topic: str, write: Callable[[list[Record]], T], after: Callable[[list[Record], T | None], None]
    ) -> None:
        """Handle batches of a topic until `stopping` is set.

        `write` produces what comes of a batch; `after` gets the batch and what `write` returned once that is committed, None
        when the transaction was aborted, and an empty batch now and then while nothing arrives. The batch in hand is
        finished first, unless the broker does not answer: what is left of its transaction is aborted by the next process
        with this transactional.id, and the batch is read again.

        Raises Stopped in that case, and KafkaException for what a restart has to repair (fenced by another process with the
        same transactional.id, for one).
        """
        self._retried(self._producer.init_transactions)
        self._consumer.subscribe([topic])
        while not self._stopping.is_set():
            batch = self._read()
            result = None
            if batch:
                try:
                    result = self._commit(batch, write)
                except KafkaException as error:
                    if not error.args[0].txn_requires_abort():
                        raise
                    logger.warning("transaction aborted, its batch is read again: %s", error.args[0].str())
                    self._retried(self._producer.abort_transaction)
                    self._rewind()
            after(batch, result)

    def _read(self) -> list[Record]:
        batch, size, seconds = list[Record](), 0, IDLE_SECONDS
        while True:
            # Waits for one, then takes what is there: waiting for more of them would set no limit to their bytes.
            messages = self._consumer.consume(1, seconds) + self._consumer.consume(BATCH_SIZE - len(batch) - 1, 0)
            for record in map(Record.of, _without_errors(messages)):
                batch.append(record)
                size += BATCH_BYTES if record.size is None else record.size
            seconds = self._begun_at + PERIOD_SECONDS - time.monotonic()
            if not batch or len(batch) >= BATCH_SIZE or size >= BATCH_BYTES or seconds <= 0:
                return batch

    def _commit(self, batch: list[Record], write: Callable[[list[Record]], T]) -> T:
        self._begun_at = time.monotonic()
        self._producer.begin_transaction()
        result = write(batch)
        positions = {(record.topic, record.partition): record.offset + 1 for record in batch}
        offsets = [TopicPartition(topic, partition, offset) for (topic, partition), offset in positions.items()]
        group = self._consumer.consumer_group_metadata()
        self._retried(lambda seconds: self._producer.send_offsets_to_transaction(offsets, group, seconds))
        self._retried(self._producer.commit_transaction)
        return result

    def _retried(self, operation: Callable[[float], object]) -> None:
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
                if self._stopping.is_set():
                    raise Stopped from error
                logger.warning("the broker does not answer, trying again: %s", error.args[0].str())

    def _rewind(self) -> None:
        """Put every assigned partition back to its committed offset."""
        for position in self._consumer.committed(self._consumer.assignment(), timeout=COMMITTED_SECONDS):
            if position.offset < 0:
                position.offset = OFFSET_BEGINNING
            self._consumer.seek(position)


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
