"""Every recorded request of the real server gets an answer of the recorded status, code and shape."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from local.ksqldb_emulator import push
from local.ksqldb_emulator.server import Server


@pytest.fixture
def client(world: Any) -> TestClient:
    server = Server(world.settings, world.engine, world.topics)
    server.ready = True
    return TestClient(server.application(), base_url="http://localhost")


def test_all_statements_in_order(client: TestClient, statements: list[dict[str, Any]]) -> None:
    for recorded in statements:
        name, request = recorded["name"], recorded["request"]
        path = name.removeprefix("GET ")
        answer = client.get(path) if request is None else client.post("/ksql", json=request)
        assert answer.status_code == recorded["status"], name
        assert answer.headers["content-type"] == recorded["content_type"], name
        assert shape(answer.json()) == shape(recorded["response"]), name


# What programs read of an answer; other texts are for people.
EXACT = {
    "@type",
    "error_code",
    "name",
    "topic",
    "id",
    "queryId",
    "commandId",
    "sinks",
    "sinkKafkaTopics",
    "state",
    "status",
}


def shape(answer: Any, field: str = "") -> Any:
    """An answer with its fields in their order, with the values that programs read, and of all others their types."""
    if isinstance(answer, dict):
        return [(name, shape(value, name)) for name, value in answer.items()]
    if isinstance(answer, list):
        return sorted((shape(item, field) for item in answer), key=repr)
    return answer if field in EXACT else type(answer).__name__


def test_push_query(
    client: TestClient, statements: list[dict[str, Any]], push_queries: list[dict[str, Any]], monkeypatch: Any
) -> None:
    for recorded in statements[:4]:
        client.post("/ksql", json=recorded["request"])
    recorded = push_queries[0]
    asked = []

    def rows(settings: Any, plan: Any, from_beginning: bool, limit: int | None) -> Any:
        asked.append((from_beginning, limit))
        yield [["u2", "Name 2"], ["u1", "Name 1"]]

    monkeypatch.setattr(push, "rows", rows)
    answer = client.post(recorded["path"], json=recorded["request"])
    first, *others = answer.text.splitlines()
    expected, *rows_of_the_server = recorded["body"].splitlines()
    assert re.sub(r"_[0-9]+", "_0", first) == re.sub(r"_[0-9]+", "_0", expected)
    assert others == rows_of_the_server
    assert answer.headers["content-type"] == "application/vnd.ksqlapi.delimited.v1"
    assert "content-length" not in answer.headers  # so the server sends it in chunks
    assert asked == [(True, 2)]


def test_push_query_of_an_unknown_stream(client: TestClient, push_queries: list[dict[str, Any]]) -> None:
    recorded = push_queries[1]
    answer = client.post(recorded["path"], json=recorded["request"])
    assert answer.status_code == 400
    assert shape(answer.json()) == shape(json.loads(recorded["body"]))


def test_print(client: TestClient, monkeypatch: Any) -> None:
    asked = []

    def lines(settings: Any, topic: str, from_beginning: bool, limit: int | None) -> Any:
        asked.append((topic, from_beginning, limit))
        yield []
        yield ['rowtime: 2026/11/25 10:00:00.000 Z, key: u1, value: {"ID":"u1"}, partition: 0']

    monkeypatch.setattr(push, "lines", lines)
    for path, field in (("/query", "ksql"), ("/query-stream", "sql")):
        answer = client.post(path, json={field: "PRINT 'users' FROM BEGINNING LIMIT 3;"})
        assert answer.text == (
            "Key format: KAFKA_STRING\nValue format: JSON or KAFKA_STRING\n"
            'rowtime: 2026/11/25 10:00:00.000 Z, key: u1, value: {"ID":"u1"}, partition: 0\n'
        )
    assert asked == [("users", True, 3)] * 2
    assert client.post("/query", json={"ksql": "PRINT nosuch;"}).json()["error_code"] == 40001
    assert client.post("/ksql", json={"ksql": "PRINT users;"}).json()["error_code"] == 40002


def test_not_ready(world: Any) -> None:
    client = TestClient(Server(world.settings, world.engine, world.topics).application(), base_url="http://localhost")
    for path in ("/info", "/healthcheck"):
        assert client.get(path).status_code == 503
    assert client.post("/ksql", json={"ksql": "SHOW STREAMS;"}).status_code == 503


def test_web_pages_are_refused(client: TestClient) -> None:
    body = {"ksql": "SHOW STREAMS;"}
    assert client.post("/ksql", json=body).status_code == 200
    assert client.post("/ksql", json=body, headers={"Origin": "http://example.com"}).status_code == 400
    assert client.post("/ksql", json=body, headers={"Host": "example.com"}).status_code == 400


def test_root_leads_to_info(client: TestClient) -> None:
    assert client.get("/").json()["KsqlServerInfo"]["version"] == "8.3.1"


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b'{"ksql": 1}', b"{}"])
def test_bad_request_bodies(client: TestClient, body: bytes) -> None:
    answer = client.post("/ksql", content=body)
    assert answer.status_code == 400
    assert answer.json()["error_code"] == 40000


def test_ksqldbs_media_type_when_asked_for(client: TestClient) -> None:
    answer = client.post("/ksql", json={"ksql": ""}, headers={"accept": "application/vnd.ksql.v1+json"})
    assert answer.headers["content-type"] == "application/vnd.ksql.v1+json"
