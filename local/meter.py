"""Counts what went through each stage: records a topic as a read_committed reader sees them, lags, documents.

`python -m local.meter` writes them to `.local/run/counts.json`. It is a process of its own because its Kafka clients may take
it down with them while a broker dies (librdkafka ends the process when its bookkeeping of an admin request fails): the
launcher, which brings parts back, must not have them.
"""

import logging
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from threading import Event, Thread

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from contracts import topics
from contracts.service import run_service
from local import state
from local.settings import Settings, load

logger = logging.getLogger(__name__)

DATABASE = "fraudulent_transactions_db"
COLLECTIONS = ("transactions", "users")
RATE_WINDOW_SECONDS = 5.0
SLOW_ROUND_SECONDS = 2.0
WRITE_SECONDS = 0.5
CLIENT_SECONDS = 5.0


@dataclass
class Counts:
    """One reading. `records` and `rates` (records a second) are by topic, `lags` by consumer group, `documents` by collection."""

    records: dict[str, int] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    lags: dict[str, int] = field(default_factory=dict)
    documents: dict[str, int] = field(default_factory=dict)


class Meter:
    """Reads every topic once from its start; offsets would not do, since transactions take offsets of their own."""

    def __init__(self, settings: Settings, stopping: Event) -> None:
        self._settings = settings
        self.counts = Counts(dict.fromkeys(topics.ALL, 0))
        self._last: dict[tuple[str, int], int] = {}
        self._history: deque[tuple[float, dict[str, int]]] = deque()
        self._stopping = stopping
        self._threads = [Thread(target=self._guarded, args=(loop,), daemon=True) for loop in (self._read, self._ask)]

    def run(self) -> None:
        """Count, and write the counts down twice a second, until it is told to stop; the topics must be there."""
        for thread in self._threads:
            thread.start()
        while not self._stopping.wait(WRITE_SECONDS):
            state.write(asdict(self.counts), self._settings.folders.counts)

    def _guarded(self, loop) -> None:
        while not self._stopping.is_set():
            try:
                loop()
            except (KafkaException, PyMongoError) as error:  # a part is away: the supervisor brings it back
                logger.info("not counting for now: %s", type(error).__name__)
                self._stopping.wait(SLOW_ROUND_SECONDS)

    def _read(self) -> None:
        consumer = Consumer(
            {
                "bootstrap.servers": self._settings.bootstrap,
                "group.id": "local-meter",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "fetch.message.max.bytes": 256 * 1024,
                "queued.max.messages.kbytes": 4096,
                "log_level": 0,
            }
        )
        try:
            metadata = consumer.list_topics(timeout=CLIENT_SECONDS).topics
            positions = [
                TopicPartition(name, partition, self._last.get((name, partition), -1) + 1)
                for name in topics.ALL
                for partition in metadata[name].partitions
            ]
            consumer.assign(positions)
            while not self._stopping.is_set():
                for message in consumer.consume(5_000, 0.2):
                    if message.error() is None:
                        self.counts.records[message.topic()] += 1
                        self._last[message.topic(), message.partition()] = message.offset()
                self._take_rates()
        finally:
            consumer.close()

    def _take_rates(self) -> None:
        now = time.monotonic()
        if self._history and now - self._history[-1][0] < 0.5:
            return
        self._history.append((now, dict(self.counts.records)))
        while now - self._history[0][0] > RATE_WINDOW_SECONDS:
            self._history.popleft()
        since, before = self._history[0]
        if now > since:
            self.counts.rates = {
                name: (count - before[name]) / (now - since) for name, count in self.counts.records.items()
            }

    def _ask(self) -> None:
        admin = AdminClient({"bootstrap.servers": self._settings.bootstrap, "log_level": 0})
        milliseconds = int(CLIENT_SECONDS * 1000)
        with MongoClient(self._settings.mongodb.uri, serverSelectionTimeoutMS=milliseconds) as client:
            while not self._stopping.wait(SLOW_ROUND_SECONDS):
                self.counts.lags = self._lags(admin)
                self.counts.documents = {
                    name: client[DATABASE][name].estimated_document_count() for name in COLLECTIONS
                }

    def _lags(self, admin: AdminClient) -> dict[str, int]:
        lags = {}
        for group in admin.list_consumer_groups(request_timeout=CLIENT_SECONDS).result().valid:
            request = [ConsumerGroupTopicPartitions(group.group_id)]
            (future,) = admin.list_consumer_group_offsets(request, request_timeout=CLIENT_SECONDS).values()
            committed = future.result().topic_partitions or []
            known = [position for position in committed if position.topic in topics.ALL]
            if known:
                # Behind the last record, not behind the end of the log: the end may be a transaction's marker.
                lags[group.group_id] = sum(
                    max(self._last.get((position.topic, position.partition), -1) + 1 - max(position.offset, 0), 0)
                    for position in known
                )
        return lags


if __name__ == "__main__":
    run_service(lambda stopping: Meter(load(), stopping).run())
