"""Counts what went through each stage: records a topic as a read_committed reader sees them, lags, documents."""

import logging
import time
from collections import deque
from dataclasses import dataclass, field
from threading import Event, Thread

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from contracts import topics
from local.settings import Settings

logger = logging.getLogger(__name__)

DATABASE = "fraudulent_transactions_db"
COLLECTIONS = ("transactions", "users")
RATE_WINDOW_SECONDS = 5.0
SLOW_ROUND_SECONDS = 2.0
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

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.counts = Counts(dict.fromkeys(topics.ALL, 0))
        self._last: dict[tuple[str, int], int] = {}
        self._history: deque[tuple[float, dict[str, int]]] = deque()
        self._stopping = Event()
        self._threads = [Thread(target=self._guarded, args=(loop,), daemon=True) for loop in (self._read, self._ask)]

    def start(self) -> None:
        """Begin; the topics must be there."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End within a few seconds."""
        self._stopping.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(CLIENT_SECONDS)

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
