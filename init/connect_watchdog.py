"""Restarts connectors and tasks that have FAILED: `python -m init.connect_watchdog`, beside the worker.

Connect does not restart a failed task. The MongoDB sink rightly fails its task while the server is down, since the rows
then wait in the topic; but nothing would restart the task once the server is back.

The watchdog has no port: it touches the file HEARTBEAT at each check.
"""

import logging
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from runtime.connect import Connect, Refused, Unavailable, failed
from runtime.service import Environment, load_settings, run_service

logger = logging.getLogger("connect_watchdog")

HEARTBEAT = Path(tempfile.gettempdir()) / "connect-watchdog"
LOOK_SECONDS = 2.0
ANSWER_SECONDS = 10.0
# The pause between two restarts of one connector doubles up to this, and is reset once the connector has run for this
# long. It is longer than the 30 s for which the MongoDB driver looks for a server before the task fails again.
LONGEST_PAUSE_SECONDS = 60.0


class Settings(Environment):
    """Where the worker is, and a cluster's second one."""

    kconnect_url: str = "http://localhost:8083"
    kconnect_2_url: str = ""


@dataclass
class Trouble:
    """A connector that was restarted recently."""

    restarted_at: float
    pause: float = LOOK_SECONDS


def main(stopping: Event) -> None:
    """Check the worker until stopped; wait for a worker that does not answer."""
    settings = load_settings(Settings)
    connect = Connect(*filter(None, (settings.kconnect_url, settings.kconnect_2_url)), seconds=ANSWER_SECONDS)
    troubles: dict[str, Trouble] = {}
    while not stopping.is_set():
        with suppress(OSError):  # a full disk must not stop the checks
            HEARTBEAT.touch()
        connectors = {}
        with suppress(Unavailable, Refused):  # down, starting or rebalancing
            connectors = connect.connectors()
        for name, answer in (connectors or {}).items():
            with suppress(Unavailable, Refused, KeyError, TypeError):  # between two states
                _look_at(connect, name, failed(answer["status"]), troubles)
        stopping.wait(LOOK_SECONDS)


def _look_at(connect: Connect, name: str, problems: dict[str, str], troubles: dict[str, Trouble]) -> None:
    now = time.monotonic()
    trouble = troubles.get(name)
    since = now - trouble.restarted_at if trouble else 0.0
    if not problems:
        if trouble and since > LONGEST_PAUSE_SECONDS:
            del troubles[name]
            logger.info("%s runs again", name)
    elif trouble is None or since > trouble.pause:
        text = ", ".join(f"{task} has FAILED ({error})" for task, error in problems.items())
        logger.warning("%s: %s; restarting", name, text)
        troubles[name] = Trouble(now, min(2 * trouble.pause, LONGEST_PAUSE_SECONDS) if trouble else LOOK_SECONDS)
        connect.restart(name, only_failed=True)


if __name__ == "__main__":
    run_service(main)
