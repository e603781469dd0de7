"""What goes through each stage, as the console counts it. The launcher asks in a thread: it must wait for nobody."""

import time
from collections.abc import Mapping
from threading import Thread
from typing import Any

import requests

ASK_SECONDS = 1.0


class Counts:
    """`latest` has records and rates (a second) by topic, lags by consumer group, and by topic the lag of each that reads it.

    It is None while the console is silent.
    """

    def __init__(self, console_url: str) -> None:
        self.latest: dict[str, dict[str, Any]] | None = None
        self._url = f"{console_url}/api/state"
        Thread(target=self._run, name="counts", daemon=True).start()

    def _run(self) -> None:
        while True:
            time.sleep(ASK_SECONDS)
            try:
                self.latest = _counts(requests.get(self._url, timeout=ASK_SECONDS).json())
            except (requests.RequestException, ValueError):
                self.latest = None


def _counts(state: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        "records": {name: topic["records"] for name, topic in state["topics"].items()},
        "rates": {name: topic["rate"] for name, topic in state["topics"].items()},
        "lags": {name: sum(group["lag"].values()) for name, group in state["groups"].items()},
        "readers": {
            topic: {
                _reader(name, state["queries"]): group["lag"][topic]
                for name, group in state["groups"].items()
                if topic in group["lag"]
            }
            for topic in state["topics"]
        },
    }


def _reader(group: str, queries: Mapping[str, Mapping[str, str]]) -> str:
    """A consumer group's name; of a query's the stream that it writes, since the query's own name has a number."""
    for query, found in queries.items():
        if group.endswith(f"query_{query}"):
            return f"ksqlDB: {found['stream']}"
    return group
