"""Exactly-once from topic to topic: the output of each batch is written in one transaction with the batch's offsets."""

import logging
import time
from collections.abc import Callable, Iterable
from threading import Event
from typing import TypeVar

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from contracts.records import Record
from runtime import hang
from runtime.lost import OFFSETS_SECONDS

logger = logging.getLogger(__name__)

# A batch ends when no more records are waiting, but from the beginning of one transaction to that of the next there are at least
# PERIOD_TIMES the time that the first one took, within the bounds below. So a lone record is handled at once, and the busier the
# broker, the fewer and fuller the transactions: each costs the broker the same, however full it is.
PERIOD_TIMES = 4
SHORTEST_PERIOD, LONGEST_PERIOD = 0.03, 0.3  # seconds
BATCH_SIZE = 5_000
# The bank's topic accepts records of 8 MiB, and a batch is in memory twice: as read, and as written. What was compressed may be a
# hundred times as large, so a batch is read in slices.
BATCH_BYTES = 8 * 1024 * 1024
SLICE = 50
IDLE_SECONDS = 0.5
# Timeout of one call of a transaction's operation: signals are only handled between calls. The next call resumes the operation.
TRY_SECONDS = 2.0
COMMITTED_SECONDS = 10.0
# What fails once is tried again at once. What the broker refuses for good, as a topic without the right to write, is tried again
# ever less often: each attempt is a transaction.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
# Longer than a broker that answers needs to find a coordinator, also while it is busy starting.
STUCK_SECONDS = 60.0

T = TypeVar("T")


def period(taken: float) -> float:
    """Seconds from the beginning of a transaction that took `taken` seconds to the beginning of the next."""
    return min(max(PERIOD_TIMES * taken, SHORTEST_PERIOD), LONGEST_PERIOD)


class Stopped(Exception):
    """The service was told to stop while the broker did not answer."""


class Transactions:
    """The two clients of a service: its consumer commits nothing itself, its producers have one transactional.id."""

    def __init__(self, consumer: Consumer, new_producer: Callable[[], Producer], stopping: Event) -> None:
        self._consumer = consumer
        self._new_producer = new_producer
        self._stopping = stopping
        self._revoked: set[tuple[str, int]] = set()
        # Partitions that are not read yet, and since when.
        self._unplaced: list[TopicPartition] = []
        self._unknown_since = 0.0
        self._due = 0.0  # the time.monotonic() from which the next transaction may begin

    def run(
        self, topic: str, write: Callable[[Producer, list[Record]], T], after: Callable[[list[Record], T | None], None]
    ) -> None:
        """Handle batches of a topic until `stopping` is set.

        `write` produces the output of a batch with the producer that it is given. `after` gets the batch and what `write`
        returned, once that is committed, or None if the transaction was aborted; while nothing arrives it gets an empty batch
        now and then. The current batch is finished first, unless the broker does not answer: then the next process with this
        transactional.id aborts the open transaction, and the batch is read again.

        Raises Stopped in that case, and KafkaException for an error that only a restart can fix (being fenced by another
        process with the same transactional.id, for example).
        """
        self.begin(topic)
        # With a callback, partitions are revoked only inside consume(), but for one case: see _assign.
        self._consumer.subscribe([topic], on_assign=self._assign, on_revoke=self._revoke)
        pause = 0.0
        while not self._stopping.is_set():
            self._producer.poll(0)  # for its statistics: it may have lost every broker
            self._place()
            batch = self._read()
            result, aborted = None, False
            if batch:
                try:
                    result = self._commit(batch, write)
                    pause = 0.0
                except KafkaException as error:
                    if not error.args[0].txn_requires_abort():
                        raise
                    logger.warning("transaction aborted, its batch is read again: %s", error.args[0].str())
                    self.begin(topic)
                    self._rewind(batch)
                    aborted = True
            after(batch, result)
            if aborted:
                self._stopping.wait(pause)
                pause = min(2 * pause + FIRST_PAUSE, LONGEST_PAUSE)

    def begin(self, topic: str) -> None:
        """Take a new producer, and end what an earlier one with this transactional.id has left open. Raises what `run` raises.

        A producer whose transaction fails is not used again. librdkafka drops the records of that transaction which were sent but
        not acknowledged, and gives their sequence numbers to the next ones. A broker that had written the former takes the
        latter for duplicates and acknowledges them, and nobody ever reads them.

        A broker that was killed while offsets were sent to it was seen to keep them as pending though its coordinator knew of no
        open transaction: nobody was given the group's offsets any more, and no restart helped. The end of any transaction of
        this id that has offsets of the group is the end of those as well.
        """
        self._producer = self._new_producer()
        self._retried(self._producer.init_transactions)
        self._producer.begin_transaction()
        offsets, group = [TopicPartition(topic, 0, 0)], self._consumer.consumer_group_metadata()
        try:
            self._retried(lambda seconds: self._producer.send_offsets_to_transaction(offsets, group, seconds))
        except KafkaException as error:
            if not error.args[0].txn_requires_abort():
                raise
        self._retried(self._producer.abort_transaction)

    def _read(self) -> list[Record]:
        batch, size, seconds = list[Record](), 0, IDLE_SECONDS
        while True:
            # Waits for one record, then takes those that are there, few at a time: only then it is known how large they are.
            count, wait = 1, seconds
            while True:
                messages = self._consumer.consume(count, wait)
                if self._revoked:  # their new owner reads these records again
                    batch = [record for record in batch if (record.topic, record.partition) not in self._revoked]
                    self._revoked.clear()
                for record in map(Record.of, _without_errors(messages)):
                    batch.append(record)
                    taken = record.size
                    size += BATCH_BYTES if taken is None else taken
                if (wait == 0 and len(messages) < count) or len(batch) >= BATCH_SIZE or size >= BATCH_BYTES:
                    break
                count, wait = min(SLICE, BATCH_SIZE - len(batch)), 0
            seconds = self._due - time.monotonic()
            if not batch or len(batch) >= BATCH_SIZE or size >= BATCH_BYTES or seconds <= 0:
                return batch

    def _assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Take new partitions. `_group` has the generation in which they are ours.

        New partitions of the topic make the client join its group again, even while it waits for us to give the old ones back:
        others then read records that we are still writing. By the generation of now, our commit of them would be accepted.
        """
        try:
            self._group = consumer.consumer_group_metadata()
        except RuntimeError:  # the consumer is being closed
            return
        self._revoked.update((one.topic, one.partition) for one in consumer.assignment())
        consumer.assign([])
        self._unplaced, self._unknown_since = partitions, time.monotonic()
        self._place()

    def _revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._revoked.update((one.topic, one.partition) for one in partitions)
        self._unplaced = []

    def _place(self) -> None:
        """Begin to read new partitions, once the group's offsets are known: a transaction that is still open may have some.

        The client would ask for them by itself, and when the next rebalance comes before the answer it takes "not yet" for
        "none", and reads the partition from its beginning (librdkafka 2.12, rd_kafka_assignment_apply_offsets).
        """
        if not self._unplaced:
            return
        try:
            positions = self._consumer.committed(self._unplaced, timeout=TRY_SECONDS)
            for position in positions:
                if position.error:
                    raise KafkaException(position.error)
            self._consumer.assign(positions)
            self._unplaced = []
        except KafkaException as error:
            logger.warning("the group's offsets are not known yet, trying again: %s", error.args[0].str())
            if not self._answered():
                self._unknown_since = time.monotonic()
            elif time.monotonic() - self._unknown_since > OFFSETS_SECONDS:
                hang.end(f"the Kafka client that reads {self._unplaced[0].topic} is not given the offsets of its group")

    def _commit(self, batch: list[Record], write: Callable[[Producer, list[Record]], T]) -> T:
        started = time.monotonic()
        self._producer.begin_transaction()
        result = write(self._producer, batch)
        positions = {(record.topic, record.partition): record.offset + 1 for record in batch}
        offsets = [TopicPartition(topic, partition, offset) for (topic, partition), offset in positions.items()]
        self._retried(lambda seconds: self._producer.send_offsets_to_transaction(offsets, self._group, seconds))
        self._retried(self._producer.commit_transaction)
        self._due = started + period(time.monotonic() - started)
        return result

    def _retried(self, operation: Callable[[float], object]) -> None:
        """Call a transaction's operation until it succeeds or fails for good: its contract is to be retried on retriable errors.

        Raises Stopped instead of calling it again once `stopping` is set. Ends the process when the operation has failed for
        STUCK_SECONDS while a broker answered: the producer of an idle service was seen to stay without its coordinator after
        the broker had been away. A broker that stays away is waited for by a new process (`hang.alive`): nobody takes the
        statistics of this one's consumer meanwhile, 7 KB a second and more.
        """
        answering: float | None = None
        while True:
            try:
                with hang.no_hang("a transaction's operation"):
                    operation(TRY_SECONDS)
                return
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise
                if self._stopping.is_set():
                    raise Stopped from error
                reason = error.args[0].str()
                logger.warning("the broker does not answer, trying again: %s", reason)
                answering = (answering or time.monotonic()) if self._answered() else None
                if answering is not None and time.monotonic() - answering > STUCK_SECONDS:
                    hang.end(f"a transaction's operation fails while the broker answers: {reason}")

    def _answered(self) -> bool:
        """Whether a broker answers the producer. A connection that opens for it makes the producer look for its coordinator."""
        self._producer.poll(0)
        try:
            self._producer.list_topics(timeout=TRY_SECONDS)
        except KafkaException:
            return False
        return True

    def _rewind(self, batch: list[Record]) -> None:
        """Seek every assigned partition back to its committed offset; one without, to where the batch begins in it."""
        first = {(record.topic, record.partition): record.offset for record in reversed(batch)}
        for position in self._consumer.committed(self._consumer.assignment(), timeout=COMMITTED_SECONDS):
            if position.offset == OFFSET_INVALID:
                position.offset = first.get((position.topic, position.partition), OFFSET_INVALID)
            if position.offset != OFFSET_INVALID:
                self._consumer.seek(position)


def _without_errors(messages: Iterable[Message]) -> list[Message]:
    """The records among the messages. Errors among them are events of the client, which recovers from all but fatal ones."""
    records = []
    for message in messages:
        error = message.error()
        if error is None:
            records.append(message)
        elif error.fatal() or error.code() == KafkaError._FATAL:  # the consumer is dead, a new process takes over
            raise KafkaException(error)
        else:
            logger.warning("consumer: %s", error.str())
    return records
