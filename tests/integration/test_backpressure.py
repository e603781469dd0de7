"""A sink of Quix Streams that cannot write while its partitions are taken away and come back: everything is written later."""

import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import psutil
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from quixstreams.sinks import SinkBackpressureError

from contracts.records import Record
from runtime.quix import RecordSink
from tests.support.quix import application
from tests.support.stack import wait_until

PARTITIONS = 3
RECORDS = [str(number) for number in range(60)]
SECONDS = 60


class Sink(RecordSink):
    """Writes nothing until it is `open`."""

    def __init__(self) -> None:
        super().__init__()
        self.open, self.refused, self.forgot = Event(), Event(), Event()
        self.written: list[str] = []
        self.batch: list[str] = []

    def take(self, record: Record) -> None:
        self.batch.append((record.value or b"").decode())

    def write(self) -> None:
        if self.batch and not self.open.is_set():
            self.refused.set()
            raise SinkBackpressureError(retry_after=2)
        self.written += self.batch

    def forget(self) -> None:
        self.forgot.set()
        self.batch.clear()


@pytest.fixture
def topic(kafka_bootstrap: str) -> str:
    admin, name = AdminClient({"bootstrap.servers": kafka_bootstrap}), f"backpressure-{uuid.uuid4().hex}"
    admin.create_topics([NewTopic(name, PARTITIONS, 1)])[name].result()
    producer = Producer({"bootstrap.servers": kafka_bootstrap, "enable.idempotence": True})
    for number, value in enumerate(RECORDS):
        producer.produce(name, value, partition=number % PARTITIONS)
    assert producer.flush(30) == 0
    return name


def run_disturbed(
    bootstrap: str, topic: str, folder: Path, sink: Sink, commit_interval: float, disturb: Callable[[], None]
) -> None:
    """Run an application that writes the topic to the sink until `disturb` is through and all is written."""
    timeouts = {"session.timeout.ms": 6_000, "heartbeat.interval.ms": 500}
    service = application(bootstrap, topic, folder, sink, commit_interval, timeouts)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            disturb()
            wait_until(lambda: set(sink.written) == set(RECORDS), SECONDS, "all is written")
        except BaseException as error:
            failures.append(error)
        finally:
            service.stop()

    thread = Thread(target=run)
    thread.start()
    service.run()
    thread.join()
    assert failures == []


def test_partitions_that_come_back_are_read(kafka_bootstrap: str, topic: str, tmp_path: Path) -> None:
    sink = Sink()

    def disturb() -> None:
        wait_until(sink.refused.is_set, SECONDS, "the sink has refused")
        other = Consumer({"bootstrap.servers": kafka_bootstrap, "group.id": topic, "log_level": 0})
        other.subscribe([topic])
        wait_until(lambda: other.poll(0.1) or other.assignment(), SECONDS, "another member has some partitions")
        other.close()
        sink.open.set()

    run_disturbed(kafka_bootstrap, topic, tmp_path, sink, 0.2, disturb)
    assert Counter(sink.written) == Counter(RECORDS)


def test_what_an_open_checkpoint_has_of_lost_partitions_is_forgotten(
    kafka_bootstrap: str, topic: str, tmp_path: Path
) -> None:
    """The broker is away for longer than the session: the records are read again, and must not be written twice."""
    sink = Sink()
    sink.open.set()

    def disturb() -> None:
        wait_until(lambda: len(sink.batch) == len(RECORDS), SECONDS, "all is gathered")
        broker = listener(int(kafka_bootstrap.rpartition(":")[2]))
        broker.suspend()
        try:
            wait_until(sink.forgot.is_set, SECONDS, "the partitions are lost")
        finally:
            broker.resume()

    run_disturbed(kafka_bootstrap, topic, tmp_path, sink, 30, disturb)
    assert Counter(sink.written) == Counter(RECORDS)


def listener(port: int) -> psutil.Process:
    """The process that listens on a port."""
    (pid,) = {
        one.pid
        for one in psutil.net_connections("tcp")
        if one.status == "LISTEN" and getattr(one.laddr, "port", None) == port
    }
    return psutil.Process(pid)
