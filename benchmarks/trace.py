"""The case of the look-up: what became of one of the last transactions, as `./start.sh --trace` and the page ask for it."""

import logging
import random
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import cycle
from typing import NamedTuple

import psutil
import requests
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from benchmarks.cases import FRAUDULENT_SHARE, Plan
from benchmarks.lab import DRAIN_SECONDS, SEED, START_SECONDS, Lab, Process, laboratory, pool, produce
from benchmarks.report import Row
from contracts import topics
from contracts.models import Transaction
from contracts.records import headers_of
from local.settings import HOST
from processor.rules import outputs
from processor.settings import SERVICE as PROCESSOR
from processor.validator import Verdict
from tests.support.stack import free_ports, wait_until
from validator.verdict import is_fraudulent

logger = logging.getLogger(__name__)

KNOWN_SHARE = 0.2  # of all, what the bank knows to be fraudulent
# So many go through the pipeline together: their rows come within a second or two.
BLOCK = 10_000
LOOK_UPS = 20
SECONDS_AT_MOST = 1.0
MIB_AT_MOST = 256  # what the console may take in Docker: PYTHON_SERVICE_MEMORY
ANSWER_SECONDS = 60.0


class Expected(NamedTuple):
    """What is to be found of a transaction: the topic that it was routed to, and whether it has rows."""

    topic: str
    rows: bool


def trace(plan: Plan) -> list[Row]:
    """Transactions go through the ingestor, rows are written as the processor does; then some of them are looked up."""
    name = f"trace, of {plan.traced_transactions:,}"
    median, slowest = (Row(f"{name}: {what}", "s", at_most=SECONDS_AT_MOST) for what in ("a look-up", "the slowest"))
    unknown, memory = Row(f"{name}: an unknown id", "s"), Row(f"{name}: the console", "MiB", at_most=MIB_AT_MOST)
    with laboratory() as lab, _console(lab) as (console, url), lab.module("ingestor", REPLICA_ID="1"):
        chosen = _written(lab, plan.traced_transactions)
        wait_until(lambda: _has_read(url, plan.traced_transactions), DRAIN_SECONDS, "the console has read all")
        for _ in range(plan.repetitions):
            took = [_look_up(url, identity, expected) for identity, expected in chosen.items()]
            logger.info("look-ups: %s s", " ".join(f"{one:.2f}" for one in sorted(took)))
            median.ours += took
            slowest.ours.append(max(took))
            unknown.ours.append(_look_up(url, str(uuid.uuid4()), None))
            memory.ours.append(psutil.Process(console.popen.pid).memory_info().rss / 2**20)
    return [median, slowest, unknown, memory]


@contextmanager
def _console(lab: Lab) -> Iterator[tuple[Process, str]]:
    """The console alone: what it does not find beside it is down to it."""
    ports = free_ports()
    with lab.module(
        "console",
        CONSOLE_PORT=ports["CONSOLE_PORT"],
        MALLOC_ARENA_MAX="2",  # as in the stack
        KCONNECT_URL=f"http://{HOST}:{ports['CONNECT_PORT']}",
        KSQLDB_URL=f"http://{HOST}:{ports['KSQLDB_PORT']}",
        FRAUD_VALIDATOR_URL=f"http://{HOST}:{ports['VALIDATOR_PORT']}",
        INGESTOR_METRICS_URL=f"http://{HOST}:{ports['INGESTOR_METRICS_PORT']}",
        PROCESSOR_METRICS_URL=f"http://{HOST}:{ports['PROCESSOR_METRICS_PORT']}",
    ) as process:
        yield process, f"http://{HOST}:{ports['CONSOLE_PORT']}"


def _written(lab: Lab, count: int) -> dict[str, Expected]:
    """Put so many transactions on all topics, block by block; gives LOOK_UPS of them, at random places among all."""
    rng = random.Random(SEED)
    chosen, found = set(rng.sample(range(count), LOOK_UPS)), dict[str, Expected]()
    producer = lab.producer()
    reader = Consumer(
        {
            "bootstrap.servers": lab.bootstrap,
            "group.id": PROCESSOR,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "log_level": 0,
        }
    )
    reader.assign([TopicPartition(name, one, 0) for name in topics.ROUTED for one in lab.end(name).offsets])
    messages, rows = cycle(pool(KNOWN_SHARE)), Counter[str]()
    try:
        for start in range(0, count, BLOCK):
            block = range(start, min(start + BLOCK, count))
            for number in block:
                message, identity = next(messages), str(uuid.UUID(int=rng.getrandbits(128), version=4))
                value = message.value.replace(message.key.encode(), identity.encode())
                produce(producer, topics.BANK_TRANSACTIONS, value, identity, [])
                if number in chosen:
                    known = message.evaluation == "fraudulent"
                    found[identity] = Expected(
                        topics.ROUTED[not known], known or is_fraudulent(identity, FRAUDULENT_SHARE)
                    )
            assert producer.flush(60) == 0
            for routed in _routed(reader, len(block)):
                rows.update(_write_rows(producer, routed))
            assert producer.flush(60) == 0
            reader.commit(asynchronous=False)
            if start % (10 * BLOCK) == 0:
                logger.info("%d transactions are written", start + len(block))
    finally:
        reader.close()
    assert rows[topics.USERS] == 2 * rows[topics.FRAUDULENT_TRANSACTIONS_RESULT], rows
    return found


def _routed(reader: Consumer, count: int) -> Iterator[Message]:
    """The next so many that the ingestor has routed. It has START_SECONDS for each batch."""
    came_at = time.monotonic()
    while count:
        messages = reader.consume(min(count, 1_000), 0.1)
        assert all(message.error() is None for message in messages)
        if messages:
            came_at = time.monotonic()
        assert time.monotonic() - came_at < START_SECONDS, f"{count} transactions were not routed"
        count -= len(messages)
        yield from messages


def _write_rows(producer: Producer, routed: Message) -> list[str]:
    """Those of a fraudulent transaction, with the routed record's headers; gives their topics."""
    key = (routed.key() or b"").decode()
    if routed.topic() == topics.UNIDENTIFIED_TRANSACTIONS and not is_fraudulent(key, FRAUDULENT_SHARE):
        return []
    headers, written = headers_of(routed), outputs(Transaction.from_json(routed.value() or b""), Verdict(True))
    for one in written:
        produce(producer, one.topic, one.value, one.key, headers or [])
    return [one.topic for one in written]


def _has_read(url: str, count: int) -> bool:
    try:
        state = requests.get(f"{url}/api/state", timeout=ANSWER_SECONDS).json()
    except requests.ConnectionError:
        return False
    records: Mapping[str, int] = {name: topic["records"] for name, topic in state["topics"].items()}
    return not state["counting"] and records[topics.BANK_TRANSACTIONS] == count == sum(
        records[one] for one in topics.ROUTED
    )


def _look_up(url: str, identity: str, expected: Expected | None) -> float:
    """Seconds that it takes. What is found must be what was written; nothing is expected of an unknown id."""
    started = time.monotonic()
    answer = requests.get(f"{url}/api/transaction/{identity}", timeout=ANSWER_SECONDS)
    took = time.monotonic() - started
    if expected is None:
        assert answer.status_code == 404, answer.text
        return took
    stages = {stage["name"]: stage for stage in answer.json()["stages"]}
    assert stages["received"]["position"]["topic"] == topics.BANK_TRANSACTIONS, stages
    assert stages["routed"]["position"]["topic"] == expected.topic, stages
    rows = [stages.get(name, {}).get("position") for name in ("result row", "sender row", "receiver row")]
    assert all(rows) if expected.rows else not any(rows), stages
    return took
