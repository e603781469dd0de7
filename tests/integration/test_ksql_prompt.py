"""`./start.sh --ksql` on the running local stack: in a terminal as a person has it, and with one statement."""

from collections.abc import Iterator

import pytest

from local.settings import ROOT
from tests.support.stack import Stack, wait_until
from tests.support.terminal import CTRL_C, CTRL_D, ENTER, UP, Terminal
from tests.support.topics import read_all

# Of a new line: a prompt that is left is drawn again, and what is typed between the two goes to neither.
PROMPT = "\nksql>"


@pytest.fixture
def prompt(stack: Stack) -> Iterator[Terminal]:
    terminal = Terminal(["bash", str(ROOT / "start.sh"), "--ksql"], stack.environment)
    yield terminal
    terminal.kill()


def rows(stack: Stack) -> int:
    return len(read_all(stack.kafka, "users"))


def test_the_first_things_that_people_type(stack: Stack, prompt: Terminal) -> None:
    wait_until(lambda: rows(stack) >= 3, 60, "rows on users")
    prompt.expect(PROMPT, 60)
    prompt.send("SHOW TOPICS;" + ENTER)
    prompt.expect("Kafka Topic")
    shown = prompt.expect(PROMPT)
    assert "fraudulent-transactions-result" in shown
    assert "__consumer_offsets" not in shown

    prompt.send("PRINT 'users' FROM BEGINNING LIMIT 3;" + ENTER)
    prompt.expect("Value format: JSON")
    assert prompt.expect(PROMPT).count("rowtime: ") == 3

    # Enter goes on until the semicolon; rows stream until Ctrl-C, which leads back to the prompt.
    prompt.send("SELECT id, source_process" + ENTER)
    prompt.send("FROM sender_users" + ENTER)
    prompt.send("EMIT CHANGES;" + ENTER)
    prompt.expect("SOURCE_PROCESS")
    prompt.expect(" ksql")
    prompt.send(CTRL_C)
    prompt.expect("Query terminated")
    prompt.expect(PROMPT)
    prompt.send("PRINT 'users' FROM BEGINNING;" + ENTER)
    prompt.expect("rowtime: ")
    prompt.send(CTRL_C)
    prompt.expect("Query terminated")
    prompt.expect(PROMPT)

    prompt.send("DESCRIBE nosuch;" + ENTER)
    prompt.expect("NOSUCH")  # the server's words, which have the name as it took it
    prompt.expect(PROMPT)
    prompt.send("half a statement" + CTRL_C)
    prompt.expect(PROMPT)
    prompt.send(CTRL_D)
    assert prompt.wait() == 0


def test_the_history_is_there_the_next_time(stack: Stack, prompt: Terminal) -> None:
    prompt.expect(PROMPT, 60)
    prompt.send("SHOW QUERIES;" + ENTER)
    prompt.expect("CSAS_SENDER_USERS")
    prompt.expect(PROMPT)
    prompt.send("exit" + ENTER)
    assert prompt.wait() == 0
    history = stack.settings.folders.base / "ksql-history"
    assert history.stat().st_mode & 0o077 == 0
    again = Terminal(["bash", str(ROOT / "start.sh"), "--ksql"], stack.environment)
    try:
        again.expect(PROMPT, 60)
        again.send(UP + UP)
        again.expect("QUERIES;")
        again.send(ENTER)
        again.expect("CSAS_SENDER_USERS")
        again.expect(PROMPT)
        again.send(CTRL_D)
        assert again.wait() == 0
    finally:
        again.kill()


def test_one_statement(stack: Stack) -> None:
    answer = stack.start_sh("--ksql", "SHOW STREAMS;")
    assert answer.returncode == 0, answer.stderr
    assert "SENDER_USERS" in answer.stdout
    wait_until(lambda: rows(stack) >= 3, 60, "rows on users")
    printed = stack.start_sh("--ksql", "PRINT 'users' FROM BEGINNING LIMIT 3;")
    assert printed.returncode == 0, printed.stderr
    lines = printed.stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == ["Key format", "Value format", *["rowtime"] * 3]
    wrong = stack.start_sh("--ksql", "SHOW STREMS;")
    assert wrong.returncode == 1
    assert "line 1:6" in wrong.stdout
    assert "'STREMS'" in wrong.stdout
