"""The cases that need the whole stack: its start, the delay from end to end, and the soak."""

import itertools
import json
import logging
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from statistics import median, quantiles
from threading import Event, Thread
from typing import Any, NamedTuple

import psutil
from confluent_kafka import Consumer, TopicPartition
from pymongo import MongoClient

from benchmarks.cases import FRAUDULENT_SHARE, Plan
from benchmarks.lab import SEED, Lab
from benchmarks.report import Row
from contracts import topics
from contracts.records import headers_of
from contracts.timestamps import bank_timestamp
from local.plan import DATABASE
from runtime import services
from runtime.reading import READ_ONLY, end_of
from tests.support.stack import Stack, running_stack, wait_until
from validator.verdict import is_fraudulent

logger = logging.getLogger(__name__)

SOAK_RATE = 500
WRITERS = {"ksql": "ksqlDB", "kafka-streams": "the processor"}  # by SOURCE_PROCESS
# Targets in seconds, p50 and p99, and in cores at the default rate.
LIMITS = {"the result topic": (0.1, 0.25), "MongoDB": (0.25, 0.6)}
IDLE_RATE, IDLE_CORES = 10, 0.2
# Looking for every document would be a load of its own: so many a second are looked for at most, this often.
MONGODB_SAMPLES = 50
MONGODB_POLL_SECONDS = 0.02
PATIENCE_SECONDS = 60.0

# The JVMs take their heaps in the first minutes; what comes after that is growth.
SOAK_WARM_UP_SECONDS = 180.0
SOAK_SECONDS = 600.0
SOAK_SAMPLE_SECONDS = 5.0
SOAK_EDGE_SECONDS = 60.0
# Flat is, in the medians: at most so many times the memory of the first minute, and no more unread than the load of so many
# seconds (the sinks commit their offsets every 5 s).
SOAK_GROWTH = 1.1
SOAK_LAG_SECONDS = 10


def end_to_end(plan: Plan) -> list[Row]:
    """Each repetition starts the stack from nothing, warms it up, and splits the way of a transaction at each rate.

    What is committed is seen by a read_committed reader of its own; a stage counts from the transaction's timestamp. The CPU
    is taken while nobody looks. All that the ingestor wrote has to be on the result topic once, as the validator judges.
    """
    rows: dict[str, Row] = {}

    def note(name: str, unit: str, value: float, at_most: float | None = None) -> None:
        rows.setdefault(name, Row(name, unit, at_most=at_most)).ours.append(value)

    for _ in range(plan.repetitions):
        with silent_stack() as (stack, lab):
            note("start of the whole stack", "s", state_of(stack)["ready_seconds"])
            with bank(lab, plan.stack_rates[-1]):
                time.sleep(plan.stack_warm_up)
            for rate in (0, *plan.stack_rates):
                with bank(lab, rate) if rate else nullcontext():
                    used = cpu_seconds(stack, plan.stack_seconds)
                for service, seconds in [("all services", sum(used.values())), *used.items()]:
                    at_most = IDLE_CORES if service == "all services" and rate <= IDLE_RATE else None
                    note(f"CPU at {rate}/s, {service}", "cores", seconds / plan.stack_seconds, at_most)
            for rate in plan.stack_rates:
                for stage, delays in _stages(stack, lab, rate, int(rate * plan.stack_seconds)).items():
                    percentiles = quantiles(delays, n=100)
                    for percent, at_most in zip((50, 99), LIMITS.get(stage, (None, None)), strict=True):
                        note(f"end to end at {rate}/s, to {stage}, p{percent}", "s", percentiles[percent - 1], at_most)
                    logger.info("%d/s to %s: p50 %.3f s, p99 %.3f s", rate, stage, percentiles[49], percentiles[98])
            note("resident memory of the whole stack", "MiB", state_of(stack)["rss_mib"])
    return list(rows.values())


def soak() -> list[Row]:
    """Ten minutes: memory of each part and the lags in the last minute, beside those of the first minute as the baseline."""
    samples: list[dict[str, Any]] = []
    with seeded_stack(SOAK_RATE) as stack:
        time.sleep(SOAK_WARM_UP_SECONDS)
        started = time.monotonic()
        while time.monotonic() - started < SOAK_SECONDS:
            state = state_of(stack)
            if state["counts"] is not None:  # the console was slow to answer the launcher
                samples.append(state)
            time.sleep(SOAK_SAMPLE_SECONDS)
    edge = int(SOAK_EDGE_SECONDS / SOAK_SAMPLE_SECONDS)

    def row(name: str, unit: str, value: Callable[[dict[str, Any]], float]) -> Row:
        values = [value(sample) for sample in samples]
        return Row(f"soak, last minute: {name}", unit, baseline=values[:edge], ours=values[-edge:])

    memory = row("all parts", "MiB", lambda sample: sample["rss_mib"])
    memory.at_most = round(SOAK_GROWTH * median(memory.baseline))
    lags = [
        row(f"lag of {group}", "records", lambda sample, group=group: sample["counts"]["lags"].get(group, 0))
        for group in sorted(samples[-1]["counts"]["lags"])
    ]
    for lag in lags:
        lag.at_most = SOAK_RATE * SOAK_LAG_SECONDS
    parts = [
        row(part, "MiB", lambda sample, part=part: sample["services"][part]["rss_mib"])
        for part in sorted(samples[0]["services"])
    ]
    return [memory, *parts, *lags]


@contextmanager
def seeded_stack(rate: int, count: int = 0) -> Iterator[Stack]:
    """The stack from nothing, through which the bank sends so many transactions/s; 0 of them are without end."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        bank = {"BANK_RATE": str(rate), "BANK_COUNT": str(count), "BANK_SEED": str(SEED)}
        with running_stack(Path(folder, "local"), bank) as stack:
            yield stack


@contextmanager
def silent_stack() -> Iterator[tuple[Stack, Lab]]:
    """The stack from nothing, whose own bank sends one transaction, and a laboratory for banks beside it."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder, seeded_stack(1, 1) as stack:
        yield stack, Lab(stack.kafka, Path(folder))


_seeds = itertools.count(SEED + 1)


@contextmanager
def bank(lab: Lab, rate: float, count: int = 0) -> Iterator[None]:
    """A bank that sends while the block runs, or so many; every transaction of each has an id of its own."""
    environment = {"BANK_RATE": str(rate), "BANK_COUNT": str(count), "BANK_SEED": str(next(_seeds))}
    with lab.module("bank", KAFKA_BOOTSTRAP_SERVERS=lab.bootstrap, **environment):
        yield


def cpu_seconds(stack: Stack, seconds: float) -> dict[str, float]:
    """What each service takes of the processors in so much time; the bank does not count."""
    before = _cpu_times(stack)
    time.sleep(seconds)
    return {name: after - before[name] for name, after in _cpu_times(stack).items()}


def _cpu_times(stack: Stack) -> dict[str, float]:
    state = state_of(stack)
    processes = state["services"] | {"launcher": state["launcher"]}
    times = {name: psutil.Process(one["pid"]).cpu_times() for name, one in processes.items() if name != services.BANK}
    return {name: one.user + one.system for name, one in times.items()}


def state_of(stack: Stack) -> dict[str, Any]:
    """What the launcher says of its parts."""
    return json.loads(stack.settings.folders.state.read_text())


class Seen(NamedTuple):
    """A record at the moment at which a read_committed reader saw it: so many seconds after its transaction's timestamp."""

    topic: str
    key: bytes
    value: bytes
    sent_at: float
    delay: float


class Reader:
    """Reads what is committed to some topics, of transactions that were sent after it was made: those before may still be on
    their way. All clocks are this machine's.

    The bank's timestamp is handed on in a header. A row's own timestamp would leave out the transaction in which it waits for
    its commit.
    """

    def __init__(self, stack: Stack, names: Collection[str]) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": stack.kafka,
                **READ_ONLY,
                "group.id": "benchmark-reader",
                "enable.partition.eof": False,
            }
        )
        self._began = time.time()
        ends = {name: end_of(self._consumer, name) for name in names}
        self._consumer.assign([TopicPartition(name, *place) for name, end in ends.items() for place in end.items()])

    def read(self, ended: Callable[[], bool]) -> Iterator[Seen]:
        """Each record as it comes."""
        while not ended():
            message = self._consumer.poll(0.1)
            if message is None or message.error() is not None:
                continue
            now = time.time()
            sent = bank_timestamp(headers_of(message))
            if sent is not None and sent / 1000 >= self._began:
                topic, key, value = message.topic() or "", message.key() or b"", message.value() or b""
                yield Seen(topic, key, value, sent / 1000, now - sent / 1000)

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()


def result_delays(stack: Stack, seconds: float) -> list[float]:
    """From a transaction's timestamp to the sight of its row on the result topic, for so long."""
    with closing(Reader(stack, [topics.FRAUDULENT_TRANSACTIONS_RESULT])) as reader:
        deadline = time.monotonic() + seconds
        return [row.delay for row in reader.read(lambda: time.monotonic() > deadline)]


def _stages(stack: Stack, lab: Lab, rate: int, count: int) -> dict[str, list[float]]:
    """The delays to each stage's commit and to MongoDB of a bank's transactions, all of which have to arrive, once."""
    delays = defaultdict[str, list[float]](list)
    expected, written = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    awaited: dict[str, float] = {}
    ended = Event()
    watcher = Thread(target=_watch_mongodb, args=(stack.mongodb_uri, awaited, delays["MongoDB"], ended))
    sample = max(1, rate // MONGODB_SAMPLES)
    deadline = time.monotonic() + 2 * count / rate + PATIENCE_SECONDS
    taken = 0

    def arrived() -> bool:
        return (taken == count and written.total() >= expected.total()) or time.monotonic() > deadline

    watcher.start()
    try:
        with (
            closing(Reader(stack, {*topics.ROUTED, topics.FRAUDULENT_TRANSACTIONS_RESULT})) as reader,
            bank(lab, rate, count),
        ):
            for record in reader.read(arrived):
                key = record.key.decode()
                if record.topic in topics.ROUTED:
                    taken += 1
                    delays["the ingestor's commit"].append(record.delay)
                    if record.topic == topics.FRAUDULENT_TRANSACTIONS:
                        expected["ksqlDB", key] += 1
                    elif is_fraudulent(key, FRAUDULENT_SHARE):
                        expected["the processor", key] += 1
                    continue
                writer = WRITERS[json.loads(record.value)["SOURCE_PROCESS"]]
                written[writer, key] += 1
                delays[f"{writer}'s commit"].append(record.delay)
                delays["the result topic"].append(record.delay)
                if written.total() % sample == 0:
                    awaited[key] = record.sent_at
        wait_until(lambda: not awaited, PATIENCE_SECONDS, "every document is there")
    finally:
        ended.set()
        watcher.join()
    assert taken == count, f"the ingestor wrote {taken} of {count} transactions"
    assert written == expected, f"{written.total()} rows on the result topic, not {expected.total()}"
    return delays


def _watch_mongodb(uri: str, awaited: dict[str, float], delays: list[float], ended: Event) -> None:
    with MongoClient(uri) as client:
        collection = client[DATABASE]["transactions"]
        while not ended.wait(MONGODB_POLL_SECONDS):
            if not awaited:
                continue
            found = [document["_id"] for document in collection.find({"_id": {"$in": list(awaited)}}, {"_id": 1})]
            now = time.time()
            delays += [now - awaited.pop(identity) for identity in found]
