"""init_ksqldb: which statements are the same, and that a changed one is not ignored."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

import runtime.ksqldb
from init import clean_ksqldb, init_ksqldb
from init.ksqldb_statements import NotUnderstood, Statement, created, same
from runtime.errors import UserError

GOLDEN = Path(__file__).parent / "golden"
# The files as they were when the real server was asked.
FILES = sorted((GOLDEN / "sql").glob("*.sql"))
RECORDED = json.loads((GOLDEN / "statements.json").read_text("utf-8"))


def statement(text: str) -> Statement:
    found = created(text)
    assert found is not None
    return found


def alike(file: str, server: str) -> bool:
    return same(statement(file), statement(server))


@pytest.mark.parametrize("number", range(4))
def test_a_file_is_what_the_real_server_says_of_it(number: int) -> None:
    """What 8.3.1 answered to the files; it was asked with PARTITIONS, which the first file leaves to its topic."""
    (answer,) = RECORDED[number]["response"]
    assert alike(FILES[number].read_text("utf-8"), answer["statementText"])
    assert alike(RECORDED[number]["request"]["ksql"], answer["statementText"])
    for other in range(4):
        (answer,) = RECORDED[other]["response"]
        assert alike(FILES[number].read_text("utf-8"), answer["statementText"]) == (number == other)


SOURCE = (
    "CREATE STREAM s (k VARCHAR KEY, a INT, b STRUCT<x DOUBLE, y VARCHAR>) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON');"
)
QUERY = (
    "CREATE STREAM r WITH (KAFKA_TOPIC='r', VALUE_FORMAT='JSON') AS SELECT k, a AS n, b->x, 'one' AS w "
    "FROM s WHERE a > 1 AND (b->x <= 2 OR NOT k LIKE 'Q%') PARTITION BY k EMIT CHANGES;"
)
# As a server says it back.
RUNNING_SOURCE = (
    "CREATE STREAM S (K STRING KEY, A INTEGER, B STRUCT<X DOUBLE, Y STRING>) WITH (CLEANUP_POLICY='delete', "
    "KAFKA_TOPIC='t', KEY_FORMAT='KAFKA', VALUE_FORMAT='JSON');"
)
RUNNING = (
    "CREATE STREAM R WITH (CLEANUP_POLICY='delete', KAFKA_TOPIC='r', PARTITIONS=6, REPLICAS=1, RETENTION_MS=604800000, "
    "VALUE_FORMAT='JSON') AS SELECT\n  S.K K,\n  S.A N,\n  S.B->X X,\n  'one' W\nFROM S S\n"
    "WHERE ((S.A > 1) AND ((S.B->X <= 2) OR (NOT (S.K LIKE 'Q%'))))\nPARTITION BY S.K\nEMIT CHANGES;"
)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text,
        lambda text: text.lower().replace("'q%'", "'Q%'").replace("'json'", "'JSON'"),
        lambda text: "-- a comment\n" + text.replace(" ", "\n\t") + "\n",
        lambda text: text.replace("SELECT", "SELECT /* all; of it */").replace("VARCHAR", "STRING"),
        lambda text: text.replace("STREAM ", "STREAM IF NOT EXISTS ", 1),
        lambda text: text.replace(" AS n", " n").replace("FROM s", "FROM s AS s").replace("a >", "s.a >"),
        lambda text: text.replace("a > 1", "(((a) > 1))").replace("EMIT CHANGES", ""),
        lambda text: text.replace("k,", "`K`,").replace("'r', ", "'r', PARTITIONS=6, "),
        lambda text: text.replace("NOT k LIKE", "k NOT LIKE"),
    ],
)
def test_spelling_is_no_difference(change: Callable[[str], str]) -> None:
    assert alike(change(SOURCE), RUNNING_SOURCE)
    assert alike(change(QUERY), RUNNING)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a > 1", "a > 2"),
        ("a > 1", "a >= 1"),
        ("'Q%'", "'q%'"),
        ("'one'", "'two'"),
        ("NOT k", "k"),
        ("a > 1 AND (b->x <= 2 OR NOT k LIKE 'Q%')", "(a > 1 AND b->x <= 2) OR NOT k LIKE 'Q%'"),
        ("WHERE a > 1 AND (b->x <= 2 OR NOT k LIKE 'Q%')", ""),
        ("k, a AS n", "a AS n, k"),
        ("a AS n", "a"),
        ("a AS n", "a AS m"),
        ("b->x, ", ""),
        ("b->x, ", "b->y, "),
        ("b->x, ", "b->x AS z, "),
        ("'one' AS w", "'one' AS w, a"),
        ("PARTITION BY k", ""),
        ("PARTITION BY k", "PARTITION BY b->y"),
        ("FROM s", "FROM s2"),
        ("'r', ", "'r2', "),
        ("'r', ", "'r', PARTITIONS=12, "),
        ("STREAM r", "STREAM r2"),
        ("STREAM r", "TABLE r"),
    ],
)
def test_a_change_is_a_difference(old: str, new: str) -> None:
    assert old in QUERY
    assert not alike(QUERY.replace(old, new), RUNNING)


@pytest.mark.parametrize(
    ("old", "new"), [("a INT,", "a BIGINT,"), (" KEY", ""), (", y VARCHAR", ""), ("a INT", "z INT"), ("'t'", "'u'")]
)
def test_a_changed_column_is_a_difference(old: str, new: str) -> None:
    assert old in SOURCE
    assert not alike(SOURCE.replace(old, new), RUNNING_SOURCE)


@pytest.mark.parametrize(
    ("file", "server"),
    [
        ("SELECT a + 1 FROM s", "SELECT (S.A + 1) KSQL_COL_0 FROM S S"),
        ("SELECT a || b || 'x' c FROM s", "SELECT ((S.A || S.B) || 'x') C FROM S S"),
        ("SELECT a - b - 1 c FROM s", "SELECT ((S.A - S.B) - 1) C FROM S S"),
        ("SELECT CAST(a AS DECIMAL(4,2)) c FROM s", "SELECT CAST(S.A AS DECIMAL(4, 2)) C FROM S S"),
        ("SELECT UCASE(a) c FROM s WHERE a IN (1, 2)", "SELECT UCASE(S.A) C FROM S S WHERE (S.A IN (1, 2))"),
        (
            "SELECT a FROM s WHERE a NOT BETWEEN 1 AND 2 AND b = 1",
            "SELECT S.A A FROM S S WHERE ((NOT (S.A BETWEEN 1 AND 2)) AND (S.B = 1))",
        ),
        (
            "SELECT CASE WHEN a = 1 THEN 'x' ELSE b END AS c FROM s",
            "SELECT (CASE WHEN (S.A = 1) THEN 'x' ELSE S.B END) C FROM S S",
        ),
        (
            "SELECT x.a, y.b FROM x JOIN y WITHIN 1 HOURS ON x.k = y.k",
            "SELECT X.A A, Y.B B FROM X X INNER JOIN Y Y WITHIN 1 HOURS ON ((X.K = Y.K))",
        ),
        (
            "SELECT k, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY k",
            "SELECT S.K K, COUNT(*) N FROM S S WINDOW TUMBLING ( SIZE 1 HOUR ) GROUP BY S.K EMIT CHANGES",
        ),
        ("SELECT * FROM s", "SELECT * FROM S S EMIT CHANGES"),
        ("SELECT -1.0 c, 1e3 d FROM s", "SELECT -1.0 C, 1E3 D FROM S S"),
        ("SELECT a[1]->b FROM s", "SELECT S.A[1]->B B FROM S S"),
    ],
)
def test_what_ksqldb_knows_beyond_the_emulator(file: str, server: str) -> None:
    assert alike(f"CREATE STREAM r AS {file};", f"CREATE STREAM R WITH (PARTITIONS=6) AS {server};")


def test_a_column_of_another_source_is_a_difference() -> None:
    join = "FROM X X INNER JOIN Y Y WITHIN 1 HOURS ON (X.K = Y.K)"
    assert not alike(f"CREATE STREAM r AS SELECT x.a {join};", f"CREATE STREAM R AS SELECT Y.A A {join};")


def test_text_that_is_no_statement() -> None:
    for text in ("CREATE STREAM r AS SELECT a FROM s WHERE >;", "CREATE STREAM", "CREATE STREAM r WITH ("):
        with pytest.raises(NotUnderstood):
            created(text)
    assert created("SHOW STREAMS;") is None


@pytest.fixture
def ksqldb(world: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The emulator's engine behind /ksql, and a copy of the files to change."""
    statuses: dict[str, list[Any]] = {}
    world.statuses = statuses

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            later = statuses.get(unquote(self.path.removeprefix("/status/")))
            self._answer(200, later.pop(0) if later else {"KsqlServerInfo": {"version": "8.3.1"}})

        def do_POST(self) -> None:
            from local.ksqldb_emulator.errors import KsqlError

            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                self._answer(200, world.engine.execute(body["ksql"], body["streamsProperties"]))
            except KsqlError as error:
                self._answer(error.status, error.answer())

        def _answer(self, status: int, answer: Any) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    for file in FILES:
        (tmp_path / file.name).write_text(file.read_text("utf-8"))
    monkeypatch.setenv("KSQLDB_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("KSQLDB_WAIT_SECONDS", "5")
    monkeypatch.setenv("KSQLDB_SQL_DIR", str(tmp_path))
    yield tmp_path
    server.shutdown()
    server.server_close()


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new))


def test_again_and_respelled(ksqldb: Path, world: Any) -> None:
    init_ksqldb.main()
    commands = len(world.commands.commands)
    edit(ksqldb / "03_sender_users.sql", "SELECT", "select -- everything\n")
    init_ksqldb.main()
    assert len(world.commands.commands) == commands


@pytest.mark.parametrize(
    ("file", "old", "new", "stream"),
    [
        ("01_fraudulent_transactions.sql", "amount DOUBLE", "amount VARCHAR", "FRAUDULENT_TRANSACTIONS"),
        ("02_fraudulent_transactions_result.sql", "'ksql'", "'ksqldb'", "FRAUDULENT_TRANSACTIONS_RESULT"),
        ("04_receiver_users.sql", "WHERE receiver_details->id IS NOT NULL", "", "RECEIVER_USERS"),
    ],
)
def test_a_changed_file_stops_with_its_stream_and_the_remedy(
    ksqldb: Path, file: str, old: str, new: str, stream: str
) -> None:
    init_ksqldb.main()
    edit(ksqldb / file, old, new)
    with pytest.raises(UserError) as failed:
        init_ksqldb.main()
    message = str(failed.value)
    assert message.startswith(f"{file}: the stream {stream} runs another statement")
    assert "init/clean_ksqldb.sh" in message
    assert "\n" not in message


def test_a_stream_whose_query_was_terminated_is_not_in_place(ksqldb: Path, world: Any) -> None:
    init_ksqldb.main()
    world.run("TERMINATE ALL;")
    with pytest.raises(
        UserError, match=r"the stream FRAUDULENT_TRANSACTIONS_RESULT is there.*terminated.*clean_ksqldb\.sh"
    ):
        init_ksqldb.main()
    clean_ksqldb.main()
    init_ksqldb.main()


def test_a_statement_that_the_server_executes_later_is_waited_for(
    ksqldb: Path, world: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The real server answers after five seconds, whatever it is at."""
    execute = world.engine.execute

    def answer_early(*asked: Any) -> Any:
        entities = execute(*asked)
        for entity in entities:
            if status := entity.get("commandStatus"):
                world.statuses[entity["commandId"]] = [
                    {"status": "EXECUTING", "message": "Executing statement"},
                    status,
                ]
                entity["commandStatus"] = {"status": "QUEUED", "message": "Statement written to command topic"}
        return entities

    monkeypatch.setattr(world.engine, "execute", answer_early)
    monkeypatch.setattr(runtime.ksqldb, "PENDING_SECONDS", 0.01)
    caplog.set_level("INFO")
    init_ksqldb.main()
    assert "01_fraudulent_transactions.sql: created (Stream created)" in caplog.text
    assert len(world.statuses) == len(FILES)
    assert not any(world.statuses.values())


def test_a_renamed_stream_leaves_no_second_writer(ksqldb: Path, world: Any) -> None:
    init_ksqldb.main()
    edit(ksqldb / "03_sender_users.sql", "EXISTS sender_users", "EXISTS senders")
    with pytest.raises(UserError, match=r"^SENDER_USERS writes to a topic of ksqldb/\*\.sql.*clean_ksqldb\.sh"):
        init_ksqldb.main()
    clean_ksqldb.main()
    init_ksqldb.main()
    assert {plan[1] for plan in world.queries.plans.values()} == {"fraudulent-transactions-result", "users"}
    assert len(world.queries.plans) == 3


def test_a_file_that_the_server_refuses(ksqldb: Path) -> None:
    edit(ksqldb / "02_fraudulent_transactions_result.sql", "amount,", "amout,")
    with pytest.raises(UserError, match=r"^02_fraudulent.*FAILED \(HTTP 400\): .*no column AMOUT;"):
        init_ksqldb.main()


def test_cleaning_says_what_it_means_and_keeps_topics(
    ksqldb: Path, world: Any, caplog: pytest.LogCaptureFixture
) -> None:
    world.run("CREATE STREAM mine (a VARCHAR) WITH (KAFKA_TOPIC='mine', VALUE_FORMAT='JSON', PARTITIONS=1);")
    init_ksqldb.main()
    topics = set(world.topics.topics)
    edit(ksqldb / "02_fraudulent_transactions_result.sql", "'ksql'", "'ksqldb'")
    with caplog.at_level("INFO"):
        assert clean_ksqldb.main() == 0
    said = caplog.text
    assert said.index("earliest") < said.index("done")
    assert "MongoDB: still one document per id" in said
    assert "S3: every row" in said
    assert set(world.topics.topics) == topics
    assert set(world.engine._streams) == {"MINE", "KSQL_PROCESSING_LOG"}
    assert world.queries.plans == {}
    init_ksqldb.main()
    assert {reset for _, _, reset in world.queries.plans.values()} == {"earliest"}
    with caplog.at_level("INFO"):
        clean_ksqldb.main()
        caplog.clear()
        assert clean_ksqldb.main() == 0
    assert "none of the streams exists" in caplog.text
