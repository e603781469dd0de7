"""The server's answers as tables."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

Entity = Mapping[str, Any]


def shown(entity: Entity) -> RenderableType:  # noqa: PLR0911 - one a kind
    """An answer as a person reads it; of a kind that is not known here, its list or all of it as JSON."""
    match entity:
        case {"commandStatus": {"message": str(message)}}:
            return Text(message)
        case {"streams": list(streams)} | {"tables": list(streams)}:
            return _sources(streams)
        case {"topics": list(topics)}:
            return _topics(topics)
        case {"queries": list(queries)}:
            return _queries(queries)
        case {"sourceDescription": dict(source)}:
            return _description(source)
        case {"@type": "warning_entity", "message": str(message)}:
            return Text(message, "yellow")
    for value in entity.values():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return _table(list(value[0]), (one.values() for one in value))
    return Text(json.dumps({name: value for name, value in entity.items() if name != "@type"}, indent=1))


def head(columns: Sequence[str], width: int) -> Table:
    """The head of a table whose rows are not there yet."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for column in columns:
        table.add_column(column, width=_each(columns, width), overflow="fold")
    return table


def row(values: Sequence[Any], width: int) -> Table:
    """One more row under such a head."""
    table = Table(box=None, show_header=False)
    for _ in values:
        table.add_column(width=_each(values, width), overflow="fold")
    table.add_row(*map(_cell, values))
    return table


def _each(columns: Sequence[Any], width: int) -> int:
    return max(width // max(len(columns), 1) - 3, 4)


def _sources(sources: list[Entity]) -> Table:
    return _table(
        ["Name", "Kafka Topic", "Key Format", "Value Format", "Windowed"],
        ([one["name"], one["topic"], one["keyFormat"], one["valueFormat"], one["isWindowed"]] for one in sources),
    )


def _topics(topics: list[Entity]) -> Table:
    def replicas(counts: list[int]) -> str:
        return ", ".join(map(str, counts if len(set(counts)) > 1 else counts[:1]))

    return _table(
        ["Kafka Topic", "Partitions", "Partition Replicas"],
        ([one["name"], len(one["replicaInfo"]), replicas(one["replicaInfo"])] for one in topics),
    )


def _queries(queries: list[Entity]) -> Table:
    return _table(
        ["Query ID", "Query Type", "Status", "Sink Name", "Sink Kafka Topic", "Query String"],
        (
            [
                one["id"],
                one["queryType"],
                ", ".join(f"{state}:{count}" for state, count in one["statusCount"].items()),
                ", ".join(one["sinks"] or []),
                ", ".join(one["sinkKafkaTopics"] or []),
                one["queryString"],
            ]
            for one in queries
        ),
    )


def _description(source: Entity) -> RenderableType:
    found: list[RenderableType] = [Text(f"Name: {source['name']}    Kafka Topic: {source['topic']}")]
    rows = (
        [one["name"], _type(one["schema"]) + (" (key)" if one.get("type") == "KEY" else "")] for one in source["fields"]
    )
    found.append(_table(["Field", "Type"], rows))
    for title, name in (("Queries that read from this", "readQueries"), ("Queries that write to this", "writeQueries")):
        if source[name]:
            found += [Text(title), _queries(source[name])]
    return Group(*found)


def _type(schema: Entity) -> str:
    match schema:
        case {"type": "STRUCT", "fields": list(fields)}:
            inside = ", ".join(f"{one['name']} {_type(one['schema'])}" for one in fields)
            return f"STRUCT<{inside}>"
        case {"memberSchema": dict(member)}:
            return f"{schema['type']}<{_type(member)}>"
    name = schema["type"]
    return "VARCHAR(STRING)" if name == "STRING" else name


def _table(columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for values in rows:
        table.add_row(*map(_cell, values))
    return table


def _cell(value: Any) -> Text:
    if isinstance(value, str):
        return Text(value)
    return Text("null" if value is None else json.dumps(value, ensure_ascii=False))
