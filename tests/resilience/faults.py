"""What the drills do to a running stack: kill parts, stop them, keep them down, make the validator misbehave."""

import json
import os
import re
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import psutil
import requests
from confluent_kafka import OFFSET_END, Consumer, TopicPartition

from tests.support.stack import Stack, wait_until

BACK_SECONDS = 90
EXIT_SECONDS = 10


def part(stack: Stack, name: str) -> dict[str, Any]:
    """What the launcher says of a part."""
    return json.loads(stack.settings.folders.state.read_text())["services"][name]


def process_of(stack: Stack, name: str) -> psutil.Process:
    """The part's process, once the launcher says that the part is ready."""
    wait_until(lambda: part(stack, name)["phase"] == "ready", BACK_SECONDS, f"{name} is ready")
    return psutil.Process(part(stack, name)["pid"])


def kill(stack: Stack, names: list[str]) -> dict[str, int]:
    """Kill -9 of all the parts at once; gives the pids that they had."""
    processes = {name: process_of(stack, name) for name in names}
    for process in processes.values():
        with suppress(
            psutil.NoSuchProcess
        ):  # it has ended by itself meanwhile, as the broker's clients may after a drill
            process.kill()
    return {name: process.pid for name, process in processes.items()}


def kill_as_it_writes(stack: Stack, name: str, topic: str, mark: bytes) -> int:
    """Kill -9 as soon as a record with the mark is on the topic: its transaction is still open, or only just committed.

    Gives the pid that it had. A part that ends by itself meanwhile, as the broker's clients may after a drill, is killed as it
    writes again.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": stack.kafka,
            "group.id": "drill",
            "enable.auto.commit": False,
            "isolation.level": "read_uncommitted",
        }
    )
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, partition, OFFSET_END) for partition in partitions])

        deadline = time.monotonic() + BACK_SECONDS
        while True:
            process = process_of(stack, name)
            while (message := consumer.poll(1)) is None or message.error() or mark not in (message.value() or b""):
                assert time.monotonic() < deadline, f"not within {BACK_SECONDS} s: something on {topic}"
            with suppress(psutil.NoSuchProcess):
                process.kill()
                return process.pid
    finally:
        consumer.close()


def await_back(stack: Stack, pids: Mapping[str, int]) -> None:
    """Wait until every part is ready again as another process."""

    def back() -> bool:
        now = {name: part(stack, name) for name in pids}
        return all(now[name]["phase"] == "ready" and now[name]["pid"] not in (None, pid) for name, pid in pids.items())

    wait_until(back, BACK_SECONDS, f"{', '.join(pids)} run again")


@contextmanager
def nobody_restarts(stack: Stack) -> Iterator[None]:
    """Hold the launcher still, so that what a part leaves behind can be looked at."""
    launcher = json.loads(stack.settings.folders.state.read_text())["launcher"]["pid"]
    os.kill(launcher, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(launcher, signal.SIGCONT)


def terminate(process: psutil.Process) -> float:
    """SIGTERM; gives the seconds until the process has ended, EXIT_SECONDS at most."""
    started = time.monotonic()
    process.terminate()
    wait_until(lambda: _ended(process), EXIT_SECONDS, f"{process.pid} ends after SIGTERM")
    return time.monotonic() - started


def last_exit(stack: Stack, name: str) -> int:
    """The exit code with which the service ended last, from the log of the launcher."""
    log = (stack.settings.folders.logs / "launcher.log").read_text()
    return int(re.findall(rf"{name} ended with exit code (-?\d+)", log)[-1])


@contextmanager
def hanging(stack: Stack, name: str) -> Iterator[None]:
    """The part takes connections and never answers."""
    process = process_of(stack, name)
    process.suspend()
    try:
        yield
    finally:
        process.resume()


@contextmanager
def down(stack: Stack, *names: str) -> Iterator[None]:
    """The parts are gone, connections to their ports are refused, and the launcher cannot bring them back meanwhile."""
    processes = [process_of(stack, name) for name in names]
    with nobody_restarts(stack):
        for process in processes:
            process.kill()
        yield


@contextmanager
def simulation(stack: Stack, normal: Mapping[str, Any], **behaviour: Any) -> Iterator[None]:
    """The validator behaves so for a while, then normally again."""
    url = f"{stack.validator_url}/simulation"
    requests.put(url, json={**normal, **behaviour}, timeout=10).raise_for_status()
    yield
    requests.put(url, json=dict(normal), timeout=10).raise_for_status()


def _ended(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
