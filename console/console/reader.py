"""Reads every topic from its start, once, and then as records come, as a read_committed reader sees them."""

import logging
import time
from collections.abc import Callable
from threading import Event, Lock
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from console.keys import Keys
from console.records import Place, Records
from console.waiting import Queues
from contracts import topics
from runtime.hang import alive, over
from runtime.kafka import client_config
from runtime.lost import watched
from runtime.reading import READ_ONLY

logger = logging.getLogger(__name__)

# A record that is held keeps the whole fetch that it came in: batches are small as well.
BATCH_SIZE = 1_000
BATCH_SECONDS = 0.25
SAMPLE_SECONDS = 0.5
METADATA_SECONDS = 2.0
# A topic may be given more partitions, or be deleted and created, while it is read.
PARTITIONS_SECONDS = 5.0
RETRY_SECONDS = 2.0
GROUP = "console"


def client(group: str) -> dict[str, Any]:
    """A client that reads and leaves no trace: it never commits, and a broker that is back is found within a second.

    Its fetches and its queue are small: what is fetched is read at once, and memory that was needed once is not given back.
    """
    return {
        **client_config(),
        **READ_ONLY,
        "group.id": group,
        "fetch.message.max.bytes": 256 * 1024,
        "fetch.max.bytes": 2 * 1024 * 1024,
        "queued.max.messages.kbytes": 1024,
        # What comes within a tenth of a second is fetched together: a request for every few records would slow the broker.
        "fetch.min.bytes": 64 * 1024,
        "fetch.wait.max.ms": 100,
        "fetch.queue.backoff.ms": 10,  # the default leaves a full queue alone for a second
        "reconnect.backoff.max.ms": 1_000,
        "log_level": 0,
    }


def watched_client(group: str) -> dict[str, Any]:
    """The same for a client that is polled until `hang.over` is told. What is not polled would gather its statistics."""
    statistics = watched(lambda _: alive(group))
    return {**client(group), **statistics, "statistics.interval.ms": 5_000}  # those of many partitions are long


def keep_on(
    work: Callable[[], None],
    stopping: Event,
    seconds: float,
    problem: str,
    expected: tuple[type[Exception], ...] = (KafkaException,),
) -> None:
    """Do it again and again until told to stop, with a pause after each time: neither a broker that is away nor a malformed
    record ends it. An error that is not `expected` is logged with its traceback.
    """
    while not stopping.is_set():
        try:
            work()
        except expected as error:
            logger.info("%s for now: %s", problem, error)
        except Exception:
            logger.exception("%s for now", problem)
        stopping.wait(seconds)


class Reader:
    """`run` is a thread's. Hold `lock` while reading `records` and `queues`."""

    def __init__(self, stopping: Event) -> None:
        self.records = Records()
        self.queues = Queues()
        self.keys = Keys()
        self.lock = Lock()
        # When it last read without an error, a time.monotonic().
        self.worked_at = time.monotonic()
        # Partitions of which the end has not been reached yet.
        self._behind: frozenset[Place] | None = None
        self._stopping = stopping

    @property
    def counting(self) -> bool:
        """Whether the records that were there at the start are still being counted."""
        return self._behind is None or bool(self._behind)

    def run(self) -> None:
        """Read until told to stop, from where it was when the cluster was away."""
        keep_on(self._read, self._stopping, RETRY_SECONDS, "the topics are not read")

    def _read(self) -> None:
        consumer = Consumer(watched_client(GROUP))
        try:
            places = self._assign(consumer, None)
            sampled_at, looked_at = 0.0, time.monotonic()
            while not self._stopping.is_set():
                if time.monotonic() - looked_at > PARTITIONS_SECONDS:
                    looked_at = time.monotonic()
                    places = self._assign(consumer, places)
                records, ended = [], {}
                for message in consumer.consume(BATCH_SIZE, BATCH_SECONDS):
                    error = message.error()
                    if error is None:
                        records.append(message)
                    elif error.code() == KafkaError._PARTITION_EOF:
                        ended[message.topic(), message.partition()] = message.offset()
                    elif error.fatal():
                        raise KafkaException(error)
                with self.lock:
                    self.records.apply(records)
                    self.queues.take(records)
                    self.keys.take(records)
                    self.records.pass_ends(ended, {(record.topic(), record.partition()) for record in records})
                    if self._behind and not self._behind.difference(ended):
                        self.records.begin()
                    self._behind = self._behind.difference(ended) if self._behind else self._behind
                    if time.monotonic() - sampled_at > SAMPLE_SECONDS:
                        sampled_at = time.monotonic()
                        self.records.sample(sampled_at)
                self.worked_at = time.monotonic()
        finally:
            consumer.close()  # it may hang as well
            over(GROUP)

    def _assign(self, consumer: Consumer, before: frozenset[Place] | None) -> frozenset[Place]:
        """Read every partition that there is by now, each from where it was; gives them."""
        try:
            known = consumer.list_topics(timeout=METADATA_SECONDS).topics
        except KafkaException:
            if before is None:
                raise
            return before  # the client finds the broker by itself when it is back
        places = frozenset((name, number) for name in topics.ALL if name in known for number in known[name].partitions)
        if places == before:
            return places
        with self.lock:
            if self._behind is None and places:
                self._behind = places
            elif self._behind:
                self._behind &= places
                if not self._behind:  # what was not counted yet was deleted
                    self.records.begin()
            following = dict(self.records.next)
        consumer.assign([TopicPartition(*place, following.get(place, OFFSET_BEGINNING)) for place in places])
        return places
