"""A request that no broker answered is made again; one that is refused is not."""

from concurrent.futures import Future
from time import monotonic, sleep
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from local.ksqldb_emulator import settings as configuration
from local.ksqldb_emulator import topics
from local.ksqldb_emulator.topics import Topic, Topics
from runtime import lost

NEW = Topic("new", 1, 1, -1)
ANSWERED = None
LOST, SLOW = KafkaError._DESTROY_BROKER, KafkaError._TIMED_OUT
REFUSED, THERE = KafkaError.INVALID_REPLICATION_FACTOR, KafkaError.TOPIC_ALREADY_EXISTS


class Broker:
    """What an admin client is told, one answer after the other."""

    def __init__(self, answers: tuple[int | None, ...]) -> None:
        self.answers, self.clients, self.looks = list(answers), 0, 0
        self.late = 0.0  # how far the clock is ahead: a broker may take its time

    def client(self, *_: Any, **__: Any) -> "Broker":
        self.clients += 1
        return self

    def create_topics(self, new: list[Any]) -> dict[str, Future[None]]:
        self.late += 40
        future: Future[None] = Future()
        answer = self.answers.pop(0)
        if answer is None:
            future.set_result(None)
        else:
            future.set_exception(KafkaException(KafkaError(answer)))
        return {topic.topic: future for topic in new}

    def list_topics(self, timeout: float) -> SimpleNamespace:
        self.looks += 1
        error = KafkaError(KafkaError.LEADER_NOT_AVAILABLE) if self.looks < 4 else None
        return SimpleNamespace(topics={NEW.name: SimpleNamespace(error=error)} if self.looks > 2 else {})


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch):
    """Creates the topic; gives the broker, with what it was not asked any more."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVER", "unused:9092")
    monkeypatch.setattr(topics, "_PAUSE", 0.01)

    def create(*answers: int | None) -> Broker:
        broker = Broker(answers)
        monkeypatch.setattr(lost, "AdminClient", broker.client)
        monkeypatch.setattr(topics, "time", SimpleNamespace(sleep=sleep, monotonic=lambda: monotonic() + broker.late))
        Topics(configuration.load()).create(NEW)
        return broker

    return create


@pytest.mark.parametrize("answers", [(ANSWERED,), (THERE,), (LOST, ANSWERED), (SLOW, THERE)])
def test_a_request_without_an_answer_is_made_again_by_another_client(made, answers: tuple[int | None, ...]) -> None:
    broker = made(*answers)
    assert broker.answers == []
    assert broker.clients == len(answers)
    assert broker.looks == 4, "it waits until the topic is listed and led"


def test_a_refusal_counts(made) -> None:
    with pytest.raises(KafkaException):
        made(REFUSED, ANSWERED)


def test_the_time_for_it_ends(made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "_PATIENCE", 0.0)
    with pytest.raises(KafkaException):
        made(LOST, LOST, LOST, LOST)
