"""The processing log: what a query says about a record that it could not process."""

import base64
from typing import Any

import orjson

from local.ksqldb_emulator.serde import Unreadable

# What the real server declares over the topic, without its arrays (CAUSE), so that the log can be queried.
STREAM_NAME = "KSQL_PROCESSING_LOG"
STREAM_COLUMNS = (
    "LOGGER VARCHAR, LEVEL VARCHAR, TIME BIGINT, MESSAGE STRUCT<TYPE INTEGER, "
    "DESERIALIZATIONERROR STRUCT<TARGET VARCHAR, ERRORMESSAGE VARCHAR, RECORDB64 VARCHAR, `topic` VARCHAR>, "
    "RECORDPROCESSINGERROR STRUCT<ERRORMESSAGE VARCHAR, RECORD VARCHAR>, "
    "PRODUCTIONERROR STRUCT<ERRORMESSAGE VARCHAR>, "
    "SERIALIZATIONERROR STRUCT<TARGET VARCHAR, ERRORMESSAGE VARCHAR, RECORD VARCHAR, `topic` VARCHAR>, "
    "KAFKASTREAMSTHREADERROR STRUCT<ERRORMESSAGE VARCHAR, THREADNAME VARCHAR>>"
)
# The kinds of events by ksqlDB's own numbers; an entry has a place for each.
_KINDS = (
    "deserializationError",
    "recordProcessingError",
    "productionError",
    "serializationError",
    "kafkaStreamsThreadError",
)
# Base64 makes a third more of a record: a larger one would make an entry that the topic does not take.
MAX_RECORD_BYTES = 700_000


def stream_statement(topic: str) -> str:
    """The statement that declares the log of a server as a stream."""
    return f"CREATE STREAM {STREAM_NAME} ({STREAM_COLUMNS}) WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='JSON');"


def deserialization_error(query_id: str, topic: str, error: Unreadable, time_ms: int, with_record: bool) -> bytes:
    """The entry about a record of `topic` that a query could not read. `time_ms` is the time of the event."""
    size, record = len(error.record), None
    message = f"Failed to deserialize value from topic: {topic}. {error}"
    if size > MAX_RECORD_BYTES:
        message += f" (its {size} bytes are too many for this log)"
    elif with_record:
        record = base64.b64encode(error.record).decode()
    details = {"target": "value", "errorMessage": message, "recordB64": record, "cause": [str(error)], "topic": topic}
    return _entry(f"{query_id}.KsqlTopic.Source.deserializer", time_ms, "deserializationError", details)


def production_error(query_id: str, topic: str, problem: str, time_ms: int) -> bytes:
    """The entry about a row that `topic` does not take."""
    details = {"errorMessage": f"A row could not be written to topic: {topic}. {problem}"}
    return _entry(query_id, time_ms, "productionError", details)


def _entry(logger: str, time_ms: int, kind: str, details: dict[str, Any]) -> bytes:
    message = {"type": _KINDS.index(kind), **dict.fromkeys(_KINDS), kind: details}
    return orjson.dumps({"logger": f"processing.{logger}", "level": "ERROR", "time": time_ms, "message": message})
