"""A ksqlDB server as the init scripts see it: its REST API, with the standard library alone."""

import json
import logging
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from init.ksqldb_statements import NotUnderstood, Statement, created, split

logger = logging.getLogger(__name__)

DEFAULT_URL = "http://localhost:8088"
DEFAULT_FOLDER = Path(__file__).resolve().parent.parent / "ksqldb"
ANSWER_SECONDS = 60.0
SAY_SECONDS = 5.0

Entity = dict[str, Any]


class Failed(Exception):
    """What the user has to know, in one line."""


class Server:
    """The server at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def wait(self, seconds: float) -> None:
        """Wait until /info answers 200: the server listens before it can take statements, and answers 503 until then.

        Raises Failed.
        """
        deadline, said = time.monotonic() + seconds, 0.0
        while (status := self._status()) != "HTTP 200":
            now = time.monotonic()
            if now >= deadline:
                raise Failed(f"ksqlDB at {self.url} is not ready after {seconds:g} s (last answer: {status})")
            if now - said >= SAY_SECONDS:
                logger.info("waiting for ksqlDB at %s (%s)", self.url, status)
                said = now
            time.sleep(0.5)

    def run(self, text: str) -> list[Entity]:
        """Carry out statements. Raises Failed, in the server's words.

        Earliest: what came before a statement counts as well.
        """
        body = json.dumps({"ksql": text, "streamsProperties": {"auto.offset.reset": "earliest"}}).encode()
        request = urllib.request.Request(f"{self.url}/ksql", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
                status, content = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, content = error.code, error.read()
        except OSError as error:
            raise Failed(f"no answer from {self.url}/ksql ({error})") from None
        return _entities(status, content.decode(errors="replace"))

    def streams(self) -> dict[str, str]:
        """The topic of every stream, by the stream's name."""
        return {stream["name"]: stream["topic"] for stream in self.run("SHOW STREAMS;")[0]["streams"]}

    def queries(self) -> list[Entity]:
        """Every persistent query."""
        return [query for query in self.run("SHOW QUERIES;")[0]["queries"] if query.get("queryType") == "PERSISTENT"]

    def statement_of(self, name: str) -> str:
        """The statement that made a stream, as the server prints it."""
        return self.run(f"DESCRIBE {quoted(name)};")[0]["sourceDescription"]["statement"]

    def _status(self) -> str:
        try:
            with urllib.request.urlopen(f"{self.url}/info", timeout=SAY_SECONDS) as answer:
                return f"HTTP {answer.status}"
        except urllib.error.HTTPError as error:
            return f"HTTP {error.code}"
        except OSError as error:
            return f"no answer: {error}"


def quoted(name: str) -> str:
    """A stream's name as a statement can have it, whatever it is."""
    return "`" + name.replace("`", "``") + "`"


def server_from_environment() -> tuple[Server, float, Path]:
    """The server, how long to wait for it, and the folder of the statements."""
    environ = os.environ
    return (
        Server(environ.get("KSQLDB_URL") or DEFAULT_URL),
        float(environ.get("KSQLDB_WAIT_SECONDS") or 120),
        Path(environ.get("KSQLDB_SQL_DIR") or DEFAULT_FOLDER),
    )


def files_of(folder: Path) -> list[Path]:
    """The files of statements, in the order of their names. Raises Failed when there is none."""
    files = sorted(folder.glob("*.sql"))
    if not files:
        raise Failed(f"no *.sql in {folder}")
    return files


def streams_of(files: Iterable[Path]) -> dict[str, Statement]:
    """What the files create, by name. A statement that only the server understands is left out, and said."""
    found = {}
    for file in files:
        for text in split(file.read_text("utf-8")):
            try:
                statement = created(text)
            except NotUnderstood as error:
                logger.warning("%s: a change of it will not be noticed (%s)", file.name, error)
                continue
            if statement is not None:
                found[statement.name] = statement
    return found


def ours(server: Server, streams: dict[str, Statement]) -> tuple[list[str], list[str]]:
    """The streams on the server that the files make, and those beside them that write to the same topics.

    The latter are what is left when a file was removed or its stream was renamed. Both in the order in which they can be
    dropped: readers first.
    """
    there = server.streams()
    topics = {there[name] for name, statement in streams.items() if name in there and statement.query is not None}
    sinks = {sink for query in server.queries() for sink in query["sinks"] if there.get(sink) in topics}
    return [name for name in reversed(streams) if name in there], sorted(sinks - streams.keys())


def _entities(status: int, text: str) -> list[Entity]:
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if status == 200 and isinstance(answer, list):
        return answer
    message = answer.get("message") if isinstance(answer, dict) else None
    raise Failed(f"FAILED (HTTP {status}): {message or text[:500]}")
