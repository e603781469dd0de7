"""Restarts connectors and tasks that have FAILED: `python kafka-connect/keep_running.py`, beside the worker.

Connect leaves a failed task as it is. The MongoDB sink fails its task when the server is away, rightly, since the rows
then wait in the topic; but nobody would start it again when the server is back. Needs nothing but Python.

It has no port: that it looks can be seen in the file HEARTBEAT, which it touches at each look.

Environment: KCONNECT_URL (http://localhost:8083).
"""

import json
import logging
import os
import re
import signal
import tempfile
import time
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

logger = logging.getLogger("keep_running")

HEARTBEAT = Path(tempfile.gettempdir()) / "connect-watchdog"
LOOK_SECONDS = 2.0
# The pause between two restarts of one connector doubles up to this, and starts anew once it has run for so long. It is
# longer than the 30 s that the MongoDB driver looks for a server before the task fails again.
LONGEST_PAUSE_SECONDS = 60.0


@dataclass
class Trouble:
    """A connector that was restarted, not long ago."""

    restarted_at: float
    pause: float = LOOK_SECONDS


def failed(status: dict[str, Any]) -> dict[str, str]:
    """What of a connector has FAILED, and the class of the error at its root.

    Only the class: an exception's text can quote a record or an address with its password.
    """
    parts = {"connector": status["connector"]} | {f"task {task['id']}": task for task in status["tasks"]}
    return {
        name: (re.findall(r"^(?:Caused by: )?([\w.$]+(?:Exception|Error))\b", part.get("trace", ""), re.M) or ["?"])[-1]
        for name, part in parts.items()
        if part["state"] == "FAILED"
    }


def main() -> None:
    """Look at the worker until SIGTERM or SIGINT; a worker that does not answer is waited for."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    url = os.environ.get("KCONNECT_URL", "http://localhost:8083").rstrip("/")
    stopping = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    troubles: dict[str, Trouble] = {}
    while not stopping.wait(LOOK_SECONDS):
        with suppress(OSError):  # a full disk is no reason not to look
            HEARTBEAT.touch()
        try:
            for name, answer in _call(f"{url}/connectors?expand=status").items():
                _look_at(url, name, failed(answer["status"]), troubles)
        except (OSError, ValueError, KeyError):  # away, starting, rebalancing, or between two states
            continue


def _look_at(url: str, name: str, problems: dict[str, str], troubles: dict[str, Trouble]) -> None:
    now = time.monotonic()
    trouble = troubles.get(name)
    since = now - trouble.restarted_at if trouble else 0.0
    if not problems:
        if trouble and since > LONGEST_PAUSE_SECONDS:
            del troubles[name]
            logger.info("%s runs again", name)
    elif trouble is None or since > trouble.pause:
        text = ", ".join(f"{part} has FAILED ({error})" for part, error in problems.items())
        logger.warning("%s: %s; restarting", name, text)
        pause = min(2 * trouble.pause, LONGEST_PAUSE_SECONDS) if trouble else LOOK_SECONDS
        troubles[name] = Trouble(now, pause)
        _call(f"{url}/connectors/{name}/restart?includeTasks=true&onlyFailed=true", "POST")


def _call(url: str, method: str = "GET") -> Any:
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as answer:
        return json.loads(answer.read() or "null")


if __name__ == "__main__":
    main()
