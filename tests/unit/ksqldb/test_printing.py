"""SHOW TOPICS and PRINT: what the server says about topics, and how it shows records whose format it has to guess."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from starlette.testclient import TestClient

from local.ksqldb import printing
from local.ksqldb import tree as t
from local.ksqldb.parser import parse
from local.ksqldb.printing import Printer, Record
from local.ksqldb.server import Server

TIME = 1_580_945_320_123  # 2020-02-05 23:28:40.123 UTC


def lines(*records: tuple[bytes | None, bytes | None]) -> list[str]:
    return Printer().lines([Record(TIME, key, value, 3) for key, value in records])


def test_a_row_of_this_pipeline() -> None:
    assert lines((b"u1-x", b'{"ID":"u1"}'), (b"user-2", b'{"ID":"user-2"}')) == [
        "Key format: KAFKA_STRING",
        "Value format: JSON or KAFKA_STRING",
        'rowtime: 2020/02/05 23:28:40.123 Z, key: u1-x, value: {"ID":"u1"}, partition: 3',
        'rowtime: 2020/02/05 23:28:40.123 Z, key: user-2, value: {"ID":"user-2"}, partition: 3',
    ]


def test_no_key_and_no_value() -> None:
    assert lines((None, None)) == [
        "Key format: ¯\\_(ツ)_/¯ - no data processed",
        "Value format: ¯\\_(ツ)_/¯ - no data processed",
        "rowtime: 2020/02/05 23:28:40.123 Z, key: <null>, value: <null>, partition: 3",
    ]


@pytest.mark.parametrize(
    ("value", "formats", "shown"),
    [
        (b"\x00\x00\x00\x07", "KAFKA_INT or KAFKA_STRING", "7"),
        (b"\xff\xff\xff\xff", "KAFKA_INT", "-1"),
        (b"\xff" * 8, "KAFKA_BIGINT or KAFKA_DOUBLE", "-1"),
        (b"12345678", "JSON or KAFKA_BIGINT or KAFKA_DOUBLE or KAFKA_STRING", "12345678"),
        ("ä b".encode(), "KAFKA_INT or KAFKA_STRING", "-1012653982"),
        (b"plain", "KAFKA_STRING", "plain"),
        (b'"x"', "JSON or KAFKA_STRING", '"x"'),
        (b"{broken", "KAFKA_STRING", "{broken"),
    ],
)
def test_the_first_format_that_fits_is_used(value: bytes, formats: str, shown: str) -> None:
    _, format_line, row = lines((None, value))
    assert format_line == f"Value format: {formats}"
    assert row == f"rowtime: 2020/02/05 23:28:40.123 Z, key: <null>, value: {shown}, partition: 3"


def test_a_batch_is_shown_in_the_formats_that_all_of_it_allows_and_changes_are_said() -> None:
    printer = Printer()
    first = printer.lines([Record(TIME, b"1", b"{}", 0), Record(TIME, b"two", b"{}", 0)])
    assert first[:2] == ["Key format: KAFKA_STRING", "Value format: JSON or KAFKA_STRING"]
    assert printer.lines([Record(TIME, b"3", b"{}", 0)]) == [
        "rowtime: 2020/02/05 23:28:40.123 Z, key: 3, value: {}, partition: 0"
    ]
    assert printer.lines([Record(TIME, b"4", b"{", 0)]) == [
        "Value format: KAFKA_STRING",
        "rowtime: 2020/02/05 23:28:40.123 Z, key: 4, value: {, partition: 0",
    ]


def test_what_has_no_format() -> None:
    assert lines((None, b"\xff\x00a")) == [
        "Key format: ¯\\_(ツ)_/¯ - no data processed",
        "Value format:  does not match any supported format. "
        "It may be a STRING with encoding other than UTF8, or some other format.",
        "rowtime: 2020/02/05 23:28:40.123 Z, key: <null>, value: \\xFF\\x00a, partition: 3",
    ]


@pytest.mark.parametrize(
    ("text", "statement"),
    [
        ("PRINT 'users' FROM BEGINNING LIMIT 3;", t.PrintTopic("users", True, 3)),
        ("print users;", t.PrintTopic("users", False, None)),
        ("print Users limit 1;", t.PrintTopic("Users", False, 1)),
        ("PRINT `a-b`;", t.PrintTopic("a-b", False, None)),
        ('PRINT "a-b" FROM BEGINNING;', t.PrintTopic("a-b", True, None)),
        ("SHOW TOPICS;", t.ListTopics(hidden=False)),
        ("list all topics;", t.ListTopics(hidden=True)),
    ],
)
def test_statements(text: str, statement: t.Statement) -> None:
    assert parse(text)[0].statement == statement


def test_show_topics(world: Any) -> None:
    world.run("CREATE STREAM x (a VARCHAR) WITH (KAFKA_TOPIC='a', VALUE_FORMAT='JSON', PARTITIONS=2);")
    for name in ("_confluent-ksql-fraud__command_topic", "__consumer_offsets", "connect-offsets"):
        world.topics.topics[name] = world.topics.topics["a"]
    assert world.run("SHOW TOPICS;") == [
        {
            "@type": "kafka_topics",
            "statementText": "SHOW TOPICS;",
            "topics": [
                {"name": "a", "replicaInfo": [1, 1]},
                {"name": "fraud_ksql_processing_log", "replicaInfo": [1] * 6},
                {"name": "fraudulent-transactions", "replicaInfo": [1] * 6},
                {"name": "fraudulent-transactions-result", "replicaInfo": [1] * 6},
                {"name": "users", "replicaInfo": [1] * 6},
            ],
            "warnings": [],
        }
    ]
    assert len(world.run("SHOW ALL TOPICS;")[0]["topics"]) == 8


@pytest.fixture
def client(world: Any) -> TestClient:
    server = Server(world.settings, world.engine, world.topics)
    server.ready = True
    return TestClient(server.application(), base_url="http://localhost")


def test_print_is_text_on_the_query_path(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def records(settings: Any, statement: t.PrintTopic) -> Any:
        asked.append(statement)
        yield []
        yield [Record(TIME, b"k-1", b"{}", 0)]

    monkeypatch.setattr(printing, "records", records)
    answer = client.post("/query", json={"ksql": "PRINT 'users' FROM BEGINNING LIMIT 1;"})
    assert answer.status_code == 200
    assert answer.text == (
        "\nKey format: KAFKA_STRING\nValue format: JSON or KAFKA_STRING\n"
        "rowtime: 2020/02/05 23:28:40.123 Z, key: k-1, value: {}, partition: 0\n"
    )
    assert asked == [t.PrintTopic("users", True, 1)]


def test_print_of_an_unknown_topic(client: TestClient) -> None:
    answer = client.post("/query", json={"ksql": "PRINT Users;"})
    assert answer.status_code == 400
    assert answer.json() == {
        "@type": "generic_error",
        "error_code": 40000,
        "message": "Could not find topic 'Users', or the KSQL user does not have permissions to list the topic. "
        "Topic names are case-sensitive.\nDid you mean:\n\tprint users;",
    }


def test_print_without_a_broker(client: TestClient, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_broker() -> dict[str, list[int]]:
        raise KafkaException(KafkaError(KafkaError._TRANSPORT, "no broker"))

    monkeypatch.setattr(world.topics, "replicas", no_broker)
    answer = client.post("/query", json={"ksql": "PRINT 'users';"})
    assert answer.status_code == 500
    assert "no broker" in answer.json()["message"]


def test_print_is_no_statement_of_the_ksql_path(client: TestClient) -> None:
    answer = client.post("/ksql", json={"ksql": "PRINT 'users';"})
    assert answer.status_code == 400
    assert answer.json()["error_code"] == 40002
