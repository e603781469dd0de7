"""The processing log: what a query says about a record that it could not process."""

from __future__ import annotations

from local.ksqldb_emulator.serde import SerdeError
from local.ksqldb_emulator.serde import string_text as text

# What the real server declares over the topic, so that the log can be queried.
STREAM_NAME = "KSQL_PROCESSING_LOG"
STREAM_COLUMNS = (
    "LOGGER VARCHAR, LEVEL VARCHAR, TIME BIGINT, MESSAGE STRUCT<"
    "TYPE INTEGER, "
    "DESERIALIZATIONERROR STRUCT<TARGET VARCHAR, ERRORMESSAGE VARCHAR, RECORDB64 VARCHAR, CAUSE ARRAY<VARCHAR>, "
    "`topic` VARCHAR>, "
    "RECORDPROCESSINGERROR STRUCT<ERRORMESSAGE VARCHAR, RECORD VARCHAR, CAUSE ARRAY<VARCHAR>>, "
    "PRODUCTIONERROR STRUCT<ERRORMESSAGE VARCHAR>, "
    "SERIALIZATIONERROR STRUCT<TARGET VARCHAR, ERRORMESSAGE VARCHAR, RECORD VARCHAR, CAUSE ARRAY<VARCHAR>, "
    "`topic` VARCHAR>, "
    "KAFKASTREAMSTHREADERROR STRUCT<ERRORMESSAGE VARCHAR, THREADNAME VARCHAR, CAUSE ARRAY<VARCHAR>>>"
)


def stream_statement(topic: str) -> str:
    """The statement that declares the log of a server as a stream."""
    return f"CREATE STREAM {STREAM_NAME} ({STREAM_COLUMNS}) WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='JSON');"


def deserialization_error(query_id: str, topic: str, error: SerdeError, time_ms: int, with_record: bool) -> bytes:
    """The log's record about a record of `topic` that a query could not read. `time_ms` is the time of the event."""
    record = text(error.record_base64) if with_record else "null"
    return (
        f'{{"logger":"processing.{query_id}.KsqlTopic.Source.deserializer","level":"ERROR","time":{time_ms},'
        f'"message":{{"type":0,"deserializationError":{{"target":{text(error.target)},'
        f'"errorMessage":{text(error.message)},"recordB64":{record},'
        f'"cause":[{",".join(map(text, error.causes))}],"topic":{text(topic)}}},'
        '"recordProcessingError":null,"productionError":null,"serializationError":null,'
        '"kafkaStreamsThreadError":null}}'
    ).encode()
