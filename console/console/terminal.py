"""The state in a terminal. `status` is what /api/state says; the launcher adds its processes to it."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from contracts import topics

Status = Mapping[str, Any]


def table(status: Status) -> RenderableType:
    """Everything, the verdict last, where the eye is."""
    shown: list[RenderableType] = []
    if "processes" in status:
        shown.append(_processes(status["processes"]))
    if "parts" in status:
        shown += [_parts(status["parts"]), _topics(status), _groups(status["groups"])]
        shown += [_connectors(status["connectors"]), _queries(status["queries"])]
    if "logs" in status:
        shown.append(Text(f"logs: {status['logs']}"))
    if status.get("counting"):
        shown.append(Text("what was there before the console started is still being counted", "yellow"))
    problems = [Text(f"▲ {fault}", "red") for fault in status["faults"]]
    problems += [Text(f"▲ {warning}", "yellow") for warning in status.get("warnings", ())]
    shown += problems or [Text("● all is well", "green")]
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


def _parts(parts: Mapping[str, Any]) -> Table:
    rows = _table("parts", "part", "state", "detail")
    for name, part in parts.items():
        rows.add_row(name, _word("up" if part["up"] else "down", part["up"]), part["detail"])
    return rows


def _topics(status: Status) -> Table:
    rows = _table("topics", "topic", "records", "a second")
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
        made.add_column(column, justify="right" if column in ("records", "a second", "memory") else "left")
    return made


def _runs(one: Mapping[str, Any]) -> bool:
    return one["state"] == "RUNNING"


def _word(text: str, well: bool) -> Text:
    return Text(text, "green" if well else "bold red")
