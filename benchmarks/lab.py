"""The laboratory: a broker of its own, processes under test, seeded topics, and the one way in which rates are taken."""

import itertools
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import (
    Consumer,
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    KafkaException,
    Producer,
)
from confluent_kafka.admin import AdminClient

from bank.generator import Message, messages
from contracts import topics
from contracts.records import Headers
from contracts.traceparent import TRACEPARENT, new_traceparent
from local.plan import PYTHON_SOURCES
from local.settings import ROOT
from local.supervisor import tail
from runtime.kafka import PARTITIONER
from runtime.reading import end_of, reader, records_between
from tests.support.stack import running_broker, wait_until

SEED = 20261124
# Messages of one pool are sent over and over: making them would take longer than what is measured.
POOL = 20_000
POLL_SECONDS = 0.05
START_SECONDS = 60.0
STOP_SECONDS = 20.0
DRAIN_SECONDS = 120.0


def produce(producer: Producer, topic: str, value: bytes, key: str, headers: Headers) -> None:
    """Put a record into the producer's queue, once there is room."""
    while True:
        try:
            producer.produce(topic, value, key, headers=headers)
            return
        except BufferError:
            producer.poll(0.1)


class Window(NamedTuple):
    """How long a rate is measured: after `warm_up` seconds of work, for `seconds` or until the input is used up."""

    warm_up: float
    seconds: float


class Mark(NamedTuple):
    """Per partition, an offset."""

    topic: str
    offsets: Mapping[int, int]

    @property
    def total(self) -> int:
        """Records and markers before it."""
        return sum(self.offsets.values())


class Process(NamedTuple):
    """A module that runs."""

    popen: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> None:
        """SIGTERM; it has to end in time and without an error."""
        self.popen.terminate()
        try:
            self.popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        assert self.popen.returncode == 0, f"ended with {self.popen.returncode}:\n{tail(self.log)}"

    def kill(self) -> None:
        """Kill -9."""
        self.popen.kill()
        self.popen.wait()


class Lab:
    """A broker with the stack's topics on it. `folder` is for logs."""

    def __init__(self, bootstrap: str, folder: Path) -> None:
        self.bootstrap = bootstrap
        self._folder = folder
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        self._logs = itertools.count(1)

    def run(self, module: str, **environment: str) -> str:
        """Run `python -m module` to its end and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", module],
            cwd=ROOT,
            env=self._environment(environment),
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, name: str, **environment: str) -> "Process":
        """Start `python -m name`; what it prints goes to a log."""
        log = self._folder / f"{next(self._logs):03}-{name}.log"
        with log.open("wb") as output:
            popen = subprocess.Popen(
                [sys.executable, "-m", name],
                cwd=ROOT,
                env=self._environment(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return Process(popen, log)

    @contextmanager
    def module(self, name: str, **environment: str) -> Iterator[Process]:
        """Run `python -m name` while the block runs, and stop it as the launcher does."""
        process = self.start(name, **environment)
        try:
            yield process
        finally:
            process.stop()

    def seed(self, topic: str, fraudulent_share: float, count: int, traced_share: float | None = None) -> None:
        """Put so many messages of about 1.2 KB on a topic; with a share, each has a `traceparent`, and so many are sampled."""
        producer = self.producer()
        for message in itertools.islice(itertools.cycle(pool(fraudulent_share)), count):
            produce(producer, topic, message.value, message.key, _headers(traced_share))
        assert producer.flush(60) == 0

    def producer(self) -> Producer:
        """One for many records, each written once."""
        return Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "enable.idempotence": True,
                "compression.type": "lz4",
                "linger.ms": 20,
                "partitioner": PARTITIONER,
                "log_level": 3,  # a fresh broker's "coordinator load in progress" is no news
            }
        )

    def wait_for_members(self, group: str, count: int) -> None:
        """Wait until the consumer group has exactly so many members and all of them have their partitions."""

        def settled() -> bool:
            (future,) = self._admin.describe_consumer_groups([group]).values()
            description = future.result(10)
            return description.state == ConsumerGroupState.STABLE and len(description.members) == count

        wait_until(settled, START_SECONDS, f"{group} has {count} members")

    def wait_for_groups(self, prefix: str, count: int) -> list[str]:
        """Wait until there are so many groups whose names begin so, each with its one member; returns them."""
        groups: list[str] = []

        def there() -> bool:
            found = self._admin.list_consumer_groups().result(10).valid
            groups[:] = [group.group_id for group in found if group.group_id.startswith(prefix)]
            return len(groups) == count

        wait_until(there, START_SECONDS, f"{count} groups {prefix}")
        for group in groups:
            self.wait_for_members(group, 1)
        return groups

    def committed(self, group: str, topic: str) -> Mark:
        """How far a group is, by its committed offsets."""
        (future,) = self._admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]).values()
        positions = future.result(10).topic_partitions or []
        return Mark(topic, {p.partition: max(p.offset, 0) for p in positions if p.topic == topic})

    def end(self, topic: str) -> Mark:
        """Where a topic ends."""
        with self._reader() as reader:
            return Mark(topic, end_of(reader, topic))

    def has_leaders(self) -> bool:
        """Whether all topics can be used; a broker that has just made them needs a moment."""
        try:
            return all(self.end(topic) for topic in topics.ALL)
        except KafkaException:
            return False

    def keys(self, begin: Mark, end: Mark) -> Counter[bytes]:
        """The keys of the records that are committed between two marks."""
        with self._reader() as reader:
            batches = records_between(reader, begin.topic, begin.offsets, end.offsets)
            return Counter(message.key() or b"" for batch in batches for message in batch)

    def rate(self, groups: list[str], topic: str, window: Window, before: int) -> float:
        """Records/s that the groups commit, taken at the moments at which their commits appear.

        Committed progress is what a service has really done, whatever it does inside, and it leaves the start out.
        `before` is how much they had committed before this input was there.
        """
        goal = self.end(topic).total * len(groups)

        def progress() -> int:
            return sum(self.committed(group, topic).total for group in groups)

        wait_until(lambda: progress() > before, START_SECONDS, f"{groups} begin")
        started = time.monotonic()
        marks = [(started, progress())]
        while marks[-1][1] < goal and time.monotonic() - started < window.warm_up + window.seconds:
            time.sleep(POLL_SECONDS)
            count = progress()
            if count > marks[-1][1]:
                marks.append((time.monotonic(), count))
        warm = [mark for mark in marks if mark[0] - started >= window.warm_up]
        if len(warm) < 2:  # a small input is used up sooner
            warm = marks
        (first_at, first), (last_at, last) = warm[0], warm[-1]
        assert last > first, f"{groups} committed too seldom to be measured"
        return (last - first) / (last_at - first_at)

    def wait_for_end(self, groups: list[str], topic: str) -> None:
        """Wait until the groups have committed everything that is on the topic."""
        goal = self.end(topic).total

        def there() -> bool:
            return all(self.committed(group, topic).total == goal for group in groups)

        wait_until(there, DRAIN_SECONDS, f"{groups} are at the end of {topic}")

    def _environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        sources = os.pathsep.join(map(str, PYTHON_SOURCES))
        return {**os.environ, "PYTHONPATH": sources, "KAFKA_BOOTSTRAP_SERVER": self.bootstrap, **environment}

    def _reader(self) -> closing[Consumer]:
        return reader("benchmark-reader", {"bootstrap.servers": self.bootstrap, "log_level": 0})


@contextmanager
def laboratory(*overrides: str) -> Iterator[Lab]:
    """A laboratory in a temporary folder; nothing is left of it afterwards. `overrides` are for `running_broker`."""
    with (
        tempfile.TemporaryDirectory(prefix="benchmarks-") as name,
        running_broker(Path(name, "broker"), *overrides) as bootstrap,
    ):
        lab = Lab(bootstrap, Path(name))
        lab.run("init.init_kafka")
        wait_until(lab.has_leaders, START_SECONDS, "every partition has a leader")
        yield lab


@cache
def pool(fraudulent_share: float) -> list[Message]:
    """POOL messages of the bank."""
    return list(itertools.islice(messages(SEED, 500, fraudulent_share, 0.0), POOL))


def _headers(traced_share: float | None) -> Headers:
    if traced_share is None:
        return []
    return [(TRACEPARENT, new_traceparent(sampled=random.random() < traced_share))]
