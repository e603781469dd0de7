"""A sink of Quix Streams that cannot write while its partitions are taken away and come back: everything is written later."""

from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from quixstreams import Application
from quixstreams.sinks import BaseSink, SinkBackpressureError

from contracts.quix import resume_at_rebalance
from tests.support.stack import wait_until

PARTITIONS = 3
RECORDS = [str(number) for number in range(60)]
SECONDS = 60


class Sink(BaseSink):
    """Writes nothing until it is `open`."""

    def __init__(self) -> None:
        super().__init__()
        self.open, self.refused = Event(), Event()
        self.written: list[str] = []
        self._batch: list[str] = []

    def add(self, value: Any, *_: Any, **__: Any) -> None:
        self._batch.append(value)

    def flush(self) -> None:
        if self._batch and not self.open.is_set():
            self.refused.set()
            raise SinkBackpressureError(retry_after=2)
        self.written += self._batch
        self._batch.clear()

    def on_paused(self) -> None:
        self._batch.clear()


@pytest.fixture
def topic(kafka_bootstrap: str) -> str:
    admin, name = AdminClient({"bootstrap.servers": kafka_bootstrap}), "backpressure"
    admin.create_topics([NewTopic(name, PARTITIONS, 1)])[name].result()
    producer = Producer({"bootstrap.servers": kafka_bootstrap, "enable.idempotence": True})
    for number, value in enumerate(RECORDS):
        producer.produce(name, value, partition=number % PARTITIONS)
    assert producer.flush(30) == 0
    return name


def test_partitions_that_come_back_are_read(kafka_bootstrap: str, topic: str, tmp_path: Path) -> None:
    sink = Sink()
    application = Application(
        broker_address=kafka_bootstrap,
        consumer_group="backpressure",
        processing_guarantee="exactly-once",
        auto_offset_reset="earliest",
        use_changelog_topics=False,
        state_dir=tmp_path,
        commit_interval=0.2,
        consumer_extra_config={"session.timeout.ms": 6_000, "heartbeat.interval.ms": 500},
        loglevel=None,
    )
    dataframe = application.dataframe(application.topic(topic, value_deserializer="str"))
    dataframe.sink(sink)
    resume_at_rebalance(dataframe.processing_context.consumer)
    failures: list[BaseException] = []

    def disturb() -> None:
        try:
            wait_until(sink.refused.is_set, SECONDS, "the sink has refused")
            other = Consumer({"bootstrap.servers": kafka_bootstrap, "group.id": "backpressure", "log_level": 0})
            other.subscribe([topic])
            wait_until(lambda: other.poll(0.1) or other.assignment(), SECONDS, "another member has some partitions")
            other.close()
            sink.open.set()
            wait_until(lambda: set(sink.written) == set(RECORDS), SECONDS, "all is written")
        except BaseException as error:
            failures.append(error)
        finally:
            application.stop()

    thread = Thread(target=disturb)
    thread.start()
    application.run()
    thread.join()
    assert failures == []
