"""The end of a topic, also while its partitions have new leaders."""

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from runtime import reading


class Consumer:
    """Its topic has two partitions. It raises these errors first, and then gives the end, 7."""

    def __init__(self, *errors: int) -> None:
        self.errors = list(errors)

    def list_topics(self, topic: str, timeout: float) -> Any:
        return SimpleNamespace(topics={topic: SimpleNamespace(partitions=(0, 1))})

    def get_watermark_offsets(self, partition: TopicPartition, timeout: float) -> tuple[int, int]:
        if self.errors:
            raise KafkaException(KafkaError(self.errors.pop(0)))
        return 3, 7


def end_of(*errors: int) -> dict[int, int]:
    consumer: Any = Consumer(*errors)
    return reading.end_of(consumer, "topic")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "SECONDS", 0.2)
    monkeypatch.setattr(reading, "RETRY_SECONDS", 0.01)


def test_a_leader_that_does_not_know_yet_that_it_leads_is_asked_again() -> None:
    assert end_of(KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.NOT_LEADER_FOR_PARTITION) == {0: 7, 1: 7}


def test_a_broker_that_was_lost_is_not_the_end_of_a_reading() -> None:
    assert end_of(KafkaError._DESTROY_BROKER, KafkaError._TRANSPORT) == {0: 7, 1: 7}


def test_it_is_not_asked_for_ever() -> None:
    with pytest.raises(KafkaException):
        end_of(*[KafkaError.UNKNOWN_TOPIC_OR_PART] * 100)


def test_another_error_is_raised_at_once() -> None:
    with pytest.raises(KafkaException):
        end_of(KafkaError.TOPIC_AUTHORIZATION_FAILED)
