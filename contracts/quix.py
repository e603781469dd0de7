"""What Quix Streams has no callback for."""

import logging
from collections.abc import Callable
from functools import wraps
from threading import Event
from typing import Any, NamedTuple

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from quixstreams import Application
from quixstreams.models.serializers import IgnoreMessage

from contracts.kafka import client_config
from contracts.records import Headers, headers_of

logger = logging.getLogger(__name__)

# One try to reach the broker: a signal is only heard in between.
TRY_SECONDS = 2.0


class Place(NamedTuple):
    """Where a record is."""

    topic: str
    partition: int
    offset: int


def run_application(build: Callable[[], Application], stopping: Event) -> None:
    """Build the application once the broker answers, and run it until SIGTERM or SIGINT, which it then handles itself: the
    open checkpoint is committed first.

    Quix alone would ask for the topics for half a minute, in which no signal is heard, and then fail.
    """
    await_broker(stopping)
    if not stopping.is_set():
        application = build()
        if not stopping.is_set():
            application.run()


def await_broker(stopping: Event) -> None:
    """Return once the broker answers, or once `stopping` is set."""
    admin = AdminClient(client_config(), logger=logging.getLogger("kafka"))
    while not stopping.is_set():
        try:
            admin.list_topics(timeout=TRY_SECONDS)
            return
        except KafkaException as error:
            logger.warning("the broker does not answer, trying again: %s", error.args[0].str())


def after_commit(producer: Any, then: Callable[[], None]) -> None:
    """Call `then` whenever a checkpoint is committed. `producer` is the application's own: `processing_context.producer`.

    A sink's flush() is too early to count what it wrote: the transaction is committed after it, or is not.
    """
    commit = producer.commit_transaction

    @wraps(commit)
    def commit_then(*arguments: Any, **options: Any) -> None:
        commit(*arguments, **options)
        then()

    producer.commit_transaction = commit_then


def survive_rebalances(context: Any) -> None:
    """What Quix leaves undone when partitions go; `context` is the application's own: `processing_context`.

    It pauses all partitions while a sink cannot write, and forgets that when they are taken away; librdkafka remembers it when
    they come back, and nothing would ever be read from them again. And it keeps the open checkpoint of partitions that are
    lost, as after a broker's outage longer than the session: their records are read again, and would be in it two times.
    """
    consumer = context.consumer
    subscribe = consumer.subscribe

    @wraps(subscribe)
    def subscribe_surviving(*arguments: Any, on_revoke: Any, on_lost: Any, **options: Any) -> None:
        def revoked(kafka_consumer: Any, partitions: list[TopicPartition]) -> None:
            try:
                on_revoke(kafka_consumer, partitions)
            finally:
                consumer.resume(partitions)

        def lost(kafka_consumer: Any, partitions: list[TopicPartition]) -> None:
            on_lost(kafka_consumer, partitions)
            consumer.resume(partitions)
            context.checkpoint.close()
            for sink in context.sink_manager.sinks:
                sink.on_paused()  # it forgets what it has gathered
            context.init_checkpoint()

        subscribe(*arguments, on_revoke=revoked, on_lost=lost, **options)

    consumer.subscribe = subscribe_surviving


class _WithoutHeaders:
    """A message of confluent_kafka whose headers are not asked for."""

    def __init__(self, message: Any) -> None:
        self._message = message

    def __getattr__(self, name: str) -> Any:
        return getattr(self._message, name)

    def __len__(self) -> int:
        return len(self._message)

    def headers(self) -> Headers:
        return []


def readable(topic: Any) -> Any:
    """The topic, with rows whose headers are as `headers_of` gives them: None when they cannot be read, or else a list.

    Quix itself fails at such a record, and at the same one again after each restart.
    """
    deserialize = topic.row_deserialize

    @wraps(deserialize)
    def row_of(message: Any) -> Any:
        headers = headers_of(message)
        row = deserialize(message if headers is not None else _WithoutHeaders(message))
        row.headers = headers
        return row

    topic.row_deserialize = row_of
    return topic


def hold(topic: Any, consumer: Any, waits: Callable[[Place], bool]) -> None:
    """Process no record of the topic for which `waits` is true: its partition is paused there until it is false.

    All that is before the record, and all other partitions, are processed and committed meanwhile. `consumer` is the
    application's own: `processing_context.consumer`.
    """
    deserialize, resume_backpressured = topic.row_deserialize, consumer.resume_backpressured
    held: set[Place] = set()

    @wraps(deserialize)
    def row_of(message: Any) -> Any:
        place = Place(message.topic(), message.partition(), message.offset())
        if not waits(place):
            return deserialize(message)
        consumer.pause([TopicPartition(*place)])
        consumer.seek(TopicPartition(*place))
        held.add(place)
        raise IgnoreMessage  # it counts as not read

    @wraps(resume_backpressured)
    def resume() -> None:  # Quix asks for it between any two records
        resume_backpressured()
        for place in [place for place in held if not waits(place)] if held else ():
            held.discard(place)
            consumer.resume([one for one in consumer.assignment() if (one.topic, one.partition) == place[:2]])

    topic.row_deserialize = row_of
    consumer.resume_backpressured = resume
