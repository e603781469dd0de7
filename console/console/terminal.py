"""The state in a terminal. `status` is what /api/state says; the launcher adds its processes to it."""

import sys
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from console import header
from console.events import Event
from contracts import topics
from runtime.disk import Space

Status = Mapping[str, Any]
# The width of what is no terminal, a log for one.
PIPE_WIDTH = 130


def screen() -> Console:
    """Where tables are printed."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)


def table(status: Status) -> RenderableType:
    """Everything, the verdict last, where the eye is."""
    shown: list[RenderableType] = []
    if "processes" in status:
        shown.append(_processes(status["processes"]))
    if "services" in status:
        shown += [_services(status), _brokers(status["cluster"])]
        shown += [_topics(status), _groups(status["groups"])]
        shown += [_connectors(status["connectors"]), _queries(status["queries"])]
    if "logs" in status:
        shown.append(Text(f"logs: {status['logs']}"))
    if status.get("counting"):
        shown.append(Text("what was there before the console started is still being counted", "yellow"))
    problems = [Text(f"▲ {fault}", "red") for fault in status["faults"]]
    problems += [Text(f"▲ {warning}", "yellow") for warning in status.get("warnings", ())]
    shown += [Text(header.was(Event(**event), time.time()), "yellow") for event in status.get("recent", ())]
    shown += problems or [Text("● everything is healthy", "green")]
    return Group(*shown)


def _processes(processes: Mapping[str, Any]) -> Table:
    rows = _table("processes", "process", "state", "port", "pid", "memory", "restarts")
    for name, process in processes.items():
        rows.add_row(
            name,
            _word(process["phase"], process["phase"] == "ready"),
            str(process["port"] or ""),
            str(process["pid"] or ""),
            f"{process['rss_mib']} MiB",
            str(process["restarts"] or ""),
        )
    return rows


def _services(status: Status) -> Table:
    rows = _table("services", "service", "state", "detail")
    for name, service in status["services"].items():
        rows.add_row(name, _word("up" if service["up"] else "down", service["up"]), service["detail"])
    if status["disk"]:
        left = Space(**status["disk"])
        rows.add_row("disk", _word(left.state, not left.problem), left.left)
    return rows


def _brokers(cluster: Mapping[str, Any]) -> Table:
    short = f"{cluster['under_replicated']} under-replicated, {cluster['offline']} offline partitions"
    rows = _table(f"brokers: {short}", "broker", "state", "address", "leads", "in sync")
    for name, broker in cluster["brokers"].items():
        up = bool(broker["address"])
        state, replicas = _word("up" if up else "down", up), f"{broker['in_sync']} of {broker['replicas']} replicas"
        rows.add_row(name, state, broker["address"], f"{broker['leads']} partitions", replicas)
    return rows


def _topics(status: Status) -> Table:
    rows = _table("topics", "topic", "records", "per second")
    for name, topic in status["topics"].items():
        dead = name in topics.DEAD_LETTERS and topic["records"]
        rows.add_row(name, f"{topic['records']:,}", f"{topic['rate']:,.1f}", style="red" if dead else None)
    return rows


def _groups(groups: Mapping[str, Any]) -> Table:
    rows = _table("consumer groups", "group", "members", "lag")
    for name, group in groups.items():
        lag = ", ".join(f"{topic} {behind:,}" for topic, behind in group["lag"].items())
        rows.add_row(name, "?" if group["members"] is None else str(group["members"]), lag)
    return rows


def _connectors(connectors: Mapping[str, Any]) -> Table:
    rows = _table("connectors", "connector", "state", "tasks")
    for name, connector in connectors.items():
        tasks = Text(" ").join(_word(f"task {task['id']} {task['state']}", _runs(task)) for task in connector["tasks"])
        rows.add_row(name, _word(connector["state"], _runs(connector)), tasks)
    return rows


def _queries(queries: Mapping[str, Any]) -> Table:
    rows = _table("queries", "query", "state", "writes to")
    for name, query in queries.items():
        rows.add_row(name, _word(query["state"], _runs(query)), query["sink"])
    return rows


def _table(title: str, first: str, *columns: str) -> Table:
    made = Table(title=title, title_justify="left")
    made.add_column(first, overflow="fold")
    for column in columns:
        made.add_column(column, justify="right" if column in ("records", "per second", "memory") else "left")
    return made


def _runs(one: Mapping[str, Any]) -> bool:
    return one["state"] == "RUNNING"


def _word(text: str, healthy: bool) -> Text:
    return Text(text, "green" if healthy else "bold red")
