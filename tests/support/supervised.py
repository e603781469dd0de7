"""A supervisor with small processes, for the tests of its rules."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

from local.checks import Check
from local.plan import Program
from local.supervisor import StartFailed, Supervisor

PYTHON = sys.executable
SLEEP = [PYTHON, "-c", "import time; time.sleep(60)"]


def part(name: str, command: list[str] = SLEEP, after: tuple[str, ...] = (), ready: Check = lambda: True) -> Program:
    return Program(name, command, after=after, ready=ready)


class Running:
    """A supervisor in a thread."""

    def __init__(self, programs: list[Program], folder: Path, on_tick: Callable[[], None] = lambda: None) -> None:
        self.said: list[str] = []
        self._on_tick = on_tick
        self.supervisor = Supervisor(programs, folder, self.said.append)
        self._stopping, self.error = Event(), None
        self._thread = Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.supervisor.run(self._stopping, self._on_tick)
        except StartFailed as error:
            self.error = error

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, self.said
            time.sleep(0.02)

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        self.supervisor.stop()
