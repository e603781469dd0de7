"""The environment and the server's own settings."""

from __future__ import annotations

import pytest

from local.ksqldb_emulator import settings
from runtime.errors import UserError


def test_the_servers_own_file_is_what_counts() -> None:
    loaded = settings.load({"KAFKA_BOOTSTRAP_SERVER": "k:1", "KSQLDB_PORT": "1", "KAFKA_SECURITY_PROTOCOL": "SSL"})
    assert (loaded.host, loaded.port) == ("127.0.0.1", 1)
    assert loaded.kafka == {"bootstrap.servers": "k:1", "security.protocol": "SSL"}
    assert loaded.log_topic == "fraud_ksql_processing_log"
    assert loaded.command_topic == "_confluent-ksql-fraud__command_topic"
    assert loaded.group_of("CSAS_X_3") == "_confluent-ksql-fraud_query_CSAS_X_3"


def test_the_file_keeps_what_the_pipeline_promises() -> None:
    properties = settings.read_properties(settings.SERVER_SETTINGS.read_text("utf-8"), {})
    assert properties["ksql.streams.processing.guarantee"] == "exactly_once_v2"
    assert properties["ksql.streams.auto.offset.reset"] == "earliest"
    assert int(properties["ksql.streams.commit.interval.ms"]) <= 200
    session = int(properties["ksql.streams.session.timeout.ms"])
    assert session <= 10000
    assert int(properties["ksql.streams.heartbeat.interval.ms"]) * 3 <= session


def test_no_broker_no_start() -> None:
    with pytest.raises(UserError, match="KAFKA_BOOTSTRAP_SERVER"):
        settings.load({})
