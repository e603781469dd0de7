"""A transaction's records are the same ones whether the keys are known, not known, or known in part."""

import json
import time
import uuid
from collections.abc import Iterable, Iterator
from itertools import count, product
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Message, Producer
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from console import keys, lookup
from console.keys import Keys
from console.reader import client
from console.stages import Found
from contracts import topics
from contracts.models import UNIDENTIFIED
from contracts.partitions import partition_of
from contracts.records import Headers, Position, Record
from contracts.timestamps import BANK_TIMESTAMP
from runtime.reading import end_of, records_between
from tests.support import samples
from tests.support.dead import dead_letter_headers
from tests.support.stack import running_broker, wait_until

PARTITIONS, GROWN, SECONDS = 3, 7, 30
OTHERS = 400
ROUTED, REFUSED, WAITS = (str(uuid.uuid4()) for _ in range(3))
FRAUDS = [str(uuid.uuid4()) for _ in range(10)]
BANKS_KEY = "a bank's own key"


def partition(key: str) -> int:
    return partition_of(key.encode(), PARTITIONS)


# Of transactions with a key of their bank's, one whose id leads to the same partition as that key, and one whose id does not.
# JSON may escape a character of the id.
ANY_KEY = [
    next(one for one in (f'é"{uuid.uuid4()}' for _ in count()) if (partition(one) == partition(BANKS_KEY)) is same)
    for same in (True, False)
]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits of a user who waits are none of a machine that has other things to do."""
    monkeypatch.setattr(lookup, "SECONDS", 60.0)
    monkeypatch.setattr(lookup, "ANSWER_SECONDS", 60.0)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_broker(tmp_path_factory.mktemp("broker")) as bootstrap:
        write_all(bootstrap)
        yield bootstrap


def write_all(bootstrap: str) -> None:
    """The topics, with four transactions that have got to different places, and others before and after them."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    stamped = {"message.timestamp.type": "LogAppendTime"}
    made = admin.create_topics([NewTopic(name, PARTITIONS, 1, config=stamped) for name in topics.ALL])
    for future in made.values():
        future.result(SECONDS)
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "partitioner": "murmur2_random"})
    written: dict[str, int] = {}

    def write(topic: str, identity: str, key: str | None = None, headers: Headers | None = None) -> None:
        value = json.dumps(samples.raw(transaction_id=identity, evaluation=UNIDENTIFIED))

        def delivered(_: object, message: Message) -> None:
            written[identity] = message.timestamp()[1]

        producer.produce(topic, value, key or identity, headers=headers, on_delivery=delivered)

    def write_others() -> None:
        for number in range(OTHERS):
            for topic in sorted(keys.TOPICS):
                write(topic, f"other-{number}")
        assert producer.flush(SECONDS) == 0

    write_others()
    for identity in (ROUTED, REFUSED, *FRAUDS):
        write(topics.BANK_TRANSACTIONS, identity)
    for identity in ANY_KEY:
        write(topics.BANK_TRANSACTIONS, identity, BANKS_KEY)
    assert producer.flush(SECONDS) == 0
    write(topics.UNIDENTIFIED_TRANSACTIONS, ROUTED, None, [(BANK_TIMESTAMP, b"%d" % written[ROUTED])])
    for identity, key in ((REFUSED, None), *((one, BANKS_KEY) for one in ANY_KEY)):
        headers = dead_letter_headers([], "broken", topics.BANK_TRANSACTIONS, 0, 0, "ingestor")
        write(topics.BANK_TRANSACTIONS_DLQ, identity, key, headers)
    for identity in FRAUDS:
        sent: Headers = [(BANK_TIMESTAMP, b"%d" % written[identity])]
        users = f"sender of {identity}", f"receiver of {identity}"
        row = {"TRANSACTION_ID": identity, "SENDER_ID": users[0], "RECEIVER_ID": users[1]}
        write(topics.FRAUDULENT_TRANSACTIONS, identity, headers=sent)
        producer.produce(topics.FRAUDULENT_TRANSACTIONS_RESULT, json.dumps(row), identity, headers=sent)
        for user in users:
            producer.produce(topics.USERS, json.dumps({"ID": user}), user, headers=sent)
    write_others()
    write(topics.BANK_TRANSACTIONS, WAITS)
    assert producer.flush(SECONDS) == 0


def read(into: Keys, most: int, names: Iterable[str] = topics.ALL) -> None:
    """As the console's reader gives them, at most so many of each topic."""
    consumer = Consumer(client("keys"))
    try:
        for topic in names:
            left = count()
            for batch in records_between(consumer, topic, {}, end_of(consumer, topic)):
                into.take(message for message in batch if next(left) < most)
    finally:
        consumer.close()


def test_what_followed_is_found_though_its_offset_is_forgotten(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each topic's oldest keys are forgotten in chunks: those of what came in may be remembered for longer."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVER", cluster)
    known = Keys()
    read(known, 10 * OTHERS)
    for topic in keys.TOPICS - {topics.BANK_TRANSACTIONS}:
        while known._chunks[topic]:
            known._drop_oldest(topic)
    found = {identity: lookup.find(identity, {}, known) for identity in (ROUTED, REFUSED, WAITS)}
    assert all(one.received for one in found.values())
    assert found[ROUTED].routed is not None
    assert len(found[REFUSED].dead_letters) == 1
    assert (found[WAITS].routed, found[WAITS].dead_letters, found[WAITS].complete) == (None, [], True)


@pytest.mark.parametrize(
    ("kept", "taken", "names"),
    [
        (keys.MOST, 0, topics.ALL),
        (keys.MOST, OTHERS, topics.ALL),
        (keys.MOST, 10 * OTHERS, topics.ALL),
        (200, 10 * OTHERS, topics.ALL),
        *((keys.MOST, 10 * OTHERS, [name]) for name in sorted(keys.TOPICS)),
    ],
    ids=["nothing is known", "the oldest", "everything", "the newest", *sorted(keys.TOPICS)],
)
def test_what_is_found_is_the_same(
    cluster: str, monkeypatch: pytest.MonkeyPatch, kept: int, taken: int, names: Iterable[str]
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVER", cluster)
    monkeypatch.setattr(keys, "CHUNK", 50)
    known = Keys(kept)
    read(known, taken, names)

    def find(identity: str) -> Found:
        return lookup.find(identity, {}, known)

    def id_of(record: Record | None) -> str | None:
        return None if record is None else json.loads(record.value or b"")["transaction_id"]

    routed = find(ROUTED)
    assert (id_of(routed.received), id_of(routed.routed), routed.dead_letters) == (ROUTED, ROUTED, [])
    for identity in (REFUSED, *ANY_KEY):
        refused = find(identity)
        assert (refused.routed, [id_of(one) for one in refused.dead_letters]) == (None, [identity])
    waits = find(WAITS)
    assert (id_of(waits.received), waits.routed, waits.dead_letters) == (WAITS, None, [])
    nothing = find(str(uuid.uuid4()))
    assert (nothing.received, nothing.routed, nothing.dead_letters, nothing.complete) == (None, None, [], True)
    for identity in FRAUDS:
        check_fraud(find(identity))


def check_fraud(found: Found) -> None:
    assert found.complete
    assert (found.received and found.received.key, found.routed and found.routed.key) == (found.identity.encode(),) * 2
    assert found.row is not None
    assert [user and user.key for user in found.users] == [
        f"{whose} of {found.identity}".encode() for whose in ("sender", "receiver")
    ]


def add_partitions(bootstrap: str) -> None:
    """Keys lead elsewhere from now on. There are records in the new partitions too, at some time after the others."""
    time.sleep(1.5)
    admin = AdminClient({"bootstrap.servers": bootstrap})
    more = admin.create_partitions([NewPartitions(name, GROWN) for name in topics.ALL])
    for future in more.values():
        future.result(SECONDS)

    def listed() -> bool:
        found = admin.list_topics(timeout=SECONDS).topics
        return all(len(found[name].partitions) == GROWN for name in topics.ALL)

    wait_until(listed, SECONDS, "the partitions are listed")
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
    for name in topics.ALL:
        for partition in range(PARTITIONS, GROWN):
            producer.produce(name, b"{}", "another", partition=partition)
    assert producer.flush(SECONDS) == 0


def test_what_was_written_before_partitions_were_added_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the topics' first minute, when nothing says how many partitions they had, and later."""
    with running_broker(tmp_path / "broker") as bootstrap:
        write_all(bootstrap)
        add_partitions(bootstrap)
        monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVER", bootstrap)
        everything = Keys()
        read(everything, 10 * OTHERS)
        for known, metadata_ms in product((Keys(), everything), (lookup.METADATA_MS, 0)):
            monkeypatch.setattr(lookup, "METADATA_MS", metadata_ms)
            for identity in FRAUDS:
                check_fraud(lookup.find(identity, {}, known))
            refused, waits = lookup.find(REFUSED, {}, known), lookup.find(WAITS, {}, known)
            assert (refused.routed, len(refused.dead_letters)) == (None, 1)
            assert (waits.received is None, waits.routed, waits.dead_letters) == (False, None, [])


class Growing(Keys):
    """The console's reader goes on while a transaction is looked up."""

    def find(self, key: bytes) -> list[Position]:
        found = super().find(key)
        read(self, 10 * OTHERS)
        return found


@pytest.mark.parametrize("identity", [ROUTED, REFUSED, WAITS, *FRAUDS[:2]])
def test_what_the_reader_takes_meanwhile_is_not_skipped(
    cluster: str, monkeypatch: pytest.MonkeyPatch, identity: str
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVER", cluster)
    found = lookup.find(identity, {}, Growing())
    assert found.received is not None
    assert (found.routed is not None) == (identity in (ROUTED, *FRAUDS))
    assert len(found.dead_letters) == (identity == REFUSED)
