"""What becomes of records whose timestamps are old, impossible or not there, on a real broker."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType

from benchmarks.lab import Lab, laboratory
from contracts import topics
from contracts.dead_letters import REASON
from contracts.timestamps import BANK_TIMESTAMP
from ingestor.settings import SERVICE as INGESTOR
from local.checks import port_open
from local.settings import HOST
from tests.support.samples import raw
from tests.support.stack import free_ports, wait_until
from tests.support.topics import Record, read_all

SECONDS = 60
DAY_MS = 24 * 3600 * 1000
KIND = "message.timestamp.type"
# The stack's topics keep records for 7 days; how often that is looked after is all that is different here.
EAGER_RETENTION = ("log.retention.check.interval.ms=500", "log.initial.task.delay.ms=500")


@pytest.fixture
def lab() -> Iterator[Lab]:
    with laboratory(*EAGER_RETENTION) as made:
        yield made


def now_ms() -> int:
    return round(time.time() * 1000)


def send(lab: Lab, topic: str, records: dict[str, tuple[bytes, int]]) -> None:
    """Each record with its key: a value and a timestamp."""
    producer = Producer({"bootstrap.servers": lab.bootstrap, "enable.idempotence": True})
    for key, (value, timestamp) in records.items():
        producer.produce(topic, value, key, timestamp=timestamp)
    assert producer.flush(30) == 0


def transaction(identity: str) -> bytes:
    return json.dumps(raw(transaction_id=identity, evaluation="unidentified")).encode()


def configure(lab: Lab, name: str, **config: str) -> None:
    entries = [
        ConfigEntry(key.replace("_", "."), value, incremental_operation=AlterConfigOpType.SET)
        for key, value in config.items()
    ]
    admin = AdminClient({"bootstrap.servers": lab.bootstrap})
    (future,) = admin.incremental_alter_configs(
        [ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)]
    ).values()
    future.result(10)


def configs(lab: Lab, key: str) -> dict[str, str | None]:
    """A setting of every topic of the stack."""
    admin = AdminClient({"bootstrap.servers": lab.bootstrap})
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in topics.ALL]
    return {
        resource.name: future.result(10)[key].value for resource, future in admin.describe_configs(resources).items()
    }


def records(lab: Lab, topic: str) -> dict[str, Record]:
    return {(record.key or b"").decode(): record for record in read_all(lab.bootstrap, topic)}


def await_retention(lab: Lab) -> None:
    """Wait until the broker has looked through its topics and removed what is too old, all of it after this was called."""
    admin = AdminClient({"bootstrap.servers": lab.bootstrap})
    for _ in range(2):  # the first may be removed in a look that had started before
        name = f"canary-{uuid4()}"
        admin.create_topics([NewTopic(name, 1, 1, config={"retention.ms": "1000"})])[name].result(10)
        send(lab, name, {"old": (b"x", now_ms() - DAY_MS)})
        consumer = Consumer({"bootstrap.servers": lab.bootstrap, "group.id": name})

        def removed(consumer: Consumer = consumer, name: str = name) -> bool:
            return consumer.get_watermark_offsets(TopicPartition(name, 0), timeout=10)[0] == 1

        wait_until(removed, SECONDS, "retention has been at work")
        consumer.close()


def test_init_kafka_changes_topics_that_are_there(lab: Lab) -> None:
    assert set(configs(lab, KIND).values()) == {"LogAppendTime"}
    configure(lab, topics.USERS, message_timestamp_type="CreateTime", cleanup_policy="compact")
    first, second = (lab.run("init.init_kafka") for _ in range(2))
    assert f"topic users has {KIND}=CreateTime: changed to LogAppendTime" in first
    assert "topic users has cleanup.policy=compact: changed to delete" in first
    assert "changed" not in second
    assert set(configs(lab, KIND).values()) == {"LogAppendTime"}
    assert set(configs(lab, "cleanup.policy").values()) == {"delete"}


def test_old_transactions_outlive_an_outage_of_the_validator(lab: Lab) -> None:
    """From a bank whose clock is wrong, or that catches up: all of them would be too old for every topic."""
    stamps = now_ms() - 30 * DAY_MS, now_ms() // 1000  # a month ago; seconds for milliseconds
    sent = {f"old {number}": (transaction(f"old {number}"), stamps[number % 2]) for number in range(300)}
    port = free_ports()["VALIDATOR_PORT"]
    with ExitStack() as running:
        running.enter_context(lab.module("processor", REPLICA_ID="1", FRAUD_VALIDATOR_URL=f"http://{HOST}:{port}"))
        send(lab, topics.BANK_TRANSACTIONS, sent)
        await_retention(lab)
        running.enter_context(lab.module("ingestor", REPLICA_ID="1"))
        lab.wait_for_end([INGESTOR], topics.BANK_TRANSACTIONS)
        await_retention(lab)
        running.enter_context(lab.module("validator", VALIDATOR_PORT=port, VALIDATOR_FRAUDULENT_SHARE="1"))
        wait_until(port_open(HOST, int(port)), SECONDS, "the validator listens")
        result = topics.FRAUDULENT_TRANSACTIONS_RESULT
        wait_until(lambda: len(records(lab, result)) == len(sent), SECONDS, "every transaction has its row")
        await_retention(lab)
    assert len(read_all(lab.bootstrap, topics.FRAUDULENT_TRANSACTIONS_RESULT)) == len(sent)
    assert len(read_all(lab.bootstrap, topics.USERS)) == 2 * len(sent)
    for topic in topics.DEAD_LETTERS:
        assert read_all(lab.bootstrap, topic) == []


def test_impossible_timestamps_are_dead_letters_where_topics_have_create_time(lab: Lab) -> None:
    """As on a cluster that is not ours. Every record that is written has a timestamp that its topic accepts."""
    for name in topics.ALL:
        configure(lab, name, message_timestamp_type="CreateTime")
    forever = str(2**63 - 1)
    configure(lab, topics.BANK_TRANSACTIONS, message_timestamp_after_max_ms=forever, retention_ms="-1")
    started = now_ms()
    refused = {
        "negative": -5000,
        "year 1": -62135596800000,
        "tomorrow": started + DAY_MS,
        "microseconds": started * 1000,
    }
    routed = {"none": -1, "a month ago": started - 30 * DAY_MS, "seconds": started // 1000, "now": started}
    send(lab, topics.BANK_TRANSACTIONS, {key: (transaction(key), at) for key, at in (refused | routed).items()})
    with lab.module("ingestor", REPLICA_ID="1"):
        lab.wait_for_end([INGESTOR], topics.BANK_TRANSACTIONS)
    died, passed = records(lab, topics.BANK_TRANSACTIONS_DLQ), records(lab, topics.UNIDENTIFIED_TRANSACTIONS)
    assert (set(died), set(passed)) == (set(refused), set(routed))
    for key, dead_letter in died.items():
        assert (dead_letter.headers[REASON] or b"").startswith(b"timestamp: "), key
    stamped = {key: int(record.headers.get(BANK_TIMESTAMP) or -1) for key, record in (died | passed).items()}
    assert stamped == refused | routed
    assert all(started <= record.timestamp <= now_ms() for record in (died | passed).values())
