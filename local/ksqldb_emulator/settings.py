"""Settings of the emulator: the environment, and the file of settings that Docker Compose gives the real server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from contracts.kafka import client_config

SERVER_SETTINGS = Path(__file__).resolve().parents[2] / "ksqldb" / "ksqldb-server.env"


@dataclass(frozen=True)
class Settings:
    """Everything that the emulator has to be told. Times are in milliseconds."""

    kafka_client: Mapping[str, str]
    host: str
    port: int
    service_id: str
    auto_offset_reset: str
    commit_interval_ms: int
    session_timeout_ms: int
    log_topic_create: bool
    log_stream_create: bool
    log_topic_partitions: int
    log_topic_replicas: int
    log_records: bool

    @property
    def log_topic(self) -> str:
        """The topic of the processing log."""
        return f"{self.service_id}ksql_processing_log"

    @property
    def command_topic(self) -> str:
        """The topic that keeps the statements."""
        return f"_confluent-ksql-{self.service_id}_command_topic"

    def group_of(self, query_id: str) -> str:
        """The consumer group of a persistent query, and its transactional id."""
        return f"_confluent-ksql-{self.service_id}query_{query_id}"

    def kafka(self) -> dict[str, str | int | float | bool]:
        """What every Kafka client needs to connect."""
        return {**self.kafka_client}


def load(environment: Mapping[str, str] = os.environ, file: Path = SERVER_SETTINGS) -> Settings:
    """Read the settings.

    Raises SettingsError when KAFKA_BOOTSTRAP_SERVER is missing, OSError when the file is.
    """
    properties = read_properties(file.read_text("utf-8"))

    def flag(name: str) -> bool:
        return properties.get(name, "false") == "true"

    return Settings(
        kafka_client=client_config(environment),
        host=environment.get("KSQLDB_HOST", "127.0.0.1"),
        port=int(environment.get("KSQLDB_PORT", "8088")),
        service_id=properties["ksql.service.id"],
        auto_offset_reset=properties.get("ksql.streams.auto.offset.reset", "latest"),
        commit_interval_ms=int(properties.get("ksql.streams.commit.interval.ms", "2000")),
        session_timeout_ms=int(properties.get("ksql.streams.session.timeout.ms", "45000")),
        log_topic_create=flag("ksql.logging.processing.topic.auto.create"),
        log_stream_create=flag("ksql.logging.processing.stream.auto.create"),
        log_topic_partitions=int(properties.get("ksql.logging.processing.topic.partitions", "1")),
        log_topic_replicas=int(properties.get("ksql.logging.processing.topic.replication.factor", "1")),
        log_records=flag("ksql.logging.processing.rows.include"),
    )


def read_properties(text: str) -> dict[str, str]:
    """The server's properties from `KSQL_NAME=value` lines, named as its image names them: ksql.a.b is KSQL_KSQL_A_B."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.removeprefix("KSQL_").lower().replace("_", "."): value for name, _, value in pairs}
