"""A backlog of the largest records that a topic takes fits into the memory that a service has."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from benchmarks.lab import Lab, Process, laboratory
from contracts import topics
from ingestor.settings import SERVICE as INGESTOR
from local.settings import HOST
from processor.settings import SERVICE as PROCESSOR
from tests.support.settled import ids
from tests.support.topics import read_all

MIB = 1024 * 1024
LIMIT_MIB = 256  # of every Python service in docker-compose.yml
LARGE, MEDIUM = 7_900_000, 990_000


@pytest.fixture
def lab() -> Iterator[Lab]:
    with laboratory() as made:
        yield made


def backlog(lab: Lab, topic: str, count: int, body: bytes) -> None:
    """So many records, sent one by one: a broker of 128 MB cannot take many such requests at a time."""
    producer = Producer(
        {"bootstrap.servers": lab.bootstrap, "enable.idempotence": True, "message.max.bytes": 8 * MIB, "log_level": 3}
    )
    for number in range(count):
        producer.produce(topic, body, str(number))
        assert producer.flush(30) == 0


def peak_mib(process: Process) -> float:
    """The most memory that the process has had resident."""
    status = Path(f"/proc/{process.popen.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024


def drain(lab: Lab, module: str, group: str, topic: str, **environment: str) -> float:
    """Run the service until it has read the topic; gives its peak memory in MiB."""
    process = lab.start(module, REPLICA_ID="1", **environment)
    try:
        lab.wait_for_end([group], topic)
        peak = peak_mib(process)
    finally:
        process.stop()
    print(f"\n    {module}: {peak:.0f} MiB")  # noqa: T201 - the figure
    return peak


def test_the_ingestor(lab: Lab) -> None:
    body, count = os.urandom(LARGE), 60
    backlog(lab, topics.BANK_TRANSACTIONS, count, body)
    peak = drain(lab, "ingestor", INGESTOR, topics.BANK_TRANSACTIONS)
    assert ids(read_all(lab.bootstrap, topics.BANK_TRANSACTIONS_DLQ)) == Counter(map(str, range(count)))
    assert peak < LIMIT_MIB


def test_the_processor(lab: Lab) -> None:
    body, count = os.urandom(MEDIUM), 600
    backlog(lab, topics.UNIDENTIFIED_TRANSACTIONS, count, body)
    peak = drain(lab, "processor", PROCESSOR, topics.UNIDENTIFIED_TRANSACTIONS, FRAUD_VALIDATOR_URL=f"http://{HOST}:9")
    assert ids(read_all(lab.bootstrap, topics.UNIDENTIFIED_TRANSACTIONS_DLQ)) == Counter(map(str, range(count)))
    assert peak < LIMIT_MIB
