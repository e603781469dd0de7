"""The project's own compose file and start.sh on a real engine: images are built, everything becomes healthy, a seeded set
goes through, a killed service comes back, replicas scale, and nothing is left after --clean.
"""

import json
import os
import pty
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from pymongo import MongoClient

from contracts import topics
from tests.compose.conftest import clone
from tests.compose.engine import PROJECT, Running, docker, running_stack
from tests.support.expectation import SMALL, expectation
from tests.support.stack import wait_until
from tests.support.topics import read_all

pytestmark = pytest.mark.long

# A simulator as an image of which nothing is known: no program is in it by its name, no Python, no shell, and no health check.
BARE_IMAGE = """
FROM fraud-detection/{name}:1.0.0 AS known
USER 0
RUN mv /venv/lib/python*/site-packages /packages \\
 && mv "$(readlink -f "$(command -v python)")" /usr/local/service \\
 && rm -rf /venv /usr/bin/* /usr/sbin/* /usr/local/bin/* /usr/local/sbin/*
FROM scratch
COPY --from=known / /
ENV PYTHONPATH=/app:/packages PYTHONUNBUFFERED=1 VALIDATOR_HOST=0.0.0.0 VALIDATOR_PORT=8000
USER 65534:65534
ENTRYPOINT ["/usr/local/service", "-m", "{module}"]
"""


def typed(command: str, *lines: str) -> str:
    """What a terminal shows when these lines are typed into a command."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command.split(), stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    os.write(ours, "".join(f"{line}\n" for line in lines).encode())
    shown = b""
    with suppress(OSError):  # the terminal's end, on Linux
        while chunk := os.read(ours, 65_536):
            shown += chunk
    os.close(ours)
    process.wait()
    return shown.decode()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_stack(tmp_path_factory.mktemp("compose") / "clone", SMALL.environment) as stack:
        yield stack


@pytest.fixture(scope="module")
def settled(running: Running) -> Running:
    """The stack once all that the seed makes is in MongoDB."""
    expected = expectation()
    with MongoClient(f"mongodb://127.0.0.1:{running.environment['MONGODB_PORT']}") as client:
        collection = client["fraudulent_transactions_db"]["transactions"]
        wait_until(lambda: collection.count_documents({}) >= len(expected.results), 180, "all documents")
        assert {document["_id"] for document in collection.find({}, {"_id": 1})} == set(expected.results)
    return running


def told(ended: subprocess.CompletedProcess[str]) -> str:
    """What a command that failed has printed; nothing of one that succeeded."""
    return ended.stdout + ended.stderr if ended.returncode else ""


def test_the_seeded_set_goes_through(settled: Running) -> None:
    expected = expectation()
    ids = Counter(
        (record.key or b"").decode() for record in read_all(settled.kafka, topics.FRAUDULENT_TRANSACTIONS_RESULT)
    )
    assert ids == Counter(list(expected.results))
    assert len(read_all(settled.kafka, topics.BANK_TRANSACTIONS_DLQ)) == expected.poisoned


def test_status_is_well(settled: Running) -> None:
    settled.await_healthy()


def test_ports_are_published_on_loopback_only(running: Running) -> None:
    for name in docker("ps", "--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}").split():
        (container,) = json.loads(docker("inspect", name))
        for bindings in container["NetworkSettings"]["Ports"].values():
            assert {binding["HostIp"] for binding in bindings or []} <= {"127.0.0.1"}


def test_services_run_without_root(running: Running) -> None:
    for name in docker("ps", "--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}").split():
        assert docker("exec", name, "id", "-u").strip() != "0", name


def test_containers_fill_no_disk(running: Running) -> None:
    """Volumes without a name stay after each stop, and nobody rotates a log inside a container."""
    for name in docker("ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}").split():
        (container,) = json.loads(docker("inspect", name))
        if "test-images" in container["Config"]["Image"]:
            continue
        volumes = [mount["Name"] for mount in container["Mounts"] if mount["Type"] == "volume"]
        assert all(volume.startswith(PROJECT) for volume in volumes), (container["Name"], volumes)
    for name in ("kafka", f"{PROJECT}-kafka-connect-1"):
        logs = docker("exec", name, "bash", "-c", "find /opt/kafka/logs -type f 2>/dev/null || true")
        assert logs == "", name
    assert "Kafka Server started" in running.run("docker", "compose", "logs", "kafka").stdout


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


def test_a_killed_broker_reads_its_offsets_once(running: Running) -> None:
    """Twice, and it may mistake one reading for the other (kafka/start.sh)."""
    docker("restart", "--time", "0", "kafka")
    wait_until(lambda: running.health("kafka") == ["healthy"], 120, "the broker is healthy again")
    running.await_healthy(120)
    since = docker("inspect", "--format", "{{.State.StartedAt}}", "kafka").strip()
    log = subprocess.run(["docker", "logs", "--since", since, "kafka"], check=True, capture_output=True, text=True)
    read = Counter(re.findall(r"Scheduling loading of metadata from (__consumer_offsets-\d+)", log.stdout + log.stderr))
    assert set(read.values()) == {1}, log.stdout[-4_000:]


def test_replicas_scale_out(running: Running) -> None:
    scaled = running.run(
        *["docker", "compose", "up", "-d", "--no-recreate", "--scale", "unidentified-transactions-processor=3"],
        *["--scale", "transactions-ingestor=2"],
    )
    assert scaled.returncode == 0, scaled.stderr
    for service, replicas in (("unidentified-transactions-processor", 3), ("transactions-ingestor", 2)):
        wait_until(lambda: running.health(service) == ["healthy"] * replicas, 90, f"{replicas} healthy {service}")  # noqa: B023
        tool = "docker exec kafka kafka-consumer-groups --bootstrap-server localhost:9092"
        described = running.run(*f"{tool} --describe --members --group {service}".split()).stdout
        for number in range(1, replicas + 1):
            assert re.search(rf"\s{service}-{number}\s", described), described


def test_kafka_s_tools_by_their_names(running: Running) -> None:
    """As typed in the container's shell, and without one; at localhost:9092, although the port of this machine is another."""
    assert running.environment["KAFKA_PORT"] != "9092"
    shown = typed(
        "docker exec -it kafka /bin/bash",
        "kafka-console-consumer --bootstrap-server localhost:9092 --topic users --from-beginning --max-messages 2",
        "kafka-topics --bootstrap-server localhost:9092 --describe --topic users",
        "exit",
    )
    assert shown.count('"BLOOD_GROUP"') == 2, shown
    assert "Processed a total of 2 messages" in shown
    assert "PartitionCount: 6" in shown
    listed = running.run(*["docker", "exec", "kafka", "kafka-topics", "--bootstrap-server", "localhost:9092", "--list"])
    assert set(topics.ALL) <= set(listed.stdout.split()), listed.stderr
    tools = docker("exec", "kafka", "sh", "-c", "cd /opt/kafka/bin && ls *.sh").split()
    for tool in tools:
        docker("exec", "kafka", "sh", "-c", f"command -v {tool.removesuffix('.sh')}")


def test_kafka_s_tools_have_options_of_their_own(running: Running) -> None:
    """Those of the broker would take its memory a second time, and its ports."""
    broker = docker("exec", "kafka", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'").split()
    assert {"-Xmx512m", "-XX:+ExitOnOutOfMemoryError"} <= set(broker)
    given = [
        f"--env={name}=-XX:NoSuchOption" for name in ("KAFKA_HEAP_OPTS", "KAFKA_OPTS", "KAFKA_JVM_PERFORMANCE_OPTS")
    ]
    listed = running.run(
        *["docker", "exec", *given, "--env=JMX_PORT=9092", "kafka", "kafka-topics"],
        *["--bootstrap-server", "localhost:9092", "--list"],
    )
    assert topics.USERS in listed.stdout.split(), listed.stdout + listed.stderr


@pytest.mark.parametrize(("name", "program"), [("kafka", "java"), (f"{PROJECT}-mongodb-1", "python3*")])
def test_a_server_that_hangs_is_not_healthy(running: Running, name: str, program: str) -> None:
    """Its port takes connections all the same."""
    (server,) = json.loads(docker("inspect", name))
    check = ["docker", "exec", name, *server["Config"]["Healthcheck"]["Test"][1:]]
    assert running.run(*check).returncode == 0
    signal = f"for p in /proc/[0-9]*; do case $(readlink $p/exe) in */{program}) kill -$0 ${{p#/proc/}} ;; esac; done"
    running.run("docker", "exec", name, "bash", "-c", signal, "STOP")
    try:
        assert running.run(*check).returncode != 0
    finally:
        running.run("docker", "exec", name, "bash", "-c", signal, "CONT")
    wait_until(lambda: running.run(*check).returncode == 0, 30, "it answers again")


def test_the_readme_s_commands(settled: Running) -> None:
    status = settled.run(
        "curl", "-s", f"http://localhost:{settled.environment['CONNECT_PORT']}/connectors/mongodb-transactions/status"
    )
    assert json.loads(status.stdout)["connector"]["state"] == "RUNNING"
    info = settled.run("curl", "-s", f"http://localhost:{settled.environment['KSQLDB_PORT']}/info")
    assert json.loads(info.stdout)["KsqlServerInfo"]["serverStatus"] == "RUNNING"
    assert "sent=" in settled.run("docker-compose", "logs", "multi-bank-system").stdout
    asked = settled.run("bash", "start.sh", "--ksql", "SHOW TOPICS;")
    assert "fraudulent-transactions-result" in asked.stdout, asked.stderr
    printed = settled.run("bash", "start.sh", "--ksql", "PRINT 'users' FROM BEGINNING LIMIT 3;")
    assert printed.stdout.count("rowtime: ") == 3, printed.stderr
    dead_letters = settled.run("bash", "start.sh", "--replay-dlq", topics.BANK_TRANSACTIONS_DLQ, "--dry-run")
    assert f"{expectation().poisoned} dead letters would be replayed" in dead_letters.stdout, dead_letters.stderr


def test_third_party_images_need_no_program(running: Running) -> None:
    """The stack starts, and its status is true, with a bank and a validator in whose images there is none."""
    images = {
        "MULTI_BANK_SYSTEM_IMAGE": ("multi-bank-system", "bank"),
        "FRAUD_VALIDATOR_IMAGE": ("fraud-validator-api", "validator"),
    }
    for name, module in images.values():
        dockerfile = BARE_IMAGE.format(name=name, module=module)
        docker("build", "--quiet", "--tag", f"fraud-detection/bare-{name}:test", "-", given=dockerfile)
    chosen = {variable: f"fraud-detection/bare-{name}:test" for variable, (name, _) in images.items()}
    stack = replace(running, environment={**running.environment, **chosen})
    started = stack.run("bash", "start.sh")
    assert started.returncode == 0, started.stdout + started.stderr
    (bank,) = json.loads(docker("inspect", "multi-bank-system"))
    assert bank["Config"]["Image"] == chosen["MULTI_BANK_SYSTEM_IMAGE"]
    assert bank["HostConfig"]["Memory"] == 512 * 1024**2
    for program in ("python", "sh"):
        assert stack.run("docker", "exec", "multi-bank-system", program, "-c", "1").returncode != 0
    sent = len(read_all(running.kafka, topics.BANK_TRANSACTIONS))
    wait_until(lambda: len(read_all(running.kafka, topics.BANK_TRANSACTIONS)) > sent, 30, "the bank sends")
    stack.await_healthy()

    for name, seen in (
        ("multi-bank-system", "unhealthy: multi-bank-system"),
        ("fraud-validator-api", "fraud-validator-api is down"),
    ):
        stack.run("docker", "compose", "stop", name)
        wait_until(lambda: seen in told(stack.run("bash", "start.sh", "--status")), 30, seen)  # noqa: B023
        stack.run("docker", "compose", "start", name)
    stack.await_healthy()


def test_commands_follow_the_stack_of_the_clone(settled: Running, tmp_path: Path) -> None:
    elsewhere = replace(
        settled,
        environment={
            "COMPOSE_PROJECT_NAME": "another",
            "COMPOSE_FILE": "no.yml",
            "KAFKA_BOOTSTRAP_SERVER": "localhost:1",
        },
    )
    replayed = elsewhere.run("bash", "start.sh", "--replay-dlq", topics.BANK_TRANSACTIONS_DLQ, "--dry-run")
    assert f"{expectation().poisoned} dead letters would be replayed" in replayed.stdout, replayed.stderr
    assert f"note: the stack was started as the project {PROJECT}" in replayed.stderr
    # Another clone under the same name touches nothing of it.
    other = replace(settled, folder=clone(tmp_path / "clone"), environment={"COMPOSE_PROJECT_NAME": PROJECT})
    before = docker("ps", "--quiet")
    for command in (["--stop"], ["--clean"], ["--replay-dlq", topics.BANK_TRANSACTIONS_DLQ], []):
        refused = other.run("bash", "start.sh", *command)
        assert refused.returncode == 1
        assert f"belongs to the clone in {settled.folder}" in refused.stderr
    assert docker("ps", "--quiet") == before
