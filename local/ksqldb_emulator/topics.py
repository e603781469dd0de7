"""Kafka topics, as far as the emulator needs to know and to make them."""

import logging
import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from local.ksqldb_emulator.settings import Settings

_TIMEOUT = 10.0
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
        self._admin = AdminClient({**settings.kafka}, logger=logging.getLogger("librdkafka"))

    def describe(self, name: str) -> Topic | None:
        """The topic, or None when there is none of that name."""
        found = self._admin.list_topics(topic=name, timeout=_TIMEOUT).topics.get(name)
        if found is None or found.error is not None:
            return None
        resource = ConfigResource(ResourceType.TOPIC, name)
        config = self._admin.describe_configs([resource])[resource].result(_TIMEOUT)
        return Topic(name, len(found.partitions), len(found.partitions[0].replicas), int(config["retention.ms"].value))

    def all(self) -> list[Topic]:
        """Every topic but those of Kafka, Connect and ksqlDB itself, by name. Their retention is not asked for."""
        found = self._admin.list_topics(timeout=_TIMEOUT).topics
        return [
            Topic(name, len(topic.partitions), len(topic.partitions[0].replicas), 0)
            for name, topic in sorted(found.items())
            if not name.startswith(("_", "connect-"))
        ]

    def create(self, topic: Topic) -> None:
        """Make a topic that is cleaned up by deletion. It is no error when it is there already."""
        config = {"cleanup.policy": "delete", "retention.ms": str(topic.retention_ms)}
        new = NewTopic(topic.name, topic.partitions, topic.replicas, config=config)
        _done(self._admin.create_topics([new])[topic.name], KafkaError.TOPIC_ALREADY_EXISTS)

    def delete(self, name: str) -> None:
        """Delete a topic. It is no error when it is gone already."""
        _done(self._admin.delete_topics([name])[name], KafkaError.UNKNOWN_TOPIC_OR_PART)

    def forget_group(self, group: str) -> None:
        """Delete a consumer group and its offsets, as soon as it has no members. Usually there is none to delete."""
        deadline = time.monotonic() + self._session_seconds + _TIMEOUT
        while True:
            try:
                _done(self._admin.delete_consumer_groups([group])[group], KafkaError.GROUP_ID_NOT_FOUND)
                return
            except KafkaException as error:
                # A static member that has gone counts until its session is over.
                if error.args[0].code() != KafkaError.NON_EMPTY_GROUP or time.monotonic() > deadline:
                    raise
            time.sleep(0.5)

    def cluster_id(self) -> str:
        """Kafka's id of its cluster. It raises KafkaException when no broker answers."""
        return self._admin.list_topics(timeout=_TIMEOUT).cluster_id


def _done(future: Future[Any], harmless: int) -> None:
    try:
        future.result(_TIMEOUT)
    except KafkaException as error:
        if error.args[0].code() != harmless:
            raise
