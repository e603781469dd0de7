"""Real parts for the integration tests: a broker alone, or the whole local stack, on free ports and in folders of their own."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local import broker, jars, plan
from local.checks import broker_ready
from local.settings import HOST, ROOT, Folders, MongoTarget, Ports, S3Target, Settings, cache_folder, load

START_SECONDS = 600  # the first start on a machine fetches the jars
SLOWNESS = 3
HEALTHY_SECONDS = 60
PORTS = tuple(Ports.model_fields)


@dataclass(frozen=True)
class Stack:
    """A running local stack, and the environment that start.sh needs to find it again."""

    settings: Settings
    environment: Mapping[str, str]

    @property
    def kafka(self) -> str:
        return self.settings.bootstrap

    @property
    def connect_url(self) -> str:
        return self.settings.connect_url

    @property
    def ksqldb_url(self) -> str:
        return self.settings.ksqldb_url

    @property
    def validator_url(self) -> str:
        return self.settings.validator_url

    @property
    def mongodb_uri(self) -> str:
        return self.settings.mongodb.uri

    @property
    def s3_endpoint(self) -> str:
        assert self.settings.s3.endpoint
        return self.settings.s3.endpoint

    @property
    def s3_access_key(self) -> str:
        return self.settings.s3.access_key_id

    @property
    def s3_secret_key(self) -> str:
        return self.settings.s3.secret_access_key

    def pid_of(self, service: str) -> int:
        """The service's process, as the launcher has it."""
        return json.loads(self.settings.folders.state.read_text())["services"][service]["pid"]

    def start_sh(self, *arguments: str, timeout: float = START_SECONDS) -> subprocess.CompletedProcess[str]:
        """Run start.sh as a user would."""
        return start_sh(self.environment, *arguments, timeout=timeout)

    def await_healthy(self, *arguments: str, seconds: float = HEALTHY_SECONDS) -> subprocess.CompletedProcess[str]:
        """What `--status` says as soon as nothing is wrong: one poll without an answer in time is a fault until the next one."""
        return await_success(lambda: self.start_sh("--status", *arguments), seconds)


def free_ports() -> dict[str, str]:
    """A free port for every part, as environment variables."""
    sockets = [socket.socket() for _ in PORTS]
    for one in sockets:
        one.bind((HOST, 0))
    ports = {name.upper(): str(one.getsockname()[1]) for name, one in zip(PORTS, sockets, strict=True)}
    for one in sockets:
        one.close()
    return ports


def start_sh(
    environment: Mapping[str, str], *arguments: str, timeout: float = START_SECONDS, root: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run the start.sh of a clone with these variables on top of the process's own."""
    return subprocess.run(
        ["bash", str(root / "start.sh"), *arguments],
        check=False,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


@contextmanager
def running_stack(folder: Path, environment: Mapping[str, str], root: Path = ROOT) -> Iterator[Stack]:
    """The whole stack of a clone by `./start.sh --local --detach`; afterwards it is stopped, and nothing may be left of it."""
    variables = {**free_ports(), **environment, "LOCAL_DIR": str(folder)}
    started = start_sh(variables, "--local", "--detach", root=root)
    assert started.returncode == 0, started.stdout + started.stderr
    try:
        with _environment(variables):
            settings = load()
        yield Stack(settings, variables)
    finally:
        stopped = start_sh(variables, "--local", "--stop", root=root)
        assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    assert processes_of(folder) == []


def download() -> None:
    """What a first start downloads, for a stack whose environment leads to no network."""
    script = '. local/bootstrap.sh && make_environment "$root/local/requirements.txt"'
    subprocess.run(["bash", "-c", script], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    jars.fetch(plan.jars(load()), cache_folder(), lambda done, wanted: None)


def processes_of(folder: Path) -> list[str]:
    """The command lines of all processes that were started with this folder as LOCAL_DIR."""
    marker = f"LOCAL_DIR={folder}\0".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if marker in (process / "environ").read_bytes() and process.name != str(os.getpid()):
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


@contextmanager
def running_broker(folder: Path, *overrides: str) -> Iterator[str]:
    """A broker alone; gives its address. `overrides` are settings (`name=value`) that it has otherwise than the stack's."""
    alone = LoneKafka(folder, *overrides)
    alone.start()
    try:
        yield alone.bootstrap
    finally:
        alone.stop()


class LoneKafka:
    """A broker alone, that can be killed and started again on what it has written."""

    def __init__(self, folder: Path, *overrides: str) -> None:
        ports = free_ports()
        settings = Settings(
            Ports(kafka_port=int(ports["KAFKA_PORT"]), kafka_controller_port=int(ports["KAFKA_CONTROLLER_PORT"])),
            Folders(folder, cache_folder()),
            MongoTarget("", embedded=True),
            S3Target("", "", "", "", "", ""),
        )
        jars.fetch(jars.read_list("kafka"), cache_folder(), lambda done, wanted: None)
        folder.mkdir(parents=True, exist_ok=True)
        self.bootstrap = settings.bootstrap
        self._command = [*broker.commands(settings)[0], *(word for one in overrides for word in ("--override", one))]
        self._log = folder / "kafka.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns once it answers; a broker that does not is ended."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_until(broker_ready(self.bootstrap), 60, "the broker answers")
        except AssertionError:
            self.kill()
            raise

    def stop(self) -> None:
        """SIGTERM."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(30)

    def kill(self) -> None:
        """Kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()


def wait_until(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Ask until it holds; fails with what was waited for.

    `seconds` are those of a usual machine. A slow one has SLOWNESS times as long: the limit ends what hangs, it judges no speed.
    """
    deadline = time.monotonic() + SLOWNESS * seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {SLOWNESS * seconds} s: {what}"
        time.sleep(0.2)


def await_success(
    command: Callable[[], subprocess.CompletedProcess[str]], seconds: float = HEALTHY_SECONDS
) -> subprocess.CompletedProcess[str]:
    """Run a command until it exits with 0; fails with the last answer."""
    deadline = time.monotonic() + SLOWNESS * seconds
    while (answer := command()).returncode != 0:
        assert time.monotonic() < deadline, answer.stdout + answer.stderr
        time.sleep(0.2)
    return answer


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
