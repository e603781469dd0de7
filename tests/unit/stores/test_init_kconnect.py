"""Fills in the connectors, and registers those that the worker has a plugin for."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from contracts.connect_schema import connect_schema
from contracts.models import ROWS, TransactionResult
from init.init_kconnect import CONNECTORS, read
from local.connect import MONGODB_SINK
from local.settings import ROOT
from runtime.services import S3_PLUGIN

TOP = {"MONGODB_DATABASE": "d", "MONGODB_TRANSACTIONS_COLLECTION": "t", "MONGODB_USERS_COLLECTION": "u"} | {
    "S3_ENDPOINT": "",
    "S3_BUCKET": "b",
    "S3_PREFIX": "p/q",
}


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in TOP.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("path", sorted(CONNECTORS.glob("*.json")), ids=lambda path: path.stem)
def test_every_name_is_filled_in_but_credentials(path: Path) -> None:
    config = read(path, lambda topic: f"i-{topic}")
    assert json.loads(config["value.converter.schema.content"]) == connect_schema(ROWS[config["topics"]])
    assert "${" not in json.dumps({name: value for name, value in config.items() if not value.startswith("${env:")})
    if config["connector.class"] == S3_PLUGIN:
        assert config["file.name.template"].startswith("p/q/{{topic}}/dt=")
        assert f"-i-{config['topics']}-" in config["file.name.template"]
        assert "aws.s3.endpoint" not in config  # AWS


def test_the_broker_is_asked_only_for_what_goes_to_s3() -> None:
    read(CONNECTORS / "mongodb-users.json", lambda topic: pytest.fail("asked"))


def test_a_row_s_schema_has_every_field_and_one_number() -> None:
    schema = connect_schema(TransactionResult)
    types = {field["field"]: field["type"] for field in schema["fields"]}
    assert list(types) == list(TransactionResult.model_fields)
    assert [name for name, kind in types.items() if kind != "string"] == ["AMOUNT"]
    required = {name for name, field in TransactionResult.model_fields.items() if field.is_required()}
    assert {field["field"] for field in schema["fields"] if not field.get("optional")} == required
    assert not any(field.get("parameters") for field in schema["fields"])


class Worker(BaseHTTPRequestHandler):
    """Kafka Connect's REST API, with the MongoDB sink alone unless `plugins` says more."""

    plugins: tuple[str, ...] = (MONGODB_SINK,)
    registered: dict[str, Any]
    paused: set[str]

    def _answer(self, body: Any) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def do_GET(self) -> None:
        state = {"state": "PAUSED" if self.path.split("/")[2:3] in [[name] for name in self.paused] else "RUNNING"}
        status = {"connector": state, "tasks": [{"id": 0, **state}]}
        answers: dict[str, Any] = {
            "/connector-plugins": [{"class": one} for one in self.plugins],
            "/connectors?expand=status&expand=info": self.registered,
        }
        self._answer(answers.get(self.path, status))

    def do_DELETE(self) -> None:
        there = self.registered.pop(self.path.split("/")[2], None)
        self.send_response(404 if there is None else 204)
        self.end_headers()

    def do_PUT(self) -> None:
        _, _, name, what = self.path.split("/")
        if what == "resume":
            self.paused.discard(name)
        else:
            self.registered[name] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer({})

    def do_POST(self) -> None:
        self._answer(None)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def worker() -> Iterator[tuple[str, type[Worker]]]:
    """Its address and its class."""
    handler = type("OneWorker", (Worker,), {"registered": {}, "paused": set()})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler
    server.shutdown()
    thread.join()
    server.server_close()


def run(url: str, script: str = "init_kconnect.sh", **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {"PATH": os.environ["PATH"], "PYTHON": sys.executable, "KCONNECT_URL": url, **environment}
    return subprocess.run(
        ["bash", str(ROOT / "init" / script)], check=False, env=variables, capture_output=True, text=True
    )


def test_a_connector_without_its_plugin_is_left_out(worker: tuple[str, type[Worker]]) -> None:
    url, handler = worker
    answer = run(url)
    assert answer.returncode == 0, answer.stderr
    assert set(handler.registered) == {"mongodb-transactions", "mongodb-users"}
    assert handler.registered["mongodb-users"]["connection.uri"] == "${env:MONGODB_URI}"
    assert "s3-users: left out" in answer.stdout


def test_a_connector_whose_plugin_is_gone_is_removed(worker: tuple[str, type[Worker]]) -> None:
    """It would be FAILED for good."""
    url, handler = worker
    handler.registered |= {"s3-users": {}, "somebody-s-own": {}}
    assert run(url).returncode == 0
    assert set(handler.registered) == {"mongodb-transactions", "mongodb-users", "somebody-s-own"}


def test_the_answer_to_a_removal_may_be_lost(worker: tuple[str, type[Worker]]) -> None:
    url, handler = worker
    handler.registered["s3-users"] = {}

    def remove_and_fail(self: Worker) -> None:
        self.registered.pop(self.path.split("/")[2])
        self.send_response(500)
        self.end_headers()

    handler.do_DELETE = remove_and_fail  # type: ignore[method-assign]
    answer = run(url, KCONNECT_TIMEOUT="5")
    assert answer.returncode == 0, answer.stderr


def test_a_start_resumes_what_was_paused(worker: tuple[str, type[Worker]]) -> None:
    url, handler = worker
    handler.paused.add("mongodb-users")
    answer = run(url, KCONNECT_TIMEOUT="5")
    assert answer.returncode == 0, answer.stderr
    assert "mongodb-users: connector RUNNING, task 0 RUNNING" in answer.stdout


def test_connectors_are_removed_whatever_proxy_there_is(worker: tuple[str, type[Worker]]) -> None:
    url, handler = worker
    handler.registered |= {"mongodb-users": {}, "somebody-s-own": {}}
    answer = run(url, "clean_kconnect.sh", http_proxy="http://127.0.0.1:9")
    assert answer.returncode == 0, answer.stderr
    assert set(handler.registered) == {"somebody-s-own"}
    assert "mongodb-users: removed" in answer.stdout
    assert "s3-users: not there" in answer.stdout


def test_without_a_broker_it_says_what_the_broker_is_needed_for(worker: tuple[str, type[Worker]]) -> None:
    url, handler = worker
    handler.plugins = (MONGODB_SINK, S3_PLUGIN)
    unset, away = run(url), run(url, KAFKA_BOOTSTRAP_SERVER="127.0.0.1:9")
    for answer in (unset, away):
        assert answer.returncode == 1
        assert "Traceback" not in answer.stderr
        assert not handler.registered
    assert "KAFKA_BOOTSTRAP_SERVER is not set" in unset.stderr
    assert "the id of the topic fraudulent-transactions-result" in away.stderr
    assert "127.0.0.1:9" in away.stderr


def test_a_python_without_the_packages_is_named(worker: tuple[str, type[Worker]], tmp_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    answer = run(worker[0], PYTHON=str(bare))
    assert answer.returncode == 1
    assert "lacks this project's packages" in answer.stderr
    assert "Traceback" not in answer.stderr
