"""Exactly-once from topic to topic: a batch is consumed, and what comes of it is produced in one transaction with its offsets."""

import logging
from collections.abc import Callable, Iterable
from threading import Event
from typing import TypeVar

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

logger = logging.getLogger(__name__)

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

    def run(
        self,
        topic: str,
        size: int,
        seconds: float,
        write: Callable[[list[Message]], T],
        after: Callable[[list[Message], T | None], None],
    ) -> None:
        """Handle batches of a topic until `stopping` is set: what has arrived within so many seconds, or so many records.

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
            batch = _without_errors(self._consumer.consume(size, seconds))
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

    def _commit(self, batch: list[Message], write: Callable[[list[Message]], T]) -> T:
        self._producer.begin_transaction()
        result = write(batch)
        positions = {(message.topic(), message.partition()): message.offset() + 1 for message in batch}
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
