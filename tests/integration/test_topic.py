"""What `--topic` runs: a record in its parts, masked, and a topic that is given partitions while it is read."""

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest
from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from contracts.dead_letters import MASK, REASON
from contracts.records import Headers
from local.settings import ROOT
from tests.support import samples
from tests.support.stack import wait_until

SECONDS = 30
ID = "0b2c9a5e-7d0f-4a51-9a0e-3f1c2d4b5a69"
VALUE = json.dumps(samples.raw(transaction_id=ID)).encode()
BROKEN = VALUE[:-20]
HEADERS: Headers = [(REASON, b"value: is broken"), ("from", b"Name 1"), ("none", None)]

Show = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def topic(kafka_bootstrap: str) -> str:
    name = f"shown-{uuid.uuid4().hex}"
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(SECONDS)
    return name


@pytest.fixture
def shown(kafka_bootstrap: str, topic: str) -> Iterator[Show]:
    """The topic from its beginning, with more options; it is ended with the test."""
    started = []

    def start(*options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "console.topic", topic, "--from-beginning", *options]
        environment = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVER": kafka_bootstrap,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'console'}",
            "TZ": "America/Caracas",  # has no other offset in summer
        }
        started.append(
            subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        )
        return started[-1]

    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=10)


def produce(
    bootstrap: str, topic: str, *records: tuple[bytes | None, bytes | None, Headers], partition: int = 0
) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
    undelivered: list[KafkaError] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            undelivered.append(error)

    for key, value, headers in records:
        producer.produce(topic, value, key, headers=headers, partition=partition, on_delivery=delivered)
    assert (producer.flush(SECONDS), undelivered) == (0, [])


def lines(process: subprocess.Popen[bytes], count: int) -> list[bytes]:
    assert process.stdout is not None
    return [process.stdout.readline().removesuffix(b"\n") for _ in range(count)]


def test_personal_data_is_masked_by_the_consoles_rule_and_the_rest_is_readable(
    kafka_bootstrap: str, topic: str, shown: Show
) -> None:
    produce(
        kafka_bootstrap,
        topic,
        (ID.encode(), VALUE, HEADERS),
        (b"Name 1", BROKEN, []),
        (None, None, []),
        (None, b"\xff", []),
    )
    process = shown("--headers", "--key", "--timestamps")
    whole, broken, nothing, no_text = (line.decode().split("\t") for line in lines(process, 4))
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}-04:00", whole[0])
    assert abs(datetime.fromisoformat(whole[0]).timestamp() - datetime.now().timestamp()) < SECONDS
    assert whole[1:3] == [ID, f"{REASON}=value: is broken, from={MASK}, none={MASK}"]
    read = json.loads(whole[3])
    assert (read["transaction_id"], read["amount"], read["sender_bank_account"]) == (ID, 100.5, MASK)
    assert set(read["sender_details"].values()) == {MASK}
    assert broken[1:3] == [MASK, "no headers"]
    assert "Name" not in broken[3]
    assert '"amount"' in broken[3]
    assert nothing[1:] == ["null", "no headers", "null"]
    assert no_text[3] == MASK
    process.terminate()
    assert process.communicate(timeout=10)[1] == b"note: personal data is masked, --unmasked shows it\n"


def test_unmasked_every_byte_is_as_it_came(kafka_bootstrap: str, topic: str, shown: Show) -> None:
    produce(kafka_bootstrap, topic, (b"Name 1", VALUE, HEADERS), (b"\xff", BROKEN, []))
    process = shown("--unmasked", "--key", "--headers")
    headers = f"{REASON}=value: is broken, from=Name 1, none=".encode()
    assert lines(process, 2) == [b"\t".join((b"Name 1", headers, VALUE)), b"\xff\tno headers\t" + BROKEN]
    process.terminate()
    assert process.communicate(timeout=10)[1] == b""


def test_partitions_that_are_added_are_printed_too(kafka_bootstrap: str, topic: str, shown: Show) -> None:
    produce(kafka_bootstrap, topic, (None, b"old", []))
    process = shown("--unmasked")
    assert lines(process, 1) == [b"old"]
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    admin.create_partitions([NewPartitions(topic, 2)])[topic].result(SECONDS)
    wait_until(
        lambda: len(admin.list_topics(topic, timeout=SECONDS).topics[topic].partitions) == 2, SECONDS, "it is listed"
    )
    produce(kafka_bootstrap, topic, (None, b"new", []), partition=1)
    assert lines(process, 1) == [b"new"]
    produce(kafka_bootstrap, topic, (None, b"old again", []))
    assert lines(process, 1) == [b"old again"]


def test_a_topic_that_is_not_there(kafka_bootstrap: str) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "console.topic", "nosuch"],
        cwd=ROOT,
        env={**os.environ, "KAFKA_BOOTSTRAP_SERVER": kafka_bootstrap, "PYTHONPATH": f"{ROOT}:{ROOT / 'console'}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert process.returncode == 1
    assert process.stderr.startswith("error: there is no topic nosuch; there are ")
