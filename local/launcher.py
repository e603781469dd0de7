"""`--local`: checks, fetches, starts, watches and stops the stack."""

import fcntl
import logging
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from threading import Event
from typing import Any

import psutil
from rich.console import Console
from rich.live import Live

from console import status
from contracts.kafka import SettingsError
from local import connect, disk, jars, parts, state, view
from local.counts import Counts
from local.settings import HOST, ROOT, Settings
from local.supervisor import StartFailed, Supervisor, stop_processes

logger = logging.getLogger(__name__)

STATE_SECONDS = 1.0
PLAIN_SUMMARY_SECONDS = 10.0
STOP_SECONDS = 60.0


class Interrupted(Exception):
    """Stopped while it was still fetching."""


def up(settings: Settings) -> int:
    """Run the stack in the foreground until a signal. Returns the exit code."""
    console = Console(highlight=False, soft_wrap=True)
    stopping = Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.set())
    begun = time.monotonic()

    def say(line: str) -> None:
        _print(console, f"[{time.monotonic() - begun:6.1f} s] {line}")

    with _only_one(settings):
        _clear_leftovers(settings, say)
        _make_temporary_folder(settings)
        state.write(state.launcher_alone(settings), settings.folders.state)
        try:
            _check_ports(settings)
            _fetch(settings, say, stopping)
            _write_stores_environment(settings)
            supervisor = Supervisor(parts.nodes(settings), settings.folders.logs, say)
            return _supervise(supervisor, settings, console, say, stopping)
        except Interrupted:
            return 130
        finally:
            settings.folders.state.unlink(missing_ok=True)


def up_detached(settings: Settings) -> int:
    """Start the stack in the background, show its progress until it is ready. Returns the exit code."""
    with _only_one(settings):
        pass  # a clear word now instead of one in a log
    settings.folders.logs.mkdir(parents=True, exist_ok=True)
    log = settings.folders.logs / "launcher.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "local", "up"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    with log.open() as lines:
        try:
            while process.poll() is None and not _ready(settings, process.pid):
                sys.stdout.write(lines.read())
                sys.stdout.flush()
                time.sleep(STATE_SECONDS / 4)
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
        sys.stdout.write(lines.read())
    if process.poll() is not None:
        return process.returncode or 1
    sys.stdout.write("running in the background: ./start.sh --status shows it, ./start.sh --stop stops it\n")
    return 0


def show_status(settings: Settings, as_json: bool) -> int:
    """Print the state of the stack, for people or as JSON. Returns 0 only when every part and what it does is well."""
    current = state.read(settings.folders.state)
    if current is None:
        return status.show(_fault("the local stack is not running: ./start.sh --local starts it"), as_json)
    if not state.alive(current["launcher"]):
        left = sum(map(state.alive, current["parts"].values()))
        fault = f"the launcher was killed, {left} of its processes still run: ./start.sh --local --stop ends them"
        return status.show(_fault(fault), as_json)
    starting = current["ready_seconds"] is None
    found = _fault("the local stack is still starting") if starting else status.fetch(settings.console_url)
    if full := disk.full(settings.folders.base):
        found = {**found, "well": False, "faults": [full, *found["faults"]]}
        current = state.as_they_are(current)
    return status.show(state.with_processes(found, current), as_json)


def stop(settings: Settings) -> int:
    """Stop the stack, also one whose launcher was killed. Returns the exit code."""
    current = state.read(settings.folders.state)
    if current is None:
        sys.stdout.write("the local stack is not running\n")
        return 0
    if state.alive(current["launcher"]):
        launcher = psutil.Process(current["launcher"]["pid"])
        launcher.terminate()
        try:
            launcher.wait(STOP_SECONDS)
        except psutil.TimeoutExpired:
            sys.stdout.write(
                f"the launcher (pid {launcher.pid}) did not stop within {STOP_SECONDS:.0f} s: kill it and call this again\n"
            )
            return 1
    _clear_leftovers(settings, lambda line: sys.stdout.write(line + "\n"))
    sys.stdout.write("the local stack is stopped, its data is kept\n")
    return 0


def run_with_ksqldb(settings: Settings, script: list[str]) -> int:
    """Run a Python script beside ksqlDB; of a stopped stack the broker and ksqlDB are started for it. Returns the exit code."""

    def run() -> int:
        environment = {**os.environ, "KSQLDB_URL": settings.ksqldb_url}
        return subprocess.run([sys.executable, *script], env=environment, cwd=ROOT, check=False).returncode

    if state.read(settings.folders.state) is not None:
        return run()
    with _only_one(settings):
        _make_temporary_folder(settings)
        _check_ports(settings)
        nodes = [node for node in parts.nodes(settings) if node.name in ("kafka", "init_kafka", "ksqldb-server")]
        supervisor, ready = Supervisor(nodes, settings.folders.logs, lambda _: None), Event()
        try:
            supervisor.run(ready, lambda: ready.set() if supervisor.all_ready else None)
            return run()
        except StartFailed as error:
            raise SettingsError(f"ksqlDB did not start: {error}") from None
        except KeyboardInterrupt:
            return 130
        finally:
            supervisor.stop()


def _supervise(
    supervisor: Supervisor, settings: Settings, console: Console, say: Callable[[str], None], stopping: Event
) -> int:
    announced, written_at, summary_at = False, 0.0, 0.0
    full: str | None = None
    counts = Counts(settings.console_url)
    counts.start()
    screen = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def on_tick() -> None:
        nonlocal announced, written_at, summary_at, full
        now = time.monotonic()
        news = supervisor.all_ready and not announced
        if now - written_at < STATE_SECONDS and not news:
            return
        written_at = now
        current = state.snapshot(supervisor, settings, counts.latest)
        was_full, full = full, _keep(current, settings)
        if full and not was_full:
            say(f"{full}. What runs goes on, what ends is started again until it can write")
        elif was_full and not full:
            say(f"the disk of {settings.folders.base} has space again")
        if news:
            announced = True
            _print(console, f"\n{view.addresses(settings)}\n")
            _print(
                console, f"{current['rss_mib']:,} MiB resident in all. Ctrl-C or ./start.sh --stop stops everything.\n"
            )
        if screen is not None and announced:
            screen.update(view.live(current), refresh=True)
        elif announced and now - summary_at > PLAIN_SUMMARY_SECONDS:
            summary_at = now
            _print(console, view.summary(current))

    code = 0
    try:
        with screen or nullcontext():
            supervisor.run(stopping, on_tick)
    except StartFailed as error:
        _print(console, f"the stack did not start: {error}")
        code = 1
    finally:
        _print(console, "stopping")
        counts.stop()
        supervisor.stop()
    _print(console, "stopped, nothing is left running")
    return code


def _keep(current: dict[str, Any], settings: Settings) -> str | None:
    """Write the state; gives what is to be said when the disk is full. The file that is there stays as it was then."""
    try:
        state.write(current, settings.folders.state)
    except OSError as error:
        return disk.refused(error, settings.folders.base)
    return disk.full(settings.folders.base)


def _print(console: Console, line: str) -> None:
    """Print, if there is space for it: in the background the output is a file."""
    with suppress(OSError):
        console.print(line, markup=False)


@contextmanager
def _only_one(settings: Settings):
    """Hold the lock of this clone's stack. Raises SettingsError when another launcher holds it."""
    settings.folders.run.mkdir(parents=True, exist_ok=True)
    with (settings.folders.run / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(
                "the local stack is already running here: ./start.sh --status shows it, ./start.sh --stop stops it"
            ) from None
        yield


def _fault(fault: str) -> dict[str, Any]:
    return {"well": False, "faults": [fault]}


def _ready(settings: Settings, launcher: int) -> bool:
    current = state.read(settings.folders.state)
    return current is not None and current["launcher"]["pid"] == launcher and current["ready"]


def _clear_leftovers(settings: Settings, say: Callable[[str], object]) -> None:
    """End the parts of a launcher that was killed; without one nothing else would."""
    current = state.read(settings.folders.state)
    if current is None:
        return
    identities = {part["pid"]: part["created"] for part in current["parts"].values() if part["pid"] is not None}
    count = stop_processes(identities)
    if count:
        say(f"ended {count} processes that an earlier launcher had left behind")
    settings.folders.state.unlink(missing_ok=True)


def _make_temporary_folder(settings: Settings) -> None:
    """Of this stack alone, new at each start: what a killed part leaves behind goes, and other users' stacks are not met."""
    shutil.rmtree(settings.folders.temporary, ignore_errors=True)
    settings.folders.temporary.mkdir(parents=True)
    os.environ["TMPDIR"] = str(settings.folders.temporary)


def _check_ports(settings: Settings) -> None:
    """Raises SettingsError that names every port that is taken and the variable that moves it."""
    taken = []
    not_used = {
        "mongodb_port": not settings.mongodb.embedded,
        "s3_port": not settings.s3.endpoint,
        "archiver_metrics_port": connect.s3_plugin() is not None,
    }
    for variable, port in settings.ports:
        if not_used.get(variable):
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                taken.append((variable.upper(), port))
    if taken:
        names = ", ".join(f"{port} ({variable})" for variable, port in taken)
        example = " ".join(f"{variable}={port + 10000 if port < 55000 else port - 10000}" for variable, port in taken)
        raise SettingsError(
            f"port {names} is taken by another program: stop that program, or move the stack, "
            f"as in {example} ./start.sh --local (or the same in .env)"
        )


def _fetch(settings: Settings, say: Callable[[str], None], stopping: Event) -> None:
    told = 0.0

    def progress(done: int, wanted: int) -> None:
        nonlocal told
        if stopping.is_set():
            raise Interrupted
        if done == wanted or time.monotonic() - told > 2:
            told = time.monotonic()
            say(f"fetching Kafka, Connect and the stores, once: {done} of {wanted} jars")

    jars.fetch(parts.jars(settings), settings.folders.cache, progress)


def _write_stores_environment(settings: Settings) -> None:
    """For people: what the queries need to reach the stores, in a file that its user alone can read."""
    file: Path = settings.folders.run / "stores.env"
    file.touch(mode=0o600)
    variables = {"MONGODB_URI": settings.mongodb.uri, **settings.s3.environment}
    file.write_text("".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items()))
