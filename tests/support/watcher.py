"""A concurrent read_committed reader: what did each stage write, when, and how long was it silent."""

import json
import time
from collections import Counter, defaultdict
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from contracts import topics
from local.plan import DATABASE
from runtime.kafka import FAILOVER
from tests.support.stack import Stack

INGESTOR, KSQLDB, PROCESSOR, MONGODB, S3 = "ingestor", "ksql", "kafka-streams", "mongodb", "s3"
RESULT = "result"  # KSQLDB or PROCESSOR
TOPICS = (*topics.ROUTED, topics.FRAUDULENT_TRANSACTIONS_RESULT)
POLL_SECONDS = 0.1
STORE_POLL_SECONDS = 0.5


class Watcher:
    """Use it as a context. `seen` counts the keys of each topic as they came by."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.seen: dict[str, Counter[str]] = {name: Counter() for name in TOPICS}
        self._arrivals: dict[str, list[float]] = defaultdict(list)
        self._lock, self._stopping = Lock(), Event()
        self._threads = [Thread(target=loop, daemon=True) for loop in (self._watch_topics, self._watch_stores)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def wrote_after(self, stage: str, moment: float) -> bool:
        """Whether the stage has written since then (a time.monotonic())."""
        with self._lock:
            return bool(self._arrivals[stage]) and self._arrivals[stage][-1] > moment

    def silence(self, stage: str, moment: float) -> float:
        """The longest time, in seconds, that the stage wrote nothing since then."""
        with self._lock:
            times = [moment, *(at for at in self._arrivals[stage] if at > moment), time.monotonic()]
        return max(after - before for before, after in pairwise(times))

    def _note(self, stage: str) -> None:
        with self._lock:
            self._arrivals[stage].append(time.monotonic())

    def _watch_topics(self) -> None:
        consumer = Consumer(
            {
                **FAILOVER,
                "bootstrap.servers": self._stack.kafka,
                "group.id": "watcher",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "log_level": 0,
            }
        )
        metadata = consumer.list_topics(timeout=10).topics
        consumer.assign(
            [TopicPartition(name, number, OFFSET_BEGINNING) for name in TOPICS for number in metadata[name].partitions]
        )
        while not self._stopping.is_set():
            for message in consumer.consume(500, POLL_SECONDS):
                if message.error() is None:
                    self.seen[message.topic() or ""][(message.key() or b"").decode()] += 1
                    if message.topic() != topics.FRAUDULENT_TRANSACTIONS_RESULT:
                        self._note(INGESTOR)
                    else:
                        self._note(RESULT)
                        self._note(json.loads(message.value() or b"{}")["SOURCE_PROCESS"])
        consumer.close()

    def _watch_stores(self) -> None:
        with MongoClient(self._stack.mongodb_uri, serverSelectionTimeoutMS=1_000, socketTimeoutMS=2_000) as client:
            collection, bucket = client[DATABASE]["transactions"], Path(self._stack.settings.folders.data, "s3")
            counters = {
                MONGODB: collection.estimated_document_count,
                S3: lambda: sum(1 for _ in bucket.rglob(f"{topics.FRAUDULENT_TRANSACTIONS_RESULT}-*.gz")),
            }
            before = dict.fromkeys(counters, 0)
            while not self._stopping.wait(STORE_POLL_SECONDS):
                for stage, count in counters.items():
                    with suppress(PyMongoError, OSError):  # the store is away
                        now = count()
                        if now > before[stage]:
                            self._note(stage)
                        before[stage] = now
