"""ksqlDB's REST API."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

Entity = dict[str, Any]

# A statement is answered when the server has carried it out, which may take as long as its own patience. Rows may never come.
CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 120.0


class KsqlError(Exception):
    """What the server says against it, or that it does not answer."""


class Client:
    """A server. `properties` go with every request: SET 'auto.offset.reset'='latest' for one."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._http = httpx.Client(timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS))
        self.properties: dict[str, str] = {}

    def version(self) -> str:
        """Of the server. Raises KsqlError."""
        with self._errors():
            return self._checked(self._http.get(f"{self._url}/info")).json()["KsqlServerInfo"]["version"]

    def run(self, statement: str) -> list[Entity]:
        """Carry out what is answered at once. Raises KsqlError."""
        with self._errors():
            body = {"ksql": statement, "streamsProperties": self.properties}
            return self._checked(self._http.post(f"{self._url}/ksql", json=body)).json()

    def rows(self, query: str) -> Iterator[list[Any]]:
        """The names of a query's columns, then its rows as they come. Raises KsqlError."""
        for line in self._lines("/query-stream", {"sql": query, "properties": self.properties}):
            found = json.loads(line)
            if isinstance(found, list):
                yield found
            elif "columnNames" in found:
                yield found["columnNames"]
            else:
                raise KsqlError(found.get("message") or line)

    def records(self, statement: str) -> Iterator[str]:
        """The lines of PRINT as they come. Raises KsqlError."""
        return self._lines("/query", {"ksql": statement, "streamsProperties": self.properties})

    def _lines(self, path: str, body: dict[str, Any]) -> Iterator[str]:
        timeout = httpx.Timeout(None, connect=CONNECT_SECONDS)
        with self._errors(), self._http.stream("POST", f"{self._url}{path}", json=body, timeout=timeout) as answer:
            if not answer.is_success:
                answer.read()
            # An idle server sends empty lines, to see whether there is somebody.
            yield from filter(None, self._checked(answer).iter_lines())

    @staticmethod
    def _checked(answer: httpx.Response) -> httpx.Response:
        if answer.is_success:
            return answer
        try:
            message = answer.json()["message"]
        except (ValueError, KeyError, TypeError):
            message = answer.text[:500]
        raise KsqlError(message or f"HTTP {answer.status_code}")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            raise KsqlError(f"ksqlDB at {self._url} does not answer ({error or type(error).__name__})") from None
