"""The ksqlDB prompt: what was typed, what is sent where, and how the answers look."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from rich.console import Console

from console.ksql import prompt
from console.ksql.prompt import Shell
from console.ksql.statements import complete, setting
from console.ksql.tables import shown
from runtime.ksqldb import KsqlClient, split

GOLDEN = Path(__file__).parents[1] / "ksqldb_emulator" / "golden"
RECORDED = {one["name"]: one for one in json.loads((GOLDEN / "statements.json").read_text("utf-8"))}


def text_of(renderable: Any, width: int = 130) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


# what was typed


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("SHOW TOPICS;", ["SHOW TOPICS;"]),
        ("-- a; b\nSELECT ';' FROM `x;y`; /* ; */ SHOW\n TOPICS ;\n", ["SELECT ';' FROM `x;y`;", "SHOW\n TOPICS ;"]),
        ("SHOW TOPICS", ["SHOW TOPICS"]),
        ("", []),
        ("-- nothing", []),
    ],
)
def test_splitting(text: str, statements: list[str]) -> None:
    assert split(text) == statements


@pytest.mark.parametrize(
    "text", ["", "SHOW TOPICS;", "SHOW TOPICS; -- all", "SELECT 'it''s;';", "exit", " Quit ", "-- note"]
)
def test_enter_sends_what_is_complete(text: str) -> None:
    assert complete(text)


@pytest.mark.parametrize(
    "text", ["SHOW TOPICS", "SHOW TOPICS; SELECT", "SELECT 'a;", "SELECT `a;", "SELECT 1 /* ;", "-- ;\nx"]
)
def test_enter_goes_on_with_what_is_not(text: str) -> None:
    assert not complete(text)


class Asked:
    """In place of a client: what it was asked, and how."""

    def __init__(self) -> None:
        self.properties = {"a": "before"}
        self.way = "setting"

    def rows(self, _: str) -> list[Any]:
        self.way = "query"
        return []

    def records(self, _: str) -> list[str]:
        self.way = "print"
        return []

    def run(self, _: str) -> list[Any]:
        self.way = "statement"
        return []


@pytest.mark.parametrize(
    ("text", "way"),
    [
        ("select * from s emit changes;", "query"),
        ("Print\n'users';", "print"),
        ("SET 'a'='b';", "setting"),
        ("UNSET 'a';", "setting"),
        ("SHOW TOPICS;", "statement"),
        ("CREATE STREAM selected AS SELECT a FROM s;", "statement"),
        (";", "statement"),
    ],
)
def test_kinds(text: str, way: str) -> None:
    client = Asked()
    Shell(client, Console())._carry_out(text)  # type: ignore[arg-type]
    assert client.way == way
    assert client.properties == {"SET": {"a": "b"}, "UNS": {}}.get(text[:3], {"a": "before"})


def test_settings() -> None:
    assert setting("SET 'auto.offset.reset' = 'latest';") == ("auto.offset.reset", "latest")
    assert setting("unset 'auto.offset.reset';") == ("auto.offset.reset", None)
    with pytest.raises(ValueError, match="SET 'name'='value'"):
        setting("SET auto.offset.reset=latest;")


# answers


def test_lists_of_the_real_server_are_tables() -> None:
    (streams,) = RECORDED["show_streams"]["response"]
    lines = text_of(shown(streams)).splitlines()
    assert lines[0].split() == ["Name", "Kafka", "Topic", "Key", "Format", "Value", "Format", "Windowed"]
    assert ["SENDER_USERS", "users", "KAFKA", "JSON", "false"] in [line.split() for line in lines]
    (queries,) = RECORDED["list_queries"]["response"]
    assert "RUNNING:1" in text_of(shown(queries))
    (described,) = RECORDED["describe"]["response"]
    fields = [line.split() for line in text_of(shown(described)).splitlines()]
    assert ["RECORD_KEY", "VARCHAR(STRING)", "(key)"] in fields
    assert ["SSN", "VARCHAR(STRING)"] in fields


def test_topics_are_a_table() -> None:
    topics = [{"name": "users", "replicaInfo": [1, 1, 1]}, {"name": "unusual", "replicaInfo": [1, 2]}]
    lines = [line.split() for line in text_of(shown({"@type": "kafka_topics", "topics": topics})).splitlines()]
    assert ["users", "3", "1"] in lines
    assert ["unusual", "2", "1,", "2"] in lines


def test_other_answers() -> None:
    (created,) = RECORDED["create_result"]["response"]
    assert text_of(shown(created)).strip() == "Created query with ID CSAS_FRAUDULENT_TRANSACTIONS_RESULT_3"
    (again,) = RECORDED["again_create_input"]["response"]
    assert "already exists" in text_of(shown(again))
    functions = {"@type": "function_names", "functions": [{"name": "ABS", "category": "MATHEMATICAL"}], "warnings": []}
    assert ["ABS", "MATHEMATICAL"] in [line.split() for line in text_of(shown(functions)).splitlines()]
    assert '"version": "8.3.1"' in text_of(shown({"@type": "new", "version": "8.3.1"}))


# a server


class Answers(BaseHTTPRequestHandler):
    """Answers as the real server does; remembers what it was asked."""

    asked: list[tuple[str, dict[str, Any]]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, body))
        text = body.get("ksql") or body["sql"]
        if "nosuch" in text:
            self._send(400, json.dumps({"@type": "statement_error", "message": "NOSUCH does not exist."}))
        elif self.path == "/query-stream":
            header = {"queryId": "q", "columnNames": ["ID", "AMOUNT"], "columnTypes": ["STRING", "DOUBLE"]}
            self._send(200, f'{json.dumps(header)}\n["ü1",12.5]\n["[bold]",null]\n')
        elif self.path == "/query":
            self._send(200, "\n\nKey format: KAFKA_STRING\n\nrowtime: 2026, key: [u1], value: {}, partition: 0\n")
        else:
            self._send(200, json.dumps(RECORDED["show_streams"]["response"]))

    def _send(self, status: int, text: str) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    Answers.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as http:
        Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield http
        http.shutdown()


@pytest.fixture
def url(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def run(url: str, text: str) -> tuple[bool, str]:
    console = Console(file=io.StringIO(), width=60, highlight=False)
    done = Shell(KsqlClient(url), console).run(text)
    assert isinstance(console.file, io.StringIO)
    return done, console.file.getvalue()


def test_a_query_is_rows_under_its_columns(url: str) -> None:
    done, output = run(url, "SET 'auto.offset.reset'='latest'; SELECT id, amount FROM s EMIT CHANGES;")
    assert done
    lines = [line.split() for line in output.splitlines()]
    assert lines[0] == ["ID", "AMOUNT"]
    assert lines[2:] == [["ü1", "12.5"], ["[bold]", "null"]]
    path, body = Answers.asked[-1]
    assert path == "/query-stream"
    assert body == {
        "sql": "SELECT id, amount FROM s EMIT CHANGES;",
        "properties": {"auto.offset.reset": "latest"},
    }


def test_print_is_lines_as_they_come(url: str) -> None:
    done, output = run(url, "PRINT 'users' LIMIT 1;")
    assert done
    assert output == "Key format: KAFKA_STRING\nrowtime: 2026, key: [u1], value: {}, partition: 0\n"
    assert Answers.asked[-1] == ("/query", {"ksql": "PRINT 'users' LIMIT 1;", "streamsProperties": {}})


@pytest.mark.parametrize("text", ["DESCRIBE nosuch;", "SELECT * FROM nosuch EMIT CHANGES;", "PRINT 'nosuch';"])
def test_errors_are_in_the_server_s_words_and_end_the_text(url: str, text: str) -> None:
    done, output = run(url, f"{text} SHOW STREAMS;")
    assert not done
    assert output == "NOSUCH does not exist.\n"
    assert len(Answers.asked) == 1


def test_one_statement_has_an_exit_code(url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert prompt.main(url, tmp_path / "history", "SHOW STREAMS;") == 0
    assert "SENDER_USERS" in capsys.readouterr().out
    assert prompt.main(url, tmp_path / "history", "DESCRIBE nosuch;") == 1
    assert "NOSUCH does not exist." in capsys.readouterr().out


def test_statements_come_from_stdin_too(
    url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("SHOW STREAMS;\nPRINT 'users';\n"))
    assert prompt.main(url, tmp_path / "history", None) == 0
    assert "rowtime" in capsys.readouterr().out
    assert len(Answers.asked) == 2


def test_no_server(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert prompt.main("http://127.0.0.1:1", tmp_path / "history", "SHOW STREAMS;") == 1
    assert "ksqlDB at http://127.0.0.1:1 does not answer" in capsys.readouterr().out
