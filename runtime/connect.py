"""Kafka Connect's REST API."""

import re
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import requests

from runtime import direct

# A worker returns these while it starts or rebalances, or while a connector is still being created.
_TRY_AGAIN = (404, 409, 500, 503)


class Unavailable(Exception):
    """The worker does not answer, or is not ready yet; a later retry may succeed."""


class Refused(Exception):
    """The worker rejected a request; the message is the worker's own."""


class Connect:
    """Client of the workers of one cluster: a worker is asked when those before it are unavailable.

    Each call returns within `seconds` a worker, or raises Unavailable or Refused.
    """

    def __init__(self, *urls: str, seconds: float) -> None:
        self._urls = [url.rstrip("/") for url in urls]
        self._seconds = seconds
        self._http = direct.session()

    def plugins(self) -> set[str]:
        """The connector classes that the worker can run."""
        return {plugin["class"] for plugin in self._call("GET", "/connector-plugins")}

    def connectors(self) -> dict[str, Any]:
        """The `status` and `info` of every connector, by the connector's name."""
        return self._call("GET", "/connectors?expand=status&expand=info")

    def status(self, name: str) -> dict[str, Any]:
        """The state of a connector and of its tasks."""
        return self._call("GET", f"{_path(name)}/status")

    def put(self, name: str, config: dict[str, str]) -> None:
        """Create or update a connector."""
        self._call("PUT", f"{_path(name)}/config", config)

    def restart(self, name: str, only_failed: bool) -> None:
        """Restart a connector and its tasks, or only those of them that have failed."""
        self._call("POST", f"{_path(name)}/restart?includeTasks=true&onlyFailed={str(only_failed).lower()}")

    def resume(self, name: str) -> None:
        """Let it run again if somebody has paused or stopped it."""
        self._call("PUT", f"{_path(name)}/resume")

    def remove(self, name: str) -> None:
        """Remove it. Raises Unavailable if it is not there."""
        self._call("DELETE", _path(name))

    def _call(self, method: str, path: str, body: dict[str, str] | None = None) -> Any:
        *others, last = self._urls
        for url in others:
            with suppress(Unavailable):
                return self._ask(url, method, path, body)
        return self._ask(last, method, path, body)

    def _ask(self, url: str, method: str, path: str, body: dict[str, str] | None) -> Any:
        try:
            answer = self._http.request(method, url + path, json=body, timeout=self._seconds)
        except requests.Timeout:
            raise Unavailable(f"no answer within {self._seconds:g} s") from None
        except requests.RequestException:
            raise Unavailable("does not answer") from None
        if answer.status_code in _TRY_AGAIN:
            raise Unavailable(f"HTTP {answer.status_code}")
        try:
            content = answer.json() if answer.content else None
        except ValueError:
            raise Unavailable(f"malformed response (HTTP {answer.status_code})") from None
        if answer.ok:
            return content
        message = content.get("message") if isinstance(content, dict) else answer.reason
        raise Refused(f"{path}: HTTP {answer.status_code}: {message}")


def states(status: dict[str, Any]) -> dict[str, dict[str, str]]:
    """A connector's status, keyed by `connector` and `task N`: each has a `state`, and a `trace` if it has failed."""
    return {"connector": status["connector"]} | {f"task {task['id']}": task for task in status["tasks"]}


def failed(status: dict[str, Any]) -> dict[str, str]:
    """The connector and those of its tasks that have FAILED, each with the class name of the root cause.

    Only the class name: an exception's message can quote a record, or an address with its password.
    """
    return {
        name: (re.findall(r"^(?:Caused by: )?([\w.$]+(?:Exception|Error))\b", task.get("trace", ""), re.M) or ["?"])[-1]
        for name, task in states(status).items()
        if task["state"] == "FAILED"
    }


def _path(name: str) -> str:
    return f"/connectors/{quote(name, safe='')}"
