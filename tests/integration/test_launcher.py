"""The launcher as its users meet it: the running stack answers, and what goes wrong is said."""

import json
import os
import socket
import subprocess
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

import psutil
import pytest

from contracts import topics
from local import state as state_file
from local.__main__ import main
from local.settings import HOST, ROOT
from tests.support.stack import Stack, free_ports, processes_of, start_sh, wait_until


def state(stack: Stack) -> dict:
    return json.loads(stack.settings.folders.state.read_text())


def test_status_of_a_running_stack(stack: Stack) -> None:
    assert "transactions-ingestor" in stack.await_healthy("--local").stdout


def test_second_start_is_refused(stack: Stack) -> None:
    def pids() -> list[int]:
        now = state(stack)
        return [now["launcher"]["pid"], *(service["pid"] for service in now["services"].values())]

    before = pids()
    answer = stack.start_sh("--local")
    assert answer.returncode == 1
    assert "already running" in answer.stderr
    stack.await_healthy()
    assert pids() == before


def test_a_killed_part_is_restarted(stack: Stack) -> None:
    name = "fraud-validator-api"
    before = state(stack)["services"][name]
    psutil.Process(before["pid"]).kill()

    def restarted() -> bool:
        now = state(stack)["services"][name]
        return now["phase"] == "ready" and now["pid"] not in (None, before["pid"])

    wait_until(restarted, 30, f"{name} runs again")
    assert f"{name} ended with exit code -9, restart in" in (stack.settings.folders.logs / "launcher.log").read_text()


def test_topic_prints_records(stack: Stack) -> None:
    process = subprocess.Popen(
        ["bash", str(ROOT / "start.sh"), "--topic", topics.BANK_TRANSACTIONS, "--from-beginning"],
        env={**os.environ, **stack.environment},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert b"transaction_id" in process.stdout.readline() + process.stdout.readline() + process.stdout.readline()
    process.terminate()
    process.wait(10)


def test_unknown_topic_names_the_known_ones(stack: Stack) -> None:
    answer = stack.start_sh("--topic", "nosuch")
    assert answer.returncode == 1
    assert topics.USERS in answer.stderr


def test_the_broker_of_another_stack_is_left_alone(
    stack: Stack, kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a power cut, when another clone has taken the port."""
    monkeypatch.setenv("LOCAL_DIR", str(stack.settings.folders.base))
    monkeypatch.setattr(
        state_file, "read", lambda _: {**state(stack), "ports": {"kafka_port": kafka_bootstrap.split(":")[1]}}
    )
    for command in (["topic", topics.USERS], ["replay-dlq", topics.BANK_TRANSACTIONS_DLQ], ["clean-ksqldb"]):
        monkeypatch.setattr("sys.argv", ["local", *command])
        with redirect_stderr(StringIO()) as said:
            assert main() == 1
        assert f"at {kafka_bootstrap} is the broker of another stack" in said.getvalue()


def test_everything_listens_on_loopback_only(stack: Stack) -> None:
    pids = {part["pid"] for part in state(stack)["services"].values()}
    for pid in pids:
        for connection in psutil.Process(pid).net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                assert connection.laddr.ip in (HOST, "::ffff:127.0.0.1"), (pid, connection)


def test_temporary_files_are_the_stacks_own(stack: Stack) -> None:
    names = {path.name for path in stack.settings.folders.temporary.iterdir()}
    assert {"s3-archiver", "unidentified-transactions-processor"} <= names


@pytest.fixture
def stopped(tmp_path: Path) -> dict[str, str]:
    return {**free_ports(), "LOCAL_DIR": str(tmp_path / "local")}


@pytest.mark.parametrize("variable", ["MONGODB_PORT", "ARCHIVER_METRICS_PORT"])
def test_taken_port_is_named(stopped: dict[str, str], variable: str) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, int(stopped[variable])))
        taken.listen()
        answer = start_sh(stopped, "--local")
    assert answer.returncode == 1
    assert f"{stopped[variable]} ({variable})" in answer.stderr
    assert processes_of(Path(stopped["LOCAL_DIR"])) == []


def test_half_set_cloud_group_is_named(stopped: dict[str, str]) -> None:
    answer = start_sh({**stopped, "MY_MONGODB_USER": "me"}, "--local")
    assert answer.returncode == 1
    assert "MY_MONGODB_PASS, MY_MONGODB_CLUSTER not set" in answer.stderr


def test_bad_port_is_named(stopped: dict[str, str]) -> None:
    answer = start_sh({**stopped, "KAFKA_PORT": "high"}, "--local")
    assert answer.returncode == 1
    assert "KAFKA_PORT" in answer.stderr.upper()


def test_commands_without_a_stack(stopped: dict[str, str]) -> None:
    assert start_sh(stopped, "--local", "--status").returncode == 1
    assert start_sh(stopped, "--local", "--stop").returncode == 0
    assert start_sh(stopped, "--local", "--clean").returncode == 0
    assert not Path(stopped["LOCAL_DIR"]).exists()
    topic = start_sh(stopped, "--local", "--topic", topics.USERS)
    assert topic.returncode == 1
    assert "the local stack is not running" in topic.stderr
