"""Runs persistent queries: each has its thread, its consumer group and its transactions."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from contracts.records import Record
from local.ksqldb_emulator import metrics
from local.ksqldb_emulator.pipeline import compile_pipeline
from local.ksqldb_emulator.planner import PersistentQuery, QueryPlan
from local.ksqldb_emulator.processing_log import deserialization_error, production_error
from local.ksqldb_emulator.serde import Unreadable
from local.ksqldb_emulator.settings import Settings
from runtime.hang import over
from runtime.health import ConsumerHealth
from runtime.kafka import static_member, transactional
from runtime.transactions import Stopped, Transactions

log = logging.getLogger(__name__)

# Less than other services prefetch: it has several queries. A row has to fit into the topics' limit: one that does not is refused
# by the client, where the query can go on.
_SMALL = {"queued.max.messages.kbytes": 2048}
_MAX_ROW_BYTES = 1_000_000
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0
_STOP_SECONDS = 30.0


class _Query(threading.Thread):
    def __init__(self, settings: Settings, query: PersistentQuery) -> None:
        super().__init__(name=query.query_id, daemon=True)  # a stuck client must not keep the process
        self._settings = settings
        self._query = query
        self.stopping = threading.Event()
        self.failed = False
        self.aborts = 0
        self.consumer = ConsumerHealth()

    def run(self) -> None:
        """Run the query until it is told to stop; what fails is started again from the last committed batch."""
        pause = _FIRST_PAUSE
        while not self.stopping.is_set():
            started = time.monotonic()
            try:
                self._run()
            except Stopped:
                return
            except Exception as error:  # whatever it is: the query has to come back by itself
                self.failed = True
                if time.monotonic() - started > _LONGEST_PAUSE * 2:
                    pause = _FIRST_PAUSE
                # In one line, without the record that it may be about.
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                log.error("query %s failed (%s), next try in %.1f s", self.name, reason, pause)
                self.stopping.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    def _run(self) -> None:
        settings, query, clients = self._settings, self._query, logging.getLogger("librdkafka")
        group = settings.group_of(query.query_id)
        consumer = Consumer(
            {
                **settings.kafka,
                **static_member(group, self.consumer.on_statistics),
                **_SMALL,
                "group.id": group,
                "session.timeout.ms": settings["streams.session.timeout.ms"],
                "auto.offset.reset": query.auto_offset_reset,
                "enable.auto.commit": False,
            },
            logger=clients,
        )
        process = processor(settings, query.query_id, query.plan, query.sink.topic)

        def new_producer() -> Producer:
            limits = {"message.max.bytes": _MAX_ROW_BYTES}
            return Producer({**settings.kafka, **transactional(group), **limits}, logger=clients)

        def write(producer: Producer, batch: list[Record]) -> Counter[str]:
            counts = Counter(process(record, producer.produce) for record in batch)
            counts["records"] = len(batch)
            return counts

        def after(batch: list[Record], counts: Counter[str] | None) -> None:
            # An abort is no failure, as when a broker is lost: the second in a row is.
            self.aborts = self.aborts + 1 if batch and counts is None else 0
            self.failed = self.aborts > 1
            if counts is not None:
                metrics.committed(query.query_id, group, counts)

        try:
            Transactions(consumer, new_producer, self.stopping).run(query.plan.source.topic, write, after)
        finally:
            consumer.close()  # it may hang as well
            over(group)


def processor(
    settings: Settings, query_id: str, plan: QueryPlan, sink_topic: str
) -> Callable[[Record, Callable[..., Any]], str]:
    """What a query does with a record, by a producer's `produce`; it returns `rows`, `skipped`, or `left_out`.

    A result keeps the record's timestamp and headers. A record that cannot be read, and a row that is too large, goes to the
    processing log and no further.
    """
    pipeline = compile_pipeline(plan)
    with_record = settings["logging.processing.rows.include"] == "true"

    def process(record: Record, produce: Callable[..., Any]) -> str:
        _, timestamp = record.timestamp
        if timestamp < 0:  # nowhere, as with the real server: Kafka Streams has no time for it
            return "skipped"
        now = time.time_ns() // 1_000_000
        try:
            result = pipeline(record.key, record.value)
            if result is None:
                return "left_out"
            produce(sink_topic, value=result[1], key=result[0], headers=record.headers, timestamp=timestamp)
            return "rows"
        except Unreadable as error:
            entry = deserialization_error(query_id, plan.source.topic, error, now, with_record)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.MSG_SIZE_TOO_LARGE:
                raise
            entry = production_error(query_id, sink_topic, error.args[0].str(), now)
        produce(settings.log_topic, value=entry)
        return "skipped"

    return process


class Queries:
    """The queries that this process runs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._running: dict[str, _Query] = {}

    def start(self, query: PersistentQuery) -> None:
        """Begin to run a query."""
        thread = self._running[query.query_id] = _Query(self._settings, query)
        metrics.watch(query.query_id, lambda: not thread.failed)
        thread.start()

    def stop(self, query_id: str) -> None:
        """End a query; it returns when the query is at its end, or when its client does not come back."""
        query = self._running.pop(query_id)
        query.stopping.set()
        query.join(_STOP_SECONDS)
        metrics.forget(query_id, self._settings.group_of(query_id))

    def stop_all(self, seconds: float) -> None:
        """End all queries, and wait no longer than so many seconds for their last transactions."""
        deadline = time.monotonic() + seconds
        for query in self._running.values():
            query.stopping.set()
        for query in self._running.values():
            query.join(max(0.0, deadline - time.monotonic()))

    def problem(self) -> str | None:
        """Which queries have failed or are not in their groups, or None."""
        running = self._running.copy()
        if failed := [query_id for query_id, query in running.items() if query.failed]:
            return f"in state ERROR: {', '.join(failed)}"
        problems = (
            f"{query_id}: {found}" for query_id, query in running.items() if (found := query.consumer.problem())
        )
        return "; ".join(problems) or None

    def state(self, query_id: str) -> str:
        """RUNNING or ERROR."""
        return "ERROR" if self._running[query_id].failed else "RUNNING"
