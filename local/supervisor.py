"""Runs the nodes: each as soon as those it waits for are ready, all in parallel; restarts parts that die; stops them all."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from threading import Event

import psutil

from local.parts import Node
from local.settings import ROOT

TICK_SECONDS = 0.1
READY_SECONDS = 120.0
STOP_SECONDS = 10.0
# A part that lived this long starts its back-off anew.
SETTLED_SECONDS = 30.0
MAX_BACKOFF_SECONDS = 10.0
# A log that has grown larger is set aside when its part is started, in the place of the one before.
MAX_LOG_BYTES = 10 * 1024 * 1024


class Phase(StrEnum):
    """What a node is doing."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    DONE = "done"
    BACKOFF = "restarting"
    STOPPED = "stopped"


class StartFailed(Exception):
    """The stack cannot start; the message names the node, the reason and the log."""


@dataclass
class Running:
    """A node and its process."""

    node: Node
    log: Path
    log_start: int = 0
    phase: Phase = Phase.WAITING
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    check: "Future[bool] | None" = None
    failures: int = 0
    restarts: int = 0
    restart_at: float = 0.0

    @property
    def usable(self) -> bool:
        return self.phase in (Phase.READY, Phase.DONE)


@dataclass
class Supervisor:
    """`say` is told what happens, a line at a time."""

    nodes: list[Node]
    logs: Path
    say: Callable[[str], None]
    runs: dict[str, Running] = field(init=False)
    # Seconds from the first process to everything being ready; None until then.
    ready_seconds: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.logs.mkdir(parents=True, exist_ok=True)
        self.runs = {node.name: Running(node, self.logs / f"{node.name}.log") for node in self.nodes}
        self._checks = ThreadPoolExecutor(len(self.nodes), thread_name_prefix="check")

    @property
    def all_ready(self) -> bool:
        return all(run.usable for run in self.runs.values())

    def run(self, stopping: Event, on_tick: Callable[[], None]) -> None:
        """Start everything and keep it running until `stopping` is set. Raises StartFailed; stop() is the caller's to call."""
        begun = time.monotonic()
        while not stopping.is_set():
            for run in self.runs.values():
                self._advance(run)
            if self.ready_seconds is None and self.all_ready:
                self.ready_seconds = round(time.monotonic() - begun, 1)
                self.say(f"everything is ready after {self.ready_seconds} s")
            on_tick()
            stopping.wait(TICK_SECONDS)

    def stop(self) -> None:
        """Stop every part, senders before receivers; what does not end in time is killed, and said."""
        self._checks.shutdown(wait=False, cancel_futures=True)
        alive = [run for run in self.runs.values() if run.process is not None and run.process.poll() is None]
        for order in sorted({run.node.stop_order for run in alive}):
            group = [run for run in alive if run.node.stop_order == order]
            for run in group:
                _signal(run, signal.SIGTERM)
            deadline = time.monotonic() + STOP_SECONDS
            for run in group:
                assert run.process is not None
                try:
                    run.process.wait(max(deadline - time.monotonic(), 0))
                except subprocess.TimeoutExpired:
                    self.say(f"{run.node.name} did not stop within {STOP_SECONDS:.0f} s and was killed")
                    _signal(run, signal.SIGKILL)
                    run.process.wait()
                run.phase = Phase.STOPPED

    def _advance(self, run: Running) -> None:
        match run.phase:
            case Phase.WAITING:
                if all(self.runs[name].usable for name in run.node.after):
                    self._launch(run)
            case Phase.BACKOFF:
                if time.monotonic() >= run.restart_at:
                    self._launch(run)
            case Phase.STARTING | Phase.READY:
                assert run.process is not None
                code = run.process.poll()
                if code is not None:
                    self._exited(run, code)
                elif run.phase is Phase.STARTING and run.node.ready is not None:
                    self._await_ready(run, run.node.ready)
            case Phase.DONE | Phase.STOPPED:
                pass

    def _launch(self, run: Running) -> None:
        run.phase, run.check, run.started_at = Phase.STARTING, None, time.monotonic()
        if run.log.exists() and run.log.stat().st_size > MAX_LOG_BYTES:
            run.log.replace(run.log.with_suffix(".log.1"))
        with run.log.open("ab") as output:
            run.log_start = output.tell()
            run.process = subprocess.Popen(
                run.node.command,
                cwd=ROOT,
                env={**os.environ, **run.node.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C goes to the launcher alone, which stops the parts in order
            )

    def _await_ready(self, run: Running, ready: Callable[[], bool]) -> None:
        seconds = time.monotonic() - run.started_at
        if run.check is None:
            run.check = self._checks.submit(ready)
        elif run.check.done():
            if run.check.result():
                run.phase = Phase.READY
                self.say(f"{run.node.name} is ready ({seconds:.1f} s)")
            elif seconds > READY_SECONDS and self.ready_seconds is None:
                raise StartFailed(
                    f"{run.node.name} was not ready within {READY_SECONDS:.0f} s: see {run.log}\n{tail(run.log, run.log_start)}"
                )
            run.check = None

    def _exited(self, run: Running, code: int) -> None:
        if run.node.ready is None and code == 0:
            run.phase = Phase.DONE
            self.say(f"{run.node.name} is done ({time.monotonic() - run.started_at:.1f} s)")
            return
        if self.ready_seconds is None:
            raise StartFailed(
                f"{run.node.name} ended with exit code {code}: see {run.log}\n{tail(run.log, run.log_start)}"
            )
        if time.monotonic() - run.started_at > SETTLED_SECONDS:
            run.failures = 0
        # A part that dies once is missed at once; only one that keeps dying has to be spared the machine.
        pause = min(2.0 ** (run.failures - 1), MAX_BACKOFF_SECONDS) if run.failures else 0.0
        run.failures += 1
        run.restarts += 1
        run.phase, run.restart_at = Phase.BACKOFF, time.monotonic() + pause
        self.say(f"{run.node.name} ended with exit code {code}, restart in {pause:.0f} s (log: {run.log})")


def tail(log: Path, start: int = 0, lines: int = 15) -> str:
    """The last lines of a log from the byte `start` on, indented."""
    written = log.read_bytes()[start:].decode(errors="replace").splitlines()
    return "\n".join("    " + line for line in written[-lines:])


def stop_processes(identities: dict[int, float]) -> int:
    """End processes that an earlier launcher left behind, given as {pid: create time}; a pid that was reused is spared.

    Returns how many were there.
    """
    left = []
    for pid, created in identities.items():
        try:
            process = psutil.Process(pid)
            if abs(process.create_time() - created) < 1:
                process.terminate()
                left.append(process)
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(left, timeout=STOP_SECONDS)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=STOP_SECONDS)
    return len(left)


def _signal(run: Running, number: signal.Signals) -> None:
    assert run.process is not None
    run.process.send_signal(number)
