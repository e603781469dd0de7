"""What the launcher of the local mode knows of its processes: it writes that to a file, at least every second.

Docker's containers are known by their names, which its DNS has as long as they run.
"""

import asyncio
import json
import re
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from console.events import RESTART, Event
from console.state import Health
from runtime import services

# A state file that the launcher has not written for this long is stale.
STALE_SECONDS = 15.0
# Only the launcher or Docker knows the health of these: they have no port, need credentials, or another service answers for them.
UNASKED = (services.BANK, services.WATCHDOG, services.KSQLDB_2, services.MONGODB, services.S3)


@dataclass(frozen=True)
class Process:
    """`gone`: why the process before it ended; `gone_at` and `back_at`: when that was, and when the service was healthy again."""

    phase: str
    gone: str = ""
    gone_at: float = 0.0
    back_at: float | None = None


def age(file: Path) -> float:
    """Seconds since the launcher wrote the file; none when it is gone, as that of a stack that has just stopped."""
    try:
        return time.time() - file.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def read(file: Path | None) -> dict[str, Process]:
    """Every service's process; nothing when there is no launcher, or none that still writes."""
    try:
        if file is None or age(file) > STALE_SECONDS:
            return {}
        return {
            name: Process(*(service[field] for field in ("phase", "gone", "gone_at", "back_at")))
            for name, service in json.loads(file.read_text())["services"].items()
        }
    except (OSError, ValueError, KeyError):
        return {}


def health(processes: Mapping[str, Process]) -> dict[str, Health]:
    """Of the services that only the launcher can be asked about."""
    return {
        name: Health(process.phase == "ready", "" if process.phase == "ready" else process.phase)
        for name, process in processes.items()
        if name in UNASKED
    }


def silent(file: Path | None) -> dict[str, Health]:
    """The launcher, when there is one that does not write: nothing is known of its services, and none is restarted."""
    if file is None or age(file) <= STALE_SECONDS:
        return {}
    return {"launcher": Health(False, f"it has not written for {STALE_SECONDS:.0f} s and restarts nothing")}


def restarts(processes: Mapping[str, Process]) -> list[Event]:
    """The last restart of each service that was restarted."""
    return [
        Event(RESTART, name, f"{name} was restarted: it {_reason(process.gone)}", process.gone_at, process.back_at)
        for name, process in processes.items()
        if process.gone
    ]


async def containers(names: Iterable[str]) -> dict[str, Health]:
    """Whether the containers of these services run, of those that cannot be asked themselves."""
    loop, found = asyncio.get_running_loop(), {}
    for name in names:
        if name in UNASKED:
            try:
                await loop.getaddrinfo(name, None)
                found[name] = Health(True, "its container runs")
            except OSError:
                found[name] = Health(False, "its container does not run")
    return found


def _reason(gone: str) -> str:
    return re.sub(
        r"ended with exit code -(\d+)", lambda code: f"was ended by {signal.Signals(int(code[1])).name}", gone
    )
