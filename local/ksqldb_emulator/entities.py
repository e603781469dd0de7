"""The answers of /ksql, in ksqlDB's shapes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from local.ksqldb_emulator.javatext import hash_ordered
from local.ksqldb_emulator.metastore import Stream
from local.ksqldb_emulator.planner import QueryPlan
from local.ksqldb_emulator.processing_log import STREAM_NAME
from local.ksqldb_emulator.sqltypes import Column, SqlType

Entity = dict[str, Any]


@dataclass(frozen=True)
class PersistentQuery:
    """A query that runs until it is terminated, and writes the stream `sink`."""

    query_id: str
    statement: str
    sink: Stream
    plan: QueryPlan
    auto_offset_reset: str


def current_status(text: str, command_id: str, message: str, query_id: str | None, sequence: int) -> Entity:
    """A statement was carried out; `sequence` is its offset in the command topic."""
    return {
        "@type": "currentStatus",
        "statementText": text,
        "commandId": command_id,
        "commandStatus": {"status": "SUCCESS", "message": message, "queryId": query_id},
        "commandSequenceNumber": sequence,
        "warnings": [],
    }


def warning(text: str, message: str) -> Entity:
    """A statement had nothing to do."""
    return {"@type": "warning_entity", "statementText": text, "message": message, "warnings": []}


def streams_list(text: str, streams: Iterable[Stream]) -> Entity:
    """SHOW STREAMS. The real server's order differs from start to start; here it is by name, its own stream last."""
    ordered = sorted(streams, key=lambda stream: (stream.name == STREAM_NAME, stream.name))
    return {
        "@type": "streams",
        "statementText": text,
        "streams": [
            {
                "type": "STREAM",
                "name": stream.name,
                "topic": stream.topic,
                "keyFormat": stream.key_format,
                "valueFormat": stream.value_format,
                "isWindowed": False,
            }
            for stream in ordered
        ],
        "warnings": [],
    }


def queries_list(text: str, queries: Iterable[tuple[PersistentQuery, str]]) -> Entity:
    """SHOW QUERIES: queries and their states."""
    return {
        "@type": "queries",
        "statementText": text,
        "queries": [_running_query(query, state) for query, state in _ordered(queries)],
        "warnings": [],
    }


def source_description(
    text: str,
    stream: Stream,
    readers: Iterable[tuple[PersistentQuery, str]],
    writers: Iterable[tuple[PersistentQuery, str]],
    constraints: list[str],
    partitions: int,
    replicas: int,
) -> Entity:
    """DESCRIBE."""
    return {
        "@type": "sourceDescription",
        "statementText": text,
        "sourceDescription": {
            "name": stream.name,
            "windowType": None,
            "readQueries": [_running_query(query, state) for query, state in _ordered(readers)],
            "writeQueries": [_running_query(query, state) for query, state in _ordered(writers)],
            "fields": [{**_field(column), "type": "KEY"} for column in stream.schema.key]
            + [_field(column) for column in stream.schema.value],
            "type": "STREAM",
            "timestamp": "",
            "statistics": "",
            "errorStats": "",
            "extended": False,
            "keyFormat": stream.key_format,
            "valueFormat": stream.value_format,
            "topic": stream.topic,
            "partitions": partitions,
            "replication": replicas,
            "statement": stream.statement,
            "queryOffsetSummaries": [],
            "sourceConstraints": constraints,
            "clusterStatistics": [],
            "clusterErrorStats": [],
        },
        "warnings": [],
    }


def _ordered(queries: Iterable[tuple[PersistentQuery, str]]) -> list[tuple[PersistentQuery, str]]:
    return hash_ordered(queries, lambda item: item[0].query_id)


def _running_query(query: PersistentQuery, state: str) -> Entity:
    return {
        "queryString": query.statement,
        "sinks": [query.sink.name],
        "sinkKafkaTopics": [query.sink.topic],
        "id": query.query_id,
        "statusCount": {state: 1},
        "queryType": "PERSISTENT",
        "state": state,
    }


def _field(column: Column) -> Entity:
    return {"name": column.name, "schema": _schema(column.type)}


def _schema(sql_type: SqlType) -> Entity:
    if sql_type.base == "STRUCT":
        return {"type": "STRUCT", "fields": [_field(column) for column in sql_type.fields], "memberSchema": None}
    if sql_type.element is not None:
        return {"type": "ARRAY", "fields": None, "memberSchema": _schema(sql_type.element)}
    if sql_type.base == "DECIMAL":
        parameters = {"precision": sql_type.precision, "scale": sql_type.scale}
        return {"type": "DECIMAL", "parameters": parameters, "fields": None, "memberSchema": None}
    return {"type": sql_type.base, "fields": None, "memberSchema": None}
