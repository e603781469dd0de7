"""A rebalance that does not wait for a replica which is still writing, on a real broker."""

import logging
import uuid
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from contracts.records import Record
from runtime.kafka import static_member, transactional
from runtime.quix import RecordSink
from runtime.transactions import Transactions
from tests.support.quix import application
from tests.support.stack import wait_until

COUNT = 10
SECONDS = 60.0
Produce = Callable[..., Any]
Write = Callable[[Produce, list[Record]], None]
Service = Callable[[str, str, Path, Event, Write], None]
# The replica sees new partitions of the topic while it writes.
MEMBER = {**static_member("writing"), "topic.metadata.refresh.interval.ms": 200}


def transactions(bootstrap: str, topic: str, _: Path, stopping: Event, write: Write) -> None:
    clients, broker = logging.getLogger(__name__), {"bootstrap.servers": bootstrap}
    settings = {"group.id": topic, "auto.offset.reset": "earliest", "enable.auto.commit": False}
    consumer = Consumer({**broker, **MEMBER, **settings}, logger=clients)
    try:
        Transactions(consumer, lambda: Producer({**broker, **transactional("writing")}, logger=clients), stopping).run(
            topic, lambda producer, batch: write(producer.produce, batch), lambda *_: None
        )
    finally:
        consumer.close()


def quix(bootstrap: str, topic: str, folder: Path, stopping: Event, write: Write) -> None:
    class Sink(RecordSink):
        def __init__(self) -> None:
            super().__init__()
            self.batch: list[Record] = []

        def take(self, record: Record) -> None:
            self.batch.append(record)

        def write(self) -> None:
            write(service._processing_context.producer.produce, self.batch)

        def forget(self) -> None:
            super().forget()
            self.batch = []

    def stop() -> None:
        stopping.wait()
        service.stop()

    Thread(target=stop, daemon=True).start()
    while not stopping.is_set():  # as the process that runs it is started again
        service = application(bootstrap, topic, folder, Sink(), 0.2, MEMBER)
        try:
            service.run()
        except Exception as error:
            logging.getLogger(__name__).warning("%r", error)


@pytest.mark.parametrize("service", [transactions, quix])
def test_records_that_went_to_another_replica_meanwhile_are_not_committed(
    kafka_bootstrap: str, service: Service, tmp_path: Path
) -> None:
    """New partitions make a client join its group again, also while the application has not given its partitions back."""
    broker, topic = {"bootstrap.servers": kafka_bootstrap, "log_level": 2}, f"generations-{uuid.uuid4().hex}"
    admin = AdminClient(broker)
    for made in admin.create_topics([NewTopic(topic, 2, 1), NewTopic(f"{topic}-results", 1, 1)]).values():
        made.result(10)
    bank = Producer(broker)
    for number in range(2 * COUNT):
        bank.produce(topic, str(number), partition=number % 2)
    assert bank.flush(10) == 0

    stopping, writing, written = Event(), Event(), Event()

    def write(produce: Produce, batch: list[Record]) -> None:
        for record in batch:
            produce(f"{topic}-results", value=record.value, key=record.key)
        writing.set()
        assert written.wait(2 * SECONDS)

    thread = Thread(target=service, args=(kafka_bootstrap, topic, tmp_path, stopping, write))
    other = Consumer({**broker, "group.id": topic, "auto.offset.reset": "earliest", "enable.auto.commit": False})
    results = Consumer({**broker, "group.id": f"{topic}-reader", "auto.offset.reset": "earliest"})
    read, committed, partitions = list[str](), list[str](), 2

    def take(consumer: Consumer, values: list[str]) -> None:
        messages = consumer.consume(100, 0.5)
        values.extend((message.value() or b"").decode() for message in messages)
        if messages:
            consumer.commit(asynchronous=False)

    def is_assigned() -> bool:
        nonlocal partitions
        partitions += 1
        admin.create_partitions([NewPartitions(topic, partitions)])[topic].result(10)
        take(other, read)
        return bool(other.assignment())

    def all_read() -> bool:
        take(other, read)
        take(results, committed)
        return len(read) + len(committed) >= 2 * COUNT

    thread.start()
    try:
        assert writing.wait(SECONDS)
        other.subscribe([topic])
        results.subscribe([f"{topic}-results"])
        wait_until(is_assigned, SECONDS, "the other replica has partitions")
        wait_until(lambda: take(other, read) or read, SECONDS, "the other replica has records")
        written.set()
        wait_until(all_read, SECONDS, "every record")
        stopping.set()
        thread.join(SECONDS)
        take(results, committed)  # what the service has committed at its end
    finally:
        written.set()
        stopping.set()
        thread.join()
        other.close()
        results.close()
    assert sorted(map(int, read + committed)) == list(range(2 * COUNT))
