"""Requests that are larger, or more at once, than a small heap holds: they are refused or wait, and all others are answered."""

import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from init.init_kafka import topic_config
from local.checks import broker_ready
from tests.support.stack import running_broker, wait_until

pytestmark = pytest.mark.long
MB = 1_000_000
RECORD = bytes(79 * MB // 10)
PRODUCERS, RECORDS_EACH = 24, 4
TOPIC = "bank-transactions"
ANSWER_SECONDS = 30
READ_SECONDS = 240


@pytest.fixture
def bootstrap(tmp_path: Path) -> Iterator[str]:
    """A broker of its own: what these tests do to it must not be met by others."""
    with running_broker(tmp_path / "broker") as address:
        admin = AdminClient({"bootstrap.servers": address})
        admin.create_topics([NewTopic(TOPIC, 6, 1, config=topic_config(TOPIC))])[TOPIC].result()
        yield address


def write(bootstrap: str, records: int) -> list[KafkaError | None]:
    """What became of each record, in one producer."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "message.max.bytes": 8 * 1024 * 1024,
            "log_level": 0,
        }
    )
    errors: list[KafkaError | None] = []

    def delivered(error: KafkaError | None, _message: Message) -> None:
        errors.append(error)

    for _ in range(records):
        producer.produce(TOPIC, RECORD, on_delivery=delivered)
    producer.flush(120)
    return errors


@pytest.mark.parametrize("announced", [99 * MB, 16 * MB])
def test_announced_requests_that_never_come(bootstrap: str, announced: int) -> None:
    with ExitStack() as open_sockets:
        for _ in range(4):
            host, port = bootstrap.split(":")
            peer = open_sockets.enter_context(socket.create_connection((host, int(port))))
            peer.sendall(struct.pack(">i", announced) + bytes(100))
        wait_until(broker_ready(bootstrap), ANSWER_SECONDS, "the broker answers")
        assert write(bootstrap, 1) == [None]


def test_many_large_records_at_once(bootstrap: str) -> None:
    with ThreadPoolExecutor(PRODUCERS) as producers:
        outcomes = list(producers.map(lambda _: write(bootstrap, RECORDS_EACH), range(PRODUCERS)))
    assert [error for outcome in outcomes for error in outcome] == [None] * (PRODUCERS * RECORDS_EACH)
    assert broker_ready(bootstrap)()
    with ThreadPoolExecutor(PRODUCERS) as readers:
        counts = list(readers.map(lambda number: read(bootstrap, number), range(PRODUCERS)))
    assert counts == [PRODUCERS * RECORDS_EACH] * PRODUCERS
    assert broker_ready(bootstrap)()


def read(bootstrap: str, number: int) -> int:
    """How many records a reader gets that asks for as much as it may."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"reader {number}",
            "auto.offset.reset": "earliest",
            "fetch.message.max.bytes": 9 * 1024 * 1024,
            "queued.max.messages.kbytes": 9 * 1024,
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([TOPIC])
    count, deadline = 0, time.monotonic() + READ_SECONDS
    while count < PRODUCERS * RECORDS_EACH and time.monotonic() < deadline:
        message = consumer.poll(1)
        count += message is not None and message.error() is None
    consumer.close()
    return count
