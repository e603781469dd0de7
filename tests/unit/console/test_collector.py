"""What the console says of itself."""

import asyncio
import os
import time
from collections.abc import Callable
from math import inf
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import ClusterMetadata
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient

from console import api, delays, groups, lookup, polls
from console.causes import Problem
from console.cluster import Broker, Cluster
from console.collector import SILENT_SECONDS, Collector
from console.delays import Delays
from console.events import RESTART
from console.events import Event as StackEvent
from console.groups import Groups
from console.polls import Calls
from console.processes import STALE_SECONDS
from console.settings import Settings
from console.stages import Found
from console.state import Connector, Health, Query, Task
from contracts import topics
from runtime import services
from runtime.connect import Connect, Unavailable

NOWHERE = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVER", "127.0.0.1:1")


def settings() -> Settings:
    return Settings(
        kconnect_url=NOWHERE,
        ksqldb_url=NOWHERE,
        fraud_validator_url=NOWHERE,
        ingestor_metrics_url=NOWHERE,
        processor_metrics_url=NOWHERE,
    )


def own_faults(collector: Collector) -> list[str]:
    return [fault.text for fault in collector.state().faults if fault.text.startswith("console")]


def test_a_thread_that_does_not_work_is_a_fault() -> None:
    collector = Collector(settings())
    assert own_faults(collector) == []
    collector.reader.worked_at -= SILENT_SECONDS
    assert own_faults(collector) == ["console is down: its topic reader has failed for 30 s"]
    collector.groups.worked_at -= SILENT_SECONDS
    assert own_faults(collector) == [
        "console is down: its topic reader has failed for 30 s, its consumer group check has failed for 30 s"
    ]
    collector.reader.worked_at = collector.groups.worked_at = time.monotonic()
    collector._timing.worked_at -= SILENT_SECONDS
    assert own_faults(collector) == ["console is down: its end-to-end timing has failed for 30 s"]


def test_timing_goes_on_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    stopping, tries = Event(), list[int]()

    def read(_: Delays) -> None:
        tries.append(1)
        if len(tries) == 2:
            stopping.set()
        raise ValueError("a defect")

    monkeypatch.setattr(delays, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(Delays, "_read", read)
    Delays(stopping).run()
    assert len(tries) == 2


def test_a_validator_that_answers_nothing_usable_is_down() -> None:
    collector = Collector(settings())
    collector._health[services.VALIDATOR] = Health(True)

    def found(*calls: Calls) -> Health:
        collector._calls.clear()
        collector._calls.extend(calls)
        return collector.state().services[services.VALIDATOR]

    before = Calls({0.1: 50.0, inf: 60.0}, 3.0)
    assert found(before) == Health(True)
    assert found(before, before) == Health(True)
    assert found(before, Calls({0.1: 90.0, inf: 100.0}, 38.0)) == Health(True)  # one record that is asked about again
    down = Health(False, "100% of the processor's calls get no usable answer")
    assert found(before, Calls({0.1: 60.0, inf: 70.0}, 13.0)) == down
    assert found(before, Calls({0.1: 8.0, inf: 8.0}, 8.0)) == down  # the processor was restarted


def test_calls_count_once_whatever_replica_is_away_or_is_restarted(monkeypatch: pytest.MonkeyPatch) -> None:
    collector, replicas = Collector(settings()), dict[str, Calls]()

    async def found(*_: object) -> tuple[Health, list[str]]:
        return Health(True), [*replicas]

    async def calls(_: object, base: str) -> Calls:
        return replicas[base]

    monkeypatch.setattr(polls, "replicas", found)
    monkeypatch.setattr(polls, "validator_calls", calls)

    def total(**now: float) -> float:
        replicas.clear()
        replicas.update({name: Calls({inf: count}, count) for name, count in now.items()})
        asyncio.run(collector._look_at_services())
        return collector._calls[-1].buckets.get(inf, 0.0)

    assert total(one=1_000.0, other=500.0) == 0, "what was before the console is not recent"
    assert total(one=1_010.0, other=500.0) == 10
    assert total(one=1_020.0) == 20
    assert total(one=1_020.0, other=507.0) == 27
    assert total(one=3.0, other=507.0) == 30
    assert collector._calls[-1].failed == 30


def test_the_archiver_and_all_of_a_worker_s_connectors_may_commit_less_often() -> None:
    collector = Collector(settings().model_copy(update={"archive_interval_seconds": 300.0}))
    place = (topics.USERS, 0)
    connectors = ("s3-users", "mongodb-users")
    collector._connectors = dict.fromkeys(connectors, Connector("RUNNING", (), (topics.USERS,)))
    names = (services.ARCHIVER, *map(services.connector_group, connectors), services.INGESTOR)
    collector.groups.committed = {name: {place: 5} for name in names}
    collector.groups.members = dict.fromkeys(names, 1)
    groups = collector.state().groups
    # With its connectors there is no archiver.
    assert [groups[name].interval for name in names[1:]] == [300.0, 300.0, 0.0]
    collector._connectors.pop("s3-users")
    assert collector.state().groups[services.ARCHIVER].interval == 300.0


def test_each_worker_has_its_health_and_any_of_them_knows_the_connectors(monkeypatch: pytest.MonkeyPatch) -> None:
    collector = Collector(settings().model_copy(update={"kconnect_2_url": "http://127.0.0.1:2"}))
    known, down = {"mongodb-users": Connector("RUNNING", (Task(0, "RUNNING"),), (topics.USERS,))}, set[str]()

    def connectors(worker: Connect) -> dict[str, Connector]:
        if any(worker is collector._workers[name] for name in down):
            raise Unavailable("does not answer")
        return known

    monkeypatch.setattr(polls, "connectors", connectors)
    monkeypatch.setattr(Connect, "plugins", lambda _: set())

    def looked(*without: str) -> tuple[list[bool], str]:
        down.clear()
        down.update(without)
        asyncio.run(collector._look_at_connect())
        return [collector._health[name].up for name in services.WORKERS], collector._connectors["mongodb-users"].state

    first, second = services.WORKERS
    assert looked() == ([True, True], "RUNNING")
    assert looked(first) == ([False, True], "RUNNING")
    assert collector._connect is collector._workers[second]
    assert looked(first, second) == ([False, False], "UNKNOWN")


def served(monkeypatch: pytest.MonkeyPatch) -> tuple[Collector, TestClient]:
    """A collector that does not look by itself, and what its application answers over HTTP."""
    made = Collector(settings())
    monkeypatch.setattr(api, "Collector", lambda _: made)
    monkeypatch.setattr(api, "REGISTRY", CollectorRegistry())
    monkeypatch.setattr(api.page, "add_to", lambda *_: None)
    http = TestClient(api.application(settings()), base_url="http://localhost")
    return made, http


def test_health_over_http(monkeypatch: pytest.MonkeyPatch) -> None:
    made, http = served(monkeypatch)

    def health() -> tuple[int, str]:
        answer: httpx.Response = http.get("/healthz")
        return answer.status_code, answer.text

    assert health() == (200, "ok")
    made.reader.worked_at -= SILENT_SECONDS
    assert health() == (503, "its topic reader has failed for 30 s")


def test_an_archiver_that_never_archived_is_no_sink() -> None:
    collector = Collector(settings())
    place = topics.USERS, 0
    collector.groups.committed = {services.ARCHIVER: {place: -1001}, services.INGESTOR: {place: -1001}}
    assert collector.committed().keys() == {services.INGESTOR}
    collector.groups.committed = {services.ARCHIVER: {place: -1001, (topics.USERS, 1): 0}}
    assert collector.committed().keys() == {services.ARCHIVER}


@pytest.mark.parametrize(
    ("complete", "code", "summary"),
    [
        (True, 404, "No transaction t1 is among the records that Kafka holds"),
        (False, 504, "No transaction t1 was found in 10 s: not all that Kafka holds was read"),
    ],
)
def test_what_was_not_read_to_the_end_is_not_called_unknown(
    complete: bool, code: int, summary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, http = served(monkeypatch)
    monkeypatch.setattr(lookup, "find", lambda identity, *_: Found(identity, complete=complete))
    answer: httpx.Response = http.get("/api/transaction/t1")
    assert (answer.status_code, answer.json()["summary"].startswith(summary)) == (code, True)


class Admin:
    """An admin client that answers as it is told to."""

    def __init__(self, answers: list[Callable[[], None]]) -> None:
        self._answers = answers

    def list_topics(self, timeout: float) -> None:
        self._answers.pop(0)()


def test_an_unusual_answer_does_not_end_the_look_at_the_groups(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stopping = Event()
    looked_at: list[float] = []

    def unusual() -> None:
        looked_at.append(found.worked_at)
        raise SystemError("the client cannot make sense of it")

    def last() -> None:
        looked_at.append(found.worked_at)
        stopping.set()
        raise SystemError("again")

    monkeypatch.setattr(groups, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr("runtime.lost.AdminClient", lambda *_, **__: Admin([unusual, last]))
    found = Groups(dict, stopping)
    found.run()
    assert looked_at == [found.worked_at] * 2
    assert caplog.text.count("Traceback") == 2


def test_a_client_that_is_only_asked_gathers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, dict[str, Any]] = {}
    closed: list[str] = []

    class Consumer:
        def __init__(self, config: dict[str, Any]) -> None:
            self._group = config["group.id"]
            made[self._group] = config

        def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
            return places

        def close(self) -> None:
            closed.append(self._group)

    monkeypatch.setattr(groups, "Consumer", Consumer)
    monkeypatch.setattr("runtime.lost.AdminClient", lambda *_, **__: SimpleNamespace(list_groups=lambda timeout: []))
    expected = {"one": (topics.USERS,), "two": (topics.USERS,)}
    found = Groups(lambda: expected, Event())
    found._look_at_groups(ClusterMetadata())
    # Its statistics would wait in the client for a poll that never comes, and take all of the console's memory.
    assert all("statistics.interval.ms" not in config for config in made.values())
    del expected["one"]
    found._look_at_groups(ClusterMetadata())
    assert (sorted(made), closed, set(found.committed)) == (["one", "two"], ["one"], {"two"})


def test_no_broker_is_shown_as_up_when_kafka_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def list_topics(timeout: float) -> ClusterMetadata:
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    monkeypatch.setattr("runtime.lost.AdminClient", lambda *_, **__: SimpleNamespace(list_topics=list_topics))
    found = Groups(dict, Event())
    found.cluster = Cluster({"1": Broker("h:1", 9, 9, 9)})
    found._look()
    assert (found.broker.up, found.cluster.brokers["1"].up, found.cluster.offline) == (False, False, 9)


def test_a_look_that_fails_is_a_fault() -> None:
    collector = Collector(settings())
    collector._worked_at["Kafka Connect check"] -= SILENT_SECONDS
    assert own_faults(collector) == ["console is down: its Kafka Connect check has failed for 30 s"]


def test_what_is_still_counted_came_long_ago_and_hides_no_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    collector, place = Collector(settings()), (topics.BANK_TRANSACTIONS_DLQ, 0)
    records = collector.reader.records
    records.totals |= dict.fromkeys((topics.BANK_TRANSACTIONS, *topics.DEAD_LETTERS), 0)
    for now in (0.0, 1.0):
        records.sample(time.monotonic() + now)
        records.totals[topics.BANK_TRANSACTIONS_DLQ] += 100
    records.sample(time.monotonic() + 2)
    assert collector.reader.counting
    counting = collector.state().topics[topics.BANK_TRANSACTIONS_DLQ]
    assert (counting.records, counting.recent, counting.rate) == (200, 0, 0.0)

    records.first[place], records.last[place] = 0, 99
    collector.groups.broker, collector.groups.committed = Health(True), {"one": {place: 7}}
    for now in (1.0, 62.0):
        collector.groups.worked_at = now
        collector._look_for_stalls()
    assert collector._stalls.seconds("one") == {topics.BANK_TRANSACTIONS_DLQ: 61.0}

    collector.reader._behind = frozenset()
    assert collector.state().topics[topics.BANK_TRANSACTIONS_DLQ].arrived == 200
    records.begin()
    assert collector.state().topics[topics.BANK_TRANSACTIONS_DLQ].arrived == 0


def test_a_backlog_that_was_processed_counts_beside_its_dead_letters() -> None:
    """After an outage there are an hour's dead letters at once: of all that was processed they are few."""
    collector, place = Collector(settings()), (topics.BANK_TRANSACTIONS, 0)
    collector.reader._behind = frozenset()
    collector.groups.broker = Health(True)
    for now, offset in ((0.0, 100), (60.0, 100), (90.0, 36_100), (150.0, 36_100), (300.0, 36_100)):
        collector.groups.worked_at, collector.groups.committed = now, {services.INGESTOR: {place: offset}}
        collector._look_for_stalls()
        recent = collector.state().topics[topics.BANK_TRANSACTIONS].recent
        assert recent == (36_000 if 90 <= now <= 150 else 0)


def test_the_markers_of_transactions_are_no_records_that_were_processed() -> None:
    """Nearly every record of a quiet topic has one behind it: a validator that refuses everything would be half as bad."""
    collector, place = Collector(settings()), (topics.UNIDENTIFIED_TRANSACTIONS, 0)
    collector.reader._behind = frozenset()
    collector.groups.broker = Health(True)
    records = collector.reader.records
    records.totals[place[0]], records.first[place], records.last[place] = 600, 0, 1_198
    for now, offset in ((1.0, -1001), (30.0, 200), (60.0, 1_200)):
        collector.groups.worked_at, collector.groups.committed = now, {services.PROCESSOR: {place: offset}}
        collector._look_for_stalls()
    assert collector.state().topics[place[0]].recent == 0  # where the group began is not known
    collector._committed_before.popleft()
    assert collector.state().topics[place[0]].recent == 500


def test_connectors_to_s3_are_missed_only_while_a_worker_can_have_them(monkeypatch: pytest.MonkeyPatch) -> None:
    collector, plugins = Collector(settings()), {services.S3_PLUGIN}
    for worker in collector._workers.values():
        monkeypatch.setattr(worker, "plugins", lambda: plugins)
    monkeypatch.setattr(polls, "connectors", lambda _: {})
    asyncio.run(collector._look_at_connect())
    assert collector.state().expected_connectors == (*services.CONNECTORS, *services.S3_CONNECTORS)
    plugins.clear()
    asyncio.run(collector._look_at_connect())
    assert collector.state().expected_connectors == services.CONNECTORS


def test_the_console_s_restart_ends_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    collector, asked = Collector(settings()), list[str]()
    monkeypatch.setattr(collector._connect, "_call", lambda method, path, *_: asked.append(f"{method} {path}"))
    asyncio.run(collector.restart_connector("mongodb-users"))
    assert asked == [
        "PUT /connectors/mongodb-users/resume",
        "POST /connectors/mongodb-users/restart?includeTasks=true&onlyFailed=false",
    ]


def test_a_launcher_that_writes_no_more_is_a_fault(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    file.write_text("{}")
    collector = Collector(settings().model_copy(update={"launcher_state": file}))
    asyncio.run(collector._look_around())
    assert "launcher" not in collector.state().services
    long_ago = time.time() - STALE_SECONDS - 1
    os.utime(file, (long_ago, long_ago))
    asyncio.run(collector._look_around())
    (fault,) = [fault.text for fault in collector.state().faults if fault.name == "launcher"]
    assert fault == "launcher is down: it has not written for 15 s and restarts nothing"


def test_a_restart_ends_whenever_the_connector_runs_again() -> None:
    collector = Collector(settings())
    collector._restarted = {name: StackEvent(RESTART, name, "", 1.0) for name in services.CONNECTORS}
    one, other = services.CONNECTORS
    collector._connectors = {
        one: Connector("RUNNING", (Task(0, "RUNNING"),), (topics.USERS,)),
        other: Connector("RUNNING", (Task(0, "FAILED"),), (topics.USERS,)),
    }
    collector._end_restarts(asked=0.5)  # by an answer from before the restart
    assert collector._restarted[one].ended is None
    collector._end_restarts(asked=1.5)
    assert collector._restarted[one].ended is not None
    assert collector._restarted[other].ended is None


def test_groups_of_the_stack_and_of_its_sinks_alone_are_expected() -> None:
    """A query of a user's may read any topic, and a source connector has no group: neither is ever stalled or gone."""
    collector = Collector(settings())
    collector._service_id = "fraud_"
    collector._connectors = {
        "mongodb-users": Connector("RUNNING", (), (topics.USERS,)),
        "a-source": Connector("RUNNING", (), ()),
    }
    collector._queries = {
        "CSAS_SENDER_USERS_5": Query("RUNNING", topics.USERS, "SENDER_USERS"),
        "CSAS_BIG_9": Query("RUNNING", "BIG", "BIG"),
    }
    assert collector._expected_groups() == {
        **services.SERVICE_GROUPS,
        services.connector_group("mongodb-users"): (topics.USERS,),
        services.query_group("fraud_", "CSAS_SENDER_USERS_5"): (topics.FRAUDULENT_TRANSACTIONS,),
    }


def test_what_is_found_wrong_is_an_event_once_everything_was_asked() -> None:
    collector = Collector(settings())

    def look(broker: Health) -> list[str]:
        collector.groups.broker = broker
        asyncio.run(collector._look_around())
        return [event.text for event in collector.events()]

    collector.groups.partitions = dict.fromkeys(topics.CREATED, 6)
    assert look(Health(True)) == []
    collector._health = dict.fromkeys(collector._health, Health(True))
    collector._connectors = dict.fromkeys(
        services.CONNECTORS, Connector("RUNNING", (Task(0, "RUNNING"),), (topics.USERS,))
    )
    collector._queries = {stream: Query("RUNNING", topics.USERS, stream) for stream in services.STREAMS}
    assert look(Health(True)) == []
    assert look(Health(False, "does not answer")) == ["kafka is down: does not answer"]
    look(Health(True))
    assert [event.text for event in collector.state().recent] == ["kafka is down: does not answer"]
    assert collector.state().disk is not None


def test_events_over_http(monkeypatch: pytest.MonkeyPatch) -> None:
    made, http = served(monkeypatch)
    assert http.get("/api/events").json() == []
    made._journal.look([], [], 0.0)
    made._journal.look([Problem("service", services.KAFKA, "kafka is down")], [], 10.0)
    made._journal.look([], [], 32.0)
    event = {"kind": "service", "name": "kafka", "text": "kafka is down", "cause": ""}
    assert http.get("/api/events").json() == [{**event, "began": 10.0, "ended": 32.0, "seconds": 22.0}]
