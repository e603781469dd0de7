"""Consumers that read many partitions live on while their broker is killed and starts again.

It answers at first that some of them have no leader yet. librdkafka reads memory that it has not written then: without
GLIBC_TUNABLES about one process in three died at each start.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from local.environment import GLIBC_TUNABLES, basics
from local.settings import ROOT
from runtime.kafka import FAILOVER
from tests.support.stack import LoneKafka

TOPICS, PARTITIONS = tuple(f"t{number}" for number in range(8)), 6
PROCESSES, CONSUMERS = 3, 4
KILLS = 5
SETTLED_SECONDS = 2


def test_consumers_live_on_when_their_broker_starts_again(tmp_path: Path) -> None:
    kafka = LoneKafka(tmp_path / "broker")
    kafka.start()
    try:
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
        for future in admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in TOPICS]).values():
            future.result()
        with readers(kafka.bootstrap) as processes:
            for _ in range(KILLS):
                time.sleep(SETTLED_SECONDS)
                kafka.kill()
                kafka.start()
            time.sleep(SETTLED_SECONDS)
            assert [process.poll() for process in processes] == [None] * PROCESSES
    finally:
        kafka.kill()


@contextmanager
def readers(bootstrap: str) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that read, as the services have their environment; each has said that it does."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", __name__, bootstrap],
            cwd=ROOT,
            env={**basics(), "GLIBC_TUNABLES": GLIBC_TUNABLES},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    try:
        for process in processes:
            assert process.stdout
            assert process.stdout.readline() == "reading\n"
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def read(bootstrap: str) -> None:
    """Until killed."""
    places = [TopicPartition(name, number, OFFSET_BEGINNING) for name in TOPICS for number in range(PARTITIONS)]
    consumers = [
        Consumer({**FAILOVER, "bootstrap.servers": bootstrap, "group.id": f"reader-{number}", "log_level": 0})
        for number in range(CONSUMERS)
    ]
    for consumer in consumers:
        consumer.assign(places)
        consumer.consume(1, 1.0)
    sys.stdout.write("reading\n")
    sys.stdout.flush()
    while True:
        for consumer in consumers:
            consumer.consume(500, 0.05)


if __name__ == "__main__":
    read(sys.argv[1])
