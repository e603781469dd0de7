"""A changed file of ksqldb/ in the local mode: the start says so, init/clean_ksqldb.sh makes room, the next start takes it."""

import json
import os
import shutil
import subprocess
from pathlib import Path

from contracts import topics
from local.settings import ROOT
from tests.support.stack import Stack, free_ports, processes_of, running_stack, start_sh, wait_until
from tests.support.topics import read_all


def sources(stack: Stack) -> set[str]:
    rows = read_all(stack.settings.bootstrap, topics.FRAUDULENT_TRANSACTIONS_RESULT)
    return {json.loads(row.value or b"{}")["SOURCE_PROCESS"] for row in rows}


def clean_ksqldb(variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(ROOT / "init" / "clean_ksqldb.sh")],
        check=False,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def test_a_changed_statement_is_not_ignored(tmp_path: Path) -> None:
    folder, sql = tmp_path / "local", tmp_path / "sql"
    shutil.copytree(ROOT / "ksqldb", sql)
    variables = {**free_ports(), "BANK_COUNT": "200", "BANK_RATE": "0", "KSQLDB_SQL_DIR": str(sql)}
    with running_stack(folder, variables) as stack:
        wait_until(lambda: "ksql" in sources(stack), 60, "rows of ksqlDB")
    file = sql / "02_fraudulent_transactions_result.sql"
    file.write_text(file.read_text().replace("'ksql'", "'ksql, changed'"))

    variables["LOCAL_DIR"] = str(folder)
    refused = start_sh(variables, "--local", "--detach")
    assert refused.returncode != 0
    (line,) = (line for line in refused.stdout.splitlines() if "FRAUDULENT_TRANSACTIONS_RESULT" in line)
    assert "02_fraudulent_transactions_result.sql" in line
    assert "init/clean_ksqldb.sh" in line

    cleaned = clean_ksqldb(variables)  # the stack is stopped
    assert cleaned.returncode == 0, cleaned.stdout + cleaned.stderr
    assert "S3" in cleaned.stdout
    assert processes_of(folder) == []
    with running_stack(folder, variables) as stack:
        # From the earliest record: the changed query has seen the first run's transactions too.
        wait_until(lambda: "ksql, changed" in sources(stack), 60, "rows of the changed query")
        again = clean_ksqldb(variables)  # the stack runs
        assert again.returncode == 0, again.stdout + again.stderr
        assert "TERMINATE" not in again.stdout
        assert (
            "drops RECEIVER_USERS, SENDER_USERS, FRAUDULENT_TRANSACTIONS_RESULT, FRAUDULENT_TRANSACTIONS"
            in again.stdout
        )
