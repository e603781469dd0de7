"""The stack in containers on a real engine, built from a copy of the repository.

ksqlDB, MongoDB and S3 are the local mode's parts (override.yml), so that no image has to be pulled but Kafka, Python and Maven.
"""

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from local import jars
from local.settings import cache_folder
from tests.compose.conftest import clone
from tests.compose.images import JAR_LISTS
from tests.support.stack import HEALTHY_SECONDS, await_success, free_ports

PROJECT = "fraud-detection-test"
IMAGES = ("apache/kafka:4.3.1", "python:3.13-slim", "maven:3.9-eclipse-temurin-21")
OVERRIDE = "override.yml"


def docker(*arguments: str, given: str | None = None) -> str:
    """What the command prints."""
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True, input=given).stdout


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

    def await_healthy(self, seconds: float = HEALTHY_SECONDS) -> None:
        """Until `--status` says that nothing is wrong."""
        await_success(lambda: self.run("bash", "start.sh", "--status"), seconds)

    def health(self, service: str) -> list[str]:
        """The health of each replica."""
        names = self.run("docker", "compose", "ps", "--format", "{{.Health}}", service)
        return names.stdout.split()

    @property
    def kafka(self) -> str:
        return f"localhost:{self.environment['KAFKA_PORT']}"


@contextmanager
def running_stack(
    folder: Path, environment: Mapping[str, str], *options: str, overrides: Iterable[str] = (OVERRIDE,)
) -> Iterator[Running]:
    """The stack of a copy in the folder, started with these options; nothing of it is left at the end.

    Skips, with the reason, where there is no engine, where the images are not available, or where a stack runs already.
    """
    reason = _reason_to_skip()
    if reason is not None:
        pytest.skip(reason)
    stack = Running(clone(folder), {**free_ports(), **environment, "COMPOSE_PROJECT_NAME": PROJECT})
    services: dict[str, object] = {}
    for name in overrides:
        services |= yaml.safe_load((stack.folder / "tests" / "compose" / name).read_text())["services"]
    (stack.folder / "docker-compose.override.yml").write_text(yaml.safe_dump({"services": services}))
    _bring_jars(stack.folder / "tests" / "compose" / "images" / "cache")
    try:
        started = stack.run("bash", "start.sh", "--build", "--simulators", *options)
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


def _reason_to_skip() -> str | None:
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "info"], check=False, capture_output=True).returncode
    ):
        return "no Docker engine answers"
    for image in IMAGES:
        if subprocess.run(["docker", "image", "inspect", image], check=False, capture_output=True).returncode:
            pulled = subprocess.run(["docker", "pull", "--quiet", image], check=False, capture_output=True)
            if pulled.returncode:
                return f"the image {image} is not available"
    if {"kafka", "ksqldb-server", "multi-bank-system"} & set(docker("ps", "--all", "--format", "{{.Names}}").split()):
        return "a stack with this project's container names is there already"
    return None


def _bring_jars(folder: Path) -> None:
    """Put the local servers' jars into the build context, laid out as the user's cache is."""
    cache = cache_folder()
    wanted = [jar for name in JAR_LISTS for jar in jars.read_list(name)]
    jars.fetch(wanted, cache, lambda done, missing: None)
    for jar in wanted:
        target = jars.path_of(jar, folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(jars.path_of(jar, cache), target)
