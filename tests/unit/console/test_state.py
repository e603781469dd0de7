"""The verdict, the picture, the tables and the metrics of a state."""

import json
import re
import time
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from rich.console import Console

from console import flow, tables
from console.cluster import Broker, Cluster
from console.events import Event
from console.header import verdict
from console.metrics import StateMetrics
from console.state import Connector, Group, Health, Quantiles, Query, State, Task, Topic
from console.terminal import table
from contracts import topics
from local.settings import ROOT
from runtime import services
from runtime.disk import Space

UP = {
    name: Health(True)
    for name in (
        services.KAFKA,
        services.KAFKA_CONNECT,
        services.KSQLDB,
        services.VALIDATOR,
        services.INGESTOR,
        services.PROCESSOR,
    )
}
SINK = services.connector_group("mongodb-users")
RUNS = Connector("RUNNING", (Task(0, "RUNNING"), Task(1, "RUNNING")), (topics.USERS,))
TOPICS = dict.fromkeys(topics.ALL, Topic(1_234, 5.0, 234, 1_000)) | dict.fromkeys(topics.DEAD_LETTERS, Topic())


CONNECTORS = dict.fromkeys(services.CONNECTORS, RUNS)
QUERIES = {f"Q{number}": Query("RUNNING", topics.USERS, stream) for number, stream in enumerate(services.STREAMS, 1)}


def dead_letters(count: int, topic: str = topics.BANK_TRANSACTIONS_DLQ) -> dict[str, dict[str, Topic]]:
    """So many dead letters in the last minutes, in which 1,000 records came."""
    return {"topics": TOPICS | {topic: Topic(count, 1.0, count, count, 1_700_000_000.0)}}


def state(**changes: Any) -> State:
    """Of a stack that is healthy."""
    healthy: dict[str, Any] = {
        "counting": False,
        "services": UP,
        "topics": TOPICS,
        "groups": {
            services.INGESTOR: Group(
                {topics.BANK_TRANSACTIONS: 7}, 1, services.INGESTOR, {topics.BANK_TRANSACTIONS: 60.0}
            ),
            services.ARCHIVER: Group({}, None),
            SINK: Group({topics.USERS: 9}, 2, services.KAFKA_CONNECT, {topics.USERS: 360.0}, 300.0),
        },
        "connectors": dict.fromkeys(services.CONNECTORS, RUNS),
        "queries": QUERIES,
        "partitions": dict.fromkeys(topics.CREATED, 6) | {topics.DLQ_REPLAYS: 1},
    }
    return State(**{**healthy, **changes})


def test_a_stack_that_is_well() -> None:
    assert state().faults == []
    assert state().to_json()["healthy"] is True
    assert verdict(state()) == "● Everything is healthy"


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"services": UP | {services.INGESTOR: Health(False, "HTTP 503")}}, "transactions-ingestor is down: HTTP 503"),
        (
            {"connectors": CONNECTORS | {"c": Connector("RUNNING", (Task(0, "RUNNING"), Task(1, "FAILED")), ())}},
            "connector c, task 1 is FAILED",
        ),
        ({"connectors": CONNECTORS | {"c": Connector("PAUSED", (Task(0, "RUNNING"),), ())}}, "connector c is PAUSED"),
        ({"connectors": CONNECTORS | {"c": Connector("RUNNING", (), ())}}, "connector c has no task"),
        ({"queries": QUERIES | {"Q1": replace(QUERIES["Q1"], state="ERROR")}}, "query Q1 is ERROR"),
        (
            {"connectors": {"mongodb-users": RUNS}},
            "connector mongodb-transactions is missing: start the stack again to create it",
        ),
        (
            {"expected_connectors": (*services.CONNECTORS, "s3-users")},
            "connector s3-users is missing: start the stack again to create it",
        ),
        (
            {"queries": {name: query for name, query in QUERIES.items() if name != "Q2"}},
            "the query of stream SENDER_USERS is missing: run init/clean_ksqldb.sh, then start the stack again",
        ),
        (
            {"partitions": dict.fromkeys((*topics.ALL, topics.STACK_EVENTS), 6)},
            "topic dlq-replays is missing: start the stack again to create it",
        ),
        (
            {"leaderless": ((topics.USERS, 3),)},
            "topic users, partition 3 is without a leader: a broker is missing",
        ),
        (
            {"leaderless": tuple((name, number) for name in topics.ALL[:5] for number in range(6))},
            "30 partitions of 5 topics are without a leader: a broker is missing",
        ),
        (
            {"groups": {SINK: Group({topics.USERS: 0}, 0, services.KAFKA_CONNECT)}},
            "group connect-mongodb-users has no member: nothing reads users",
        ),
        (
            {"groups": {SINK: Group({topics.USERS: 1_234}, 2, services.KAFKA_CONNECT, {topics.USERS: 61.4})}},
            "group connect-mongodb-users has 1,234 records of users to read and has committed nothing in one partition for 61 s",
        ),
        ({"disk": Space("/data", 2**20)}, "the disk of /data is full: 1 MiB left, make space"),
        (
            {"disk": Space("/data", 100 * 2**20)},
            "the disk of /data is almost full: 100 MiB left, at least 150 MiB are needed",
        ),
        (
            dead_letters(1_000),
            "100% dead letters: 1,000 of 1,000 records of the last minutes are on bank-transactions-dlq: most of what comes "
            "is refused",
        ),
        (
            {"topics": dict.fromkeys(topics.ALL, Topic()) | {topics.S3_SINK_DLQ: Topic(7, 0.0, 7, 7)}},
            "100% dead letters: 7 records of the last minutes are on s3-sink-dlq: most of what comes is refused",
        ),
    ],
)
def test_a_fault_is_named_everywhere(changes: dict[str, Any], fault: str) -> None:
    sick = state(**changes)
    assert [problem.text for problem in sick.faults] == [fault]
    assert (sick.to_json()["healthy"], sick.to_json()["faults"]) == (False, [fault])
    assert verdict(sick) == f"▲ {fault}"
    assert fault in printed(sick)
    (problem,) = sick.faults
    assert f'stack_fault{{cause="",kind="{problem.kind}",name="{problem.name}"}} 1.0' in exposed(sick)


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        (dead_letters(60), "6% dead letters: 60 of 1,000 records of the last minutes are on bank-transactions-dlq"),
        (
            dead_letters(120, topics.MONGODB_SINK_DLQ),
            "6% dead letters: 120 of 2,000 records of the last minutes are on mongodb-sink-dlq",
        ),
        (
            {"partitions": dict.fromkeys(topics.CREATED, 6) | {topics.USERS: 12}},
            "topic users has 12 partitions, the others 6: ksqlDB needs the same number on all topics to create its streams",
        ),
        (
            {"cluster": Cluster({"1": Broker("a:1", 9, 9, 9), "2": Broker("", 0, 0, 0)})},
            "broker 2 is down: the other brokers lead its partitions",
        ),
        (
            {"cluster": Cluster({"1": Broker("a:1", 9, 9, 4)}, under_replicated=5)},
            "5 partitions are under-replicated: not all of their replicas are in sync",
        ),
    ],
)
def test_a_warning_is_shown_everywhere_and_the_stack_is_well(changes: dict[str, Any], warning: str) -> None:
    unusual = state(**changes)
    assert (unusual.faults, [problem.text for problem in unusual.warnings]) == ([], [warning])
    assert (unusual.to_json()["healthy"], unusual.to_json()["warnings"]) == (True, [warning])
    assert verdict(unusual) == f"▲ {warning}"
    assert warning in " ".join(printed(unusual).split())
    assert "everything is healthy" not in printed(unusual)
    (problem,) = unusual.warnings
    assert f'stack_warning{{cause="",kind="{problem.kind}",name="{problem.name}"}} 1.0' in exposed(unusual)


@pytest.mark.parametrize("changes", [dead_letters(50), {"topics": dict.fromkeys(topics.ALL, Topic(4, 0.0, 4, 4))}])
def test_a_few_dead_letters_are_no_warning(changes: dict[str, Any]) -> None:
    assert state(**changes).warnings == state(**changes).faults == []


def test_of_a_server_that_does_not_answer_nothing_else_is_said() -> None:
    down = UP | dict.fromkeys(
        (services.KAFKA, services.KAFKA_CONNECT, services.KSQLDB), Health(False, "does not answer")
    )
    group = Group({topics.USERS: 0}, 0, services.KAFKA_CONNECT)
    cluster = Cluster({"1": Broker("", 0, 9, 0)}, under_replicated=9, offline=9)
    silent = state(services=down, connectors={}, queries={}, partitions={}, groups={SINK: group}, cluster=cluster)
    assert [problem.kind for problem in silent.faults] == ["service"] * 3
    assert silent.warnings == []
    assert not re.search("^kafka_(broker|under|offline)", exposed(silent), re.MULTILINE)


def test_a_fault_of_the_second_worker_is_not_the_first_one_s() -> None:
    workers = {services.KAFKA_CONNECT: Health(False, "does not answer"), services.KAFKA_CONNECT_2: Health(True)}
    lost = state(
        services=UP | workers,
        connectors={**CONNECTORS, "mongodb-users": Connector("RUNNING", (Task(0, "FAILED"),), (topics.USERS,))},
        groups={SINK: Group({topics.USERS: 0}, 0, services.KAFKA_CONNECT)},
    )
    assert [(problem.text, problem.cause) for problem in lost.faults] == [
        ("kafka-connect is down: does not answer", ""),
        ("connector mongodb-users, task 0 is FAILED", ""),
        ("group connect-mongodb-users has no member: nothing reads users", ""),
    ]
    both = state(services={**lost.services, services.KAFKA_CONNECT_2: Health(False)}, connectors=lost.connectors)
    causes = {problem.name: problem.cause for problem in both.faults}
    assert causes["mongodb-users"] == services.KAFKA_CONNECT
    assert 'stack_fault{cause="kafka-connect",kind="connector",name="mongodb-users"} 1.0' in exposed(both)


def test_what_the_stack_should_have_is_what_its_files_create() -> None:
    connectors = {file.stem: json.loads(file.read_text()) for file in (ROOT / "init" / "connectors").glob("*.json")}
    assert set(connectors) == {*services.CONNECTORS, *services.S3_CONNECTORS}
    for name in services.S3_CONNECTORS:
        assert connectors[name]["connector.class"] == services.S3_PLUGIN
    statements = "".join(file.read_text() for file in (ROOT / "ksqldb").glob("*.sql"))
    assert sorted(re.findall(r"CREATE STREAM IF NOT EXISTS (\w+) WITH", statements)) == sorted(
        stream.lower() for stream in services.STREAMS
    )
    assert set(services.READ_FROM) == set(topics.DEAD_LETTERS)


def test_dead_letters_are_shown_and_are_no_fault() -> None:
    with_dead_letters = state(topics=TOPICS | {topics.USERS: Topic(), topics.S3_SINK_DLQ: Topic(3, 0.0, 3, 3)})
    assert with_dead_letters.faults == []
    assert with_dead_letters.dead_letters == 3
    shown = flow.values(with_dead_letters)[topics.S3_SINK_DLQ]
    assert (shown["tone"], shown["lines"]) == ("bad", ["3 · 0.0/s"])
    row = next(row for row in tables.topic_totals(with_dead_letters) if row["name"] == topics.S3_SINK_DLQ)
    assert row["records"] == {"text": "3", "tone": "bad"}


def test_every_node_has_something_to_say_and_every_edge_two_ends() -> None:
    nodes = {node.id for node in flow.NODES}
    for one in (state(), State()):
        assert set(flow.values(one)) == nodes
    for edge in flow.EDGES:
        assert {edge.start, edge.end, edge.topic} <= nodes


def test_nodes_stand_inside_the_picture_and_beside_each_other() -> None:
    for size, boxes in (
        (flow.WIDE_SIZE, [node.wide for node in flow.NODES]),
        (flow.TALL_SIZE, [node.tall for node in flow.NODES if node.tall]),
    ):
        for box in boxes:
            assert 0 <= box.x <= box.x + box.w <= size[0]
            assert 0 <= box.y <= box.y + box.h <= size[1]
            assert not any(
                other is not box
                and other.x < box.x + box.w
                and box.x < other.x + other.w
                and other.y < box.y + box.h
                and box.y < other.y + other.h
                for other in boxes
            )


def test_a_sink_that_fails_is_marked_in_words() -> None:
    failing = Connector("RUNNING", (Task(0, "FAILED"),), (topics.USERS,))
    shown = flow.values(state(connectors={"mongodb-users": failing}))
    assert (shown[flow.MONGODB]["tone"], shown[flow.MONGODB]["state"]) == ("bad", "failed")
    assert shown[flow.S3]["state"] == "no connector"
    shown = flow.values(state(connectors={"mongodb-users": RUNS, "s3-users": failing}))
    assert (shown[flow.MONGODB]["state"], shown[flow.S3]["state"]) == ("up", "failed")
    archived = flow.values(state(services=UP | {services.ARCHIVER: Health(True)}))
    assert archived[flow.S3]["state"] == "up"


def printed(one: State, **more: Any) -> str:
    text = StringIO()
    Console(width=130, file=text).print(table({**one.to_json(), **more}))
    return text.getvalue()


def test_the_terminal_shows_the_same() -> None:
    text = printed(state(counting=True), logs="here", processes={"kafka": PROCESS})
    for word in (
        "1,234",
        services.INGESTOR,
        "bank-transactions 7",
        "mongodb-users",
        "0 RUNNING",
        "Q1",
        "4321",
        "here",
        "everything is healthy",
    ):
        assert word in text
    assert "still being counted" in text


def test_the_terminal_shows_the_disk_and_what_was_wrong() -> None:
    over = time.time() - 120
    event = Event("service", services.KAFKA, "kafka is down: does not answer", over - 22, over)
    text = printed(state(disk=Space("/data", 5 * 2**30), recent=(event,)))
    assert "5.0 GiB left for /data" in text
    assert "kafka was down: does not answer · lasted 22 s · ended 2 min ago" in text
    assert "everything is healthy" in text


def test_the_brokers_are_shown_everywhere() -> None:
    brokers = {"1": Broker("host:9092", 40, 90, 84), "2": Broker("", 0, 90, 0)}
    lost = state(cluster=Cluster(brokers, under_replicated=90, offline=6))
    row, down = tables.brokers(lost)
    assert (row["address"], row["leads"], row["in_sync"]) == ("host:9092", "40", "84 of 90")
    assert down["state"] == {"text": "▲\u00a0down", "tone": "bad"}
    text = printed(lost)
    for words in ("90 under-replicated, 6 offline", "host:9092", "40 partitions", "84 of 90", "down"):
        assert words in text
    metrics = exposed(lost)
    for sample in (
        'kafka_broker_up{broker="1"} 1.0',
        'kafka_broker_up{broker="2"} 0.0',
        'kafka_broker_leaders{broker="1"} 40.0',
        "kafka_under_replicated_partitions 90.0",
        "kafka_offline_partitions 6.0",
    ):
        assert sample in metrics.splitlines()


PROCESS = {"phase": "ready", "port": 1, "pid": 4321, "rss_mib": 5, "restarts": 0}


def exposed(one: State) -> str:
    registry = CollectorRegistry()
    registry.register(StateMetrics(lambda: one))
    return generate_latest(registry).decode()


def test_metrics() -> None:
    connectors = {"c": Connector("PAUSED", (Task(1, "FAILED"),), ())}
    text = exposed(state(connectors=connectors, oldest_waiting=2.5, **dead_letters(3)))
    for line in (
        "fraud_oldest_waiting_seconds 2.5",
        'kafka_topic_records_total{topic="users"} 234.0',
        'kafka_dead_letters{topic="bank-transactions-dlq"} 3.0',
        'kafka_consumergroup_interval_seconds{group="connect-mongodb-users"} 300.0',
        'kafka_consumergroup_lag{group="transactions-ingestor",topic="bank-transactions"} 7.0',
        'kafka_consumergroup_members{group="transactions-ingestor"} 1.0',
        'kafka_connect_connector_state{connector="c",state="paused"} 1.0',
        'kafka_connect_connector_state{connector="c",state="running"} 0.0',
        'kafka_connect_task_state{connector="c",state="failed",task="1"} 1.0',
        'service_up{service="kafka"} 1.0',
        'kafka_dead_letters_last_timestamp_seconds{topic="bank-transactions-dlq"} 1.7e+09',
        "validator_up 1.0",
        "stack_counting 0.0",
    ):
        assert line in text.splitlines()
    assert 'members{group="s3-archiver"}' not in text


def test_a_console_that_still_counts_exposes_no_total_that_would_look_like_a_flood() -> None:
    text = exposed(state(counting=True, **dead_letters(3)))
    assert "kafka_topic_records_total{" not in text
    assert "kafka_dead_letters{" not in text
    assert "kafka_dead_letters_last_timestamp_seconds{" not in text
    assert "kafka_consumergroup_lag{" not in text
    assert "stack_counting 1.0" in text.splitlines()
    assert 'service_up{service="kafka"} 1.0' in text


def test_the_tiles_of_nothing_and_of_something() -> None:
    from console.page import TILES

    nothing = [value(State()) for _, value in TILES]
    assert nothing == ["0.0", "0", "0", "-", "-", "0"]
    something = [value(state(end_to_end=Quantiles(0.2, 0.5), fraud_share=0.44)) for _, value in TILES]
    assert something == ["5.0", "1,234", "1,234", "44%", "0.20 / 0.50 s", "0"]
