"""A stack that is started from a shell full of what is meant for other programs: nothing of it reaches a service."""

import csv
import io
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from pymongo import MongoClient

from contracts import topics
from local.plan import DATABASE
from local.settings import CLUSTER_PORTS, HOST
from tests.support.environment import POISON
from tests.support.expectation import SeededSet, expectation
from tests.support.settled import await_everything, nothing_lost_nothing_repeated
from tests.support.stack import Stack, download, running_stack

FEW = SeededSet(count=500, rate=100)


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    download()
    folder = tmp_path_factory.mktemp("poisoned") / "local"
    with running_stack(folder, {**POISON, **FEW.environment}) as running:
        yield running


def state(stack: Stack) -> dict:
    return json.loads(stack.settings.folders.state.read_text())


def test_everything_listens_where_the_settings_say(poisoned: Stack) -> None:
    listening = set()
    for part in state(poisoned)["services"].values():
        for connection in psutil.Process(part["pid"]).net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                assert connection.laddr.ip in (HOST, "::ffff:127.0.0.1"), (part, connection)
                listening.add(connection.laddr.port)
    assert {port for name, port in poisoned.settings.ports if name not in CLUSTER_PORTS} <= listening


def test_no_service_has_any_of_it(poisoned: Stack) -> None:
    for name, part in state(poisoned)["services"].items():
        environment = psutil.Process(part["pid"]).environ()
        assert {key for key, value in POISON.items() if value and environment.get(key) == value} == set(), name


def test_everything_arrives_where_the_settings_say(poisoned: Stack) -> None:
    expected = expectation(FEW)
    await_everything(poisoned, expected, 60)
    nothing_lost_nothing_repeated(poisoned, expected)
    with MongoClient(poisoned.mongodb_uri) as client:
        assert DATABASE in client.list_database_names()
        assert "another_db" not in client.list_database_names()


def test_the_commands_answer(poisoned: Stack) -> None:
    poisoned.await_healthy()
    replay = poisoned.start_sh("--replay-dlq", topics.BANK_TRANSACTIONS_DLQ, "--dry-run")
    assert replay.returncode == 0, replay.stdout + replay.stderr


@pytest.mark.parametrize("query", ["mongodb_join.py", "athena_join.py"])
def test_the_queries_answer(poisoned: Stack, query: str) -> None:
    await_everything(poisoned, expectation(FEW), 60)
    python = Path(poisoned.settings.folders.base) / "python"
    answer = subprocess.run(
        [str(python), f"queries/{query}", "--limit", "3"],
        check=False,
        env={"PATH": "/usr/bin:/bin", **POISON},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    assert len(list(csv.DictReader(io.StringIO(answer.stdout)))) == 3
