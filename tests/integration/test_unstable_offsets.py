"""Rebalances while an open transaction has offsets of the group, as that of a replica that was killed, on a real broker."""

import logging
from collections import defaultdict
from threading import Event, Thread

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from contracts.records import Record
from runtime.kafka import static_member, transactional
from runtime.transactions import Transactions
from tests.support.stack import wait_until

TOPIC, GROUP = "unstable-offsets", "unstable-group"
COUNT, COMMITTED = 20, 10
SECONDS = 60.0


def test_a_partition_is_read_from_its_committed_offset_whatever_rebalances_came_meanwhile(kafka_bootstrap: str) -> None:
    broker = {"bootstrap.servers": kafka_bootstrap, "log_level": 2}
    admin = AdminClient(broker)
    admin.create_topics([NewTopic(TOPIC, 2, 1)])[TOPIC].result(10)
    bank = Producer(broker)
    for number in range(2 * COUNT):
        bank.produce(TOPIC, str(number), partition=number % 2)
    assert bank.flush(10) == 0
    group = Consumer({**broker, "group.id": GROUP})
    group.commit(offsets=[TopicPartition(TOPIC, number, COMMITTED) for number in range(2)], asynchronous=False)
    killed = Producer({**broker, **transactional("killed"), "transaction.timeout.ms": 60000})
    killed.init_transactions(10)
    killed.begin_transaction()
    killed.send_offsets_to_transaction([TopicPartition(TOPIC, 1, COUNT)], group.consumer_group_metadata(), 10)
    group.close()

    read: dict[int, list[int]] = defaultdict(list)
    stopping, clients = Event(), logging.getLogger(__name__)

    def take(batch: list[Record], _: object) -> None:
        for record in batch:
            read[record.partition].append(record.offset)

    def survivor() -> None:
        settings = {"group.id": GROUP, "auto.offset.reset": "earliest", "enable.auto.commit": False}
        consumer = Consumer({**broker, **static_member("survivor"), **settings}, logger=clients)
        try:
            new_producer = lambda: Producer({**broker, **transactional("survivor")}, logger=clients)  # noqa: E731
            Transactions(consumer, new_producer, stopping).run(TOPIC, lambda *_: True, take)
        finally:
            consumer.close()

    def await_members(count: int) -> None:
        wait_until(
            lambda: len(next(iter(admin.describe_consumer_groups([GROUP]).values())).result(10).members) == count,
            SECONDS,
            f"the group has {count} members",
        )

    thread = Thread(target=survivor)
    thread.start()
    try:
        await_members(1)
        for _ in range(4):
            other = Consumer({**broker, "group.id": GROUP, "enable.auto.commit": False})
            other.subscribe([TOPIC])
            wait_until(lambda other=other: other.consume(1, 0.2) or other.assignment(), SECONDS, "another has joined")
            other.close()
            await_members(1)
        killed.abort_transaction(30)
        wait_until(lambda: len(read) == 2 and all(each[-1] == COUNT - 1 for each in read.values()), SECONDS, "the end")
    finally:
        stopping.set()
        thread.join()
    assert read == {0: list(range(COMMITTED, COUNT)), 1: list(range(COMMITTED, COUNT))}
