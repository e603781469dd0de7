"""The table of services, and everything else that names them: whoever adds one is told what was forgotten."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from console import flow
from contracts import topics
from local.settings import Ports, load
from runtime.errors import UserError
from runtime.services import (
    ARCHIVER,
    BANK,
    CLUSTER,
    CONNECTORS,
    CONSOLE,
    INGESTOR,
    KAFKA,
    KAFKA_CONNECT,
    KAFKA_CONNECT_2,
    KSQLDB,
    PROCESSOR,
    S3_CONNECTORS,
    SERVICES,
    VALIDATOR,
    WATCHDOG,
    Service,
)
from tests.unit.test_local_settings import programs as local_programs

ROOT = Path(__file__).parents[2]
COMPOSE_FILE = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_FILE)["services"]
PROMETHEUS = (ROOT / "monitoring" / "prometheus.yml").read_text()
README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
EXAMPLE = (ROOT / ".env.example").read_text()

in_docker = pytest.mark.parametrize(
    "service", [one for one in SERVICES if one.mode != "local"], ids=lambda one: one.name
)
in_local_mode = [one for one in SERVICES if one.mode != "docker"]
every = pytest.mark.parametrize("service", SERVICES, ids=lambda one: one.name)


def test_docker_compose_runs_the_table_s_services_and_no_others() -> None:
    running = {name for name, service in COMPOSE.items() if service.get("restart") != "no"}
    assert running == {service.name for service in SERVICES if service.mode != "local"}


@in_docker
def test_docker_compose_publishes_the_table_s_port(service: Service) -> None:
    published = COMPOSE[service.name].get("ports", [])
    if service.port is None:
        assert published == []
    else:
        (text,) = published
        assert text.startswith("127.0.0.1:${{{}:-{}}}:".format(*service.port))


def dockerfile(service: Service) -> str:
    """That of an image of this repository; empty for others."""
    file = COMPOSE[service.name].get("build", {}).get("dockerfile")
    return (ROOT / file).read_text() if file else ""


def health_check(service: Service) -> str:
    """As docker-compose.yml or the image has it."""
    own = COMPOSE[service.name].get("healthcheck", {}).get("test")
    return str(own or "".join(re.findall(r"HEALTHCHECK .*(?:\n .*)*", dockerfile(service))))


def listens(service: Service) -> set[str]:
    """The ports in its container."""
    if service.name == KAFKA:  # one listener for containers, others for this machine and for tools
        return set(re.findall(r"://\w*:(\d+)", COMPOSE[KAFKA]["environment"]["KAFKA_LISTENERS"]))
    published = [text.rpartition(":")[2] for text in COMPOSE[service.name].get("ports", [])]
    return {*published, *re.findall(r"METRICS_PORT=(\d+)", dockerfile(service))}


@in_docker
def test_each_service_is_addressed_where_it_listens_in_its_container(service: Service) -> None:
    """By other services, by its health check and by Prometheus."""
    # Not an image's tag, as in apache/kafka:4.3.1.
    addressed = set(re.findall(rf"(?<![\w-])(?<!\w/){service.name}:(\d+)\b(?!\.)", COMPOSE_FILE + PROMETHEUS))
    addressed |= set(re.findall(rf"names: \[{service.name}\], type: A, port: (\d+)", PROMETHEUS))
    addressed |= set(re.findall(r"(?:localhost|127\.0\.0\.1)[:/](\d+)", health_check(service)))
    assert addressed <= listens(service)
    if service.port:
        assert COMPOSE[service.name]["ports"][0].rpartition(":")[2] in listens(service)
        assert addressed


@in_docker
def test_each_service_has_a_health_check_in_docker(service: Service) -> None:
    """What a third party's image carries is not known: its health is asked from outside."""
    assert bool(health_check(service)) == (service.name not in (BANK, VALIDATOR))


def test_the_local_mode_runs_the_table_s_services_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    programs = local_programs(monkeypatch)
    running = {name: program for name, program in programs.items() if program.ready is not None}
    assert running.keys() == {service.name for service in in_local_mode}
    for service in in_local_mode:
        expected = service.port or service.metrics
        assert running[service.name].port == (expected and expected[1])


def test_the_local_mode_s_ports_are_the_table_s() -> None:
    ports = {name.upper(): port for name, port in Ports.model_construct().model_dump().items()}
    listed = dict(pair for service in (*in_local_mode, *CLUSTER) for pair in (service.port, service.metrics) if pair)
    controllers = {"KAFKA_CONTROLLER_PORT": 9093, "KAFKA_2_CONTROLLER_PORT": 9095, "KAFKA_3_CONTROLLER_PORT": 9097}
    assert ports == listed | controllers


def test_three_brokers_are_the_cluster_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    one = local_programs(monkeypatch)
    monkeypatch.setenv("KAFKA_BROKERS", "3")
    three = local_programs(monkeypatch)
    added = {service.name: service.port for service in CLUSTER}
    assert {name: three[name].port for name in three.keys() - one.keys()} == {
        name: port and port[1] for name, port in added.items()
    }
    addresses = "127.0.0.1:9092,127.0.0.1:9094,127.0.0.1:9096"
    variables = ("KAFKA_BOOTSTRAP_SERVER", "KAFKA_BOOTSTRAP_SERVERS")
    clients = {name: program.environment for name, program in three.items()}
    given = {name: {own[key] for key in variables if key in own} for name, own in clients.items()}
    assert {name for name, found in given.items() if found} == {
        *("init_kafka", "init_kconnect", KAFKA_CONNECT, KAFKA_CONNECT_2, KSQLDB, INGESTOR, PROCESSOR, ARCHIVER),
        *(CONSOLE, BANK),
    }
    assert all(found <= {addresses} for found in given.values())
    assert {"kafka", "kafka-2", "kafka-3"} <= set(three["init_kafka"].after)


def test_a_port_of_the_cluster_is_free_for_one_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSOLE_PORT", "9094")
    assert load().ports.console_port == 9094
    monkeypatch.setenv("KAFKA_BROKERS", "3")
    with pytest.raises(UserError, match="KAFKA_2_PORT and CONSOLE_PORT are both 9094"):
        load()


@pytest.mark.parametrize("service", (*SERVICES, *CLUSTER), ids=lambda one: one.name)
def test_the_example_has_its_variables(service: Service) -> None:
    for pair in (service.port, service.metrics):
        assert pair is None or "#{}={}\n".format(*pair) in EXAMPLE


@every
def test_the_docs_have_it_with_its_ports(service: Service) -> None:
    rows = [line for line in ARCHITECTURE.splitlines() if line.startswith("|") and f"`{service.name}`" in line]
    (row,) = [line for line in rows if service.does in line]
    ports = [str(pair[1]) for pair in (service.port, service.metrics) if pair]
    assert all(port in row for port in ports)


def test_the_readme_has_the_addresses_of_both_modes() -> None:
    addresses = {int(port) for port in re.findall(r"^\|[^|]*\|[^|]*localhost:(\d+) \|", README, re.M)}
    assert addresses == {service.port[1] for service in SERVICES if service.port and service.mode == "both"}


def test_prometheus_asks_every_service_that_has_metrics_in_docker() -> None:
    config = yaml.safe_load(PROMETHEUS)
    ours = {service.name for service in SERVICES if service.metrics and service.mode == "both"}
    # The real ksqlDB server has no such metrics; the console has those of the cluster.
    expected = (ours - {KSQLDB}) | {CONSOLE}
    assert {job["job_name"] for job in config["scrape_configs"]} == expected
    for job in config["scrape_configs"]:
        assert re.search(rf"'{job['job_name']}[:']", str({**job, "job_name": ""})), job
    alerts = (ROOT / "monitoring" / "alerts.yml").read_text()
    assert set(re.findall(r'absent\(up{job="([^"]+)"}\)', alerts)) == expected


def test_the_picture_shows_every_topic_and_every_service_that_transactions_pass() -> None:
    consumers = {service.name for service in SERVICES if service.reads and service.mode == "both"}
    shown = {node.id: node.kind for node in flow.NODES}
    assert {name for name, kind in shown.items() if kind == "service"} == consumers | {
        BANK,
        KSQLDB,
        VALIDATOR,
        KAFKA,
        KAFKA_CONNECT,
        WATCHDOG,
    }
    assert {name for name, kind in shown.items() if kind == "topic"} == set(topics.ALL) - set(topics.DEAD_LETTERS)
    assert {name for name, kind in shown.items() if kind == "dead-letters"} == set(topics.DEAD_LETTERS)


def test_the_connectors_are_those_of_init() -> None:
    assert {file.stem for file in (ROOT / "init" / "connectors").glob("*.json")} == {*CONNECTORS, *S3_CONNECTORS}
