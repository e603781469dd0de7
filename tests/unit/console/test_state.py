"""The verdict, the picture, the tables and the metrics of a state."""

from io import StringIO
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from rich.console import Console

from console import flow, parts, tables
from console.metrics import StateMetrics
from console.page import verdict
from console.state import Connector, Group, Part, Quantiles, Query, State, Task, Topic
from console.terminal import table
from contracts import topics

UP = {
    name: Part(True)
    for name in (parts.KAFKA, parts.KAFKA_CONNECT, parts.KSQLDB, parts.VALIDATOR, parts.INGESTOR, parts.PROCESSOR)
}
RUNS = Connector("RUNNING", (Task(0, "RUNNING"), Task(1, "RUNNING")), (topics.USERS,))
TOPICS = dict.fromkeys(topics.ALL, Topic(1_234, 5.0, 1_300)) | dict.fromkeys(topics.DEAD_LETTERS, Topic())


def state(**changes: Any) -> State:
    """Of a stack that is well."""
    well: dict[str, Any] = {
        "counting": False,
        "parts": UP,
        "topics": TOPICS,
        "groups": {parts.INGESTOR: Group({topics.BANK_TRANSACTIONS: 7}, 1), parts.ARCHIVER: Group({}, None)},
        "connectors": {"mongodb-users": RUNS},
        "queries": {"Q1": Query("RUNNING", topics.USERS)},
    }
    return State(**{**well, **changes})


def test_a_stack_that_is_well() -> None:
    assert state().faults == ()
    assert state().to_json()["well"] is True
    assert verdict(state()) == "● All is well"


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"parts": UP | {parts.INGESTOR: Part(False, "HTTP 503")}}, "transactions-ingestor is down: HTTP 503"),
        (
            {"connectors": {"c": Connector("RUNNING", (Task(0, "RUNNING"), Task(1, "FAILED")), ())}},
            "connector c, task 1 is FAILED",
        ),
        ({"connectors": {"c": Connector("PAUSED", (Task(0, "RUNNING"),), ())}}, "connector c is PAUSED"),
        ({"connectors": {"c": Connector("RUNNING", (), ())}}, "connector c has no task"),
        ({"queries": {"Q1": Query("ERROR", topics.USERS)}}, "query Q1 is ERROR"),
    ],
)
def test_a_fault_is_named_everywhere(changes: dict[str, Any], fault: str) -> None:
    sick = state(**changes)
    assert sick.faults == (fault,)
    assert sick.to_json()["well"] is False
    assert verdict(sick) == f"▲ {fault}"
    assert fault in printed(sick)


def test_dead_letters_are_shown_and_are_no_fault() -> None:
    with_letters = state(topics=TOPICS | {topics.USERS: Topic(), topics.S3_SINK_DLQ: Topic(3)})
    assert with_letters.faults == ()
    assert with_letters.dead_letters == 3
    shown = flow.values(with_letters)[topics.S3_SINK_DLQ]
    assert (shown["tone"], shown["lines"]) == ("bad", ["3 · 0.0/s"])
    row = next(row for row in tables.topic_totals(with_letters) if row["name"] == topics.S3_SINK_DLQ)
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
    archived = flow.values(state(parts=UP | {parts.ARCHIVER: Part(True)}))
    assert archived[flow.S3]["state"] == "up"


def printed(one: State, **more: Any) -> str:
    text = StringIO()
    Console(width=130, file=text).print(table({**one.to_json(), **more}))
    return text.getvalue()


def test_the_terminal_shows_the_same() -> None:
    text = printed(state(counting=True), logs="here", processes={"kafka": PROCESS})
    for word in (
        "1,234",
        parts.INGESTOR,
        "bank-transactions 7",
        "mongodb-users",
        "0 RUNNING",
        "Q1",
        "4321",
        "here",
        "all is well",
    ):
        assert word in text
    assert "still being counted" in text


PROCESS = {"phase": "ready", "port": 1, "pid": 4321, "rss_mib": 5, "restarts": 0}


def exposed(one: State) -> str:
    registry = CollectorRegistry()
    registry.register(StateMetrics(lambda: one))
    return generate_latest(registry).decode()


def test_metrics() -> None:
    text = exposed(state(connectors={"c": Connector("PAUSED", (Task(1, "FAILED"),), ())}))
    for line in (
        'kafka_topic_records_total{topic="users"} 1234.0',
        'kafka_topic_offsets_total{topic="users"} 1300.0',
        'kafka_consumergroup_lag{group="transactions-ingestor",topic="bank-transactions"} 7.0',
        'kafka_consumergroup_members{group="transactions-ingestor"} 1.0',
        'kafka_connect_connector_state{connector="c",state="paused"} 1.0',
        'kafka_connect_connector_state{connector="c",state="running"} 0.0',
        'kafka_connect_task_state{connector="c",state="failed",task="1"} 1.0',
        'part_up{part="kafka"} 1.0',
        "validator_up 1.0",
    ):
        assert line in text.splitlines()
    assert 'members{group="s3-archiver"}' not in text


def test_a_console_that_still_counts_exposes_no_total_that_would_look_like_a_flood() -> None:
    text = exposed(state(counting=True))
    assert "kafka_topic_records_total{" not in text
    assert "kafka_topic_offsets_total{" not in text
    assert "kafka_consumergroup_lag{" not in text
    assert 'part_up{part="kafka"} 1.0' in text


def test_the_tiles_of_nothing_and_of_something() -> None:
    from console.page import TILES

    nothing = [value(State()) for _, value in TILES]
    assert nothing == ["0.0", "0", "0", "-", "-", "0"]
    something = [value(state(end_to_end=Quantiles(0.2, 0.5), fraud_share=0.44)) for _, value in TILES]
    assert something == ["5.0", "1,234", "1,234", "44%", "0.20 / 0.50 s", "0"]
