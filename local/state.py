"""The state file: what the other commands (`--status`, `--stop`, `--topic`) know of the running stack."""

import json
import os
from pathlib import Path
from typing import Any

import psutil

from local.settings import Settings
from local.supervisor import Supervisor, created, find_process

MIB = 1024 * 1024


def launcher_alone(settings: Settings) -> dict[str, Any]:
    """What is to be known before there are services: who is starting them."""
    own = _process(os.getpid())
    return {
        "launcher": own,
        "ports": settings.ports.model_dump(),
        "kafka_brokers": settings.kafka_brokers,
        "kafka_secure": settings.kafka_secure,
        "ready": False,
        "ready_seconds": None,
        "services": {},
        "rss_mib": own["rss_mib"],
        "logs": str(settings.folders.logs),
        "counts": None,
    }


def snapshot(supervisor: Supervisor, settings: Settings, counts: dict[str, Any] | None) -> dict[str, Any]:
    """Everything about the stack at this moment. Memory is resident MiB; services that do not run have none."""
    services = {}
    for name, run in supervisor.runs.items():
        if run.program.ready is None:
            continue
        pid = run.process.pid if run.process is not None and run.process.poll() is None else None
        services[name] = {
            "phase": str(run.phase),
            "port": run.program.port,
            "restarts": run.restarts,
            "gone": run.gone,
            "gone_at": run.gone_at,
            "back_at": run.back_at,
            **_process(pid),
        }
    alone = launcher_alone(settings)
    return {
        **alone,
        "ready": supervisor.all_ready,
        "ready_seconds": supervisor.ready_seconds,
        "services": services,
        "rss_mib": alone["rss_mib"] + sum(service["rss_mib"] for service in services.values()),
        "counts": counts,
    }


def with_processes(found: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    """What the console has found, with the launcher's processes and what is wrong with them."""
    told = tuple(found["faults"])
    faults = [
        f"{name} is {service['phase']}"
        for name, service in state["services"].items()
        if service["phase"] != "ready"
        and not any(fault.startswith((f"{name} is down", f"{name} waits for")) for fault in told)
    ]
    return {
        **found,
        "healthy": found["healthy"] and state["ready"],
        "faults": [*faults, *found["faults"]],
        "processes": state["services"],
        "logs": state["logs"],
    }


def as_they_are(state: dict[str, Any]) -> dict[str, Any]:
    """The state of a launcher that cannot write: which of the processes that it had then still run."""
    services = {
        name: service if alive(service) else {**service, "phase": "gone", "pid": None, "rss_mib": 0}
        for name, service in state["services"].items()
    }
    return {**state, "services": services}


def _process(pid: int | None) -> dict[str, Any]:
    if pid is not None:
        try:
            process = psutil.Process(pid)
            return {"pid": pid, "created": created(process), "rss_mib": process.memory_info().rss // MIB}
        except (psutil.NoSuchProcess, ProcessLookupError):
            pass
    return {"pid": None, "created": None, "rss_mib": 0}


def write(state: dict[str, Any], file: Path) -> None:
    """Replace the file in one step, so that a reader never sees half of it.

    It is not waited for until it is on the disk: after a power cut nothing in it is true, and read() takes half a file as none.
    """
    temporary = file.with_suffix(".tmp")
    temporary.write_text(json.dumps(state, indent=1))
    temporary.replace(file)


def read(file: Path) -> dict[str, Any] | None:
    """What was written last, whether or not its writer still lives; None when nothing was, or not all of it."""
    try:
        found = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return (
        found
        if isinstance(found, dict)
        and {"launcher", "ports", "kafka_brokers", "kafka_secure", "services"} <= found.keys()
        else None
    )


def process_of(entry: dict[str, Any]) -> psutil.Process | None:
    """The process of a state's launcher or service, if it still runs (and is not another one with its number)."""
    return None if entry["pid"] is None else find_process(entry["pid"], entry["created"])


def alive(entry: dict[str, Any] | None) -> bool:
    """Whether it still runs."""
    return entry is not None and process_of(entry) is not None
