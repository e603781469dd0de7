"""The broker's settings, which are the same in both modes where it matters, and the memory of every JVM."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from init.init_kafka import MAX_MESSAGE_BYTES
from local import connect, s3proxy
from local.broker import (
    BOTH_MODES,
    SESSION_OF_A_KILLED_BROKER,
    TAKEOVER,
    _check_storage,
    commands,
    controller_properties,
    properties,
)
from local.jvm import java
from local.mongodb import __main__ as mongodb
from local.settings import ROOT, Folders, MongoTarget, Ports, S3Target, Settings
from runtime.errors import UserError
from runtime.kafka import transactional

SETTINGS = Settings(
    Ports(), Folders(Path("base"), Path("cache")), MongoTarget("", embedded=True), S3Target("", "", "", "", "", "")
)


EXIT = "-XX:+ExitOnOutOfMemoryError"


def compose(service: str) -> dict[str, str]:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return services[service]["environment"]


def test_both_modes_follow_the_table() -> None:
    local, docker = read(SETTINGS, 1), compose("kafka")
    wanted = {name: str(value) for name, value in BOTH_MODES.items()}
    assert {name: local.get(name) for name in wanted} == wanted
    assert {name: str(docker.get(variable(name))) for name in wanted} == wanted


def read(settings: Settings, number: int) -> dict[str, str]:
    """The settings file of a broker."""
    lines = properties(settings, settings.brokers[number - 1]).splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_the_controller_alone_differs_from_the_broker_in_what_makes_it_one() -> None:
    broker = read(SETTINGS, 1)
    alone = dict(line.split("=", 1) for line in controller_properties(SETTINGS, SETTINGS.brokers[0]).splitlines())
    assert broker["listeners"].endswith(f",{alone['listeners']}")
    assert {name for name in broker if alone.get(name) != broker[name]} == {
        "listeners",
        "advertised.listeners",
        "process.roles",
    }
    session = {name: str(value) for name, value in SESSION_OF_A_KILLED_BROKER.items()}
    assert {name: alone[name] for name in alone.keys() - broker.keys()} == session
    docker = (ROOT / "kafka" / "run.sh").read_text()
    assert all(f'"{variable(name)}=${{{variable(name)}:-{value}}}"' in docker for name, value in session.items())


def test_a_controller_alone_does_not_end_the_sessions_of_a_cluster_s_live_brokers_sooner() -> None:
    three = replace(SETTINGS, kafka_brokers=3)
    alone = controller_properties(three, three.brokers[1]).splitlines()
    assert {f"{name}={TAKEOVER[name]}" for name in SESSION_OF_A_KILLED_BROKER} <= set(alone)


def test_one_of_three_brokers_may_be_down() -> None:
    one, three = read(SETTINGS, 1), [read(replace(SETTINGS, kafka_brokers=3), number) for number in (1, 2, 3)]
    assert len({broker["node.id"] for broker in three}) == len({broker["log.dirs"] for broker in three}) == 3
    assert {broker["controller.quorum.voters"].count("@") for broker in three} == {3}
    assert int(three[0]["broker.session.timeout.ms"]) < 9000  # Kafka's own, which one broker has
    assert "broker.session.timeout.ms" not in one
    copies = [name for name in one if "replication.factor" in name]
    written = [name for name in one if name.endswith(("min.isr", "min.insync.replicas"))]
    assert (len(copies), len(written)) == (4, 3)
    for name in copies:
        assert (one[name], {broker[name] for broker in three}) == ("1", {"3"}), name
    for name in written:
        assert (one[name], {broker[name] for broker in three}) == ("1", {"2"}), name


@pytest.mark.parametrize("made", [1, 3])
def test_the_data_of_another_number_of_brokers_is_refused(tmp_path: Path, made: int) -> None:
    wanted = replace(SETTINGS, folders=Folders(tmp_path, tmp_path), kafka_brokers=4 - made)
    for broker in replace(wanted, kafka_brokers=made).brokers:
        storage = tmp_path / "data" / broker.name / "meta.properties"
        storage.parent.mkdir(parents=True)
        storage.write_text("version=1\ncluster.id=a\n")
    with pytest.raises(
        UserError, match=f"was made with KAFKA_BROKERS={made} and cannot be used with {4 - made}: start"
    ):
        commands(wanted)
    assert {file.name for file in tmp_path.iterdir()} == {"data"}


def test_what_an_interrupted_start_has_formatted_does_not_count(tmp_path: Path) -> None:
    alone = replace(SETTINGS, folders=Folders(tmp_path, tmp_path))
    for name, cluster in (("kafka", "a"), ("kafka-2", "b")):
        storage = tmp_path / "data" / name / "meta.properties"
        storage.parent.mkdir(parents=True)
        storage.write_text(f"version=1\ncluster.id={cluster}\n")
    _check_storage(alone)
    with pytest.raises(UserError, match="was made with KAFKA_BROKERS=1"):
        _check_storage(replace(alone, kafka_brokers=3))


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
    assert (connect.heap(None), connect.heap(Path("plugin"))) == (["-Xmx96m", "-Xmn12m"], ["-Xmx512m"])
