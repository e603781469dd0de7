"""What is made of the services' answers, over real HTTP."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import inf
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import httpx
import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from console import polls, status
from console.state import Connector, Health, Task
from contracts import topics
from init.wait_for_validator import wait
from runtime import services
from runtime.connect import Connect, Unavailable
from runtime.errors import UserError
from runtime.ksqldb import KsqlClient, KsqlError

T = TypeVar("T")


class Server:
    """Answers each path with a status and a body; keeps what it was asked."""

    def __init__(self, answers: dict[str, tuple[int, bytes]]) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(f"{self.command} {self.path}")
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                code, body = answers.get(self.path.split("?")[0], (404, b""))
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def serve() -> Iterator[Callable[[dict[str, tuple[int, bytes]]], Server]]:
    servers: list[Server] = []

    def start(answers: dict[str, tuple[int, bytes]]) -> Server:
        servers.append(Server(answers))
        return servers[-1]

    yield start
    for server in servers:
        server.http.shutdown()
        server.http.server_close()


SECRET_URL = "http://me:secret@127.0.0.1:1"


def test_a_password_of_an_address_is_in_no_message() -> None:
    with pytest.raises(KsqlError, match=re.escape("ksqlDB at http://***@127.0.0.1:1 does not answer")):
        KsqlClient(SECRET_URL).info()
    with pytest.raises(UserError, match=re.escape("the validator at http://***@127.0.0.1:1 has not answered")):
        wait(SECRET_URL, 0.1)


@pytest.fixture(autouse=True)
def _time_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polls, "ANSWER_SECONDS", 60.0)


@pytest.mark.parametrize(
    ("code", "health"),
    [(200, Health(True)), (302, Health(True)), (401, Health(True)), (503, Health(False, "HTTP 503"))],
)
def test_a_service_responds_unless_it_has_an_error(
    serve: Callable[[dict[str, tuple[int, bytes]]], Server], code: int, health: Health
) -> None:
    url = serve({"/docs": (code, b"")}).url
    assert ask(lambda http: polls.responds(http, f"{url}/docs")) == health


def ask(question: Callable[[httpx.AsyncClient], Awaitable[T]]) -> T:
    async def asked() -> T:
        async with httpx.AsyncClient(timeout=polls.ANSWER_SECONDS) as http:
            return await question(http)

    return asyncio.run(asked())


def body(value: Any) -> tuple[int, bytes]:
    return 200, json.dumps(value).encode()


@pytest.fixture
def nobody(serve) -> str:
    """An address where nobody listens."""
    server = serve({})
    server.http.shutdown()
    server.http.server_close()
    return server.url


def test_a_part_answers_or_does_not(serve, nobody: str) -> None:
    url = serve({"/docs": (200, b""), "/sick": (503, b"")}).url
    assert ask(lambda http: polls.responds(http, f"{url}/docs", 300)) == Health(True)
    assert ask(lambda http: polls.responds(http, f"{url}/sick", 300)) == Health(False, "HTTP 503")
    assert ask(lambda http: polls.responds(http, f"{nobody}/docs", 300)) == Health(False, "does not answer")


def test_connectors_and_their_restart(serve) -> None:
    trace = (
        "org.apache.kafka.connect.errors.ConnectException: x\nCaused by: com.mongodb.MongoTimeoutException: y\n\tat z"
    )
    tasks = [{"id": 0, "state": "FAILED"}, {"id": 1, "state": "FAILED", "trace": trace}]
    status_of = {"connector": {"state": "RUNNING"}, "tasks": tasks}
    config = {"topics": "fraudulent-transactions-result, users"}
    server = serve(
        {
            "/connectors": body({"s3": {"status": status_of, "info": {"config": config}}}),
            "/connectors/s3/restart": (202, b"{}"),
            "/connector-plugins": body([{"class": services.S3_PLUGIN, "type": "sink"}, {"class": "other"}]),
        }
    )
    rows = (topics.FRAUDULENT_TRANSACTIONS_RESULT, topics.USERS)
    connect = Connect(server.url, seconds=2.0)
    failed = (Task(0, "FAILED"), Task(1, "FAILED", "MongoTimeoutException"))
    assert polls.connectors(connect) == {"s3": Connector("RUNNING", failed, rows)}
    assert failed[1].text == "FAILED (MongoTimeoutException)"
    assert connect.plugins() == {services.S3_PLUGIN, "other"}
    connect.restart("s3", only_failed=False)
    assert server.asked[-1] == "POST /connectors/s3/restart?includeTasks=true&onlyFailed=false"
    with pytest.raises(Unavailable, match="HTTP 404"):
        connect.restart("nosuch", only_failed=False)


def test_a_second_worker_is_asked_when_the_first_is_unavailable(serve) -> None:
    first = serve({"/connectors": (503, b"{}")})
    second = serve({"/connectors": body({}), "/connectors/s3/restart": (202, b"{}")})
    connect = Connect(first.url, second.url, seconds=2.0)
    assert connect.connectors() == {}
    connect.restart("s3", only_failed=False)
    assert second.asked == ["GET /connectors?expand=status&expand=info", *first.asked[1:]]


def test_ksqldb_and_its_persistent_queries_as_the_real_server_tells_them(serve) -> None:
    golden = json.loads((Path(__file__).parents[1] / "ksqldb_emulator" / "golden" / "statements.json").read_text())
    queries = next(request["response"] for request in golden if request["name"] == "list_queries")
    url = serve({"/info": body({"KsqlServerInfo": {"ksqlServiceId": "fraud_"}}), "/ksql": body(queries)}).url
    service_id, found = polls.ksqldb(KsqlClient(url))
    assert service_id == "fraud_"
    assert sorted((name[:9], query.state, query.sink) for name, query in found.items()) == [
        ("CSAS_FRAU", "RUNNING", topics.FRAUDULENT_TRANSACTIONS_RESULT),
        ("CSAS_RECE", "RUNNING", topics.USERS),
        ("CSAS_SEND", "RUNNING", topics.USERS),
    ]
    assert {query.stream for query in found.values()} == set(services.STREAMS)


@pytest.mark.parametrize(
    ("info", "problem"),
    [
        ((503, b""), "HTTP 503"),
        ((503, b'{"error_code": 50300, "message": "not yet ready"}'), "not yet ready"),
        ((200, b"<html>"), "malformed response"),
        ((200, b"{}"), "is not ksqlDB"),
    ],
)
def test_a_ksqldb_that_cannot_answer(serve, info: tuple[int, bytes], problem: str) -> None:
    url = serve({"/info": info, "/ksql": body([{"queries": []}])}).url
    with pytest.raises(KsqlError) as refused:
        polls.ksqldb(KsqlClient(url))
    assert polls.problem_of(refused.value).endswith(problem)


def test_a_ksqldb_where_nobody_listens(nobody: str) -> None:
    with pytest.raises(KsqlError) as refused:
        polls.ksqldb(KsqlClient(nobody))
    assert polls.problem_of(refused.value) == f"ksqlDB at {nobody} does not answer"


def test_every_replica_behind_a_name_is_asked(serve, nobody: str) -> None:
    healthy, sick = serve({"/healthz": (200, b"ok")}).url, serve({"/healthz": (503, b"")}).url
    assert ask(lambda http: polls.replicas(http, healthy)) == (Health(True), [healthy])
    assert ask(lambda http: polls.replicas(http, sick)) == (Health(False, "HTTP 503"), [])
    assert ask(lambda http: polls.replicas(http, nobody)) == (Health(False, "does not answer"), [])
    service, _ = ask(lambda http: polls.replicas(http, "http://no-such-host.invalid:1"))
    assert service == Health(False, "there is no no-such-host.invalid")


def test_the_processors_calls_are_added_over_their_outcomes(serve) -> None:
    registry = CollectorRegistry()
    calls = Histogram(polls.VALIDATOR_CALLS, "Calls", ["outcome"], buckets=(0.1, 1), registry=registry)
    calls.labels("verdict").observe(0.05)
    calls.labels("outage").observe(5)
    url = serve({"/metrics": (200, generate_latest(registry))}).url
    assert ask(lambda http: polls.validator_calls(http, url)) == polls.Calls({0.1: 1, 1.0: 1, inf: 2}, failed=1)


def test_status_of_a_console_that_does_not_answer(nobody: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = status.fetch(nobody)
    assert status.show(found, as_json=True) == 1
    assert json.loads(capsys.readouterr().out) == {
        "healthy": False,
        "faults": [f"the console does not answer at {nobody}"],
    }
    assert status.show(found, as_json=False) == 1
    assert "▲ the console does not answer" in capsys.readouterr().out


def test_status_of_a_stack_that_is_well(serve) -> None:
    url = serve({"/api/state": body({"healthy": True, "faults": []})}).url
    assert status.show(status.fetch(url), as_json=True) == 0
