"""Rebalances while an open transaction has offsets of the group, as that of a replica that was killed, on a real broker."""

import logging
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from contracts.records import Record
from runtime.kafka import static_member, transactional
from runtime.quix import RecordSink
from runtime.transactions import Transactions
from tests.support.quix import application
from tests.support.stack import wait_until

COUNT, COMMITTED = 20, 10
SECONDS = 60.0
Service = Callable[[str, str, Path, Event, Callable[[Record], None]], None]


def transactions(bootstrap: str, topic: str, _: Path, stopping: Event, take: Callable[[Record], None]) -> None:
    clients, broker = logging.getLogger(__name__), {"bootstrap.servers": bootstrap}
    settings = {"group.id": topic, "auto.offset.reset": "earliest", "enable.auto.commit": False}
    consumer = Consumer({**broker, **static_member("survivor"), **settings}, logger=clients)

    def after(batch: list[Record], written: object) -> None:
        for record in batch if written else ():  # else its transaction was aborted
            take(record)

    try:
        Transactions(consumer, lambda: Producer({**broker, **transactional("survivor")}, logger=clients), stopping).run(
            topic, lambda *_: True, after
        )
    finally:
        consumer.close()


def quix(bootstrap: str, topic: str, folder: Path, stopping: Event, take: Callable[[Record], None]) -> None:
    class Sink(RecordSink):
        def take(self, record: Record) -> None:
            take(record)

        def write(self) -> None: ...

    service = application(bootstrap, topic, folder, Sink(), 0.2, static_member("survivor"))
    Thread(target=lambda: (stopping.wait(), service.stop())).start()
    service.run()


# Quix gives up by itself when it has waited for the offsets for 30 s, and lets no rebalance come meanwhile.
@pytest.mark.parametrize(("service", "rebalances"), [(transactions, 5), (quix, 1)])
def test_a_partition_is_read_from_its_committed_offset_whatever_rebalances_came_meanwhile(
    kafka_bootstrap: str, service: Service, rebalances: int, tmp_path: Path
) -> None:
    broker, topic = {"bootstrap.servers": kafka_bootstrap, "log_level": 2}, f"unstable-{uuid.uuid4().hex}"
    admin = AdminClient(broker)
    admin.create_topics([NewTopic(topic, 2, 1)])[topic].result(10)
    bank = Producer(broker)
    for number in range(2 * COUNT):
        bank.produce(topic, str(number), partition=number % 2)
    assert bank.flush(10) == 0
    member = {**broker, "group.id": topic, "enable.auto.commit": False}
    group = Consumer(member)
    group.commit(offsets=[TopicPartition(topic, number, COMMITTED) for number in range(2)], asynchronous=False)
    killed = Producer({**broker, **transactional("killed"), "transaction.timeout.ms": 60_000})
    killed.init_transactions(10)
    killed.begin_transaction()
    killed.send_offsets_to_transaction([TopicPartition(topic, 1, COUNT)], group.consumer_group_metadata(), 10)
    group.close()

    read: dict[int, list[int]] = defaultdict(list)
    stopping = Event()
    arguments = (
        kafka_bootstrap,
        topic,
        tmp_path,
        stopping,
        lambda record: read[record.partition].append(record.offset),
    )
    thread = Thread(target=service, args=arguments)
    thread.start()
    try:
        wait_until(
            lambda: next(iter(admin.describe_consumer_groups([topic]).values())).result(10).members,
            SECONDS,
            "the service is a member",
        )
        for number in range(rebalances):
            other = Consumer(member)
            other.subscribe([topic])
            joining = time.monotonic() + 3
            while time.monotonic() < joining and not other.assignment():
                other.poll(0.1)
            if number == rebalances - 1:
                killed.abort_transaction(30)
            other.close()
        wait_until(lambda: len(read) == 2 and all(each[-1] == COUNT - 1 for each in read.values()), SECONDS, "the end")
    finally:
        stopping.set()
        thread.join()
    assert read == {0: list(range(COMMITTED, COUNT)), 1: list(range(COMMITTED, COUNT))}
