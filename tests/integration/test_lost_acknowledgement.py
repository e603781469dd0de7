"""A transaction that is aborted while some of its records are written and not acknowledged: its batch is written once."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from contracts import topics
from contracts.records import Record
from runtime.kafka import transactional
from runtime.transactions import Transactions
from tests.support.broker_proxy import BrokerProxy
from tests.support.stack import LoneKafka, wait_until
from tests.support.tcp import serving
from tests.support.topics import read_all

SOURCE, TARGET = topics.FRAUDULENT_TRANSACTIONS, topics.FRAUDULENT_TRANSACTIONS_RESULT
LOST_COORDINATOR = KafkaError(KafkaError.NOT_COORDINATOR, "the offsets cannot be sent", txn_requires_abort=True)


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[BrokerProxy]:
    """The only way to a broker with the two topics, of one partition each."""
    with serving(BrokerProxy()) as way:
        broker = LoneKafka(tmp_path / "broker", f"advertised.listeners=PLAINTEXT://{way.address}")
        host, port = broker.bootstrap.split(":")
        way.target, broker.bootstrap = (host, int(port)), way.address
        broker.start()
        try:
            admin = AdminClient({"bootstrap.servers": way.address})
            for created in admin.create_topics([NewTopic(name, 1, 1) for name in (SOURCE, TARGET)]).values():
                created.result()
            yield way
        finally:
            broker.stop()


def test_a_batch_is_written_once_though_its_first_try_was_never_acknowledged(proxy: BrokerProxy) -> None:
    """As when the broker is killed that leads a partition and the group: the client aborts, and writes the same batch again.

    A broker that takes the second try for a repetition of the first acknowledges it, and nobody ever reads it.
    """
    client = {"bootstrap.servers": proxy.address, "log_level": 0}
    source = Producer(client)
    source.produce(SOURCE, b"a row")
    assert source.flush(30) == 0
    stopping, tries = Event(), 0

    def write(producer: Producer, batch: list[Record]) -> None:
        nonlocal tries
        tries += 1
        producer.produce(TARGET, batch[0].value)
        if tries > 1:
            proxy.loses.clear()
            return
        proxy.loses.set()
        wait_until(lambda: producer.poll(0) or proxy.lost.is_set(), 30, "the row is written")
        raise KafkaException(LOST_COORDINATOR)

    def after(_: list[Record], *__: object) -> None:
        if tries > 1:
            stopping.set()

    consumer = Consumer(client | {"group.id": "group", "auto.offset.reset": "earliest", "enable.auto.commit": False})
    Transactions(consumer, lambda: Producer(client | transactional("replica")), stopping).run(SOURCE, write, after)
    consumer.close()
    assert [record.value for record in read_all(proxy.address, TARGET)] == [b"a row"]
