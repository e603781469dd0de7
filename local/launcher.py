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
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from threading import Event
from types import FrameType
from typing import Any

import psutil

from console import processes, status
from local import connect, files, jars, plan, rights, running, state, view
from local.counts import Counts
from local.output import Output
from local.secure import kafka_environment
from local.settings import CLUSTER_PORTS, HOST, ROOT, Addresses, Folders, Settings, load
from local.supervisor import StartFailed, Supervisor, stop_processes
from runtime import disk
from runtime.errors import UserError
from runtime.signals import sets

logger = logging.getLogger(__name__)

STATE_SECONDS = 1.0
PLAIN_SUMMARY_SECONDS = 10.0
STOP_SECONDS = 60.0


RUNS = "the local stack is already running here: ./start.sh --status shows it, ./start.sh --stop stops it"
UNKNOWN = (
    "a launcher runs here whose state cannot be read: it is just starting, or of another version of this repository. "
    "Try again, or stop it with that version"
)


def up(settings: Settings) -> int:
    """Run the stack in the foreground until a signal. Returns the exit code."""
    output = Output()
    try:
        code = _up(settings, output)
    finally:
        written = output.close()
    if not written:
        os._exit(code)  # Python would wait for the terminal
    return code


def _up(settings: Settings, output: Output) -> int:
    stopping = Event()
    _on_signals((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), sets(stopping))
    started = time.monotonic()

    def say(line: str) -> None:
        output.say(f"[{time.monotonic() - started:6.1f} s] {line}")

    with only_one(settings.folders):
        _clear_leftovers(settings.folders, say)
        _make_temporary_folder(settings)
        state.write(state.launcher_alone(settings), settings.folders.state)
        try:
            _check_ports(settings)
            _check_disk(settings)
            _fetch(settings, say, stopping)
            _check_ports(settings)  # again: the download may have taken minutes
            programs = plan.programs(settings)
            write_stores_environment(settings)
            supervisor = Supervisor(programs, settings.folders.logs, say)
            return _supervise(supervisor, settings, output, say, stopping)
        except KeyboardInterrupt:  # while it was still fetching
            return 130
        finally:
            _forget(settings.folders)


def up_detached(settings: Settings) -> int:
    """Start the stack in the background, show its progress until it is ready. Returns the exit code."""
    with only_one(settings.folders):
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


def show_status(folders: Folders, as_json: bool) -> int:
    """Print the state of the stack, for people or as JSON. Returns 0 only when every service and what it does is healthy."""
    current = state.read(folders.state)
    if current is None:
        return status.show(_fault(running.NOT_RUNNING), as_json)
    if not state.alive(current["launcher"]):
        left = sum(map(state.alive, current["services"].values()))
        if not left:
            return status.show(_fault(running.NOT_RUNNING), as_json)
        fault = f"the launcher was killed, {left} of its processes still run: ./start.sh --local --stop ends them"
        return status.show(_fault(fault), as_json)
    starting = current["ready_seconds"] is None
    stack = running.stack_of(current, folders)
    found = _fault("the local stack is still starting") if starting else status.fetch(stack.console_url)
    space = disk.space(folders.base)
    if space.problem and not any(fault.startswith(f"the disk of {folders.base} ") for fault in found["faults"]):
        found = {**found, "healthy": False, "faults": [space.problem, *found["faults"]]}
    silent = 0.0 if starting or space.full else processes.age(folders.state)
    if silent > processes.STALE_SECONDS:
        still = f"the launcher has not written for {silent:.0f} s: it is stopping, or was stopped itself, as by Ctrl-Z"
        others = (
            fault for fault in found["faults"] if not fault.startswith("launcher is down")
        )  # as the console has it
        found = {**found, "healthy": False, "faults": [still, *others]}
    if silent > processes.STALE_SECONDS or space.full:
        current = state.as_they_are(current)
    return status.show(state.with_processes(found, current), as_json)


def stop(folders: Folders, keep: bool = True) -> int:
    """Stop the stack, also one whose launcher was killed. Without `keep` its data is removed next. Returns the exit code."""
    current = state.read(folders.state)
    if current is None:
        with only_one(folders, UNKNOWN):
            sys.stdout.write("the local stack is not running\n")
        return 0
    if (launcher := state.process_of(current["launcher"])) is not None:
        try:
            launcher.terminate()
            launcher.resume()  # one that Ctrl-Z has stopped would not hear it
            launcher.wait(STOP_SECONDS)
        except psutil.NoSuchProcess:
            pass  # it has just ended by itself
        except psutil.TimeoutExpired:
            sys.stdout.write(
                f"the launcher (pid {launcher.pid}) did not stop within {STOP_SECONDS:.0f} s: kill it and call this again\n"
            )
            return 1
    with only_one(folders, UNKNOWN):
        _clear_leftovers(folders, lambda line: sys.stdout.write(line + "\n"))
    sys.stdout.write(f"the local stack is stopped{', its data is kept' if keep else ''}\n")
    return 0


def clean_ksqldb(folders: Folders) -> int:
    """Run init.clean_ksqldb; of a stopped stack the broker and ksqlDB are started for it. Returns the exit code."""

    def run(stack: Addresses) -> int:
        environment = {**os.environ, "KSQLDB_URL": stack.ksqldb_url}
        return subprocess.run(
            [sys.executable, "-m", "init.clean_ksqldb"], env=environment, cwd=ROOT, check=False
        ).returncode

    stack = running.search(folders)
    if stack is not None:
        running.check_cluster(stack)
        return run(stack)
    settings = load()
    # As Ctrl-C: nothing that was started may be left.
    _on_signals((signal.SIGTERM, signal.SIGHUP), signal.default_int_handler)
    with only_one(settings.folders):
        _make_temporary_folder(settings)
        _check_ports(settings)
        needed = {*(broker.name for broker in settings.brokers), "init_users", "init_kafka", "ksqldb-server"}
        programs = [program for program in plan.programs(settings) if program.name in needed]
        supervisor, ready = Supervisor(programs, settings.folders.logs, lambda _: None), Event()

        def on_tick() -> None:
            state.write(
                state.snapshot(supervisor, settings, None), settings.folders.state
            )  # for --stop, after a kill -9
            if supervisor.all_ready:
                ready.set()

        try:
            supervisor.run(ready, on_tick)
            return run(settings)
        except StartFailed as error:
            raise UserError(f"ksqlDB did not start: {error}") from None
        except KeyboardInterrupt:
            return 130
        finally:
            supervisor.stop()
            _forget(settings.folders)


def _supervise(
    supervisor: Supervisor, settings: Settings, output: Output, say: Callable[[str], None], stopping: Event
) -> int:
    announced, written_at, summary_at = False, 0.0, 0.0
    full: str | None = None
    known: list[int | None] = []
    counts = Counts(settings.console_url)

    def on_tick() -> None:
        nonlocal announced, written_at, summary_at, full, known
        now = time.monotonic()
        # What was just started is written at once: if the launcher is killed, the next one finds it.
        pids = [run.process and run.process.pid for run in supervisor.runs.values()]
        news = (supervisor.all_ready and not announced) or pids != known
        if now - written_at < STATE_SECONDS and not news:
            return
        written_at, known = now, pids
        current = state.snapshot(supervisor, settings, counts.latest)
        was_full, full = full, _keep(current, settings)
        if full and not was_full:
            say(f"{full}. Running services continue; services that exit are restarted until they can write")
        elif was_full and not full:
            say(f"the disk of {settings.folders.base} has space again")
        if supervisor.all_ready and not announced:
            announced = True
            if not output.is_terminal:
                output.say(f"\n{view.addresses(settings)}\n")
            output.say(f"{current['rss_mib']:,} MiB resident in all. Ctrl-C or ./start.sh --stop stops everything.\n")
        if output.is_terminal and announced:
            output.show(view.live(current, settings, *output.size))
        elif announced and now - summary_at > PLAIN_SUMMARY_SECONDS:
            summary_at = now
            output.say(view.summary(current))

    code = 0
    try:
        supervisor.run(stopping, on_tick)
    except StartFailed as error:
        output.say(f"the stack did not start: {error}")
        code = 1
    finally:
        output.end_pictures()
        output.say("stopping")
        supervisor.stop()
    output.say("stopped, nothing is left running")
    return code


def _keep(current: dict[str, Any], settings: Settings) -> str | None:
    """Write the state; gives what is to be said when the disk is full. The file that is there stays as it was then."""
    try:
        state.write(current, settings.folders.state)
    except OSError as error:
        return disk.refused(error, settings.folders.base)
    return disk.space(settings.folders.base).full


def _on_signals(numbers: Iterable[signal.Signals], handler: Callable[[int, FrameType | None], object]) -> None:
    """Set a handler; SIGHUP stays ignored where nohup ignores it."""
    for number in numbers:
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


@contextmanager
def only_one(folders: Folders, otherwise: str = RUNS) -> Generator[None]:
    """Hold the lock of this folder's stack. Raises UserError with that text when another launcher holds it."""
    folders.run.mkdir(parents=True, exist_ok=True)
    with (folders.run / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(otherwise) from None
        yield


def _fault(fault: str) -> dict[str, Any]:
    return {"healthy": False, "faults": [fault]}


def _ready(settings: Settings, launcher: int) -> bool:
    current = state.read(settings.folders.state)
    return current is not None and current["launcher"]["pid"] == launcher and current["ready"]


def _clear_leftovers(folders: Folders, say: Callable[[str], object]) -> None:
    """End the processes of a launcher that was killed; without one nothing else would."""
    current = state.read(folders.state)
    if current is None:
        return
    services = current["services"].values()
    left = [process for service in services if (process := state.process_of(service)) is not None]
    if left:
        stop_processes(left)
        say(f"ended {len(left)} processes that an earlier launcher had left behind")
    _forget(folders)


def _forget(folders: Folders) -> None:
    """Remove the files by which the commands and the queries find a running stack."""
    for file in (folders.state, folders.stores):
        file.unlink(missing_ok=True)


def _make_temporary_folder(settings: Settings) -> None:
    """A folder for this stack alone, made again at each start: what killed services left is removed, and users do not collide."""
    shutil.rmtree(settings.folders.temporary, ignore_errors=True)
    settings.folders.temporary.mkdir(parents=True)
    os.environ["TMPDIR"] = str(settings.folders.temporary)


def _check_disk(settings: Settings) -> None:
    """Raises UserError that says how much is missing."""
    if problem := disk.space(settings.folders.base).problem:
        raise UserError(f"{problem}, or set LOCAL_DIR to a folder on another disk")


def _check_ports(settings: Settings) -> None:
    """Raises UserError that names every port that is taken and the variable that moves it."""
    taken = []
    not_used = {
        "mongodb_port": not settings.mongodb.embedded,
        "s3_port": not settings.s3.endpoint,
        "archiver_metrics_port": connect.s3_plugin() is not None,
        **(dict.fromkeys(CLUSTER_PORTS, True) if settings.kafka_brokers == 1 else {}),
    }
    for variable, port in settings.ports:
        if not_used.get(variable):
            continue
        if _taken(port):
            taken.append((variable.upper(), port))
    if taken:
        names = ", ".join(f"{port} ({variable})" for variable, port in taken)
        example = " ".join(f"{variable}={port + 10000 if port < 55000 else port - 10000}" for variable, port in taken)
        raise UserError(
            f"port {names} is taken by another program: stop that program, or move the stack, "
            f"as in {example} ./start.sh --local (or the same in .env)"
        )


def _taken(port: int) -> bool:
    """Whether another program listens there, also on IPv6 alone: a browser may take `localhost` for that."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    if not socket.has_ipv6:
        return False
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.settimeout(1)
            return probe.connect_ex(("::1", port)) == 0
    except OSError:  # there is no IPv6 here
        return False


def _fetch(settings: Settings, say: Callable[[str], None], stopping: Event) -> None:
    told = 0.0

    def progress(done: int, wanted: int) -> None:
        nonlocal told
        if stopping.is_set():
            raise KeyboardInterrupt
        if done == wanted or time.monotonic() - told > 2:
            told = time.monotonic()
            say(f"fetching Kafka, Connect and the stores, once: {done} of {wanted} jars")

    try:
        jars.fetch(plan.jars(settings), settings.folders.cache, progress)
    except OSError as error:
        raise UserError(disk.refused(error, settings.folders.cache)) from None


def write_stores_environment(settings: Settings) -> None:
    """For people: what their commands need to reach broker and stores, in a file that its user alone can read."""
    variables = {
        **kafka_environment(settings, rights.TOOLS),
        "MONGODB_URI": settings.mongodb.uri,
        **settings.s3.environment,
    }
    lines = "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())
    files.write(settings.folders.stores, lines, mode=0o600)
