"""The cases that need the whole stack: its start, the delay from end to end, and the soak."""

import itertools
import json
import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from threading import Event, Thread
from typing import Any

from confluent_kafka import Consumer
from pymongo import MongoClient

from benchmarks.cases import Plan
from benchmarks.lab import SEED
from benchmarks.report import Row
from contracts import topics
from contracts.records import headers_of
from contracts.timestamps import bank_timestamp
from local.parts import DATABASE
from tests.support.stack import Stack, running_stack, wait_until

logger = logging.getLogger(__name__)

SOAK_RATE = 500
# Looking for every document would be a load of its own: one in so many is looked for, this often.
MONGODB_SAMPLE = 5
MONGODB_POLL_SECONDS = 0.05
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
    """Each repetition starts the stack from nothing and sends transactions through it at a steady rate."""
    delays = {
        (where, share): Row(f"end to end at {plan.stack_rate}/s, to {where}, {share}", "s", at_most=limit)
        for where, share, limit in (
            ("the result topic", "p50", 0.5),
            ("the result topic", "p99", 1.5),
            ("MongoDB", "p50", None),
            ("MongoDB", "p99", None),
        )
    }
    started, memory = Row("start of the whole stack", "s"), Row("resident memory of the whole stack", "MiB")
    for _ in range(plan.repetitions):
        with seeded_stack(plan.stack_rate) as stack:
            state = state_of(stack)
            started.ours.append(state["ready_seconds"])
            time.sleep(plan.stack_warm_up)
            measured = dict(zip(("the result topic", "MongoDB"), _delays(stack, plan.stack_seconds), strict=True))
            for where, values in measured.items():
                percentiles = quantiles(values, n=100)
                delays[where, "p50"].ours.append(percentiles[49])
                delays[where, "p99"].ours.append(percentiles[98])
                logger.info("to %s: p50 %.2f s, p99 %.2f s", where, percentiles[49], percentiles[98])
            memory.ours.append(state_of(stack)["rss_mib"])
    return [*delays.values(), started, memory]


def soak() -> list[Row]:
    """Ten minutes: memory of each part and the lags in the last minute, beside those of the first minute as the baseline."""
    samples: list[dict[str, Any]] = []
    with seeded_stack(SOAK_RATE) as stack:
        time.sleep(SOAK_WARM_UP_SECONDS)
        begun = time.monotonic()
        while time.monotonic() - begun < SOAK_SECONDS:
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
        row(part, "MiB", lambda sample, part=part: sample["parts"][part]["rss_mib"])
        for part in sorted(samples[0]["parts"])
    ]
    return [memory, *parts, *lags]


@contextmanager
def seeded_stack(rate: int, count: int = 0) -> Iterator[Stack]:
    """The stack from nothing, through which the bank sends so many transactions a second; 0 of them are without end."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        bank = {"BANK_RATE": str(rate), "BANK_COUNT": str(count), "BANK_SEED": str(SEED)}
        with running_stack(Path(folder, "local"), bank) as stack:
            yield stack


def state_of(stack: Stack) -> dict[str, Any]:
    """What the launcher says of its parts."""
    return json.loads(stack.settings.folders.state.read_text())


def result_delays(
    stack: Stack, seconds: float, on_row: Callable[[str, float], object] = lambda key, sent_at: None
) -> list[float]:
    """From a transaction's timestamp, which every stage hands on in a header, to the sight of its row on the result topic,
    for so long: the row's own timestamp would leave out the transaction in which it waits for its commit.

    All clocks are this machine's. `on_row` gets each row's key and the transaction's timestamp.
    """
    delays: list[float] = []
    consumer = Consumer(
        {
            "bootstrap.servers": stack.kafka,
            "group.id": "benchmark-reader",
            "enable.auto.commit": False,
            "auto.offset.reset": "latest",
            "isolation.level": "read_committed",
        }
    )
    consumer.subscribe([topics.FRAUDULENT_TRANSACTIONS_RESULT])
    try:
        wait_until(lambda: consumer.poll(0.5) is not None, PATIENCE_SECONDS, "rows on the result topic")
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            message = consumer.poll(0.1)
            if message is None or message.error() is not None:
                continue
            if (sent := bank_timestamp(headers_of(message))) is not None:
                delays.append(time.time() - sent / 1000)
                on_row((message.key() or b"").decode(), sent / 1000)
    finally:
        consumer.close()
    return delays


def _delays(stack: Stack, seconds: float) -> tuple[list[float], list[float]]:
    """From a transaction's timestamp to its row on the result topic and to its document."""
    awaited: dict[str, float] = {}
    to_mongodb: list[float] = []
    counter = itertools.count()
    ended = Event()
    watcher = Thread(target=_watch_mongodb, args=(stack.mongodb_uri, awaited, to_mongodb, ended))

    def await_document(key: str, sent_at: float) -> None:
        if next(counter) % MONGODB_SAMPLE == 0:
            awaited[key] = sent_at

    watcher.start()
    try:
        to_topic = result_delays(stack, seconds, await_document)
        wait_until(lambda: not awaited, PATIENCE_SECONDS, "every document is there")
    finally:
        ended.set()
        watcher.join()
    return to_topic, to_mongodb


def _watch_mongodb(uri: str, awaited: dict[str, float], delays: list[float], ended: Event) -> None:
    with MongoClient(uri) as client:
        collection = client[DATABASE]["transactions"]
        while not ended.wait(MONGODB_POLL_SECONDS):
            found = [document["_id"] for document in collection.find({"_id": {"$in": list(awaited)}}, {"_id": 1})]
            now = time.time()
            delays += [now - awaited.pop(identity) for identity in found]
