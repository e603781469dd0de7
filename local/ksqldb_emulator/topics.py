"""Kafka topics, as far as the emulator needs to know and to make them."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ClusterMetadata, ConfigResource, NewTopic, ResourceType, TopicMetadata

from local.ksqldb_emulator.settings import Settings
from runtime.lost import Admin

log = logging.getLogger(__name__)

_TIMEOUT, _PAUSE, _PATIENCE = 10.0, 0.3, 60.0
DEFAULT_RETENTION_MS = 604800000


@dataclass(frozen=True)
class Topic:
    """What matters of a topic."""

    name: str
    partitions: int
    replicas: int
    retention_ms: int


class Topics:
    """The topics of the broker."""

    def __init__(self, settings: Settings) -> None:
        self._session_seconds = int(settings["streams.session.timeout.ms"]) / 1000
        # A request has as long as its socket, unless it is told otherwise.
        config = {**settings.kafka, "socket.timeout.ms": int(_TIMEOUT * 1000)}
        self._admin = Admin(config, logging.getLogger("librdkafka"))

    def describe(self, name: str) -> Topic | None:
        """The topic, or None when no topic has this name."""
        if (found := self._listed(name)) is None:
            return None
        resource = ConfigResource(ResourceType.TOPIC, name)
        config = self._ask(lambda admin: admin.describe_configs([resource])[resource])
        return Topic(name, len(found.partitions), len(found.partitions[0].replicas), int(config["retention.ms"].value))

    def all(self) -> list[Topic]:
        """Every topic but those of Kafka, Connect and ksqlDB itself, by name. Their retention is not asked for."""
        return [
            Topic(name, len(topic.partitions), len(topic.partitions[0].replicas), 0)
            for name, topic in sorted(self._metadata().topics.items())
            if not name.startswith(("_", "connect-"))
        ]

    def create(self, topic: Topic) -> None:
        """Make a topic that is cleaned up by deletion, and wait until the broker lists it. It may be there already."""
        config = {"cleanup.policy": "delete", "retention.ms": str(topic.retention_ms)}
        new = NewTopic(topic.name, topic.partitions, topic.replicas, config=config)
        self._ask(lambda admin: admin.create_topics([new])[topic.name], KafkaError.TOPIC_ALREADY_EXISTS)
        self._await(lambda: self._listed(topic.name) is not None)

    def delete(self, name: str) -> None:
        """Delete a topic, and wait until the broker no longer lists it. It is no error when it is gone already."""
        self._ask(lambda admin: admin.delete_topics([name])[name], KafkaError.UNKNOWN_TOPIC_OR_PART)
        self._await(lambda: name not in self._metadata().topics)

    def forget_group(self, group: str) -> None:
        """Delete a consumer group and its offsets, as soon as it has no members. Usually there is none to delete."""
        deadline = time.monotonic() + self._session_seconds + _TIMEOUT
        while True:
            try:
                self._ask(lambda admin: admin.delete_consumer_groups([group])[group], KafkaError.GROUP_ID_NOT_FOUND)
                return
            except KafkaException as error:
                # A static member that is gone counts until its session is over.
                if error.args[0].code() != KafkaError.NON_EMPTY_GROUP or time.monotonic() > deadline:
                    raise
            time.sleep(0.5)

    def cluster_id(self) -> str:
        """Kafka's id of its cluster. It raises KafkaException when no broker answers."""
        return self._metadata().cluster_id or ""

    def _metadata(self) -> ClusterMetadata:
        with self._admin.client() as admin:
            return admin.list_topics(timeout=_TIMEOUT)

    def _listed(self, name: str) -> TopicMetadata | None:
        found = self._metadata().topics.get(name)
        return None if found is None or found.error is not None else found  # an error until it has a leader

    @staticmethod
    def _await(seen: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not seen() and time.monotonic() < deadline:
            time.sleep(0.05)

    def _ask(self, request: Callable[[AdminClient], Future[Any]], harmless: int | None = None) -> Any:
        """What the broker answers; None when that is the harmless error.

        It is asked again when no answer comes: a client may lose a broker that has just started (runtime/lost.py), and each of
        the requests may be done twice. Raises KafkaException after _PATIENCE, or when the broker refuses.
        """
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                with self._admin.client() as admin:
                    return request(admin).result()
            except KafkaException as error:
                code = error.args[0].code()
                if code == harmless:
                    return None
                if code >= 0 or time.monotonic() > deadline:
                    raise
                log.info("asking again: %s", error.args[0].str())
            time.sleep(_PAUSE)
