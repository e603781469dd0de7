"""A concurrent read_committed reader: when did each stage write something, and how long was it silent."""

import json
import time
from collections import defaultdict
from itertools import pairwise
from threading import Event, Lock, Thread
from typing import Self

from confluent_kafka import OFFSET_END, Consumer, TopicPartition
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from contracts import topics
from local.meter import DATABASE
from tests.support.stack import Stack

INGESTOR, KSQLDB, PROCESSOR, MONGODB = "ingestor", "ksql", "kafka-streams", "mongodb"
TOPICS = (topics.FRAUDULENT_TRANSACTIONS, topics.UNIDENTIFIED_TRANSACTIONS, topics.FRAUDULENT_TRANSACTIONS_RESULT)
POLL_SECONDS = 0.1


class Watcher:
    """Use it as a context; it starts at the ends of the topics."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._arrivals: dict[str, list[float]] = defaultdict(list)
        self._lock, self._stopping = Lock(), Event()
        self._threads = [Thread(target=loop, daemon=True) for loop in (self._watch_topics, self._watch_documents)]

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
                "bootstrap.servers": self._stack.kafka,
                "group.id": "watcher",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "log_level": 0,
            }
        )
        metadata = consumer.list_topics(timeout=10).topics
        consumer.assign(
            [TopicPartition(name, number, OFFSET_END) for name in TOPICS for number in metadata[name].partitions]
        )
        while not self._stopping.is_set():
            for message in consumer.consume(500, POLL_SECONDS):
                if message.error() is None:
                    routed = message.topic() != topics.FRAUDULENT_TRANSACTIONS_RESULT
                    self._note(INGESTOR if routed else json.loads(message.value() or b"{}")["SOURCE_PROCESS"])
        consumer.close()

    def _watch_documents(self) -> None:
        with MongoClient(self._stack.mongodb_uri, serverSelectionTimeoutMS=1_000, socketTimeoutMS=2_000) as client:
            before = 0
            while not self._stopping.wait(POLL_SECONDS):
                try:
                    count = client[DATABASE]["transactions"].estimated_document_count()
                except PyMongoError:
                    continue
                if count > before:
                    self._note(MONGODB)
                before = count
