"""Settings of the emulator: the environment, and the file of settings that Docker Compose gives the real server."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.kafka import client_config
from runtime.services import query_group

SERVER_SETTINGS = Path(__file__).resolve().parents[2] / "ksqldb" / "ksqldb-server.env"


@dataclass(frozen=True)
class Settings:
    """Where it listens, which broker it uses, and the server's own properties."""

    kafka: Mapping[str, str]
    host: str
    port: int
    properties: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        """A property of the server. Raises KeyError when its file does not have it."""
        return self.properties[f"ksql.{name}"]

    @property
    def log_topic(self) -> str:
        """The topic of the processing log."""
        return f"{self['service.id']}ksql_processing_log"

    @property
    def command_topic(self) -> str:
        """The topic that keeps the statements."""
        return f"_confluent-ksql-{self['service.id']}_command_topic"

    def reset(self, request: Mapping[str, Any]) -> Any:
        """From where a query reads: the request's own properties go before the server's."""
        asked = request.get("auto.offset.reset") or request.get("ksql.streams.auto.offset.reset")
        return asked or self["streams.auto.offset.reset"]

    def group_of(self, query_id: str) -> str:
        """The consumer group of a persistent query, and its transactional id."""
        return query_group(self["service.id"], query_id)


def load(environment: Mapping[str, str] = os.environ, file: Path = SERVER_SETTINGS) -> Settings:
    """Read the settings. Raises UserError when KAFKA_BOOTSTRAP_SERVER is missing, OSError when the file is."""
    host, port = environment.get("KSQLDB_HOST", "127.0.0.1"), int(environment.get("KSQLDB_PORT", "8088"))
    return Settings(client_config(environment), host, port, read_properties(file.read_text("utf-8"), environment))


def read_properties(text: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The server's properties from `KSQL_NAME=value` lines, named as its image names them: ksql.a.b is KSQL_KSQL_A_B.

    What the environment has goes before the file, as it does in Docker Compose.
    """
    pairs = (*(line.partition("=")[::2] for line in text.splitlines()), *environment.items())
    return {name[5:].lower().replace("_", "."): value for name, value in pairs if name.startswith("KSQL_")}
