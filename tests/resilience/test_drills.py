"""Parts are killed, stopped and cut off while transactions flow; at the end nothing is lost and nothing is repeated.

Each drill prints its recovery: the longest silence of the stage's output after the fault. No time is asserted beyond a
generous limit within which the stage has to be back by itself. The drills are in order: the last ones look at what all
the others have left.
"""

import json
import random
import time
from ipaddress import IPv6Address, ip_address
from typing import Any

import psutil
import pytest
import requests
from confluent_kafka import IsolationLevel

from bank.generator import customers
from contracts import topics
from tests.resilience.conftest import LOAD
from tests.resilience.faults import (
    BACK_SECONDS,
    EXIT_SECONDS,
    await_back,
    down,
    hanging,
    kill,
    kill_as_it_writes,
    last_exit,
    nobody_restarts,
    part,
    process_of,
    simulation,
    terminate,
)
from tests.support.answers import answer_of, public_urls
from tests.support.expectation import delivered
from tests.support.settled import await_everything, ids, nothing_lost_nothing_repeated
from tests.support.stack import Stack, wait_until
from tests.support.topics import ends, read_all
from tests.support.watcher import INGESTOR, KSQLDB, MONGODB, PROCESSOR, S3, Watcher

pytestmark = pytest.mark.long

STAGES = {
    "transactions-ingestor": INGESTOR,
    "unidentified-transactions-processor": PROCESSOR,
    "ksqldb-server": KSQLDB,
    "kafka-connect": MONGODB,
    "s3-archiver": S3,
    "kafka": INGESTOR,
}
# What writes in transactions: where it writes, and what only its records have in them.
WRITERS = {
    "transactions-ingestor": (topics.UNIDENTIFIED_TRANSACTIONS, b""),
    "unidentified-transactions-processor": (topics.FRAUDULENT_TRANSACTIONS_RESULT, PROCESSOR.encode()),
    "ksqldb-server": (topics.FRAUDULENT_TRANSACTIONS_RESULT, KSQLDB.encode()),
}
STORES = {"mongodb": MONGODB, "s3": S3}
OUTPUTS = (
    topics.FRAUDULENT_TRANSACTIONS,
    topics.UNIDENTIFIED_TRANSACTIONS,
    topics.BANK_TRANSACTIONS_DLQ,
    topics.FRAUDULENT_TRANSACTIONS_RESULT,
    topics.USERS,
)
VALIDATOR = "fraud-validator-api"
JVMS = ("kafka", "kafka-connect")  # a JVM that ends by a signal has no exit code of its own
NORMAL = {"fraudulent_share": LOAD.validator_share}
VALIDATOR_OUTAGE_SECONDS = 30
STORE_OUTAGE_SECONDS = 60
HANG_SECONDS = 20
HUNG_SECONDS = 90  # after which the launcher has restarted what hangs
CHANCE_SECONDS = 600
RANDOM = random.Random(20261124)


def recovery(watcher: Watcher, fault_at: float, over_at: float, stages: set[str]) -> float:
    """Wait until all stages have written after the fault was over; gives the longest silence since it began."""
    wait_until(
        lambda: all(watcher.wrote_after(stage, over_at) for stage in stages), BACK_SECONDS, f"{stages} write again"
    )
    return max(watcher.silence(stage, fault_at) for stage in stages)


def killing(stack: Stack, watcher: Watcher, names: list[str], stages: set[str]) -> float:
    """Kill -9 at a random moment of the stages' checkpoints; gives the longest silence."""
    time.sleep(RANDOM.uniform(0, 1))
    moment = time.monotonic()
    await_back(stack, kill(stack, names))
    return recovery(watcher, moment, time.monotonic(), stages)


def report(what: str, *seconds: float) -> None:
    print(f"\n    {what}: {', '.join(f'{one:.1f}' for one in seconds)} s")  # noqa: T201 - the drill's result


@pytest.mark.parametrize("name", STAGES)
def test_kill_three_times(stack: Stack, watcher: Watcher, name: str) -> None:
    report(f"kill -9 {name}, silence", *(killing(stack, watcher, [name], {STAGES[name]}) for _ in range(3)))


@pytest.mark.parametrize("name", WRITERS)
def test_kill_in_the_middle_of_a_transaction(stack: Stack, watcher: Watcher, name: str) -> None:
    seconds = []
    for _ in range(3):
        pid = kill_as_it_writes(stack, name, *WRITERS[name])
        moment = time.monotonic()
        await_back(stack, {name: pid})
        seconds.append(recovery(watcher, moment, time.monotonic(), {STAGES[name]}))
    report(f"kill -9 {name} as it writes, silence", *seconds)


def test_kill_all_at_once(stack: Stack, watcher: Watcher) -> None:
    names = [*STAGES, *STORES, VALIDATOR, "connect-watchdog"]
    report("kill -9 of all parts at once, silence", killing(stack, watcher, names, set(STAGES.values())))


@pytest.mark.parametrize("name", STAGES)
def test_terminate_leaves_nothing_in_doubt(stack: Stack, watcher: Watcher, name: str) -> None:
    process = process_of(stack, name)
    moment = time.monotonic()
    with nobody_restarts(stack):
        seconds = terminate(process)
        if name != "kafka":
            written = ends(stack.kafka, OUTPUTS, IsolationLevel.READ_UNCOMMITTED)

            def all_decided() -> bool:
                stable = ends(stack.kafka, OUTPUTS, IsolationLevel.READ_COMMITTED)
                return all(stable[partition] >= end for partition, end in written.items())

            # An open transaction would hold readers back until the broker gives it up, 15 s later.
            wait_until(all_decided, EXIT_SECONDS, f"no transaction of {name} is open")
    await_back(stack, {name: process.pid})
    if name not in JVMS:
        assert last_exit(stack, name) == 0
    report(f"SIGTERM {name}, exit and silence", seconds, recovery(watcher, moment, time.monotonic(), {STAGES[name]}))


@pytest.mark.parametrize("behaviour", [{"failure_share": 1}, {"hang": True}, {"poison_share": 1}], ids=str)
def test_validator_fails(stack: Stack, watcher: Watcher, behaviour: dict[str, Any]) -> None:
    with simulation(stack, NORMAL, **behaviour):
        time.sleep(VALIDATOR_OUTAGE_SECONDS)
    over = time.monotonic()
    report(f"validator with {behaviour}, silence after its end", recovery(watcher, over, over, {PROCESSOR}))


def test_processor_ends_while_the_validator_hangs(stack: Stack, watcher: Watcher) -> None:
    process = process_of(stack, "unidentified-transactions-processor")
    with simulation(stack, NORMAL, hang=True):
        asked = time.monotonic()
        wait_until(lambda: watcher.silence(PROCESSOR, asked) > 1, BACK_SECONDS, "it waits for the validator")
        report("SIGTERM while the validator hangs, exit", terminate(process))
        await_back(stack, {"unidentified-transactions-processor": process.pid})
        assert last_exit(stack, "unidentified-transactions-processor") == 0
    recovery(watcher, asked, time.monotonic(), {PROCESSOR})


def test_validator_is_down(stack: Stack, watcher: Watcher) -> None:
    with down(stack, VALIDATOR):
        time.sleep(VALIDATOR_OUTAGE_SECONDS)
    over = time.monotonic()
    report("validator down, silence after its end", recovery(watcher, over, over, {PROCESSOR}))


def test_stores_are_down(stack: Stack, watcher: Watcher) -> None:
    with down(stack, *STORES):
        time.sleep(STORE_OUTAGE_SECONDS)
    over = time.monotonic()
    for name, stage in STORES.items():
        report(f"{name} down, silence after its end", recovery(watcher, over, over, {stage}))


@pytest.mark.parametrize("name", [*STORES, VALIDATOR])
def test_hangs(stack: Stack, watcher: Watcher, name: str) -> None:
    with hanging(stack, name):
        time.sleep(HANG_SECONDS)
    over = time.monotonic()
    stage = STORES.get(name, PROCESSOR)
    report(f"{name} hangs, silence after its end", recovery(watcher, over, over, {stage}))


@pytest.mark.parametrize(
    ("names", "stages"),
    [
        (["kafka"], set(STAGES.values())),
        (["mongodb", "s3", "kafka-connect", "transactions-ingestor"], {INGESTOR, MONGODB, S3}),
        (["connect-watchdog"], {MONGODB}),  # not the bank, which would send the same transactions again
    ],
    ids=str,
)
def test_what_hangs_for_ever_is_restarted(stack: Stack, watcher: Watcher, names: list[str], stages: set[str]) -> None:
    pids = {}
    for name in names:
        process = process_of(stack, name)
        process.suspend()
        pids[name] = process.pid
    moment = time.monotonic()
    for name in names:
        wait_until(lambda name=name: part(stack, name)["phase"] == "unhealthy", BACK_SECONDS, f"{name} is unhealthy")
    wait_until(
        lambda: not any(part(stack, name)["pid"] == pids[name] for name in names), HUNG_SECONDS, "all are killed"
    )
    await_back(stack, pids)
    report(f"{', '.join(names)} hang, silence", recovery(watcher, moment, time.monotonic(), stages))


@pytest.mark.timeout(2 * CHANCE_SECONDS)
def test_kill_by_chance(stack: Stack, watcher: Watcher) -> None:
    deadline = time.monotonic() + CHANCE_SECONDS
    while time.monotonic() < deadline:
        names = RANDOM.sample([*STAGES, *STORES, VALIDATOR], RANDOM.randint(1, 3))
        report(f"kill -9 of {', '.join(names)}, silence", killing(stack, watcher, names, set(STAGES.values())))


def test_nothing_is_lost_and_nothing_is_repeated(stack: Stack, watcher: Watcher) -> None:
    """Stops the bank, waits for the rest of what it sent, and compares everything with the seed."""
    with down(stack, "multi-bank-system"):
        sent = ids(read_all(stack.kafka, topics.BANK_TRANSACTIONS))
        report(f"{sent.total():,} transactions, sent in", sent.total() / LOAD.rate)
        assert set(sent.values()) == {1}
        expected = delivered(LOAD, sent)
        await_everything(stack, expected, 120)
        nothing_lost_nothing_repeated(stack, expected)
        for topic, seen in watcher.seen.items():
            assert seen == ids(read_all(stack.kafka, topic)), f"the concurrent reader of {topic} saw something else"


def test_no_log_and_no_answer_tells_a_secret(stack: Stack) -> None:
    """After all the faults, with their stack traces: no credential and nothing personal of any customer."""
    personal = ("ssn", "address", "email", "phone_number", "bank_account", "name")
    people = customers(LOAD.seed, LOAD.customers)
    private = {person[field] for person in people for field in personal} | {stack.s3_secret_key}
    answers = {
        **{str(file): file.read_text(errors="replace") for file in stack.settings.folders.logs.iterdir()},
        **{url: answer_of(url) for url in public_urls(stack)},
        stack.s3_endpoint: requests.get(stack.s3_endpoint, timeout=10).text,  # it refuses whoever has no key
    }
    assert len(answers) > 30
    told = {(place, value) for place, text in answers.items() for value in private if value in text}
    assert told == set()


def test_nothing_listens_beyond_loopback(stack: Stack) -> None:
    launcher = psutil.Process(json.loads(stack.settings.folders.state.read_text())["launcher"]["pid"])
    listening = {
        connection.laddr.ip
        for process in launcher.children(recursive=True)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening
    assert all(is_loopback(address) for address in listening), listening


def is_loopback(address: str) -> bool:
    """Also for the IPv4 address of a socket that could do IPv6, as a JVM's can."""
    found = ip_address(address)
    return (found.ipv4_mapped or found if isinstance(found, IPv6Address) else found).is_loopback
