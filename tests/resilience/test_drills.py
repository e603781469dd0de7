"""Parts are killed, stopped and cut off while transactions flow; at the end nothing is lost and nothing is repeated.

Each drill prints its recovery: the longest silence of the stage's output after the fault. No time is asserted beyond a
generous limit within which the stage has to be back by itself.
"""

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest
import requests

from tests.resilience.conftest import LOAD
from tests.support.expectation import expectation
from tests.support.settled import await_everything, nothing_lost_nothing_repeated
from tests.support.stack import Stack, wait_until
from tests.support.watcher import INGESTOR, KSQLDB, MONGODB, PROCESSOR, Watcher

STAGES = {
    "transactions-ingestor": INGESTOR,
    "unidentified-transactions-processor": PROCESSOR,
    "ksqldb-server": KSQLDB,
    "kafka-connect": MONGODB,
    "s3-archiver": MONGODB,  # its objects are compared at the end; that the other sink goes on is what shows meanwhile
    "kafka": INGESTOR,
}
BACK_SECONDS = 90
RANDOM = random.Random(20261124)


def part(stack: Stack, name: str) -> dict:
    return json.loads(stack.settings.folders.state.read_text())["parts"][name]


def killed(stack: Stack, names: list[str], number: signal.Signals) -> dict[str, int]:
    """Send the signal to the parts; gives the pids that they had."""
    pids = {name: part(stack, name)["pid"] for name in names}
    for pid in pids.values():
        os.kill(pid, number)
    return pids


def back(stack: Stack, pids: dict[str, int]) -> bool:
    """Every part runs again as another process."""
    now = {name: part(stack, name) for name in pids}
    return all(now[name]["phase"] == "ready" and now[name]["pid"] not in (None, pid) for name, pid in pids.items())


def drill(stack: Stack, watcher: Watcher, names: list[str], number: signal.Signals, stages: set[str]) -> float:
    """Kill, wait until all write again; gives the longest silence."""
    wait_until(lambda: all(part(stack, name)["phase"] == "ready" for name in names), BACK_SECONDS, f"{names} are ready")
    time.sleep(RANDOM.uniform(0, 1))  # a random moment in the stages' checkpoints
    moment = time.monotonic()
    pids = killed(stack, names, number)
    wait_until(lambda: back(stack, pids), BACK_SECONDS, f"{names} run again")
    running_again = time.monotonic()
    wait_until(
        lambda: all(watcher.wrote_after(stage, running_again) for stage in stages),
        BACK_SECONDS,
        f"{stages} write again",
    )
    return max(watcher.silence(stage, moment) for stage in stages)


def report(what: str, seconds: list[float]) -> None:
    print(f"\n    {what}: recovery {', '.join(f'{one:.1f}' for one in seconds)} s")  # noqa: T201 - the drill's result


@pytest.mark.parametrize("name", STAGES)
def test_kill_three_times(stack: Stack, watcher: Watcher, name: str) -> None:
    report(f"kill -9 {name}", [drill(stack, watcher, [name], signal.SIGKILL, {STAGES[name]}) for _ in range(3)])


@pytest.mark.parametrize("name", STAGES)
def test_terminate(stack: Stack, watcher: Watcher, name: str) -> None:
    process = psutil.Process(part(stack, name)["pid"])
    report(f"SIGTERM {name}", [drill(stack, watcher, [name], signal.SIGTERM, {STAGES[name]})])
    assert not process.is_running()


def test_kill_all_at_once(stack: Stack, watcher: Watcher) -> None:
    names = [*STAGES, "mongodb", "s3", "fraud-validator-api", "connect-watchdog"]
    report("kill -9 of all parts at once", [drill(stack, watcher, names, signal.SIGKILL, set(STAGES.values()))])


@contextmanager
def simulation(stack: Stack, **behaviour: Any) -> Iterator[None]:
    """The validator behaves so for a while."""
    normal: dict[str, Any] = {"fraudulent_share": LOAD.validator_share}
    requests.put(f"{stack.validator_url}/simulation", json={**normal, **behaviour}, timeout=10).raise_for_status()
    yield
    requests.put(f"{stack.validator_url}/simulation", json=normal, timeout=10).raise_for_status()


@pytest.mark.parametrize("behaviour", [{"failure_share": 1}, {"hang": True}, {"poison_share": 1}], ids=str)
def test_validator_fails(stack: Stack, watcher: Watcher, behaviour: dict[str, Any]) -> None:
    with simulation(stack, **behaviour):
        time.sleep(10)  # the length of the outage
    moment = time.monotonic()
    wait_until(lambda: watcher.wrote_after(PROCESSOR, moment), BACK_SECONDS, "the processor writes again")
    report(f"validator {behaviour} for 10 s, after its end", [watcher.silence(PROCESSOR, moment)])


@pytest.mark.parametrize("name", ["mongodb", "s3", "fraud-validator-api"])
def test_hangs(stack: Stack, watcher: Watcher, name: str) -> None:
    pid = part(stack, name)["pid"]
    os.kill(pid, signal.SIGSTOP)
    time.sleep(20)  # the length of the outage
    os.kill(pid, signal.SIGCONT)
    moment = time.monotonic()
    stage = PROCESSOR if name == "fraud-validator-api" else MONGODB
    wait_until(lambda: watcher.wrote_after(stage, moment), BACK_SECONDS, f"{stage} goes on")
    report(f"{name} hangs for 20 s, after its end", [watcher.silence(stage, moment)])


def test_nothing_is_lost_and_nothing_is_repeated(stack: Stack) -> None:
    """The last of the drills: waits for the rest of the load and compares everything with the seed."""
    expected = expectation(LOAD)
    await_everything(stack, expected, LOAD.count / LOAD.rate + 120)
    nothing_lost_nothing_repeated(stack, expected)
