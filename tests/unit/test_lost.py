"""A client that has lost every broker is found, and another one takes its place."""

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from threading import Event, Thread
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException

from local.environment import GLIBC_TUNABLES
from local.settings import ROOT
from runtime import hang, lost
from runtime.kafka import await_broker
from runtime.lost import LOST_SECONDS, OFFSETS_SECONDS, Admin, Brokers, Offsets, watched
from tests.support.lone_broker import LoneBroker
from tests.support.stack import wait_until
from tests.support.tcp import serving

LOGICAL, BOOTSTRAP, LEARNED = ({"source": source} for source in ("logical", "configured", "learned"))
# With it librdkafka loses its brokers each time; without, now and then.
LOSES = {"metadata.recovery.strategy": "none", "log_level": 0}


def says(*brokers: dict[str, str]) -> dict[str, Any]:
    return {"client_id": "me", "brokers": dict(enumerate(brokers))}


@pytest.mark.parametrize(
    ("brokers", "is_lost"), [((), True), ((LOGICAL,), True), ((LOGICAL, BOOTSTRAP), False), ((LEARNED,), False)]
)
def test_a_client_without_a_broker_to_connect_to_is_lost(
    monkeypatch: pytest.MonkeyPatch, brokers: tuple[dict[str, str], ...], is_lost: bool
) -> None:
    client, now = Brokers(), time.monotonic()
    client.look(says(*brokers))  # it may find one yet
    monkeypatch.setattr(lost.time, "monotonic", lambda: now + LOST_SECONDS + 1)
    ended: list[str] = []
    monkeypatch.setattr(hang, "end", ended.append)
    client.look(says(*brokers))
    assert ended == (["the Kafka client me has lost every broker"] if is_lost else [])


def reads(state: str, join_state: str, assigned: int, *fetch_states: str) -> dict[str, Any]:
    group = {"state": state, "join_state": join_state, "assignment_size": assigned}
    partitions = {str(number): {"fetch_state": fetch_state} for number, fetch_state in enumerate(fetch_states)}
    return {"client_id": "me", "cgrp": group, "topics": {"t": {"partitions": partitions}}}


@pytest.mark.parametrize(
    ("statistics", "waits_for_ever"),
    [
        (reads("up", "steady", 2, "none", "none"), True),
        (reads("up", "steady", 2, "active", "none"), False),
        (reads("up", "steady", 2, "offset-wait", "none"), False),  # its leader is away
        (reads("up", "steady", 0, "none"), False),  # another replica has all of them
        (reads("up", "wait-join", 2, "none"), False),
        (reads("wait-coord", "steady", 2, "none"), False),  # the broker is away
        ({"client_id": "me", "topics": {}}, False),
    ],
)
def test_a_member_that_gets_no_offsets_waits_for_ever(
    monkeypatch: pytest.MonkeyPatch, statistics: dict[str, Any], waits_for_ever: bool
) -> None:
    offsets, now = Offsets(), time.monotonic()
    ended: list[str] = []
    monkeypatch.setattr(hang, "end", ended.append)
    monkeypatch.setattr(lost.time, "monotonic", lambda: now + OFFSETS_SECONDS - 1)
    offsets.look(statistics)
    assert ended == []
    monkeypatch.setattr(lost.time, "monotonic", lambda: now + 2 * OFFSETS_SECONDS)
    offsets.look(statistics)
    assert ended == (["the Kafka client me is not given the offsets of its group"] if waits_for_ever else [])


def lose(broker: LoneBroker, ask: Any) -> None:
    """Ask while the broker lists none, until the client has forgotten it; then the broker is whole again."""
    broker.registered = False
    with pytest.raises(KafkaException):
        for _ in range(10):
            ask()
    broker.registered = True


def test_the_process_of_a_consumer_that_has_lost_its_broker_ends_instead_of_waiting_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lost, "LOST_SECONDS", 1.0)
    ended: list[str] = []
    monkeypatch.setattr(hang, "end", ended.append)
    heard: list[Mapping[str, Any]] = []
    with serving(LoneBroker()) as broker:
        config = {"bootstrap.servers": broker.address, "group.id": "g", **LOSES}
        consumer = Consumer({**config, **watched(heard.append), "statistics.interval.ms": 100})
        assert consumer.list_topics(timeout=10).brokers.keys() == {1}
        wait_until(lambda: (consumer.consume(1, 0.1), heard)[1], 30, "the client tells of itself")
        lose(broker, lambda: consumer.list_topics(timeout=0.5))
        wait_until(lambda: (consumer.consume(1, 0.1) and False) or ended, 30, "the loss is noticed")
        assert Consumer(config).list_topics(timeout=10).brokers.keys() == {1}


def test_a_broker_that_has_not_registered_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(LoneBroker()) as broker:
        broker.registered = False
        monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVER", broker.address)
        waiting = Thread(target=await_broker, args=(Event(),))
        waiting.start()
        wait_until(lambda: broker.asked > 2, 30, "the broker is asked again")
        assert waiting.is_alive()
        broker.registered = True
        waiting.join(30)
        assert not waiting.is_alive()


def test_another_admin_client_is_made_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []

    def make(config: Mapping[str, Any], **_: Any) -> object:
        made.append(client := object())
        return client

    monkeypatch.setattr(lost, "AdminClient", make)
    admin = Admin({})
    for fails in (None, KafkaError.NON_EMPTY_GROUP, KafkaError._TRANSPORT, None):
        with suppress(KafkaException), admin.client() as client:
            assert client is made[-1]
            if fails is not None:
                raise KafkaException(KafkaError(fails))
    assert len(made) == 2


# Processes and calls that end by themselves.
SHORT = {
    *("init/init_kconnect.py", "init/replay_dlq.py"),
    *(
        "console/console/lookup.py",
        "console/console/search.py",
        "local/running.py",
        "runtime/reading.py",
    ),
}


def test_every_client_that_lives_long_is_watched() -> None:
    makes = re.compile(r"\b(Consumer|AdminClient|Application)\(")
    sources = (
        path for path in ROOT.rglob("*.py") if path.relative_to(ROOT).parts[0] not in (".local", "tests", "benchmarks")
    )
    unwatched = {
        str(path.relative_to(ROOT))
        for path in sources
        if makes.search(text := path.read_text())
        and not re.search(r"""\b(watched(_client)?|static_member|consumer_config)\(|\bAdmin\(""", text)
    }
    assert unwatched == SHORT


def test_every_process_with_a_kafka_client_has_its_memory_filled() -> None:
    images = {path.parent for path in ROOT.glob("**/requirements.in") if "confluent-kafka" in path.read_text()}
    dockerfiles = {folder / "Dockerfile" for folder in images if (folder / "Dockerfile").exists()}
    assert len(dockerfiles) >= 5
    line = f"GLIBC_TUNABLES={GLIBC_TUNABLES}"
    without = [path for path in (*dockerfiles, ROOT / "local/bootstrap.sh") if line not in path.read_text().split()]
    assert without == []
