"""Records that break the contract, or only look as if they did, while transactions flow: each is one dead letter with its
reason, or goes the whole way; every stage lives; and what was refused once can be put back.

What the sinks do with rows that no service would write is in tests/integration/test_stores.py.
"""

import itertools
import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from confluent_kafka import Producer
from pymongo import MongoClient

from contracts import topics
from contracts.dead_letters import REASON, SOURCE_OFFSET, SOURCE_PARTITION, SOURCE_TOPIC, TRIES
from contracts.models import FRAUDULENT, UNIDENTIFIED
from local.plan import DATABASE
from local.settings import ROOT
from tests.resilience.conftest import LOAD
from tests.resilience.faults import simulation
from tests.support.samples import raw, user
from tests.support.settled import ids, objects
from tests.support.stack import Stack, wait_until
from tests.support.topics import Record, read_all
from tests.support.watcher import INGESTOR, KSQLDB, PROCESSOR, Watcher
from validator.verdict import is_fraudulent

pytestmark = pytest.mark.long

SECONDS = 60
NORMAL = {"fraudulent_share": LOAD.validator_share}


def encoded(**changes: Any) -> bytes:
    return json.dumps(raw(**changes)).encode()


# By name: the value, and what its reason says.
REFUSED: dict[str, tuple[bytes | None, str]] = {
    "null": (None, "is empty"),
    "empty": (b"", "is empty"),
    "not JSON": (b"not json", "Invalid JSON"),
    "truncated": (encoded()[:100], "Invalid JSON"),
    "broken UTF-8": (encoded().replace(b"completed", b"\xff\xfe"), "Invalid JSON"),
    "lone surrogate": (encoded().replace(b"completed", b"\\ud800"), "Invalid JSON"),
    "nested arrays": (b"[" * 10_000 + b"]" * 10_000, "Invalid JSON"),
    "nested objects": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "Invalid JSON"),
    "nested amount": (encoded(amount="deep").replace(b'"deep"', b"[" * 2_000 + b"]" * 2_000), "Invalid JSON"),
    "5 MB": (encoded(status="x" * 5_000_000), "bytes"),
    "array": (b"[1, 2]", "an object"),
    "number": (b"1", "an object"),
    "NaN": (encoded(amount=float("nan")), "amount"),
    "infinite": (encoded(amount=float("inf")), "amount"),
    "amount of the wrong type": (encoded(amount=[1]), "amount"),
    "amount is no number": (encoded(amount="a lot"), "amount"),
    "amount is a boolean": (encoded(amount=True), "amount"),
    "amount with underscores": (encoded(amount="1_000"), "amount"),
    "amount that no double holds": (encoded(amount=2**64 - 1), "amount"),
    "amount of 30 digits": (encoded(amount="1234567890.12345678901234567890"), "amount"),
    "amount beyond every double": (encoded(amount=0.5).replace(b"0.5", b"1e400"), "amount"),
    "two objects": (encoded() + encoded(), "Invalid JSON"),
    "user of the wrong type": (encoded(sender_details="me"), "sender_details"),
    "user is null": (encoded(receiver_details=None), "receiver_details"),
    "no sender": (json.dumps({key: value for key, value in raw().items() if key != "sender_details"}).encode(), "Field required"),
    "no id": (json.dumps({key: value for key, value in raw().items() if key != "transaction_id"}).encode(), "transaction_id"),
    "empty id": (encoded(transaction_id=""), "transaction_id"),
    "empty user id": (encoded(sender_details=user(1) | {"id": ""}), "sender_details.id"),
    "unknown evaluation": (encoded(evaluation="honest"), "evaluation"),
}  # fmt: skip
UNUSUAL_IDS = [
    'it\'s "quoted"',
    "$set",
    "a.b.c",
    "nul\0nul",
    "\U0001f4b8 Zürich",
    " ",
    "x" * 1_000,
    "line\nbreak",
    "{}",
    "-1",
]


def fraudulent_ids(name: str) -> Iterator[str]:
    """Ids that begin so, and that the validator finds fraudulent."""
    candidates = (f"{name} {number}" for number in itertools.count())
    return (candidate for candidate in candidates if is_fraudulent(candidate, LOAD.validator_share))


def unusual(evaluation: str) -> dict[str, bytes]:
    """Transactions that pass the contract, by id. With a duplicate field the last one counts."""
    return {
        name: b'{"status": "first", '
        + encoded(
            transaction_id=name,
            evaluation=evaluation,
            amount="12.50",
            unknown={"$where": "1"},
            sender_details=user(1) | {"id": f"sender of {name}"},
        )[1:]
        for name in (next(fraudulent_ids(f"{evaluation} {unusual_id}")) for unusual_id in UNUSUAL_IDS)
    }


def send(stack: Stack, topic: str, records: Mapping[str, bytes | None]) -> None:
    """Each record once, its name as the key."""
    producer = Producer(
        {"bootstrap.servers": stack.kafka, "enable.idempotence": True, "message.max.bytes": 8 * 1024 * 1024}
    )
    for name, value in records.items():
        producer.produce(topic, value, name)
    assert producer.flush(30) == 0


def dead_letters(stack: Stack, topic: str, names: Mapping[str, Any]) -> dict[str, list[Record]]:
    """The dead letters that these records became, by name, in their order."""
    found: dict[str, list[Record]] = {name: [] for name in names}
    for record in read_all(stack.kafka, topic):
        name = (record.key or b"").decode(errors="replace")
        if name in found:
            found[name].append(record)
    return found


def await_dead_letters(stack: Stack, topic: str, names: Mapping[str, Any], times: int = 1) -> dict[str, list[Record]]:
    """Wait until each of the records has died so often."""

    def all_there() -> bool:
        return all(len(died) >= times for died in dead_letters(stack, topic, names).values())

    wait_until(all_there, SECONDS, f"{times} dead letters of each on {topic}")
    return dead_letters(stack, topic, names)


def replay(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    return stack.start_sh("--replay-dlq", *arguments)


@pytest.fixture(scope="module")
def poisoned(stack: Stack) -> dict[str, list[Record]]:
    """The dead letters of what the ingestor refuses, by name."""
    send(stack, topics.BANK_TRANSACTIONS, {name: value for name, (value, _) in REFUSED.items()})
    return await_dead_letters(stack, topics.BANK_TRANSACTIONS_DLQ, REFUSED)


def test_poison_is_one_dead_letter_each(watcher: Watcher, poisoned: dict[str, list[Record]]) -> None:
    places = set()
    for name, (value, reason) in REFUSED.items():
        (dead_letter,) = poisoned[name]
        assert dead_letter.value == value, name
        assert reason in (dead_letter.headers[REASON] or b"").decode(), name
        assert dead_letter.headers[SOURCE_TOPIC] == topics.BANK_TRANSACTIONS.encode()
        places.add((dead_letter.headers[SOURCE_PARTITION], dead_letter.headers[SOURCE_OFFSET]))
    assert len(places) == len(REFUSED)
    moment = time.monotonic()
    wait_until(
        lambda: all(watcher.wrote_after(stage, moment) for stage in (INGESTOR, KSQLDB, PROCESSOR)),
        SECONDS,
        "every stage lives",
    )


def test_unusual_transactions_go_the_whole_way_once(stack: Stack) -> None:
    sent = unusual(FRAUDULENT) | unusual(UNIDENTIFIED)
    send(stack, topics.BANK_TRANSACTIONS, sent)
    with MongoClient(stack.mongodb_uri) as client:
        rows, people = client[DATABASE]["transactions"], client[DATABASE]["users"]
        wait_until(lambda: rows.count_documents({"_id": {"$in": list(sent)}}) == len(sent), SECONDS, "all documents")
        for document in rows.find({"_id": {"$in": list(sent)}}):
            assert (document["AMOUNT"], document["STATUS"]) == (12.5, "completed")
            assert people.count_documents({"_id": document["SENDER_ID"]}) == 1
    counted = ids(read_all(stack.kafka, topics.FRAUDULENT_TRANSACTIONS_RESULT))
    assert {name: counted[name] for name in sent} == dict.fromkeys(sent, 1)
    archive = topics.FRAUDULENT_TRANSACTIONS_RESULT

    def archived() -> Counter[str]:
        return Counter(json.loads(line)["TRANSACTION_ID"] for line in objects(stack, archive))

    wait_until(lambda: all(archived()[name] for name in sent), SECONDS, "all rows in S3")
    assert {name: archived()[name] for name in sent} == dict.fromkeys(sent, 1)


def test_poison_behind_the_ingestor(stack: Stack, watcher: Watcher) -> None:
    """Written straight to the topics that only the ingestor writes to."""
    poison = {name: REFUSED[name][0] for name in ("null", "not JSON", "truncated", "broken UTF-8", "array", "empty id")}
    poison = {f"straight {name}": value for name, value in poison.items()}
    log = "fraud_ksql_processing_log"
    logged = len(read_all(stack.kafka, log))
    for topic in (topics.UNIDENTIFIED_TRANSACTIONS, topics.FRAUDULENT_TRANSACTIONS):
        send(stack, topic, poison)
    died = await_dead_letters(stack, topics.UNIDENTIFIED_TRANSACTIONS_DLQ, poison)
    for name, value in poison.items():
        (dead_letter,) = died[name]
        assert dead_letter.value == value
        assert dead_letter.headers[REASON]
        assert dead_letter.headers[SOURCE_TOPIC] == topics.UNIDENTIFIED_TRANSACTIONS.encode()
    # ksqlDB says what it cannot read in its own log; a null and an empty id are rows to it, which its statements leave out.
    wait_until(lambda: len(read_all(stack.kafka, log)) > logged, SECONDS, "the processing log tells of them")
    moment = time.monotonic()
    wait_until(
        lambda: watcher.wrote_after(KSQLDB, moment) and watcher.wrote_after(PROCESSOR, moment), SECONDS, "both live"
    )


@pytest.fixture
def refused(stack: Stack) -> dict[str, bytes]:
    """Transactions that the validator refused while the others went on, by id."""
    refused = {
        name: encoded(transaction_id=name, evaluation=UNIDENTIFIED)
        for name in itertools.islice(fraudulent_ids("again"), 3)
    }
    with simulation(stack, NORMAL, refused_ids=list(refused)):
        send(stack, topics.BANK_TRANSACTIONS, refused)
        for (dead_letter,) in await_dead_letters(stack, topics.UNIDENTIFIED_TRANSACTIONS_DLQ, refused).values():
            assert b"HTTP 422" in (dead_letter.headers[REASON] or b"")
    return refused


def test_a_refused_transaction_can_be_put_back_once(stack: Stack, refused: dict[str, bytes]) -> None:
    topic = topics.UNIDENTIFIED_TRANSACTIONS_DLQ
    total = len(read_all(stack.kafka, topic))
    dry = replay(stack, topic, "--dry-run")
    assert dry.returncode == 0, dry.stdout + dry.stderr
    assert f"{len(refused)} to {topics.UNIDENTIFIED_TRANSACTIONS}: the validator refused" in dry.stdout
    assert f"{topic}: {total} dead letters would be replayed" in dry.stdout
    both = [replay(stack, topic) for _ in range(2)]
    assert f"{topic}: {total} dead letters replayed" in both[0].stdout, both[0].stdout + both[0].stderr
    assert f"{total} dead letters replayed" not in both[1].stdout

    def results() -> dict[str, list[Record]]:
        found: dict[str, list[Record]] = {name: [] for name in refused}
        for record in read_all(stack.kafka, topics.FRAUDULENT_TRANSACTIONS_RESULT):
            found.get((record.key or b"").decode(), []).append(record)
        return found

    wait_until(lambda: all(results().values()), SECONDS, "their results")
    for (record,) in results().values():
        assert record.headers[TRIES] == b"1"
    assert all(len(died) == 1 for died in dead_letters(stack, topic, refused).values())


def test_what_is_refused_again_is_counted(stack: Stack, poisoned: dict[str, list[Record]]) -> None:
    """Two at the same time put every dead letter back once: the later one ends the other's transaction and goes on from there."""
    topic = topics.BANK_TRANSACTIONS_DLQ
    assert all(len(died) == 1 for died in poisoned.values())
    command = ["bash", str(ROOT / "start.sh"), "--replay-dlq", topic]
    at_once = [subprocess.Popen(command, env={**os.environ, **stack.environment}) for _ in range(2)]
    assert 0 in [process.wait(SECONDS) for process in at_once]
    for name, died in await_dead_letters(stack, topic, REFUSED, times=2).items():
        assert {dead_letter.value for dead_letter in died} == {REFUSED[name][0]}
        # The second may find what the first one's dead letters have become, and puts that back: still each of them once.
        tries = [dead_letter.headers.get(TRIES) for dead_letter in died]
        assert tries == [None, *(str(number).encode() for number in range(1, len(died)))], name


@pytest.mark.parametrize("topic", [topics.USERS, "no-such-topic"])
def test_only_dead_letters_can_be_put_back(stack: Stack, topic: str) -> None:
    answer = replay(stack, topic)
    assert answer.returncode == 1
    assert f"error: {topic} is not a dead-letter topic" in answer.stderr
