"""Runs the programs: each as soon as those it waits for are ready, all in parallel; restarts what dies or hangs; stops them all.

Every service is checked for as long as it runs. One that fails its check is unhealthy, and is restarted when it stays so for
longer than a service that is only busy would: SILENT_SECONDS and UNHEALTHY_SECONDS say how long.
"""

import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from threading import Event

import psutil

from local.checks import Check
from local.plan import Program
from local.settings import ROOT
from runtime.service import USER_ERROR

TICK_SECONDS = 0.1
STOP_SECONDS = 10.0
# Between two checks of a service that is ready. Until then, and while it is unhealthy, it is asked again at once.
CHECK_SECONDS = 2.0
# A service without a good answer for so long is shown as unhealthy: one slow answer is no fault.
DOUBT_SECONDS = 6.0
# A service that gives no answer at all for so long, and does nothing meanwhile, hangs. Pauses for garbage collection, a busy
# disk or a rebalance are shorter by far.
SILENT_SECONDS = 60.0
# A service that answers that it is unhealthy, or gives no answer but works, may get over it by itself: it waits for transactions
# and members to time out (a minute), or it is MongoDB, which serves one query after the other, at a long one.
UNHEALTHY_SECONDS = 300.0
# A process that uses more of a core than this works.
WORKING_SHARE = 0.2
# A start that takes longer is said, once.
SLOW_START_SECONDS = 60.0
# The supervisor's clock stops while the launcher itself is suspended or starved, so that no service is blamed for it.
MAX_TICK_SECONDS = 1.0
# A service that lived this long starts its back-off again.
SETTLED_SECONDS = 30.0
# Of a log, when its program fails.
TAIL_LINES = 15
MAX_BACKOFF_SECONDS = 10.0
# The start is given up when a service dies so many times. On a slow machine one may die of a broker that does not answer yet.
START_TRIES = 3
# A log that has grown larger is set aside when its service is started, in the place of the one before.
MAX_LOG_BYTES = 10 * 1024 * 1024


class Phase(StrEnum):
    """What a program is doing."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    UNHEALTHY = "unhealthy"
    DONE = "done"
    BACKOFF = "restarting"
    STOPPED = "stopped"


class StartFailed(Exception):
    """The stack cannot start; the message names the program, the reason and the log."""


@dataclass
class Running:
    """A program and its process."""

    program: Program
    log: Path
    log_start: int = 0
    phase: Phase = Phase.WAITING
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    # The check that is under way, and the process that it is about.
    check: "Future[bool | None] | None" = None
    checked: subprocess.Popen[bytes] | None = None
    # Times of the supervisor's clock: the last check, the last good answer, the last answer of any kind, and the last time
    # that a service which this one needs was not usable. `worked` is the CPU time used until the last answer.
    checked_at: float = 0.0
    healthy_at: float = 0.0
    answered_at: float = 0.0
    excused_at: float = 0.0
    worked: float = 0.0
    slow: bool = False
    # Why the last process ended, when, and when the next one was healthy, in seconds since the epoch.
    hung: str = ""
    gone: str = ""
    gone_at: float = 0.0
    back_at: float | None = None
    failures: int = 0
    restarts: int = 0
    restart_at: float = 0.0

    @property
    def usable(self) -> bool:
        return self.phase in (Phase.READY, Phase.DONE)


@dataclass
class Supervisor:
    """`say` is told what happens, a line at a time."""

    programs: list[Program]
    logs: Path
    say: Callable[[str], None]
    runs: dict[str, Running] = field(init=False)
    # Seconds from the first process to everything being ready; None until then.
    ready_seconds: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.logs.mkdir(parents=True, exist_ok=True)
        self.runs = {program.name: Running(program, self.logs / f"{program.name}.log") for program in self.programs}
        # One check of a program at a time, also of one that hangs: there are never more threads than programs.
        self._checks = ThreadPoolExecutor(len(self.programs), thread_name_prefix="check")
        self._needs = {program.name: self._services_before(program) for program in self.programs}
        self._clock = 0.0

    @property
    def all_ready(self) -> bool:
        return all(run.usable for run in self.runs.values())

    def run(self, stopping: Event, on_tick: Callable[[], None]) -> None:
        """Start everything and keep it running until `stopping` is set. Raises StartFailed; stop() is the caller's to call."""
        started = ticked = time.monotonic()
        while not stopping.is_set():
            now = time.monotonic()
            self._clock += min(now - ticked, MAX_TICK_SECONDS)
            ticked = now
            for run in self.runs.values():
                self._advance(run)
            if self.ready_seconds is None and self.all_ready:
                self.ready_seconds = round(time.monotonic() - started, 1)
                self.say(f"everything is ready after {self.ready_seconds} s")
            on_tick()
            stopping.wait(TICK_SECONDS)

    def stop(self) -> None:
        """Stop every service, senders before receivers; what does not end in time is killed, and said."""
        self._checks.shutdown(wait=False, cancel_futures=True)
        alive = [run for run in self.runs.values() if run.process is not None and run.process.poll() is None]
        for order in sorted({run.program.stop_order for run in alive}):
            group = [run for run in alive if run.program.stop_order == order]
            for run in group:
                _signal(run, signal.SIGTERM)
            deadline = time.monotonic() + STOP_SECONDS
            for run in group:
                assert run.process is not None
                try:
                    run.process.wait(max(deadline - time.monotonic(), 0))
                except subprocess.TimeoutExpired:
                    self.say(f"{run.program.name} did not stop within {STOP_SECONDS:.0f} s and was killed")
                    _signal(run, signal.SIGKILL)
                    run.process.wait()
                run.phase = Phase.STOPPED

    def _advance(self, run: Running) -> None:
        match run.phase:
            case Phase.WAITING:
                if all(self.runs[name].usable for name in run.program.after):
                    self._launch(run)
            case Phase.BACKOFF:
                if time.monotonic() >= run.restart_at:
                    self._launch(run)
            case Phase.STARTING | Phase.READY | Phase.UNHEALTHY:
                assert run.process is not None
                code = run.process.poll()
                if code is not None:
                    self._exited(run, code)
                elif run.program.ready is not None:
                    self._check(run, run.program.ready)
                    self._judge(run)
            case Phase.DONE | Phase.STOPPED:
                pass

    def _launch(self, run: Running) -> None:
        run.phase, run.started_at = Phase.STARTING, time.monotonic()
        run.healthy_at = run.answered_at = run.excused_at = self._clock
        run.worked, run.slow = 0.0, False
        try:
            self._open_process(run)
        except OSError as error:  # such as a full disk on which its log cannot be made
            self._gone(run, f"could not be started: {error}", tries=1)

    def _open_process(self, run: Running) -> None:
        if run.log.exists() and run.log.stat().st_size > MAX_LOG_BYTES:
            run.log.replace(run.log.with_suffix(".log.1"))
        with run.log.open("ab") as output:
            run.log_start = output.tell()
            run.process = subprocess.Popen(
                run.program.command,
                cwd=ROOT,
                env=run.program.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C goes to the launcher alone, which stops the services in order
            )

    def _check(self, run: Running, ready: Check) -> None:
        """Take the answer of the check that is under way, and begin the next one when it is due."""
        if run.check is None:
            if run.phase is not Phase.READY or self._clock - run.checked_at >= CHECK_SECONDS:
                run.check, run.checked, run.checked_at = self._checks.submit(ready), run.process, self._clock
        elif run.check.done():
            answer = run.check.result()
            run.check = None
            if run.checked is not run.process:  # it was asked of the process before this one
                return
            if answer is not None:
                run.answered_at, run.worked = self._clock, _cpu_seconds(run)
            if answer:
                run.healthy_at = self._clock
                self._healthy(run)

    def _healthy(self, run: Running) -> None:
        if run.phase is Phase.STARTING:
            self.say(f"{run.program.name} is ready ({time.monotonic() - run.started_at:.1f} s)")
        elif run.phase is Phase.UNHEALTHY:
            self.say(f"{run.program.name} is healthy again")
        run.phase = Phase.READY
        if run.gone and run.back_at is None:
            run.back_at = time.time()

    def _judge(self, run: Running) -> None:
        """Conclude from the answers so far. Raises StartFailed for a service that hangs before the stack is ready."""
        if any(not self.runs[needed].usable for needed in self._needs[run.program.name]):
            run.excused_at = self._clock
        if run.phase is Phase.READY and self._clock - run.healthy_at > DOUBT_SECONDS:
            run.phase = Phase.UNHEALTHY
            self.say(f"{run.program.name} is unhealthy: no good answer for {DOUBT_SECONDS:.0f} s (log: {run.log})")
        if run.phase is Phase.STARTING and not run.slow and self._clock - run.healthy_at > SLOW_START_SECONDS:
            run.slow = True
            self.say(f"{run.program.name} is still starting (log: {run.log})")
        if fault := self._overdue(run):
            if self.ready_seconds is None:
                raise StartFailed(f"{run.program.name} {fault}: see {run.log}\n{tail(run.log, run.log_start)}")
            self.say(f"{run.program.name} {fault}: it is killed and started again (log: {run.log})")
            run.hung = fault
            _signal(run, signal.SIGKILL)  # what hangs ignores SIGTERM, and loses nothing by SIGKILL
            run.healthy_at = run.answered_at = self._clock

    def _overdue(self, run: Running) -> str | None:
        """Why the service has to be restarted, or None. Time in which a service that it needs was not usable does not count."""
        unhealthy = self._clock - max(run.healthy_at, run.excused_at)
        silent = self._clock - max(run.answered_at, run.excused_at)
        if run.phase is Phase.STARTING:
            limit = run.program.start_seconds
            return f"was not ready within {limit:.0f} s" if unhealthy > limit else None
        if unhealthy > UNHEALTHY_SECONDS:
            return f"has been unhealthy for {UNHEALTHY_SECONDS:.0f} s"
        if silent > SILENT_SECONDS and not self._works(run):
            return f"has not answered for {SILENT_SECONDS:.0f} s"
        return None

    def _works(self, run: Running) -> bool:
        return _cpu_seconds(run) - run.worked > WORKING_SHARE * (self._clock - run.answered_at)

    def _services_before(self, program: Program) -> set[str]:
        """The services that the program needs, also those that a step before it needs."""
        found: set[str] = set()
        for name in program.after:
            needed = self.runs[name].program
            found |= self._services_before(needed) | ({name} if needed.ready is not None else set())
        return found

    def _exited(self, run: Running, code: int) -> None:
        if run.program.ready is None and code == 0:
            run.phase = Phase.DONE
            self.say(f"{run.program.name} is done ({time.monotonic() - run.started_at:.1f} s)")
            return
        service = run.program.ready is not None
        self._gone(run, f"ended with exit code {code}", START_TRIES if service and code != USER_ERROR else 1)

    def _gone(self, run: Running, what: str, tries: int) -> None:
        """Start it again after a pause. Before the stack is ready it raises StartFailed when that were more than `tries`."""
        if self.ready_seconds is None and run.failures + 1 >= tries:
            raise StartFailed(f"{run.program.name} {what}: see {run.log}\n{tail(run.log, run.log_start)}")
        if time.monotonic() - run.started_at > SETTLED_SECONDS:
            run.failures = 0
        # A service that dies once is missed at once; only one that keeps dying has to be spared the machine.
        pause = min(2.0 ** (run.failures - 1), MAX_BACKOFF_SECONDS) if run.failures else 0.0
        run.failures += 1
        run.restarts += 1
        if not run.gone or run.back_at is not None:  # else it is the same outage
            run.gone_at = time.time()
        run.gone, run.hung, run.back_at = run.hung or what, "", None
        run.phase, run.restart_at = Phase.BACKOFF, time.monotonic() + pause
        self.say(f"{run.program.name} {what}, restart in {pause:.0f} s (log: {run.log})")


def tail(log: Path, start: int = 0) -> str:
    """The last lines of a log from the byte `start` on, indented."""
    if not log.exists():
        return ""
    written = log.read_bytes()[start:].decode(errors="replace").splitlines()
    return "\n".join("    " + line for line in written[-TAIL_LINES:])


def created(process: psutil.Process) -> str:
    """When it was created, in a form that no step of the clock changes and no other process with its number has."""
    try:
        # Ticks since the machine's start; the program's name before it may have spaces.
        ticks = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {ticks}"
    except FileNotFoundError:  # macOS keeps the time itself
        return str(process.create_time())


def find_process(pid: int, when: str) -> psutil.Process | None:
    """The process with this number that was created then, if it still runs."""
    try:
        process = psutil.Process(pid)
        return process if created(process) == when and process.status() != psutil.STATUS_ZOMBIE else None
    except (psutil.NoSuchProcess, ProcessLookupError):
        return None


def stop_processes(left: list[psutil.Process]) -> None:
    """End processes that an earlier launcher left behind."""
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(left, timeout=STOP_SECONDS)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=STOP_SECONDS)


def _cpu_seconds(run: Running) -> float:
    """The CPU time that the process has used."""
    assert run.process is not None
    try:
        times = psutil.Process(run.process.pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return times.user + times.system


def _signal(run: Running, number: signal.Signals) -> None:
    assert run.process is not None
    run.process.send_signal(number)
