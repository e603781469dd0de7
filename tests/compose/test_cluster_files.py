"""docker-compose.cluster.yml: what it adds to one broker's file, and that it says nothing again that this file says."""

import re
from pathlib import Path
from typing import Any

import pytest

from local.broker import BOTH_MODES, TAKEOVER, copies
from local.settings import ROOT
from runtime import services as table
from tests.compose.test_files import CLUSTER, FILES, LOCAL, resolve

PROFILES = ("mongodb", "s3", "monitoring")
SECOND_KSQLDB = f"{table.KSQLDB}-2"
# Each service that was added, and the one that it is another of.
ADDED = {
    table.KAFKA_2: table.KAFKA,
    table.KAFKA_3: table.KAFKA,
    table.KAFKA_CONNECT_2: table.KAFKA_CONNECT,
    SECOND_KSQLDB: table.KSQLDB,
}
BROKERS = (table.KAFKA, table.KAFKA_2, table.KAFKA_3)


@pytest.fixture(scope="module")
def one(compose: Path) -> dict[str, Any]:
    return resolve(compose, FILES, PROFILES, LOCAL)["services"]


@pytest.fixture(scope="module")
def three(compose: Path) -> dict[str, Any]:
    return resolve(compose, CLUSTER, PROFILES, LOCAL)["services"]


def test_it_adds_these_services(one: dict[str, Any], three: dict[str, Any]) -> None:
    assert three.keys() - one.keys() == ADDED.keys()
    assert {service.name for service in table.CLUSTER} <= ADDED.keys()


@pytest.mark.parametrize(("name", "like"), ADDED.items())
def test_an_added_service_is_like_the_first(three: dict[str, Any], name: str, like: str) -> None:
    apart = {"container_name", "ports", "volumes", "environment", "depends_on", "build"}
    added, first = three[name], three[like]
    assert {key: added[key] for key in added.keys() - apart} == {key: first[key] for key in first.keys() - apart}
    mounts = [{mount["target"] for mount in service.get("volumes", [])} for service in (added, first)]
    assert mounts[0] == mounts[1]
    differ = {key for key, value in added["environment"].items() if first["environment"].get(key) != value}
    assert differ <= {"KAFKA_NODE_ID", "KAFKA_ADVERTISED_LISTENERS", "KSQL_KSQL_ADVERTISED_LISTENER"}
    assert added["environment"].keys() == first["environment"].keys()


def test_no_two_share_a_name_a_port_or_data(three: dict[str, Any]) -> None:
    for many in (
        [service["container_name"] for service in three.values() if "container_name" in service],
        [port["published"] for service in three.values() for port in service.get("ports", [])],
        [mount["source"] for name in BROKERS for mount in three[name]["volumes"] if mount["type"] == "volume"],
    ):
        assert len(many) == len(set(many)), many


def test_the_added_ports_are_the_table_s(three: dict[str, Any]) -> None:
    for service in table.CLUSTER:
        (port,) = three[service.name]["ports"]
        assert service.port
        assert (port["host_ip"], port["published"]) == ("127.0.0.1", str(service.port[1]))
    assert "ports" not in three[SECOND_KSQLDB]


def test_the_brokers_have_the_settings_of_the_local_mode_s_three(three: dict[str, Any]) -> None:
    wanted = {name: str(value) for name, value in (BOTH_MODES | copies(3) | TAKEOVER).items()}
    for broker in BROKERS:
        given = three[broker]["environment"]
        assert {name: given.get(f"KAFKA_{name.upper().replace('.', '_')}") for name in wanted} == wanted, broker


def test_the_brokers_are_one_quorum(three: dict[str, Any]) -> None:
    """Each is a voter under its own id and name, at a port that its controller listens on for the others."""
    voters = {f"{three[name]['environment']['KAFKA_NODE_ID']}@{name}:9093" for name in BROKERS}
    assert len(voters) == 3
    for name in BROKERS:
        given = three[name]["environment"]
        assert set(given["KAFKA_CONTROLLER_QUORUM_VOTERS"].split(",")) == voters
        assert "CONTROLLER://:9093" in given["KAFKA_LISTENERS"].split(",")
        (port,) = three[name]["ports"]
        assert given["KAFKA_ADVERTISED_LISTENERS"].split(",") == [
            f"INSIDE://{name}:29092",
            f"TOOLS://{name}:9092",
            f"OUTSIDE://localhost:{port['published']}",
        ]


def test_ksqldb_s_topics_have_as_many_copies(three: dict[str, Any]) -> None:
    """Those that one broker's file sets to 1, all of them."""
    text = (ROOT / "ksqldb" / "ksqldb-server.env").read_text()
    names = re.findall(r"^(KSQL_\w*REPLICA\w*)=1$", text, re.M)
    assert len(names) == 3
    for server in (table.KSQLDB, SECOND_KSQLDB):
        assert {three[server]["environment"][name] for name in names} == {"3"}
    ids = {three[server]["environment"]["KSQL_KSQL_SERVICE_ID"] for server in (table.KSQLDB, SECOND_KSQLDB)}
    assert len(ids) == 1


def test_replicas_have_names_that_outlive_a_restart(three: dict[str, Any]) -> None:
    """The number in the container's name, which only a service without a container_name has."""
    for name in (table.INGESTOR, table.PROCESSOR):
        assert three[name]["deploy"]["replicas"] == 2
        assert "container_name" not in three[name]
        assert three[name]["environment"]["REPLICA_NAMES"].endswith(f"-{name}-")


def test_what_starts_once_waits_for_all(three: dict[str, Any]) -> None:
    assert set(BROKERS) <= three["init-kafka"]["depends_on"].keys()
    assert {table.KAFKA_CONNECT, table.KAFKA_CONNECT_2} <= three["init-kconnect"]["depends_on"].keys()
    assert {table.KSQLDB, SECOND_KSQLDB} <= three["init-ksqldb"]["depends_on"].keys()


def test_every_client_gets_the_addresses_that_start_sh_writes(compose: Path) -> None:
    addresses = ",".join(f"{name}:29092" for name in BROKERS)
    assert f"KAFKA_BOOTSTRAP_SERVER={addresses}" in (ROOT / "init" / "compose.sh").read_text()
    three = resolve(compose, CLUSTER, PROFILES, {**LOCAL, "KAFKA_BOOTSTRAP_SERVER": addresses})["services"]
    given = {
        (name, variable): value
        for name, service in three.items()
        for variable, value in (service.get("environment") or {}).items()
        if "BOOTSTRAP_SERVER" in variable or variable.endswith("BROKERLIST")
    }
    assert {name for name, _ in given} >= {
        *("init-kafka", "init-kconnect", table.KAFKA_CONNECT, table.KAFKA_CONNECT_2, table.KSQLDB, SECOND_KSQLDB),
        *(table.INGESTOR, table.PROCESSOR, table.CONSOLE, table.BANK),
    }
    assert set(given.values()) == {addresses}


def test_it_repeats_nothing(one: dict[str, Any]) -> None:
    """No value of its variables is what one broker's file would give anyway, and no limit or health check is written again."""
    text = (ROOT / "docker-compose.cluster.yml").read_text()
    for key in ("image:", "mem_limit:", "healthcheck:", "restart:", "build:", "command:", "cap_drop:", "logging:"):
        assert key not in text.replace("build: !reset null", "")
    for name, value in re.findall(r"^\s+((?:KAFKA|KSQL)_[A-Z_]+): (.+)$", text, re.M):
        had = {one[first]["environment"].get(name) for first in (table.KAFKA, table.KSQLDB)}
        assert value not in had, name
