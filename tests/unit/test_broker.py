"""The broker's settings, which are the same in both modes where it matters, and the memory of every JVM."""

from pathlib import Path

import pytest
import yaml

from contracts.kafka import transactional
from init.init_kafka import MAX_MESSAGE_BYTES
from local import connect, s3proxy
from local.broker import BOTH_MODES, properties
from local.jvm import java
from local.mongodb import __main__ as mongodb
from local.settings import ROOT, Folders, MongoTarget, Ports, S3Target, Settings

SETTINGS = Settings(
    Ports(), Folders(Path("base"), Path("cache")), MongoTarget("", embedded=True), S3Target("", "", "", "", "", "")
)


EXIT = "-XX:+ExitOnOutOfMemoryError"


def compose(service: str) -> dict[str, str]:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return services[service]["environment"]


def test_both_modes_follow_the_table() -> None:
    lines = properties(SETTINGS, Path("data")).splitlines()
    local = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    docker = compose("kafka")
    wanted = {name: str(value) for name, value in BOTH_MODES.items()}
    assert {name: local.get(name) for name in wanted} == wanted
    assert {name: str(docker.get(variable(name))) for name in wanted} == wanted


def variable(name: str) -> str:
    """As the image of Kafka reads a setting."""
    return "KAFKA_" + name.upper().replace(".", "_")


def test_the_largest_request_of_a_producer_is_let_in() -> None:
    largest = int(transactional("replica")["message.max.bytes"])
    assert max(MAX_MESSAGE_BYTES.values()) <= largest < int(BOTH_MODES["socket.request.max.bytes"])


def test_a_local_jvm_ends_when_it_is_out_of_memory(tmp_path: Path) -> None:
    settings = Settings(SETTINGS.ports, Folders(tmp_path, tmp_path), SETTINGS.mongodb, SETTINGS.s3)
    assert EXIT in java(settings)
    assert EXIT in s3proxy.command(Path("java"), [], tmp_path)
    assert EXIT in mongodb.JVM_OPTIONS


@pytest.mark.parametrize(
    ("service", "options"),
    [("kafka", "KAFKA_HEAP_OPTS"), ("kafka-connect", "KAFKA_HEAP_OPTS"), ("ksqldb-server", "KSQL_HEAP_OPTS")],
)
def test_a_jvm_in_a_container_ends_when_it_is_out_of_memory(service: str, options: str) -> None:
    assert EXIT in compose(service)[options].split()


def test_the_s3_sink_has_a_larger_worker() -> None:
    assert (connect.heap(None), connect.heap(Path("plugin"))) == ("-Xmx96m", "-Xmx512m")
