"""How the services use Quix Streams: one application from topics to a sink, plus hooks where Quix has no callback."""

import logging
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from threading import Event, Thread
from types import MappingProxyType
from typing import Any, Protocol

import confluent_kafka
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, TopicPartition
from quixstreams import Application
from quixstreams.kafka import ConnectionConfig
from quixstreams.models.serializers import IgnoreMessage
from quixstreams.sinks import BaseSink

from contracts.records import Position, Record, headers_of
from runtime.hang import end, no_hang
from runtime.health import ConsumerHealth
from runtime.kafka import await_broker, client_config, static_member, transactional
from runtime.metrics import serve
from runtime.transactions import Stopped, Transactions

STOP_SECONDS = 0.1
# Bounds the memory of a checkpoint: what was compressed may be a hundred times as large.
CHECKPOINT_BYTES = 8 * 1024 * 1024


class Producer(Protocol):
    """The part of the application's own producer that a sink needs; its transaction also carries the input offsets."""

    def produce(self, topic: str, *, value: Any, key: Any, headers: Any) -> Any: ...


class RecordSink(BaseSink):
    """A sink that takes records, and whose write() is part of the checkpoint's transaction."""

    def __init__(self) -> None:
        super().__init__()
        # Whether a checkpoint is being written.
        self.flushing = False
        self._size = 0

    def add(
        self, value: bytes | None, key: Any, timestamp: int, headers: Any, topic: str, partition: int, offset: int
    ) -> None:
        """Called by Quix for each record."""
        record = Record(value, key, headers, (TIMESTAMP_LOG_APPEND_TIME, timestamp), topic, partition, offset)
        self._size += record.size or len(value or b"")
        self.take(record)

    @property
    def full(self) -> bool:
        """Whether the open checkpoint has to end."""
        return self._size >= CHECKPOINT_BYTES

    def flush(self) -> None:
        """Called by Quix at the end of a checkpoint. A failed one is read again as a whole: nothing of it is kept."""
        self.flushing = True
        try:
            self.write()
        finally:
            self.forget()
            self.flushing = False

    def on_paused(self) -> None:
        """Called by Quix when the open checkpoint's records will be read again."""
        self.forget()

    def take(self, record: Record) -> None:
        """Keep a record for the open checkpoint."""
        raise NotImplementedError

    def write(self) -> None:
        """Write the open checkpoint. Raises SinkBackpressureError when it has to be read again."""
        raise NotImplementedError

    def forget(self) -> None:
        """Drop what was kept for the open checkpoint: it has been written, or its records will be read again."""
        self._size = 0

    def revoked(self, partitions: list[TopicPartition]) -> None:
        """Called when partitions were taken away: another replica reads their records."""

    def waits(self, position: Position) -> bool:
        """Whether the record at this position has to wait: its partition is then paused there until this is false."""
        return False

    def committed(self) -> None:
        """Called once the checkpoint that was flushed last is committed."""


class _Application(Application):
    """Leaves the signals to `stopping`: Quix forgets a signal that comes before its loop runs, and the loop needs the
    transaction coordinator first.
    """

    def _setup_signal_handlers(self) -> None: ...


def run_sink(
    group: str,
    replica: str,
    names: Iterable[str],
    sink: Callable[[Producer], RecordSink],
    stopping: Event,
    consumer: Mapping[str, Any] = MappingProxyType({}),
    period: float | None = None,
    **checkpoints: Any,
) -> None:
    """Run the topics' records through one sink, exactly-once, until `stopping` is set; then commit the open checkpoint.
    Health and metrics are served meanwhile.

    `consumer` overrides settings of the consumer. `period` is that of `commit_when_drained`; with None a checkpoint fills
    until its latest end, which `checkpoints`, Quix's own options, define. The application is built once the broker answers:
    Quix by itself would ask for the topics for half a minute, during which no signal is handled, and then fail. Raises
    UserError for an invalid setting.
    """
    health = ConsumerHealth()
    serve(health.problem)
    await_broker(stopping)
    if stopping.is_set():
        return
    names = list(names)
    try:
        _begin(group, replica, names[0], stopping)
    except Stopped:
        return
    application = _Application(
        broker_address=ConnectionConfig.from_librdkafka_dict(client_config()),
        consumer_group=group,
        processing_guarantee="exactly-once",
        auto_offset_reset="earliest",
        auto_create_topics=False,
        use_changelog_topics=False,
        state_dir=Path(tempfile.gettempdir(), group),  # Quix creates the folder, although nothing is stored in it
        consumer_extra_config={**static_member(replica, health.on_statistics), **consumer},
        producer_extra_config=transactional(replica),
        loglevel=None,
        **checkpoints,
    )
    logging.getLogger("quixstreams").setLevel(logging.WARNING)
    connect(application, names, sink, period)
    ended = Event()
    Thread(target=_stop, args=(application, stopping, ended), name="stop", daemon=True).start()
    try:
        application.run()
    finally:
        ended.set()


def _begin(group: str, replica: str, topic: str, stopping: Event) -> None:
    """As `Transactions.begin`, with clients of its own: kept but never polled, they would pile up statistics."""
    consumer = confluent_kafka.Consumer({**client_config(), "group.id": group})
    try:
        settings = {**client_config(), **transactional(replica)}
        Transactions(consumer, lambda: confluent_kafka.Producer(settings), stopping).begin(topic)
    finally:
        consumer.close()


def _stop(application: Application, stopping: Event, ended: Event) -> None:
    """Stop the application once `stopping` is set. Repeated, since Quix forgets a stop() from before its loop runs."""
    stopping.wait()
    while not ended.wait(STOP_SECONDS):
        application.stop()


def connect(
    application: Application,
    names: Iterable[str],
    build: Callable[[Producer], RecordSink],
    period: float | None = None,
) -> None:
    """Connect the topics to one sink, with the hooks that Quix has no callback for."""
    read = [application.topic(name, key_deserializer="bytes", value_deserializer="bytes") for name in names]
    dataframes = [application.dataframe(readable(topic)) for topic in read]
    context = dataframes[0].processing_context  # the application has only one
    sink = build(context.producer)
    for topic, dataframe in zip(read, dataframes, strict=True):
        dataframe.sink(sink)
        hold(topic, context.consumer, sink.waits)
    survive_rebalances(context)
    end_hangs(context.producer)
    end_unacknowledged(context.producer)
    after_commit(context.producer, sink.committed)
    if period is not None:
        commit_when_drained(context, period)
    commit_when_full(context, sink)


def end_hangs(producer: Any) -> None:
    """End the process when the begin or the end of a transaction hangs. `producer` is the application's own:
    `processing_context.producer`; its first begin makes the client, which waits for the transaction coordinator.
    """
    producer.begin_transaction = no_hang("a begin")(producer.begin_transaction)
    producer.commit_transaction = no_hang("a commit")(producer.commit_transaction)
    producer.abort_transaction = no_hang("an abort")(producer.abort_transaction)


def end_unacknowledged(producer: Any) -> None:
    """Fail in place of an abort while records of the transaction are not acknowledged; Transactions.begin says why.

    Quix does that when partitions are taken away while the broker that leads an output partition is down. It would go on with
    the same producer; the process that is started again has a new one. `producer` is the application's own.
    """
    abort = producer.abort_transaction

    def abort_acknowledged(*arguments: Any, **options: Any) -> None:
        if count := producer.flush(0):
            raise RuntimeError(f"{count} records are not acknowledged: only a new producer may go on")
        abort(*arguments, **options)

    producer.abort_transaction = abort_acknowledged


def after_commit(producer: Any, then: Callable[[], None]) -> None:
    """Call `then` whenever a checkpoint is committed. `producer` is the application's own: `processing_context.producer`.

    Inside a sink's flush() it is too early to count what was written: only afterwards the transaction is committed, or fails.
    """
    commit = producer.commit_transaction

    def commit_then(*arguments: Any, **options: Any) -> None:
        commit(*arguments, **options)
        then()

    producer.commit_transaction = commit_then


def commit_when_drained(context: Any, period: float) -> None:
    """Commit a checkpoint when no more records are waiting, but no sooner than `period` seconds after the last commit began.

    So a lone record does not wait for a timer, and under load the commits are few and full. `context` is the application's
    own: `processing_context`.
    """
    poll_row, commit = context.consumer.poll_row, context.commit_checkpoint
    due, drained = 0.0, False

    def poll(timeout: float, **options: Any) -> Any:
        nonlocal drained
        if context.checkpoint.empty():
            drained = False
            return poll_row(timeout=timeout, **options)
        row = poll_row(timeout=max(min(timeout, due - time.monotonic()), 0), **options)
        drained = row is None and time.monotonic() >= due
        return row

    def commit_drained(force: bool = False, **options: Any) -> None:
        nonlocal due
        force = force or drained
        if not context.checkpoint.empty() and (force or context.checkpoint.expired()):
            due = time.monotonic() + period
        commit(force=force, **options)

    context.consumer.poll_row, context.commit_checkpoint = poll, commit_drained


def commit_when_full(context: Any, sink: RecordSink) -> None:
    """Commit a checkpoint once the sink has no room for more. `context` is the application's own: `processing_context`."""
    commit = context.commit_checkpoint

    def commit_full(force: bool = False, **options: Any) -> None:
        commit(force=force or sink.full, **options)

    context.commit_checkpoint = commit_full


def survive_rebalances(context: Any) -> None:
    """Do what Quix leaves undone when partitions go; `context` is the application's own: `processing_context`.

    Quix pauses all partitions while a sink cannot write, and forgets the pause when they are revoked. librdkafka remembers it
    when they come back, so nothing would ever be read from them again. Quix also keeps the open checkpoint when partitions are
    lost, as after a broker outage longer than the session timeout: their records are read again, and would be in it twice. When
    a checkpoint is not written within a minute, Quix goes on without it while a thread still writes it: that thread would
    forget the rows of the next one, so the process ends. And Quix commits by the group's generation of now, in place of that in
    which it was given the partitions; Transactions._assign says what that lets pass.
    """
    consumer = context.consumer
    subscribe = consumer.subscribe

    def subscribe_surviving(*arguments: Any, on_assign: Any, on_revoke: Any, on_lost: Any, **options: Any) -> None:
        def assigned(kafka_consumer: Any, partitions: list[TopicPartition]) -> None:
            try:
                group = kafka_consumer.consumer_group_metadata()
            except RuntimeError:  # the consumer is being closed
                return
            if before := kafka_consumer.assignment():  # they are not always revoked first
                lost(kafka_consumer, before)
            consumer.consumer_group_metadata = lambda: group
            on_assign(kafka_consumer, partitions)

        def revoked(kafka_consumer: Any, partitions: list[TopicPartition]) -> None:
            try:
                on_revoke(kafka_consumer, partitions)
            finally:
                consumer.resume(partitions)
                for sink in context.sink_manager.sinks:
                    if sink.flushing:
                        end("a checkpoint was not written when its partitions had to be given back")
                    sink.revoked(partitions)

        def lost(kafka_consumer: Any, partitions: list[TopicPartition]) -> None:
            on_lost(kafka_consumer, partitions)
            consumer.resume(partitions)
            context.checkpoint.close()
            for sink in context.sink_manager.sinks:
                sink.on_paused()
                sink.revoked(partitions)
            context.init_checkpoint()

        subscribe(*arguments, on_assign=assigned, on_revoke=revoked, on_lost=lost, **options)

    consumer.subscribe = subscribe_surviving


def readable(topic: Any) -> Any:
    """The topic, with rows whose headers are what `headers_of` returns: a list, or None when they cannot be read.

    Quix itself fails at a record with unreadable headers, and at the same record again after each restart.
    """
    deserialize = topic.row_deserialize

    def row_of(message: Any) -> Any:
        headers = headers_of(message)
        row = deserialize(message)
        row.headers = headers
        return row

    topic.row_deserialize = row_of
    return topic


def hold(topic: Any, consumer: Any, waits: Callable[[Position], bool]) -> None:
    """Hold back each record of the topic for which `waits` is true: its partition is paused there until `waits` is false.

    Earlier records, and all other partitions, are processed and committed meanwhile. `consumer` is the
    application's own: `processing_context.consumer`.
    """
    deserialize, resume_backpressured = topic.row_deserialize, consumer.resume_backpressured
    held: set[Position] = set()

    def row_of(message: Any) -> Any:
        position = Position(message.topic(), message.partition(), message.offset())
        if not waits(position):
            return deserialize(message)
        consumer.pause([TopicPartition(*position)])
        consumer.seek(TopicPartition(*position))
        held.add(position)
        raise IgnoreMessage  # Quix then counts the record as not read

    def resume() -> None:  # Quix calls this between any two records
        resume_backpressured()
        for position in [position for position in held if not waits(position)] if held else ():
            held.discard(position)
            consumer.resume([one for one in consumer.assignment() if (one.topic, one.partition) == position[:2]])

    topic.row_deserialize = row_of
    consumer.resume_backpressured = resume
