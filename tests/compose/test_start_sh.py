"""start.sh in Docker mode, with a fake `docker` on PATH: each error path, and that sourcing it leaves the shell as it was."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.settings import ROOT
from runtime import disk
from tests.compose.conftest import clone

# Answers as Docker with a running engine, one that has every image; keeps its calls; $FAKE_* change what it says.
FAKE_DOCKER = """#!/usr/bin/env bash
echo "docker $*" >>"$FAKE_LOG"
case $* in
info) exit "${FAKE_INFO:-0}" ;;
"info --format {{.DockerRootDir}}") echo "${FAKE_ROOT:-/nowhere}" ;;
"compose version --short") echo "${FAKE_VERSION:-2.40.3}" ;;
"compose version") exit "${FAKE_COMPOSE:-0}" ;;
"compose config --images") printf '%s\\n' apache/kafka:4.3.1 sgg10/multi-bank-system:latest fraud-detection/init:1.0.0 ;;
"compose --profile * config --services") printf '%s\\n' jaeger kafka prometheus ;;
"compose config --services") printf '%s\\n' ${FAKE_WANTED-kafka}; exit "${FAKE_CONFIG:-0}" ;;
"compose --profile * ps --all --services") printf '%s\\n' ${FAKE_SERVICES:-} ;;
"compose config --no-interpolate") cat docker-compose.yml ;;
"image inspect sgg10/"*) exit "${FAKE_INSPECT:-0}" ;;
"pull "*) echo "latest: Pulling from ${2%:*}"; exit "${FAKE_PULL:-0}" ;;
"inspect --type container"*) [ -n "${FAKE_OTHER+set}" ] || exit 1; printf '%s' "$FAKE_OTHER" ;;
"ps --filter"*) printf '%s' "${FAKE_PORTS:-}" ;;
"inspect --format {{index"*) printf '%s' "${FAKE_FOLDER:-$PWD}" ;;
"compose ps --quiet --status running kafka") printf '%s' "${FAKE_KAFKA:-}" ;;
"compose ps --quiet --status running console") printf '%s' "${FAKE_CONSOLE-${FAKE_KAFKA:-}}" ;;
"compose ps --quiet --status running prometheus") printf '%s' "${FAKE_PROMETHEUS:-}" ;;
"compose ps --all --quiet") printf '%s' "${FAKE_RUNNING:-}" ;;
"compose up"*) exit "${FAKE_UP:-0}" ;;
"compose ps --all --format"*) printf '%s' "${FAKE_PS:-}" ;;
"compose exec -T console python -m console.status"*) printf '%s' "${FAKE_STATUS:-}"; exit "${FAKE_WELL:-0}" ;;
"volume ls --quiet") printf '%s\\n' ${FAKE_VOLUMES:-} ;;
"compose ps --quiet") printf '%s' "${FAKE_RUNNING:-}" ;;
esac
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A clone with a fake docker."""
    clone(tmp_path / "clone")
    (tmp_path / "bin").mkdir()
    fake = tmp_path / "bin" / "docker"
    fake.write_text(FAKE_DOCKER)
    fake.chmod(0o755)
    return tmp_path


def run(
    here: Path, *arguments: str, shell: str = "bash start.sh", **variables: str
) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": f"{here / 'bin'}:/usr/bin:/bin",
        "HOME": str(here),
        "FAKE_LOG": str(here / "calls"),
        **variables,
    }
    return subprocess.run(
        [*shell.split(), *arguments], check=False, cwd=here / "clone", env=environment, capture_output=True, text=True
    )


def local_stack_was_here(here: Path) -> Path:
    """Gives the folder in which it keeps its state."""
    folder = here / "clone" / ".local" / "run"
    folder.mkdir(parents=True)
    (folder / "lock").touch()
    return folder


def calls(here: Path) -> str:
    return (here / "calls").read_text()


def env_file(here: Path) -> str:
    return (here / "clone" / ".env").read_text()


ATLAS = {"MY_MONGODB_USER": "me@home", "MY_MONGODB_PASS": "p/w:ü", "MY_MONGODB_CLUSTER": "c0.example.net"}
AWS = {"MY_AWS_ACCESS_KEY_ID": "k", "MY_AWS_SECRET_ACCESS_KEY": "s", "MY_AWS_REGION": "eu-west-1"}
FREE = {name: f"{25000 + number}" for number, name in enumerate(
    ("KAFKA_PORT", "CONNECT_PORT", "KSQLDB_PORT", "VALIDATOR_PORT", "MONGODB_PORT", "S3_PORT", "PROMETHEUS_PORT",
     "GRAFANA_PORT", "CONSOLE_PORT")
)}  # fmt: skip


def test_start(here: Path) -> None:
    answer = run(here, "--build", **FREE)
    assert answer.returncode == 0, answer.stderr
    assert "compose up --detach --wait --wait-timeout 600 --build" in calls(here)
    assert "./start.sh --topic" in answer.stdout
    assert "http://localhost:25001/connectors" in answer.stdout
    assert answer.stdout.split()[:2] == ["console", f"http://localhost:{FREE['CONSOLE_PORT']}"]
    assert "COMPOSE_FILE=docker-compose.yml\n" in env_file(here)
    assert "COMPOSE_PROFILES=mongodb,s3\n" in env_file(here)
    assert (here / "clone" / ".env").stat().st_mode & 0o077 == 0


def test_secrets_are_made_once_and_own_lines_are_kept(here: Path) -> None:
    (here / "clone" / ".env").write_text("BANK_RATE=77\n")
    run(here, **FREE)
    first = env_file(here)
    run(here, "--simulators", **FREE)
    second = env_file(here)
    assert first.splitlines()[0] == second.splitlines()[0] == "BANK_RATE=77"
    secrets = [line for line in first.splitlines() if "PASSWORD" in line]
    assert len(secrets) == 3
    assert all(line in second for line in secrets)
    assert "COMPOSE_FILE=docker-compose.yml:simulators/docker-compose.yml" in second
    assert second.count("written by start.sh") == 1


CLUSTER_PORTS = {"KAFKA_2_PORT": "25020", "KAFKA_3_PORT": "25021", "CONNECT_2_PORT": "25022"}


def test_three_brokers(here: Path) -> None:
    """The file and the brokers' addresses are in .env, where every later command finds them."""
    answer = run(here, "--cluster", "--build", "--simulators", TOPIC_REPLICATION_FACTOR="3", **FREE, **CLUSTER_PORTS)
    assert answer.returncode == 0, answer.stderr
    assert "compose up --detach --wait --wait-timeout 600 --build" in calls(here)
    files = "docker-compose.yml:docker-compose.cluster.yml:simulators/docker-compose.yml"
    assert f"COMPOSE_FILE={files}\n" in env_file(here)
    assert "KAFKA_BOOTSTRAP_SERVER=kafka:29092,kafka-2:29092,kafka-3:29092\n" in env_file(here)
    for command in ("--stop", "--clean"):
        assert run(here, command).returncode == 0
        assert f"COMPOSE_FILE={files}\n" in env_file(here)
    # A start without it is one broker again, as the settings are then seen.
    refused = run(here, TOPIC_REPLICATION_FACTOR="3", **FREE)
    assert "TOPIC_REPLICATION_FACTOR='3' must be 1: the stack has one broker" in refused.stderr
    assert run(here, **FREE).returncode == 0
    assert "kafka-2" not in env_file(here)


def test_three_brokers_elsewhere_stay_what_they_are(here: Path) -> None:
    (here / "clone" / ".env").write_text("KAFKA_BOOTSTRAP_SERVER=elsewhere:9092\n")
    assert run(here, "--cluster", **FREE, **CLUSTER_PORTS).returncode == 0
    assert env_file(here).count("KAFKA_BOOTSTRAP_SERVER") == 1


def test_the_settings_of_three_brokers(here: Path) -> None:
    answer = run(here, "--cluster", TOPIC_REPLICATION_FACTOR="4", KAFKA_2_PORT="25000", **FREE)
    assert answer.returncode == 1
    assert "TOPIC_REPLICATION_FACTOR='4' must be at most 3: the stack has 3 brokers" in answer.stderr
    assert "KAFKA_PORT and KAFKA_2_PORT are both 25000" in answer.stderr
    assert run(here, KAFKA_2_PORT="25000", **FREE).returncode == 0


@pytest.mark.parametrize(
    ("volumes", "options", "said"),
    [
        ("p_kafka-data", ["--cluster"], "made without --cluster and cannot be used with --cluster: start the stack"),
        ("p_kafka-data p_kafka-2-data", [], "made with --cluster and cannot be used without it: start the stack"),
        ("p_kafka-data", [], ""),
        ("p_kafka-data p_kafka-2-data", ["--cluster"], ""),
        ("another_kafka-data", ["--cluster"], ""),
    ],
)
def test_the_data_of_another_number_of_brokers_is_refused(
    here: Path, volumes: str, options: list[str], said: str
) -> None:
    answer = run(here, *options, COMPOSE_PROJECT_NAME="p", FAKE_VOLUMES=volumes, **FREE, **CLUSTER_PORTS)
    assert answer.returncode == bool(said)
    assert said in answer.stderr
    assert (here / "clone" / ".env").exists() == (not said)


@pytest.mark.parametrize("command", ["--status", "--stop", "--clean"])
def test_the_files_of_three_brokers_are_found_without_env(here: Path, command: str) -> None:
    fake = here / "bin" / "docker"
    fake.write_text(FAKE_DOCKER.replace('"docker $*"', '"docker $* (${COMPOSE_FILE:-.env})"'))
    # A local stack was here: --cluster is of Docker all the same.
    local_stack_was_here(here)
    answer = run(here, "--cluster", command, FAKE_RUNNING="c1")
    assert answer.returncode == 0, answer.stderr
    asked = "exec -T console python -m console.status" if command == "--status" else "down --remove-orphans"
    assert asked in calls(here)
    assert "(docker-compose.yml:docker-compose.cluster.yml)" in calls(here)
    (here / "calls").unlink()
    started = run(here, "--cluster", FAKE_RUNNING="c1", **FREE)
    assert started.returncode == 0, started.stderr
    assert run(here, command, FAKE_RUNNING="c1").returncode == 0
    assert "cluster.yml" not in calls(here)  # .env has it


@pytest.mark.parametrize("arguments", [["--topic", "users"], ["--ksql"], ["--local"], ["--local", "--stop"]])
def test_three_brokers_in_docker_are_no_option_of(here: Path, arguments: list[str]) -> None:
    answer = run(here, "--cluster", *arguments)
    assert answer.returncode == 2
    assert "--cluster does not apply to this command" in answer.stderr
    assert ("KAFKA_BROKERS=3 ./start.sh --local" in answer.stderr) == (arguments == ["--local"])


def test_what_is_appended_to_env_is_kept(here: Path) -> None:
    assert run(here, **FREE).returncode == 0
    with (here / "clone" / ".env").open("a") as file:
        file.write("BANK_RATE=7\nMY_AWS_REGION=eu-west-1\n")
    half = run(here, **FREE)
    assert half.returncode == 1
    assert "while MY_AWS_REGION is" in half.stderr
    for _ in range(2):
        assert run(here, **FREE, MY_AWS_ACCESS_KEY_ID="key", MY_AWS_SECRET_ACCESS_KEY="secret").returncode == 0
        own = env_file(here).partition("# --- written by start.sh")[0]
        assert (own.count("BANK_RATE=7\n"), own.count("MY_AWS_REGION=eu-west-1\n")) == (1, 1)


def test_a_lost_password_is_said(here: Path) -> None:
    volumes = {"COMPOSE_PROJECT_NAME": "p", "FAKE_VOLUMES": "p_kafka-data p_mongodb-data", **FREE}
    never = run(here, **volumes)
    assert never.returncode == 1
    assert "a stack of this name that was not started here, perhaps another clone's" in never.stderr
    (here / "clone" / ".env").write_text("COMPOSE_PROJECT_NAME=p\n")
    lost = run(here, **volumes)
    assert lost.returncode == 1
    assert "made with a password that .env no longer has" in lost.stderr
    assert "compose up" not in calls(here)
    (here / "clone" / ".env").write_text("MONGODB_PASSWORD=kept\n")
    assert run(here, **volumes).returncode == 0
    (here / "clone" / ".env").write_text(env_file(here).replace("=kept", "=changed"))
    assert "made with a password that .env no longer has" in run(here, **volumes).stderr
    # With Atlas the local data is not used.
    assert run(here, **volumes, **ATLAS).returncode == 0


def test_passwords_of_one_s_own_count_at_every_start(here: Path) -> None:
    assert run(here, **FREE).returncode == 0
    (here / "clone" / ".env").write_text(f"S3_PASSWORD=mine\n{env_file(here)}")
    assert run(here, **FREE).returncode == 0
    assert [line for line in env_file(here).splitlines() if "S3_PASSWORD=" in line][-1] == "S3_PASSWORD='mine'"


@pytest.mark.parametrize(
    ("version", "needed"),
    [("2.20.3", "2.21.0"), ("1.29.2", "2.21.0"), ("v2.21.0", None), ("2.100.0-desktop.1", None), ("", None)],
)
def test_an_old_compose_is_said(here: Path, version: str, needed: str | None) -> None:
    answer = run(here, FAKE_VERSION=version, **FREE)
    assert (answer.returncode == 0) == (needed is None)
    assert needed is None or f"Docker Compose is {version}, and {needed} or later is needed" in answer.stderr
    if version == "v2.21.0":
        assert "2.24.4 or later is needed" in run(here, "--cluster", FAKE_VERSION=version, **FREE).stderr


def test_no_docker(here: Path) -> None:
    (here / "bin" / "docker").unlink()
    (here / "bin").rmdir()
    tools = here / "bin"
    tools.mkdir()
    for tool in ("bash", "dirname", "cat"):
        (tools / tool).symlink_to(shutil.which(tool) or "")
    answer = run(here, shell=f"{tools / 'bash'} start.sh", PATH=str(tools))
    assert answer.returncode == 1
    assert "Docker is not installed" in answer.stderr
    assert "--local" in answer.stderr


def test_engine_not_running(here: Path) -> None:
    answer = run(here, FAKE_INFO="1")
    assert answer.returncode == 1
    assert "the Docker engine does not answer" in answer.stderr
    assert "--local" in answer.stderr


@pytest.mark.parametrize(
    ("files", "left", "starts"), [(1_000_000, 9_999, False), (1_000_000, 10_000, True), (0, 0, True)]
)
def test_a_disk_that_can_take_few_more_files_is_no_place_to_start(
    here: Path, files: int, left: int, starts: bool
) -> None:
    fake = here / "bin" / "df"
    fake.write_text(
        f"#!/usr/bin/env bash\necho Filesystem\n[ $1 = -Pi ] && echo disk {files} 1 {left} 1% / || echo disk 1 1 {2**30} 1% /\n"
    )
    fake.chmod(0o755)
    answer = run(here, FAKE_ROOT=str(here), **FREE)
    assert answer.returncode == (not starts), answer.stderr
    if not starts:
        needed = f"it can take {left} more files, at least {disk.LOW_FILES} are needed"
        assert answer.stderr.startswith(
            f"error: the disk of {here} is almost full: {needed}; those of the local S3 are in "
        )


@pytest.mark.parametrize(
    ("left", "variables", "starts"),
    [
        (100, {}, False),
        (100, {"DOCKER_HOST": "unix:///run/docker.sock"}, False),
        (disk.LOW_BYTES // disk.MIB - 1, {}, False),
        (disk.LOW_BYTES // disk.MIB, {}, True),
        (100, {"DOCKER_HOST": "ssh://elsewhere"}, True),
        (100, {"FAKE_ROOT": "/var/lib/of-a-virtual-machine"}, True),
        ("?", {}, True),
    ],
)
def test_a_disk_that_is_almost_full_is_no_place_to_start(
    here: Path, left: int | str, variables: dict[str, str], starts: bool
) -> None:
    fake = here / "bin" / "df"
    kib = left * 1024 if isinstance(left, int) else left
    fake.write_text(
        f"#!/usr/bin/env bash\necho Filesystem\n{'exit 1' if kib == '?' else f'echo disk 1 1 {kib} 99% /'}\n"
    )
    fake.chmod(0o755)
    answer = run(here, **{"FAKE_ROOT": str(here), **variables}, **FREE)
    if starts:
        assert answer.returncode == 0, answer.stderr
    else:
        assert (answer.returncode, answer.stdout) == (1, "")
        needed = f"{left} MiB left, at least {disk.LOW_BYTES // disk.MIB} MiB are needed"
        assert answer.stderr.startswith(f"error: the disk of {here} is almost full: {needed}; docker system prune ")
        assert not (here / "clone" / ".env").exists()


def test_no_compose(here: Path) -> None:
    answer = run(here, FAKE_COMPOSE="1")
    assert answer.returncode == 1
    assert "Docker has no Compose" in answer.stderr


def test_docker_compose_with_a_hyphen(here: Path) -> None:
    hyphen = here / "bin" / "docker-compose"
    hyphen.write_text('#!/usr/bin/env bash\necho "hyphen $*" >>"$FAKE_LOG"\n')
    hyphen.chmod(0o755)
    answer = run(here, FAKE_COMPOSE="1", **FREE)
    assert answer.returncode == 0, answer.stderr
    assert "hyphen up --detach --wait" in calls(here)


def test_taken_port(here: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        answer = run(here, **{**FREE, "KSQLDB_PORT": port})
        assert answer.returncode == 1
        assert f"port {port} (KSQLDB_PORT) is taken" in answer.stderr
        # A stack that runs has its ports itself, and only those.
        ours = f"127.0.0.1:{port}->8088/tcp, 8083/tcp"
        assert run(here, FAKE_RUNNING="abc", FAKE_PORTS=ours, **{**FREE, "KSQLDB_PORT": port}).returncode == 0
        other = run(here, FAKE_RUNNING="abc", FAKE_PORTS="127.0.0.1:1->8088/tcp", **{**FREE, "KSQLDB_PORT": port})
        assert f"port {port} (KSQLDB_PORT) is taken" in other.stderr


@pytest.mark.parametrize(("project", "made"), [("older", "the project older"), ("", "hand")])
def test_a_container_of_another_project_that_has_the_name(here: Path, project: str, made: str) -> None:
    answer = run(here, FAKE_OTHER=project, **FREE)
    assert answer.returncode == 1
    assert f"the container kafka is there already, made by {made}: remove it first" in answer.stderr
    assert "compose up" not in calls(here)
    assert run(here, FAKE_OTHER="mine", COMPOSE_PROJECT_NAME="mine", **FREE).returncode == 0


def test_an_override_file_is_read_at_each_start(here: Path) -> None:
    (here / "clone" / "docker-compose.override.yml").write_text("services: {}\n")
    assert run(here, "--simulators", **FREE).returncode == 0
    files = "docker-compose.yml:simulators/docker-compose.yml:docker-compose.override.yml"
    assert f"COMPOSE_FILE={files}\n" in env_file(here)


@pytest.mark.parametrize("command", ["--stop", "--clean", "--status"])
def test_a_file_of_the_last_start_that_is_gone_stops_no_command(here: Path, command: str) -> None:
    with_variables(here, "COMPOSE_FILE")
    override = here / "clone" / "docker-compose.override.yml"
    override.write_text("services: {}\n")
    assert run(here, **FREE).returncode == 0
    override.unlink()
    answer = run(here, command, FAKE_RUNNING="id")
    assert answer.returncode == 0, answer.stderr
    assert "note: docker-compose.override.yml, which the last start read, is gone" in answer.stderr
    assert calls(here).splitlines()[-1].endswith("COMPOSE_FILE=docker-compose.yml")


def test_what_an_earlier_start_had_and_this_one_has_not_is_stopped(here: Path) -> None:
    assert run(here, FAKE_SERVICES="kafka", **FREE).returncode == 0
    assert "rm --stop" not in calls(here)
    assert run(here, FAKE_SERVICES="kafka prometheus", **FREE).returncode == 0
    assert "compose --profile * rm --stop --force prometheus\n" in calls(here)
    (here / "calls").unlink()
    assert run(here, FAKE_SERVICES="kafka prometheus", FAKE_WANTED="", FAKE_CONFIG="1", **FREE).returncode != 0
    assert "rm --stop" not in calls(here)


def test_a_prometheus_that_runs_takes_the_rules_of_today(here: Path) -> None:
    assert run(here, **FREE).returncode == 0
    assert "--signal" not in calls(here)
    assert run(here, FAKE_PROMETHEUS="id", **FREE).returncode == 0
    assert "compose kill --signal HUP prometheus\n" in calls(here)


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"MY_MONGODB_USER": "me"}, "MY_MONGODB_PASS, MY_MONGODB_CLUSTER not set, while MY_MONGODB_USER is"),
        ({"MY_AWS_ACCESS_KEY_ID": "k", "MY_AWS_REGION": "r"}, "MY_AWS_SECRET_ACCESS_KEY not set"),
    ],
)
def test_half_set_cloud_group(here: Path, given: dict[str, str], missing: str) -> None:
    answer = run(here, **given)
    assert answer.returncode == 1
    assert missing in answer.stderr
    assert "compose up" not in calls(here)


def test_cloud_targets(here: Path) -> None:
    cloud = {**ATLAS, **AWS}
    answer = run(here, **cloud, **FREE)
    assert answer.returncode == 0, answer.stderr
    assert "MONGODB_URI='mongodb+srv://me%40home:p%2Fw%3A%C3%BC@c0.example.net/?" in env_file(here)
    assert "COMPOSE_PROFILES=\n" in env_file(here)
    assert "S3_ENDPOINT=\n" in env_file(here)
    assert "%2F" not in answer.stdout
    assert "MongoDB Atlas" in answer.stdout
    # `docker compose up` in another shell goes on with them, a start without them says what changes.
    assert all(f"{name}='{value}'\n" in env_file(here) for name, value in AWS.items())
    local = run(here, **FREE)
    assert local.returncode == 0
    assert "note: the last start wrote to MongoDB Atlas, this one writes to a local MongoDB" in local.stderr
    assert "note: the last start wrote to S3 in AWS, this one writes to a local server" in local.stderr
    assert "MY_AWS_ACCESS_KEY_ID=" not in env_file(here).split("written by start.sh")[1]
    assert "COMPOSE_PROFILES=mongodb,s3\n" in env_file(here)
    assert "note:" not in run(here, **FREE).stderr


@pytest.mark.parametrize("place", ["environment", ".env"])
def test_monitoring_is_a_profile_that_the_user_adds(here: Path, compose: Path, place: str) -> None:
    asked = {"COMPOSE_PROFILES": "monitoring"} if place == "environment" else {}
    if place == ".env":
        (here / "clone" / ".env").write_text("COMPOSE_PROFILES=monitoring\n")
    answer = run(here, **asked, **FREE)
    assert answer.returncode == 0, answer.stderr
    assert "http://localhost:25007" in answer.stdout  # Grafana
    assert "COMPOSE_PROFILES=mongodb,s3,monitoring\n" in env_file(here)
    started = subprocess.run(
        [str(compose), "config", "--services"], check=True, cwd=here / "clone", capture_output=True, text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(here)},
    ).stdout.split()  # fmt: skip
    assert {"mongodb", "s3", "prometheus", "grafana"} <= set(started)
    run(here, **FREE)
    kept = "mongodb,s3" if place == "environment" else "mongodb,s3,monitoring"
    assert f"COMPOSE_PROFILES={kept}\n" in env_file(here)


def test_the_profile_tracing_sends_spans_to_jaeger_unless_told_otherwise(here: Path) -> None:
    jaeger, own = "OTEL_EXPORTER_OTLP_ENDPOINT=http://jaeger:4318\n", "OTEL_EXPORTER_OTLP_ENDPOINT=http://mine:4318\n"
    answer = run(here, **FREE, COMPOSE_PROFILES="tracing")
    assert answer.returncode == 0, answer.stderr
    assert "Jaeger         http://localhost:16686" in answer.stdout
    assert jaeger in env_file(here)
    assert run(here, **FREE).returncode == 0, "the next start is without"
    assert jaeger not in env_file(here)

    (here / "clone" / ".env").write_text(own)
    assert run(here, **FREE, COMPOSE_PROFILES="monitoring, tracing").returncode == 0
    answer = run(here, **FREE, OTEL_TRACES_SAMPLER="always_on")  # another program's
    assert answer.returncode == 1
    assert "OTEL_TRACES_SAMPLER" not in answer.stderr
    assert "OTEL_EXPORTER_OTLP_ENDPOINT needs the profile tracing: add it to COMPOSE_PROFILES" in answer.stderr
    (here / "clone" / ".env").write_text(f"{own}COMPOSE_PROFILES=tracing\n")
    answer = run(here, **FREE, OTEL_EXPORTER_OTLP_ENDPOINT="http://another-program-s:4318")
    assert answer.returncode == 0, answer.stderr
    assert own in env_file(here)
    assert jaeger not in env_file(here)
    assert "OTEL_EXPORTER_OTLP_ENDPOINT in the environment is ignored" in answer.stderr


def test_the_environment_hides_no_profile_from_compose(here: Path) -> None:
    """`COMPOSE_PROFILES=monitoring ./start.sh --stop` must stop the stores too."""
    fake = here / "bin" / "docker"
    fake.write_text(
        fake.read_text().replace('echo "docker $*"', 'echo "docker $* profiles=${COMPOSE_PROFILES-not set}"')
    )
    assert run(here, "--stop", COMPOSE_PROFILES="monitoring").returncode == 0
    assert "compose --profile * down --remove-orphans profiles=not set\n" in calls(here)


def test_an_image_that_is_not_available(here: Path) -> None:
    answer = run(here, FAKE_INSPECT="1", FAKE_PULL="1", **FREE)
    assert answer.returncode == 1
    assert "sgg10/multi-bank-system:latest is not available" in answer.stderr
    assert "--simulators" in answer.stderr


def test_pulls_show_their_progress(here: Path) -> None:
    answer = run(here, FAKE_INSPECT="1", **FREE)
    assert answer.returncode == 0, answer.stderr
    assert "pulling sgg10/multi-bank-system:latest\nlatest: Pulling from sgg10/multi-bank-system\n" in answer.stdout


def test_a_service_that_does_not_come_up(here: Path) -> None:
    answer = run(here, FAKE_UP="1", **FREE)
    assert answer.returncode == 1
    assert "docker compose logs" in answer.stderr


def test_status_stop_clean_and_topic(here: Path) -> None:
    assert run(here, "--status").returncode == 1
    assert (
        run(here, "--status", FAKE_RUNNING="abc", FAKE_PS="kafka running healthy 0\ninit-kafka exited  0\n").returncode
        == 0
    )
    sick = run(here, "--status", FAKE_RUNNING="abc", FAKE_PS="kafka running unhealthy 0\ninit-kafka exited  1\n")
    assert sick.returncode == 1
    assert "unhealthy: kafka init-kafka" in sick.stderr
    # A service has no business to end, whatever its exit code; only what runs once has.
    ended = run(here, "--status", FAKE_RUNNING="abc", FAKE_PS="multi-bank-system exited  0\ninit-kafka exited  0\n")
    assert ended.returncode == 1
    assert ended.stderr == "error: unhealthy: multi-bank-system\n"
    healthy = "kafka running healthy 0\n"
    # The console sees more than the engine does: a task that failed, for one.
    assert run(here, "--status", FAKE_RUNNING="abc", FAKE_PS=healthy, FAKE_WELL="1").returncode == 1
    as_json = run(here, "--status", "--json", FAKE_RUNNING="abc", FAKE_PS=healthy, FAKE_STATUS='{"healthy": true}')
    assert (as_json.returncode, as_json.stdout) == (0, '{"healthy": true}')
    assert "console python -m console.status --json\n" in calls(here)
    assert run(here, "--stop").returncode == 0
    assert "compose --profile * down --remove-orphans\n" in calls(here)
    assert run(here, "--clean").returncode == 0
    assert "compose --profile * down --remove-orphans --volumes\n" in calls(here)
    no_stack = run(here, "--topic", "users")
    assert no_stack.returncode == 1
    assert "the stack is not running" in no_stack.stderr
    assert run(here, "--from-beginning", "--topic", "users", FAKE_KAFKA="abc").returncode == 0
    assert "compose exec -T console python -m console.topic users --from-beginning\n" in calls(here)
    shown = ["--timestamps", "--key", "--headers", "--unmasked"]
    assert run(here, "--topic", "users", *shown, FAKE_KAFKA="abc").returncode == 0
    assert f"compose exec -T console python -m console.topic users {' '.join(shown)}\n" in calls(here)


def test_clean_takes_docker_also_beside_a_local_stack(here: Path) -> None:
    (local_stack_was_here(here) / "state.json").write_text("{}")
    assert run(here, "--clean").returncode == 0
    assert "compose --profile * down --remove-orphans --volumes\n" in calls(here)


def test_replay(here: Path) -> None:
    no_stack = run(here, "--replay-dlq", "bank-transactions-dlq")
    assert no_stack.returncode == 1
    assert "the stack is not running" in no_stack.stderr
    assert run(here, "--replay-dlq", "bank-transactions-dlq", "--dry-run", FAKE_KAFKA="abc").returncode == 0
    assert "init-kafka python -m init.replay_dlq bank-transactions-dlq --dry-run\n" in calls(here)
    chosen = ["--reason", "amount: no number", "--limit", "5"]
    assert run(here, "--replay-dlq", "bank-transactions-dlq", *chosen, FAKE_KAFKA="abc").returncode == 0
    assert "init.replay_dlq bank-transactions-dlq --reason=amount: no number --limit=5\n" in calls(here)


@pytest.mark.parametrize(
    ("name", "mode"),
    [("ksqldb/log4j2.yaml", 0o600), ("ksqldb", 0o700), ("kafka/healthy.sh", 0o700), ("runtime/health.py", 0o600)],
)
def test_what_is_mounted_or_copied_must_be_readable_for_the_containers(here: Path, name: str, mode: int) -> None:
    (here / "clone" / name).chmod(mode)
    answer = run(here, **FREE)
    assert answer.returncode == 1
    assert f"error: {name} cannot be read" in answer.stderr
    assert "chmod" in answer.stderr
    assert "compose up" not in calls(here)


def test_ksql(here: Path) -> None:
    no_stack = run(here, "--ksql")
    assert no_stack.returncode == 1
    assert "the stack is not running" in no_stack.stderr
    assert run(here, "--ksql", FAKE_RUNNING="abc").returncode == 0
    assert calls(here).endswith("docker compose exec -T console python -m console.ksql\n")
    assert run(here, "--ksql", "SHOW TOPICS;", FAKE_RUNNING="abc").returncode == 0
    assert calls(here).endswith("docker compose exec -T console python -m console.ksql SHOW TOPICS;\n")


def test_trace(here: Path) -> None:
    assert run(here, "--trace", "t1").returncode == 1
    assert run(here, "--trace", "t1", "--json", FAKE_RUNNING="abc").returncode == 0
    assert calls(here).endswith("docker compose exec -T console python -m console.trace t1 --json\n")


def test_clean_ksqldb(here: Path) -> None:
    no_stack = run(here, shell="bash init/clean_ksqldb.sh")
    assert no_stack.returncode == 1
    assert "this clone has no stack" in no_stack.stderr
    assert run(here, shell="bash init/clean_ksqldb.sh", FAKE_RUNNING="abc").returncode == 0
    assert calls(here).endswith("docker compose run --rm --no-deps init-ksqldb bash init/clean_ksqldb.sh\n")


def show(here: Path, *names: str) -> None:
    """Have the fake docker tell these variables of its environment."""
    fake = here / "bin" / "docker"
    told = " ".join(f"{name}=${{{name}-}}" for name in names)
    fake.write_text(fake.read_text().replace('echo "docker $*"', f'echo "docker $* {told}"'))


def test_the_project_of_the_start_is_remembered_and_followed(here: Path) -> None:
    show(here, "COMPOSE_PROJECT_NAME")
    assert run(here, COMPOSE_PROJECT_NAME="mine", **FREE).returncode == 0
    assert "COMPOSE_PROJECT_NAME=mine\n" in env_file(here)
    later = run(here, "--topic", "users", FAKE_KAFKA="abc")
    assert (later.returncode, later.stderr) == (0, "")
    elsewhere = run(here, "--stop", COMPOSE_PROJECT_NAME="other", COMPOSE_FILE="other.yml")
    assert elsewhere.returncode == 0
    assert elsewhere.stderr.startswith("note: the stack was started as the project mine, which is used")
    assert elsewhere.stderr.count("\n") == 1
    assert "compose --profile * down --remove-orphans COMPOSE_PROJECT_NAME=mine\n" in calls(here)
    assert "COMPOSE_PROJECT_NAME=other" not in calls(here)
    # The next start takes it again; a name in the user's own lines comes before it, one in the environment before both.
    run(here, **FREE)
    assert "COMPOSE_PROJECT_NAME=mine\n" in env_file(here)
    (here / "clone" / ".env").write_text(f"COMPOSE_PROJECT_NAME=own\n{env_file(here)}")
    run(here, **FREE)
    assert env_file(here).count("COMPOSE_PROJECT_NAME=own\n") == 2
    run(here, COMPOSE_PROJECT_NAME="third", **FREE)
    assert "COMPOSE_PROJECT_NAME=third\n" in env_file(here)


def test_without_a_name_the_project_is_that_of_the_compose_file(here: Path) -> None:
    show(here, "COMPOSE_PROJECT_NAME")
    run(here, **FREE)
    assert run(here, "--stop", COMPOSE_PROJECT_NAME="other").returncode == 0
    assert "down --remove-orphans COMPOSE_PROJECT_NAME=realtime-fraud-detection\n" in calls(here)


@pytest.mark.parametrize(
    "command",
    [[], ["--stop"], ["--clean"], ["--status"], ["--topic", "users"], ["--replay-dlq", "bank-transactions-dlq"]],
)
def test_another_clone_s_stack_is_left_alone(here: Path, command: list[str]) -> None:
    other = here / "other"
    other.mkdir()
    answer = run(here, *command, FAKE_RUNNING="abc", FAKE_KAFKA="abc", FAKE_FOLDER=str(other), **FREE)
    assert answer.returncode == 1
    assert f"belongs to the clone in {other}" in answer.stderr
    assert not [line for line in calls(here).splitlines() if line.split()[2:3] in (["up"], ["down"], ["run"], ["exec"])]
    other.rmdir()  # the clone itself, before it was moved here
    assert run(here, "--stop", FAKE_RUNNING="abc", FAKE_FOLDER=str(other)).returncode == 0


def test_a_replay_goes_to_the_cluster_of_the_start(here: Path) -> None:
    show(here, "KAFKA_BOOTSTRAP_SERVER")
    name = "bank-transactions-dlq"
    assert run(here, "--replay-dlq", name, FAKE_KAFKA="abc", KAFKA_BOOTSTRAP_SERVER="other:9092").returncode == 0
    assert f"init.replay_dlq {name} KAFKA_BOOTSTRAP_SERVER=\n" in calls(here)  # as .env and the compose file have it


@pytest.mark.parametrize(("line", "code"), [("KAFKA_BOOTSTRAP_SERVER=broker.example.com:9093\n", 0), ("", 1)])
def test_a_cluster_elsewhere_needs_no_kafka_here(here: Path, line: str, code: int) -> None:
    (here / "clone" / ".env").write_text(line)
    for command in (["--topic", "users"], ["--replay-dlq", "bank-transactions-dlq"]):
        assert run(here, *command, FAKE_CONSOLE="abc").returncode == code
    without = run(here, "--topic", "users", FAKE_KAFKA="abc", FAKE_CONSOLE="")
    assert without.returncode == 1
    assert "the console, which prints topics, is not running" in without.stderr


ASKING = [["--status"], ["--topic", "users"], ["--trace", "t1"], ["--ksql"], ["--replay-dlq", "bank-transactions-dlq"]]


@pytest.mark.parametrize("docker", ["compose missing", "engine down", "not installed", "nothing runs"])
def test_after_a_local_stack_has_stopped_it_is_what_is_meant(here: Path, docker: str) -> None:
    local_stack_was_here(here)
    told = {"compose missing": {"FAKE_COMPOSE": "1"}, "engine down": {"FAKE_INFO": "1"}}.get(docker, {})
    if docker == "not installed":
        (here / "bin" / "docker").unlink()
    # The launcher's own Python would be downloaded first.
    (here / "clone" / "local" / "bootstrap.sh").write_text('echo "local $*"\n')
    for command in [*ASKING, ["--stop"]]:
        answer = run(here, *command, **told)
        assert answer.stdout.startswith(f"local {command[0].removeprefix('--')}"), answer.stdout + answer.stderr


@pytest.mark.parametrize("state", [None, "", '{\n "launcher": {\n  "pid": 99999999,\n'])
def test_a_running_docker_stack_is_meant_beside_a_stopped_local_one(here: Path, state: str | None) -> None:
    run_folder = local_stack_was_here(here)
    if state is not None:  # left by a power cut
        (run_folder / "state.json").write_text(state)
    assert run(here, "--topic", "users", FAKE_RUNNING="abc", FAKE_KAFKA="abc").returncode == 0
    assert "console python -m console.topic users\n" in calls(here)
    (run_folder.parent / "data").mkdir()
    assert run(here, shell="bash init/clean_ksqldb.sh", FAKE_RUNNING="abc").returncode == 0
    assert calls(here).endswith("init-ksqldb bash init/clean_ksqldb.sh\n")


def test_a_running_local_stack_is_meant_beside_a_docker_stack(here: Path) -> None:
    run_folder = local_stack_was_here(here)
    (here / "clone" / "local" / "bootstrap.sh").write_text('echo "local $*"\n')
    another = LAUNCHER[:3]  # that has the launcher's number since the machine was started again
    for command, said in ((LAUNCHER, "local stop\n"), (another, "")):
        with running_launcher(run_folder, command):
            assert run(here, "--stop", FAKE_RUNNING="abc").stdout == said


def test_docker_is_not_started_on_the_ports_of_the_running_local_stack(here: Path) -> None:
    with socket.socket() as taken, running_launcher(local_stack_was_here(here), LAUNCHER):
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        answer = run(here, **FREE | {"KAFKA_PORT": str(taken.getsockname()[1])})
    assert answer.returncode == 1
    assert "perhaps by the local stack of this clone, which is running: stop it first" in answer.stderr
    assert "another program" not in answer.stderr


LAUNCHER = [sys.executable, "-c", "input()", "-m", "local", "up"]


@contextmanager
def running_launcher(run_folder: Path, command: list[str]) -> Iterator[None]:
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        state = {"launcher": {"pid": process.pid, "created": 1.0}}
        (run_folder / "state.json").write_text(json.dumps(state, indent=1))
        yield
        process.kill()


WINDOWS = "\ufeffBANK_RATE=77\r\nMY_MONGODB_USER=\r\nMY_MONGODB_PASS=\r\nMY_MONGODB_CLUSTER=\r\nCONSOLE_PORT=25500\r\n"


def test_env_file_of_windows(here: Path) -> None:
    (here / "clone" / ".env").write_bytes(WINDOWS.encode())
    answer = run(here, **{name: port for name, port in FREE.items() if name != "CONSOLE_PORT"})
    assert answer.returncode == 0, answer.stderr
    assert "\r" not in env_file(here)
    assert env_file(here).startswith("BANK_RATE=77\n")
    assert "COMPOSE_PROFILES=mongodb,s3\n" in env_file(here)
    assert "MONGODB_URI" not in env_file(here)
    assert answer.stdout.split()[:2] == ["console", "http://localhost:25500"]


@pytest.mark.parametrize(
    "line",
    [
        "KAFKA_PORT=25600",
        "export KAFKA_PORT=25600",
        "KAFKA_PORT = '25600'",
        'KAFKA_PORT="25600" # ours',
        "KAFKA_PORT=25600 # x",
    ],
)
def test_env_file_as_compose_reads_it(here: Path, compose: Path, line: str) -> None:
    (here / "clone" / ".env").write_text(f"{line}\n")
    answer = run(here, **{name: port for name, port in FREE.items() if name != "KAFKA_PORT"})
    assert "localhost:25600 " in answer.stdout, answer.stdout + answer.stderr
    read = subprocess.run(
        [str(compose), "config", "--format", "json"], check=True, cwd=here / "clone", capture_output=True, text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(here)},
    ).stdout  # fmt: skip
    assert json.loads(read)["services"]["kafka"]["ports"][0]["published"] == "25600"


def test_a_clone_that_cannot_be_written(here: Path) -> None:
    (here / "clone" / ".env.new").mkdir()  # root may write where the modes say no
    answer = run(here, **FREE)
    assert answer.returncode == 1
    assert "nothing can be written in" in answer.stderr
    assert answer.stderr.count("\n") == 1


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_printed_commands_are_words_of_the_shell(here: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not on this machine")
    printed = run(here, **FREE).stdout
    urls = [line[line.index("curl") :] for line in printed.splitlines() if "curl" in line]
    assert urls
    for url in urls:
        assert (
            subprocess.run([shell, "-c", url.replace("curl", "echo", 1)], check=False, capture_output=True).returncode
            == 0
        )


@pytest.mark.parametrize(
    "arguments",
    [
        ["--nosuch"],
        ["--ksql", "SHOW TOPICS;", "SHOW STREAMS;"],
        ["--ksql", "--json"],
        ["--stop", "--ksql"],
        ["--topic"],
        ["--trace"],
        ["--trace", "t1", "--from-beginning"],
        ["--trace", "t1", "--topic", "users"],
        ["--replay-dlq"],
        ["--stop", "--clean"],
        ["--stop", "--topic", "users"],
        ["--json"],
        ["--detach"],
        ["--dry-run"],
        ["--clean", "--dry-run"],
        ["--status", "--from-beginning"],
        ["--local", "--build"],
        ["--local", "--clean", "--dry-run"],
        ["--topic", "users", "--dry-run"],
        ["--replay-dlq", "users", "--key"],
        ["--replay-dlq", "users", "--reason"],
        ["--topic", "users", "--limit", "3"],
    ],
)
def test_wrong_words(here: Path, arguments: list[str]) -> None:
    answer = run(here, *arguments)
    assert answer.returncode == 2
    assert "usage:" in answer.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_sourcing_leaves_the_shell_as_it_was(here: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not on this machine")
    script = here / "look"
    script.write_text(
        "snapshot() { set -o; env | grep -v -e '^_=' -e '^SHLVL='; typeset -f | grep -c .; }\n"
        "before=$(snapshot)\nsource ./start.sh --nosuch 2>/dev/null\ncode=$?\nafter=$(snapshot)\n"
        '[ "$code" = 2 ] && [ "$before" = "$after" ] && echo same\n'
    )
    answer = run(here, shell=f"{shell} {script}")
    assert answer.stdout == "same\n", answer.stdout + answer.stderr


def test_syntax() -> None:
    for script in ("start.sh", "init/compose.sh", "local/bootstrap.sh", "tests/run.sh"):
        assert subprocess.run(["bash", "-n", str(ROOT / script)], check=False).returncode == 0


def with_variables(here: Path, *names: str) -> None:
    """Let the fake docker keep what it finds in its environment, as Compose fills its files with it."""
    shown = " ".join(f"{name}=${{{name}-not set}}" for name in names)
    fake = here / "bin" / "docker"
    fake.write_text(fake.read_text().replace('echo "docker $*"', f'echo "docker $* {shown}"'))


def test_every_wrong_setting_is_said_at_once_and_nothing_is_started(here: Path) -> None:
    (here / "clone" / ".env").write_text(
        "BANK_RATE=fast # per second\nFRAUD_VALIDATOR_TIMEOUT='0'\nKAFKA_MEMORY=lots\nMONGODB_PASSWORD=secret/p@ss\n"
    )
    answer = run(
        here, KAFKA_PORT="high", CONNECT_PORT="8088", TOPIC_REPLICATION_FACTOR="3", S3_BUCKET="My_Bucket",
        MY_AWS_ACCESS_KEY_ID="k", MY_AWS_SECRET_ACCESS_KEY="not for logs",
        MY_MONGODB_USER="me", MY_MONGODB_PASS="secret", MY_MONGODB_CLUSTER="a_b",
    )  # fmt: skip
    assert answer.returncode == 1
    first, *lines = answer.stderr.splitlines()
    assert first == "error: settings that cannot be used:"
    for said in (
        "KAFKA_PORT='high' must be a whole number of at least 1 and at most 65535",
        "BANK_RATE='fast' must be a number of at least 0 and at most 1000000",
        "FRAUD_VALIDATOR_TIMEOUT='0' must be a number above 0 and at most 9",
        "TOPIC_REPLICATION_FACTOR='3' must be 1: the stack has one broker (unless KAFKA_BOOTSTRAP_SERVER names another cluster)",
        "KAFKA_MEMORY='lots' must be a size, such as 512m or 1g",
        "CONNECT_PORT and KSQLDB_PORT are both 8088: give each its own port",
        "MY_AWS_SECRET_ACCESS_KEY must be without spaces",
        "MONGODB_PASSWORD must be of a-z, A-Z, 0-9 and ._~-",
        "MY_AWS_REGION not set, while MY_AWS_ACCESS_KEY_ID, MY_AWS_SECRET_ACCESS_KEY is: "
        "set all of them to use the cloud, or none to use the local store",
    ):
        assert f"  {said}" in lines, (said, lines)
    assert any(line.startswith("  S3_BUCKET='My_Bucket' must be a bucket's name") for line in lines)
    assert any(line.startswith("  MY_MONGODB_CLUSTER='a_b' must be the cluster's name") for line in lines)
    assert len(lines) == 11
    assert "secret" not in answer.stderr
    assert "not for logs" not in answer.stderr
    assert {*calls(here).splitlines()} == {"docker compose version", "docker info"}
    assert "written by start.sh" not in env_file(here)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("KAFKA_SASL_PASSWORD=ab$cd", True),
        ('KAFKA_SASL_PASSWORD="$ab"', True),
        ('KAFKA_SASL_JAAS_CONFIG=class required password="a$b";', True),
        ("MONGODB_URI=mongodb://me:a$b@host/", True),
        ("KAFKA_SASL_PASSWORD='ab$cd'", False),
        ('KAFKA_SASL_JAAS_CONFIG="class required password=${KAFKA_SASL_PASSWORD};"', False),
        ("KAFKA_SASL_PASSWORD=ab$$cd", False),
        ('KAFKA_SASL_PASSWORD="ab\\$cd"', False),
        ("KAFKA_SASL_PASSWORD= 'ab$cd'", False),
        ("KAFKA_SASL_PASSWORD=abc # costs $5", False),
        ("MONGODB_URI=${OTHER:-mongodb://$HOST}", False),
        ("MY_MONGODB_PASS=ab$cd", False),  # start.sh reads it
    ],
)
def test_a_dollar_that_compose_would_replace_is_said(here: Path, line: str, said: bool) -> None:
    (here / "clone" / ".env").write_text(line + "\n")
    answer = run(here, **FREE, **({**ATLAS, "MY_MONGODB_PASS": "x"} if "MY_MONGODB_PASS" in line else {}))
    assert answer.returncode == int(said), answer.stderr
    name = line.partition("=")[0]
    sentence = f"{name} has a $, which Compose replaces with what follows it: put the value in single quotes"
    assert (sentence in answer.stderr) == said


def test_ports_that_nothing_has_may_be_the_same(here: Path) -> None:
    atlas = {"MY_MONGODB_USER": "me", "MY_MONGODB_PASS": "p", "MY_MONGODB_CLUSTER": "cluster0.ab1cd"}
    same = {**FREE, "MONGODB_PORT": FREE["KAFKA_PORT"], "GRAFANA_PORT": FREE["CONSOLE_PORT"]}
    assert run(here, **same, **atlas).returncode == 0
    answer = run(here, **same, COMPOSE_PROFILES="monitoring")
    assert answer.returncode == 1
    assert f"KAFKA_PORT and MONGODB_PORT are both {FREE['KAFKA_PORT']}" in answer.stderr
    assert f"CONSOLE_PORT and GRAFANA_PORT are both {FREE['CONSOLE_PORT']}" in answer.stderr


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_atlas_names_a_cluster_without_its_domain(here: Path, end: str) -> None:
    lines = ["MY_MONGODB_USER=me", "MY_MONGODB_PASS='p/w: $x'", "MY_MONGODB_CLUSTER=clusterX.xxxxx", ""]
    (here / "clone" / ".env").write_bytes(end.join(lines).encode())
    answer = run(here, **FREE)
    assert answer.returncode == 0, answer.stderr
    assert "MONGODB_URI='mongodb+srv://me:p%2Fw%3A%20%24x@clusterX.xxxxx.mongodb.net/?" in env_file(here)


ELSEWHERE = {
    "KAFKA_BOOTSTRAP_SERVER": "prod:9092",
    "KAFKA_SASL_PASSWORD": "secret",
    "KSQLDB_URL": "http://prod:8088",
    "KCONNECT_URL": "http://prod:8083",
    "FRAUD_VALIDATOR_URL": "http://prod:8000",
    "MONGODB_URI": "mongodb://prod",
    "MONGODB_PASSWORD": "secret",
    "S3_ENDPOINT": "http://prod:9000",
    "COMPOSE_FILE": "/another/docker-compose.yml",
}


def test_the_shell_sends_the_stack_nowhere_else(here: Path) -> None:
    with_variables(here, *ELSEWHERE)
    answer = run(here, **FREE, **ELSEWHERE)
    assert answer.returncode == 0, answer.stderr
    assert run(here, "--replay-dlq", "users", FAKE_KAFKA="true", **ELSEWHERE).returncode == 0
    for call in calls(here).splitlines():
        assert "prod" not in call
        assert "another" not in call
        assert "secret" not in call
    assert "secret" not in env_file(here) + answer.stderr
    for name in ELSEWHERE:
        assert f"note: {name} in the environment is ignored: set it in .env\n" in answer.stderr
    # In the file it counts.
    (here / "clone" / ".env").write_text("KAFKA_BOOTSTRAP_SERVER=three:9092\nTOPIC_REPLICATION_FACTOR=3\n")
    assert run(here, **FREE).returncode == 0


def test_a_variable_that_hides_the_file_s_is_said(here: Path) -> None:
    (here / "clone" / ".env").write_text("BANK_RATE=5\nBANK_COUNT=7\nMY_AWS_REGION=\n")
    answer = run(here, BANK_RATE="6", BANK_COUNT="7", BANK_SEED="8", **FREE)
    assert answer.returncode == 0
    assert answer.stderr == "note: BANK_RATE is taken from the environment, .env has another value\n"


def test_what_the_local_mode_alone_uses_is_said(here: Path) -> None:
    (here / "clone" / ".env").write_text("KAFKA_SECURE=1\n")
    answer = run(here, KAFKA_BROKERS="3", **FREE)
    assert answer.returncode == 0
    assert answer.stderr.splitlines() == [
        "note: KAFKA_BROKERS is used by the local mode alone: in Docker, --cluster starts three brokers",
        "note: KAFKA_SECURE is used by the local mode alone",
    ]
    assert "KAFKA_BROKERS" not in run(here, "--cluster", KAFKA_BROKERS="3", **FREE).stderr


@pytest.mark.parametrize(
    ("file", "environment", "written"),
    [("", {}, "30"), ("ARCHIVE_INTERVAL_SECONDS=60\n", {}, "60"), ("", {"ARCHIVE_INTERVAL_SECONDS": "60"}, "60")],
)
def test_objects_are_seldom_in_aws(here: Path, file: str, environment: dict[str, str], written: str) -> None:
    (here / "clone" / ".env").write_text(file)
    for _ in range(2):  # what one start writes does not decide the next
        assert run(here, **FREE, **AWS, **environment).returncode == 0
        assert env_file(here).splitlines()[-2:] == [
            f"ARCHIVE_INTERVAL_SECONDS={written}",
            "# --- end of what start.sh writes",
        ]
    assert run(here, **FREE).returncode == 0
    assert "ARCHIVE_INTERVAL_SECONDS" not in env_file(here).split("written by start.sh")[1]


@pytest.mark.parametrize(("file", "endpoint"), [("", ""), ("S3_ENDPOINT=https://minio:9000\n", "https://minio:9000")])
def test_keys_of_another_s3_are_not_sent_to_aws(here: Path, file: str, endpoint: str) -> None:
    (here / "clone" / ".env").write_text(file)
    assert run(here, **FREE, **AWS).returncode == 0
    written = [line for line in env_file(here).splitlines() if line.startswith("S3_ENDPOINT=")]
    assert written == [f"S3_ENDPOINT={endpoint}"]
