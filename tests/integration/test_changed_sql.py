"""A changed file of ksqldb/ in the local mode: the start says so, init/clean_ksqldb.sh makes room, the next start takes it."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from contracts import topics
from tests.compose.conftest import clone
from tests.support.stack import START_SECONDS, Stack, free_ports, processes_of, running_stack, start_sh, wait_until
from tests.support.terminal import Terminal
from tests.support.topics import read_all

pytestmark = pytest.mark.long


def sources(stack: Stack) -> set[str]:
    rows = read_all(stack.settings.bootstrap, topics.FRAUDULENT_TRANSACTIONS_RESULT)
    return {json.loads(row.value or b"{}")["SOURCE_PROCESS"] for row in rows}


def clean_ksqldb(root: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(root / "init" / "clean_ksqldb.sh")],
        check=False,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def test_a_changed_statement_is_not_ignored(tmp_path: Path) -> None:
    folder, root = tmp_path / "local", clone(tmp_path / "clone")
    variables = {**free_ports(), "BANK_COUNT": "200", "BANK_RATE": "0"}
    with running_stack(folder, variables, root) as stack:
        wait_until(lambda: "ksql" in sources(stack), 60, "rows of ksqlDB")
    file = root / "ksqldb" / "02_fraudulent_transactions_result.sql"
    file.write_text(file.read_text().replace("'ksql'", "'ksql, changed'"))

    variables["LOCAL_DIR"] = str(folder)
    refused = start_sh(variables, "--local", "--detach", root=root)
    assert refused.returncode != 0
    (line,) = (line for line in refused.stdout.splitlines() if "FRAUDULENT_TRANSACTIONS_RESULT" in line)
    assert "02_fraudulent_transactions_result.sql" in line
    assert "init/clean_ksqldb.sh" in line

    # Of the stopped stack the broker and ksqlDB are started for it: nothing of them is left when its terminal is closed, and
    # what a kill leaves can be stopped.
    command = ["bash", str(root / "init" / "clean_ksqldb.sh")]
    closed, killed = Terminal(command, variables), None
    try:
        closed.expect("[y/N]", START_SECONDS)
        os.kill(closed.pid, signal.SIGHUP)
        closed.wait()
        assert processes_of(folder) == []
        killed = Terminal(command, variables)
        killed.expect("[y/N]", START_SECONDS)
    finally:
        for terminal in filter(None, (closed, killed)):
            terminal.kill()
    assert processes_of(folder) != []
    assert start_sh(variables, "--local", "--stop", root=root).returncode == 0
    assert processes_of(folder) == []

    cleaned = clean_ksqldb(root, variables)  # the stack is stopped
    assert cleaned.returncode == 0, cleaned.stdout + cleaned.stderr
    assert "S3" in cleaned.stdout
    assert processes_of(folder) == []
    with running_stack(folder, variables, root) as stack:
        # From the earliest record: the changed query has seen the first run's transactions too.
        wait_until(lambda: "ksql, changed" in sources(stack), 60, "rows of the changed query")
        again = clean_ksqldb(root, variables)  # the stack runs
        assert again.returncode == 0, again.stdout + again.stderr
        assert "TERMINATE" not in again.stdout
        assert (
            "drops RECEIVER_USERS, SENDER_USERS, FRAUDULENT_TRANSACTIONS_RESULT, FRAUDULENT_TRANSACTIONS"
            in again.stdout
        )
