"""A group whose offsets are kept from it, as a killed broker was seen to do for good, on a real broker."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from contracts import topics
from local.plan import PYTHON_SOURCES
from local.settings import ROOT
from runtime.lost import OFFSETS_SECONDS
from runtime.services import INGESTOR
from tests.support.stack import free_ports, running_broker

# More than the broker allows by itself, so that the transaction is open for as long as the test.
OPEN_MS = 600_000
GIVES_UP = "is not given the offsets of its group: exiting, so that the service is restarted"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    with running_broker(tmp_path / "broker", f"transaction.max.timeout.ms={OPEN_MS}") as bootstrap:
        admin = AdminClient({"bootstrap.servers": bootstrap})
        new = [NewTopic(name, 2, 1) for name in topics.ALL]
        for created in admin.create_topics(new).values():
            created.result()
        yield bootstrap


@pytest.mark.long
def test_a_service_that_is_given_no_offsets_ends_instead_of_reading_nothing_for_ever(broker: str) -> None:
    group = Consumer({"bootstrap.servers": broker, "group.id": INGESTOR})
    other = Producer({"bootstrap.servers": broker, "transactional.id": "other", "transaction.timeout.ms": OPEN_MS})
    other.init_transactions(30)
    other.begin_transaction()
    position = TopicPartition(topics.BANK_TRANSACTIONS, 1, 0)
    other.send_offsets_to_transaction([position], group.consumer_group_metadata(), 30)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, PYTHON_SOURCES)),
        "KAFKA_BOOTSTRAP_SERVER": broker,
        "METRICS_PORT": free_ports()["INGESTOR_METRICS_PORT"],
    }
    with subprocess.Popen(
        [sys.executable, "-m", "ingestor"], cwd=ROOT, env=environment, stderr=subprocess.STDOUT, stdout=subprocess.PIPE
    ) as service:
        try:
            said, _ = service.communicate(timeout=2 * OFFSETS_SECONDS)
        finally:
            service.kill()
    assert service.returncode == 1
    assert GIVES_UP in said.decode()
    other.abort_transaction(30)
