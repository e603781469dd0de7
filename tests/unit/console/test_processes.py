"""What the console takes from the launcher's file, and from Docker's names."""

import asyncio
import json
import os
import time
from pathlib import Path

import pytest

from console.events import RESTART, Event
from console.processes import STALE_SECONDS, Process, containers, health, read, restarts
from console.state import Health
from local import state
from runtime import services
from tests.support.supervised import SLEEP, Running, part
from tests.unit.test_disk import settings


def test_what_the_launcher_writes_is_what_the_console_reads(tmp_path: Path) -> None:
    """A process that is killed: why and from when to when it was gone."""
    began = time.time()
    running = Running([part(services.BANK, SLEEP)], tmp_path)
    one = running.supervisor.runs[services.BANK]
    running.until(lambda: running.supervisor.all_ready)
    assert one.process is not None
    one.process.kill()
    running.until(lambda: one.restarts and running.supervisor.all_ready)
    file = tmp_path / "state.json"
    state.write(state.snapshot(running.supervisor, settings(tmp_path), None), file)
    running.stop()
    found = read(file)
    (event,) = restarts(found)
    assert event.text == f"{services.BANK} was restarted: it was ended by SIGKILL"
    assert event.kind == RESTART
    assert event.ended is not None
    assert began < event.began < event.ended < time.time()


def test_a_file_that_nobody_writes_any_more_says_nothing(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    assert read(None) == read(file) == {}
    service = {"phase": "ready", "gone": "", "gone_at": 0.0, "back_at": None}
    file.write_text(json.dumps({"services": {services.S3: service}}))
    assert read(file) == {services.S3: Process("ready")}
    old = time.time() - STALE_SECONDS - 1
    os.utime(file, (old, old))
    assert read(file) == {}
    file.write_text("{")
    assert read(file) == {}


def test_only_those_that_cannot_be_asked_are_judged_by_the_launcher() -> None:
    found = {
        services.KAFKA: Process("restarting"),
        services.MONGODB: Process("restarting"),
        services.S3: Process("ready"),
    }
    assert health(found) == {services.MONGODB: Health(False, "restarting"), services.S3: Health(True)}
    assert restarts({services.S3: Process("ready")}) == []
    gone = Process("starting", "ended with exit code 1", 5.0)
    assert restarts({services.S3: gone}) == [
        Event(RESTART, services.S3, "s3 was restarted: it ended with exit code 1", 5.0)
    ]


def test_containers_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    async def names() -> dict[str, Health]:
        async def resolve(name: str, _port: None) -> None:
            if name != services.WATCHDOG:
                raise OSError

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
        return await containers([services.BANK, services.WATCHDOG, "monitoring", ""])

    assert asyncio.run(names()) == {
        services.BANK: Health(False, "its container does not run"),
        services.WATCHDOG: Health(True, "its container runs"),
    }
