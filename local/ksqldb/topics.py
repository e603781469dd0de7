"""Kafka topics, as far as the stand-in needs to know and to make them."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from local.ksqldb.settings import Settings

_TIMEOUT = 10.0
DEFAULT_RETENTION_MS = 604800000


@dataclass(frozen=True)
class Topic:
    """What matters of a topic."""

    name: str
    partitions: int
    replicas: int
    retention_ms: int


class Topics(Protocol):
    """What the engine asks of Kafka."""

    def describe(self, name: str) -> Topic | None:
        """The topic, or None when there is none of that name."""
        ...

    def create(self, topic: Topic) -> None:
        """Make a topic that is cleaned up by deletion. It is no error when it is there already."""
        ...

    def delete(self, name: str) -> None:
        """Delete a topic. It is no error when it is gone already."""
        ...

    def forget_group(self, group: str) -> None:
        """Delete a consumer group, which has no members any more. It is no error when it is gone already."""
        ...

    def cluster_id(self) -> str:
        """Kafka's id of its cluster. It raises KafkaException when no broker answers."""
        ...


class KafkaTopics:
    """The topics of the broker."""

    def __init__(self, settings: Settings) -> None:
        self._admin = AdminClient(settings.kafka())

    def describe(self, name: str) -> Topic | None:
        """The topic, or None when there is none of that name."""
        found = self._admin.list_topics(topic=name, timeout=_TIMEOUT).topics.get(name)
        if found is None or found.error is not None:
            return None
        resource = ConfigResource(ResourceType.TOPIC, name)
        config = self._admin.describe_configs([resource])[resource].result(_TIMEOUT)
        return Topic(name, len(found.partitions), len(found.partitions[0].replicas), int(config["retention.ms"].value))

    def create(self, topic: Topic) -> None:
        """Make a topic that is cleaned up by deletion. It is no error when it is there already."""
        config = {"cleanup.policy": "delete", "retention.ms": str(topic.retention_ms)}
        new = NewTopic(topic.name, topic.partitions, topic.replicas, config=config)
        _done(self._admin.create_topics([new])[topic.name], KafkaError.TOPIC_ALREADY_EXISTS)

    def delete(self, name: str) -> None:
        """Delete a topic. It is no error when it is gone already."""
        _done(self._admin.delete_topics([name])[name], KafkaError.UNKNOWN_TOPIC_OR_PART)

    def forget_group(self, group: str) -> None:
        """Delete a consumer group, which has no members any more. It is no error when it is gone already."""
        _done(self._admin.delete_consumer_groups([group])[group], KafkaError.GROUP_ID_NOT_FOUND)

    def cluster_id(self) -> str:
        """Kafka's id of its cluster. It raises KafkaException when no broker answers."""
        return self._admin.list_topics(timeout=_TIMEOUT).cluster_id


def _done(future: Future[Any], harmless: int) -> None:
    try:
        future.result(_TIMEOUT)
    except KafkaException as error:
        if error.args[0].code() != harmless:
            raise
