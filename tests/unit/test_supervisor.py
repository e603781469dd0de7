"""What the supervisor makes of the checks of running services: who is unhealthy, who is restarted, and who is left alone."""

import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from local import supervisor
from local.plan import Program
from local.supervisor import START_TRIES, Phase
from runtime.service import USER_ERROR
from tests.support.supervised import PYTHON, Running, part

WORKING = [PYTHON, "-c", "while True: pass"]
LONG = 1000.0


class Answers:
    """A check whose answer is set by the test."""

    def __init__(self) -> None:
        self.answer: bool | None = True
        self.asked = 0

    def __call__(self) -> bool | None:
        self.asked += 1
        return self.answer


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing restarts anything unless a test shortens its time."""
    for name, seconds in {
        "CHECK_SECONDS": 0.05,
        "DOUBT_SECONDS": 0.3,
        "SILENT_SECONDS": LONG,
        "UNHEALTHY_SECONDS": LONG,
        "TICK_SECONDS": 0.02,
        "MAX_TICK_SECONDS": 0.05,  # a busy machine's pauses do not count
    }.items():
        monkeypatch.setattr(supervisor, name, seconds)


@pytest.fixture
def start(tmp_path: Path):
    """Starts a supervisor with these programs and waits until all are ready."""
    started: list[Running] = []

    def run(*programs, on_tick: Callable[[], None] = lambda: None) -> Running:
        running = Running(list(programs), tmp_path, on_tick)
        started.append(running)
        running.until(lambda: running.supervisor.all_ready)
        return running

    yield run
    for running in started:
        running.stop()


def pass_time(running: Running, seconds: float) -> None:
    """Until the supervisor has watched for so long."""
    end = running.supervisor._clock + seconds
    running.until(lambda: running.supervisor._clock > end)


def test_a_service_is_checked_as_long_as_it_runs(start, answers: Answers) -> None:
    running = start(part("one", ready=answers))
    one = running.supervisor.runs["one"]
    for wrong in (False, None):
        answers.answer = wrong
        running.until(lambda: one.phase is Phase.UNHEALTHY)
        assert not running.supervisor.all_ready
        answers.answer = True
        running.until(lambda: one.phase is Phase.READY)
    assert running.supervisor.all_ready
    assert one.restarts == 0
    assert [line.split(":")[0] for line in running.said if line.startswith("one")][1:] == [
        "one is unhealthy",
        "one is healthy again",
    ] * 2


def dies(code: int, times: int, folder: Path) -> list[str]:
    """A process that ends with the code when it is started, so many times; then it stays."""
    return [
        *(PYTHON, "-c"),
        "import os, pathlib, sys, time\n"
        f"log = pathlib.Path({str(folder / 'starts')!r})\n"
        "log.open('a').write('x')\n"
        f"len(log.read_text()) > {times} and time.sleep(60)\n"
        f"os.kill(os.getpid(), -{code}) if {code} < 0 else sys.exit({code})",
    ]


def starts(folder: Path) -> int:
    """How often such a process was started."""
    return len((folder / "starts").read_text()) if (folder / "starts").exists() else 0


def test_a_service_that_dies_while_the_stack_starts_is_started_again(start, tmp_path: Path) -> None:
    running = start(part("one", dies(1, 2, tmp_path), ready=lambda: starts(tmp_path) == 3))
    assert running.supervisor.runs["one"].restarts == 2
    assert running.error is None


@pytest.mark.parametrize(("code", "tries"), [(1, START_TRIES), (-9, START_TRIES), (USER_ERROR, 1)])
def test_a_service_that_cannot_start_ends_the_start(tmp_path: Path, code: int, tries: int) -> None:
    """One that says itself what is wrong is not started again: it would say the same."""
    running = Running([part("one", dies(code, 99, tmp_path), ready=lambda: None)], tmp_path)
    running.until(lambda: running.error)
    running.stop()
    assert f"one ended with exit code {code}: see " in str(running.error)
    assert starts(tmp_path) == tries


def test_one_slow_answer_is_no_fault(start, answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "DOUBT_SECONDS", LONG)
    running = start(part("one", ready=answers))
    answers.answer = None
    pass_time(running, 0.5)
    assert running.supervisor.all_ready


def test_a_service_that_hangs_is_restarted(start, answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "SILENT_SECONDS", 0.5)
    running = start(part("one", ready=answers))
    one = running.supervisor.runs["one"]
    before = one.process
    answers.answer = None
    running.until(lambda: one.restarts == 1)
    answers.answer = True
    running.until(lambda: running.supervisor.all_ready)
    assert one.process is not before
    assert any(line.startswith("one has not answered for") and "started again" in line for line in running.said)


def test_a_service_that_says_it_is_unhealthy_has_longer(
    start, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "SILENT_SECONDS", 1.0)
    running = start(part("one", ready=answers))
    one = running.supervisor.runs["one"]
    answers.answer = False
    pass_time(running, 2)
    assert (one.phase, one.restarts) == (Phase.UNHEALTHY, 0)
    monkeypatch.setattr(supervisor, "UNHEALTHY_SECONDS", 2.5)
    running.until(lambda: one.restarts == 1)


def test_a_service_that_works_has_longer(start, answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "SILENT_SECONDS", 0.5)
    monkeypatch.setattr(supervisor, "WORKING_SHARE", 0.02)  # of a core that the test may share with many
    running = start(part("busy", WORKING, ready=answers))
    busy = running.supervisor.runs["busy"]
    answers.answer = None
    pass_time(running, 2)
    assert (busy.phase, busy.restarts) == (Phase.UNHEALTHY, 0)
    monkeypatch.setattr(supervisor, "UNHEALTHY_SECONDS", 2.5)
    running.until(lambda: busy.restarts == 1)


def test_a_service_is_not_restarted_for_what_it_needs(start, answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Program("step", [PYTHON, "-c", "pass"], after=("first",))
    second_answers = Answers()
    running = start(part("first", ready=answers), step, part("second", after=("step",), ready=second_answers))
    monkeypatch.setattr(supervisor, "SILENT_SECONDS", 0.5)
    second = running.supervisor.runs["second"]
    answers.answer = False
    running.until(lambda: running.supervisor.runs["first"].phase is Phase.UNHEALTHY)
    second_answers.answer = None
    pass_time(running, 1.5)
    assert second.restarts == 0
    answers.answer = True
    running.until(lambda: second.restarts == 1)


def test_a_check_that_hangs_is_one_thread(start, monkeypatch: pytest.MonkeyPatch) -> None:
    hang, asked = Event(), []

    def check() -> bool | None:
        asked.append(1)
        return True if len(asked) == 1 else hang.wait(20)

    running = start(part("one", ready=check), part("two"))
    one = running.supervisor.runs["one"]
    monkeypatch.setattr(supervisor, "SILENT_SECONDS", 0.3)
    try:
        running.until(lambda: one.restarts == 1 and one.phase is Phase.STARTING)
        pass_time(running, 0.5)
        assert len(asked) == 2
        assert len(running.supervisor._checks._threads) <= 2
    finally:
        hang.set()
    # That answer is about the process that was killed: the new one is asked itself.
    running.until(lambda: one.phase is Phase.READY)
    assert len(asked) >= 3


def test_nothing_is_restarted_for_a_pause_of_the_launcher(
    start, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after SIGSTOP and SIGCONT: it cannot know of what it has not seen."""
    pause = Event()

    def on_tick() -> None:
        if pause.is_set():
            time.sleep(2)
            pause.clear()

    running = start(part("one", ready=answers), on_tick=on_tick)
    monkeypatch.setattr(supervisor, "SILENT_SECONDS", 1.0)
    pause.set()
    running.until(lambda: not pause.is_set())
    pass_time(running, 0.3)
    assert running.supervisor.all_ready
    assert running.supervisor.runs["one"].restarts == 0
