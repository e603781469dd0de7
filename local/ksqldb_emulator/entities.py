"""The answers of /ksql, in ksqlDB's shapes."""

from collections.abc import Iterable
from typing import Any

from local.ksqldb_emulator.planner import PersistentQuery
from local.ksqldb_emulator.processing_log import STREAM_NAME
from local.ksqldb_emulator.schema import Field, SqlType, Stream
from local.ksqldb_emulator.topics import Topic

Entity = dict[str, Any]


def entity(kind: str, text: str, **fields: Any) -> Entity:
    """The answer to the statement `text`."""
    return {"@type": kind, "statementText": text, **fields, "warnings": []}


def carried_out(text: str, command_id: str, message: str, sequence: int, query_id: str | None = None) -> Entity:
    """A statement was carried out; `sequence` is its offset in the command topic."""
    status = {"status": "SUCCESS", "message": message, "queryId": query_id}
    return entity("currentStatus", text, commandId=command_id, commandStatus=status, commandSequenceNumber=sequence)


def streams_list(text: str, streams: Iterable[Stream]) -> Entity:
    """SHOW STREAMS: by name, the server's own stream last."""
    formats = {"keyFormat": "KAFKA", "valueFormat": "JSON", "isWindowed": False}
    listed = [
        {"type": "STREAM", "name": stream.name, "topic": stream.topic, **formats}
        for stream in sorted(streams, key=lambda stream: (stream.name == STREAM_NAME, stream.name))
    ]
    return entity("streams", text, streams=listed)


def queries_list(text: str, queries: Iterable[tuple[PersistentQuery, str]]) -> Entity:
    """SHOW QUERIES: queries and their states."""
    return entity("queries", text, queries=[_running(query, state) for query, state in queries])


def topics_list(text: str, topics: Iterable[Topic]) -> Entity:
    """SHOW TOPICS."""
    listed = [{"name": topic.name, "replicaInfo": [topic.replicas] * topic.partitions} for topic in topics]
    return entity("kafka_topics", text, topics=listed)


def source_description(
    text: str, stream: Stream, queries: list[tuple[PersistentQuery, str]], readers: list[str], topic: Topic | None
) -> Entity:
    """DESCRIBE. `readers` are the streams that were made from this one."""
    return entity(
        "sourceDescription",
        text,
        sourceDescription={
            "name": stream.name,
            "windowType": None,
            "readQueries": [
                _running(query, state) for query, state in queries if query.plan.source.name == stream.name
            ],
            "writeQueries": [_running(query, state) for query, state in queries if query.sink.name == stream.name],
            "fields": [{**_field(column), "type": "KEY"} for column in stream.key] + list(map(_field, stream.value)),
            "type": "STREAM",
            "timestamp": "",
            "statistics": "",
            "errorStats": "",
            "extended": False,
            "keyFormat": "KAFKA",
            "valueFormat": "JSON",
            "topic": stream.topic,
            "partitions": topic.partitions if topic else 0,
            "replication": topic.replicas if topic else 0,
            "statement": stream.statement,
            "queryOffsetSummaries": [],
            "sourceConstraints": readers,
            "clusterStatistics": [],
            "clusterErrorStats": [],
        },
    )


def _running(query: PersistentQuery, state: str) -> Entity:
    return {
        "queryString": query.sink.statement,
        "sinks": [query.sink.name],
        "sinkKafkaTopics": [query.sink.topic],
        "id": query.query_id,
        "statusCount": {state: 1},
        "queryType": "PERSISTENT",
        "state": state,
    }


def _field(column: Field) -> Entity:
    return {"name": column.name, "schema": _schema(column.type)}


def _schema(sql_type: SqlType) -> Entity:
    return {
        "type": sql_type.base,
        "fields": list(map(_field, sql_type.fields)) if sql_type.base == "STRUCT" else None,
        "memberSchema": None,
    }
