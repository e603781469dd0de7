"""Which incarnation of a topic a record belongs to: a topic that is deleted and recreated starts at offset 0 again."""

import hashlib
from collections.abc import Iterable

from confluent_kafka import TopicCollection
from confluent_kafka.admin import AdminClient

SECONDS = 3.0
_DIGITS = 8


def token(topic_id: str) -> str:
    """A short form of a topic's id that is safe in any file name."""
    return hashlib.sha256(topic_id.encode()).hexdigest()[:_DIGITS]


def incarnations(admin: AdminClient, names: Iterable[str]) -> dict[str, str]:
    """The current token of each topic. Raises KafkaException when the broker does not answer or a topic is missing."""
    described = admin.describe_topics(TopicCollection(list(names)), request_timeout=SECONDS)
    return {name: token(str(future.result().topic_id)) for name, future in described.items()}
