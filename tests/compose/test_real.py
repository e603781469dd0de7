"""The project's own compose file and start.sh on a real engine: images are built, everything becomes healthy, a seeded set
goes through, a killed service comes back, replicas scale, and nothing is left after --clean.

ksqlDB, MongoDB and S3 are the local mode's parts (override.yml), so that no image has to be pulled but Kafka, Python and
Maven. Skipped, with the reason, where there is no engine, where those images cannot be had, or where a stack runs already.
"""

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pymongo import MongoClient

from contracts import topics
from local import jars
from local.settings import cache_folder
from tests.compose.conftest import clone
from tests.compose.standins import JAR_LISTS
from tests.support.expectation import SMALL, expectation
from tests.support.stack import free_ports, wait_until
from tests.support.topics import read_all

PROJECT = "fraud-detection-test"
COMMAND_SECONDS = 900  # the first build fetches all packages
IMAGES = ("apache/kafka:4.3.1", "python:3.13-slim", "maven:3.9-eclipse-temurin-21")


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout


def reason_to_skip() -> str | None:
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "info"], check=False, capture_output=True).returncode
    ):
        return "no Docker engine answers"
    for image in IMAGES:
        if subprocess.run(["docker", "image", "inspect", image], check=False, capture_output=True).returncode:
            pulled = subprocess.run(["docker", "pull", "--quiet", image], check=False, capture_output=True)
            if pulled.returncode:
                return f"the image {image} cannot be had"
    if {"kafka", "ksqldb-server"} & set(docker("ps", "--all", "--format", "{{.Names}}").split()):
        return "a stack with this project's container names is there already"
    return None


@dataclass(frozen=True)
class Running:
    """The stack in containers."""

    folder: Path
    environment: dict[str, str]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            check=False,
            cwd=self.folder,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
        )

    def health(self, service: str) -> list[str]:
        """The health of each replica."""
        names = self.run("docker", "compose", "ps", "--format", "{{.Health}}", service)
        return names.stdout.split()

    @property
    def kafka(self) -> str:
        return f"localhost:{self.environment['KAFKA_PORT']}"


def bring_jars(folder: Path) -> None:
    """Put the stand-ins' jars into the build context, laid out as the user's cache is."""
    cache = cache_folder()
    wanted = [jar for name in JAR_LISTS for jar in jars.read_list(name)]
    jars.fetch(wanted, cache, lambda done, missing: None)
    for jar in wanted:
        target = jars.path_of(jar, folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(jars.path_of(jar, cache), target)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    reason = reason_to_skip()
    if reason is not None:
        pytest.skip(reason)
    environment = {
        **free_ports(),
        **SMALL.environment,
        "COMPOSE_PROJECT_NAME": PROJECT,
        "COMPOSE_OVERRIDES": ":tests/compose/override.yml",
    }
    stack = Running(clone(tmp_path_factory.mktemp("compose") / "clone"), environment)
    bring_jars(stack.folder / "tests" / "compose" / "standins" / "cache")
    try:
        started = stack.run("bash", "start.sh", "--build", "--simulators")
        if started.returncode:
            logs = stack.run("docker", "compose", "logs", "--no-color", "--tail", "20").stdout
            pytest.fail(started.stdout[-4_000:] + started.stderr[-4_000:] + logs, pytrace=False)
        assert "./start.sh --topic" in started.stdout
        yield stack
    finally:
        cleaned = stack.run("bash", "start.sh", "--clean")
        assert cleaned.returncode == 0, cleaned.stderr
    for kind in (["ps", "--all"], ["network", "ls"], ["volume", "ls"]):
        assert docker(*kind, "--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}") == ""


def test_the_seeded_set_goes_through(running: Running) -> None:
    expected = expectation()
    with MongoClient(f"mongodb://127.0.0.1:{running.environment['MONGODB_PORT']}") as client:
        collection = client["fraudulent_transactions_db"]["transactions"]
        wait_until(lambda: collection.count_documents({}) >= len(expected.results), 180, "all documents")
        assert {document["_id"] for document in collection.find({}, {"_id": 1})} == set(expected.results)
    ids = Counter(
        (record.key or b"").decode() for record in read_all(running.kafka, topics.FRAUDULENT_TRANSACTIONS_RESULT)
    )
    assert ids == Counter(list(expected.results))
    assert len(read_all(running.kafka, topics.BANK_TRANSACTIONS_DLQ)) == expected.poisoned


def test_status_is_well(running: Running) -> None:
    status = running.run("bash", "start.sh", "--status")
    assert status.returncode == 0, status.stdout + status.stderr


def test_ports_are_published_on_loopback_only(running: Running) -> None:
    for name in docker("ps", "--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}").split():
        (container,) = json.loads(docker("inspect", name))
        for bindings in container["NetworkSettings"]["Ports"].values():
            assert {binding["HostIp"] for binding in bindings or []} <= {"127.0.0.1"}


def test_services_run_without_root(running: Running) -> None:
    for name in docker("ps", "--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}").split():
        assert docker("exec", name, "id", "-u").strip() != "0", name


def test_no_image_and_no_log_holds_a_secret(running: Running) -> None:
    secrets = [
        line.split("=", 1)[1].strip("'")
        for line in (running.folder / ".env").read_text().splitlines()
        if line.startswith(("MONGODB_PASSWORD=", "S3_PASSWORD=", "GRAFANA_PASSWORD="))
    ]
    assert len(secrets) == 3
    images = {
        line for line in docker("images", "--format", "{{.Repository}}:{{.Tag}}").split() if "fraud-detection/" in line
    }
    told = "".join(docker("image", "inspect", image) + docker("history", "--no-trunc", image) for image in images)
    told += running.run("docker", "compose", "logs", "--no-color").stdout
    assert not [secret for secret in secrets if secret in told]


def test_a_killed_service_comes_back(running: Running) -> None:
    name = f"{PROJECT}-transactions-ingestor-1"
    running.run("docker", "exec", name, "sh", "-c", "kill -9 -1")
    wait_until(lambda: int(docker("inspect", "--format", "{{.RestartCount}}", name)) >= 1, 30, "the container restarts")
    wait_until(lambda: running.health("transactions-ingestor") == ["healthy"], 60, "the ingestor is healthy again")


def test_replicas_scale_out(running: Running) -> None:
    scaled = running.run(
        *["docker", "compose", "up", "-d", "--no-recreate", "--scale", "unidentified-transactions-processor=3"],
        *["--scale", "transactions-ingestor=2"],
    )
    assert scaled.returncode == 0, scaled.stderr
    for service, replicas in (("unidentified-transactions-processor", 3), ("transactions-ingestor", 2)):
        wait_until(lambda: running.health(service) == ["healthy"] * replicas, 90, f"{replicas} healthy {service}")  # noqa: B023
        tool = "docker exec kafka /opt/kafka/bin/kafka-consumer-groups.sh --bootstrap-server kafka:29092"
        described = running.run(*f"{tool} --describe --members --group {service}".split()).stdout
        for number in range(1, replicas + 1):
            assert re.search(rf"\s{service}-{number}\s", described), described


def test_the_readme_s_commands(running: Running) -> None:
    consumer = running.run(
        *[
            "docker",
            "exec",
            "kafka",
            "/opt/kafka/bin/kafka-console-consumer.sh",
            "--bootstrap-server",
            "kafka:29092",
        ],
        *["--topic", "fraudulent-transactions-result", "--from-beginning", "--max-messages", "1"],
    )
    assert "TRANSACTION_ID" in consumer.stdout, consumer.stderr
    status = running.run(
        "curl", "-s", f"http://localhost:{running.environment['CONNECT_PORT']}/connectors/mongodb-transactions/status"
    )
    assert json.loads(status.stdout)["connector"]["state"] == "RUNNING"
    info = running.run("curl", "-s", f"http://localhost:{running.environment['KSQLDB_PORT']}/info")
    assert json.loads(info.stdout)["KsqlServerInfo"]["serverStatus"] == "RUNNING"
    assert "sent=" in running.run("docker-compose", "logs", "multi-bank-system").stdout
    letters = running.run("bash", "start.sh", "--replay-dlq", topics.BANK_TRANSACTIONS_DLQ, "--dry-run")
    assert f"{expectation().poisoned} letters would be replayed" in letters.stdout, letters.stderr
