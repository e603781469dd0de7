"""ksqlDB's REST API, and how to split SQL into statements."""

import json
import re
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import requests

from runtime import direct
from runtime.errors import UserError, without_credentials

CONNECT_SECONDS = 5.0
# How long an answer, and then the execution of a statement, may take.
ANSWER_SECONDS = 120.0

PENDING = ("QUEUED", "PARSING", "EXECUTING")
PENDING_SECONDS = 0.5

PIECE = re.compile(
    r"""(?P<blank>\s+|--[^\r\n]*|/\*.*?\*/)|'(?:[^']|'')*'|`(?:[^`]|``)*`|"(?:[^"]|"")*"|(?P<open>/\*|['`"])|(?P<end>;)|\w+|.""",
    re.DOTALL | re.VERBOSE,
)

Entity = dict[str, Any]


class KsqlError(UserError):
    """The server rejected a request (its own message, and the HTTP `status`), or did not answer (status 0)."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class KsqlClient:
    """Client of the server at `url`. Every call may raise KsqlError. `properties` are sent with every statement and query."""

    def __init__(self, url: str, properties: dict[str, str] | None = None, seconds: float = ANSWER_SECONDS) -> None:
        self._url = url.rstrip("/")
        self.url = without_credentials(self._url)  # for messages
        self.properties = properties or {}
        self._seconds = seconds
        self._http = direct.session()

    def info(self) -> dict[str, str]:
        """The server's version and ids. Raises KsqlError until the server is ready: it listens earlier than that."""
        info = self._json("GET", "/info")
        if not isinstance(info, dict) or "KsqlServerInfo" not in info:
            raise KsqlError(f"the server at {self.url} is not ksqlDB", 200)
        return info["KsqlServerInfo"]

    def run(self, text: str) -> list[Entity]:
        """Execute statements whose response is not a stream, and wait for those that the server carries out later."""
        entities = self._json("POST", "/ksql", {"ksql": text, "streamsProperties": self.properties})
        give_up = time.monotonic() + ANSWER_SECONDS
        for entity in entities:
            # It answers after five seconds, by default, whether the statement was executed or not.
            while (entity.get("commandStatus") or {}).get("status") in PENDING and time.monotonic() < give_up:
                time.sleep(PENDING_SECONDS)
                entity["commandStatus"] = self._json("GET", f"/status/{quote(entity['commandId'], safe='/')}")
        return entities

    def queries(self) -> list[Entity]:
        """Every persistent query."""
        return [query for query in self.run("SHOW QUERIES;")[0]["queries"] if query.get("queryType") == "PERSISTENT"]

    def rows(self, query: str) -> Iterator[list[Any]]:
        """The names of a query's columns, then its rows as they arrive."""
        for line in self._lines("/query-stream", {"sql": query, "properties": self.properties}):
            found = json.loads(line)
            if isinstance(found, list):
                yield found
            elif "columnNames" in found:
                yield found["columnNames"]
            else:
                raise KsqlError(found.get("message") or line)

    def records(self, statement: str) -> Iterator[str]:
        """The lines of PRINT as they arrive."""
        return self._lines("/query", {"ksql": statement, "streamsProperties": self.properties})

    def _json(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        with self._request(method, path, body, self._seconds) as answer:
            try:
                return answer.json()
            except ValueError:
                raise KsqlError("malformed response", answer.status_code) from None

    def _lines(self, path: str, body: dict[str, Any]) -> Iterator[str]:
        with self._request("POST", path, body, None, stream=True) as answer:
            for line in answer.iter_lines():
                if line:  # an idle server sends empty lines to check that the client is still there
                    yield line.decode()

    @contextmanager
    def _request(
        self, method: str, path: str, body: dict[str, Any] | None, seconds: float | None, stream: bool = False
    ) -> Generator[requests.Response]:
        timeout = (min(CONNECT_SECONDS, self._seconds), seconds)
        try:
            with self._http.request(method, self._url + path, json=body, timeout=timeout, stream=stream) as answer:
                if not answer.ok:
                    raise KsqlError(_message(answer), answer.status_code)
                yield answer
        except requests.ReadTimeout:
            raise KsqlError(f"ksqlDB at {self.url} does not answer within {self._seconds:g} s") from None
        except requests.RequestException:
            raise KsqlError(f"ksqlDB at {self.url} does not answer") from None


def _message(answer: requests.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code}"


def split(text: str) -> list[str]:
    """The statements in `text`, each with its semicolon (optional for the last). Comments between statements are dropped."""
    found: list[str] = []
    begin: int | None = None
    for piece in PIECE.finditer(text):
        if piece["blank"]:
            continue
        begin = piece.start() if begin is None else begin
        if piece["end"]:
            found.append(text[begin : piece.end()])
            begin = None
    return found if begin is None else [*found, text[begin:].rstrip()]
