"""Runs persistent queries on Quix Streams: each has its thread, its consumer group and its transactions."""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from quixstreams import Application
from quixstreams.kafka import ConnectionConfig

from contracts.quix import after_commit, readable
from local.ksqldb_emulator import metrics
from local.ksqldb_emulator.pipeline import compile_pipeline
from local.ksqldb_emulator.planner import QueryPlan
from local.ksqldb_emulator.processing_log import deserialization_error, production_error
from local.ksqldb_emulator.serde import Unreadable
from local.ksqldb_emulator.settings import Settings

log = logging.getLogger(__name__)

# How long the broker waits for a transaction of a query that died before it aborts it and lets readers pass.
_TRANSACTION_TIMEOUT_MS = 10000
# librdkafka's defaults may hold 64 MiB a consumer; a small process with several queries cannot.
_SMALL_FETCHES = {"queued.max.messages.kbytes": 2048, "fetch.message.max.bytes": 262144, "fetch.max.bytes": 1048576}
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0
_STOP_SECONDS = 30.0

# Writes a record: topic, then value, key, headers and timestamp by name.
Produce = Callable[..., Any]
# Takes a record: value, key, timestamp, headers.
Processor = Callable[[bytes | None, bytes | None, int, Any], None]


class _Application(Application):
    """An application in a thread of its own, which must leave the process's signals alone."""

    def _setup_signal_handlers(self) -> None:
        pass


class _Query(threading.Thread):
    def __init__(
        self, settings: Settings, query_id: str, plan: QueryPlan, sink_topic: str, auto_offset_reset: str
    ) -> None:
        super().__init__(name=query_id, daemon=True)  # a stuck client must not keep the process
        self._settings = settings
        self._id = query_id
        self._plan = plan
        self._sink_topic = sink_topic
        self._auto_offset_reset = auto_offset_reset
        self._stopping = threading.Event()
        self._application: Application | None = None
        self.failed = False

    def run(self) -> None:
        """Run the query until it is told to stop; what fails is begun again from the last checkpoint."""
        pause = _FIRST_PAUSE
        while not self._stopping.is_set():
            started = time.monotonic()
            try:
                self._application = self._build()
                if self._stopping.is_set():
                    return
                self.failed = False
                self._application.run()
            except Exception as error:  # whatever it is: the query has to come back by itself
                if self._stopping.is_set():
                    return
                self.failed = True
                if time.monotonic() - started > _LONGEST_PAUSE * 2:
                    pause = _FIRST_PAUSE
                log.error("query %s failed (%s), next try in %.1f s", self._id, _reason(error), pause)
                self._stopping.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    def stop(self) -> None:
        """Tell the query to finish its checkpoint and end."""
        self._stopping.set()
        if self._application is not None:
            self._application.stop()

    def _build(self) -> Application:
        settings = self._settings
        group = settings.group_of(self._id)
        interval = settings.commit_interval_ms / 1000
        application = _Application(
            broker_address=ConnectionConfig.from_librdkafka_dict(settings.kafka()),
            consumer_group=group,
            auto_offset_reset="earliest" if self._auto_offset_reset == "earliest" else "latest",
            processing_guarantee="exactly-once",
            commit_interval=interval,
            # A checkpoint is looked at between two polls, so a poll must not outlast it.
            consumer_poll_timeout=interval / 2,
            # Quix makes an empty folder for state that these queries do not have.
            state_dir=Path(tempfile.gettempdir(), "ksqldb-emulator"),
            auto_create_topics=False,
            use_changelog_topics=False,
            loglevel=None,
            consumer_extra_config={
                # The same member again after a kill: no wait for the old one's session, no rebalance.
                "group.instance.id": f"{group}-0",
                "session.timeout.ms": settings.session_timeout_ms,
                "heartbeat.interval.ms": settings.session_timeout_ms // 4,
                "isolation.level": "read_committed",
                **_SMALL_FETCHES,
            },
            producer_extra_config={
                # The same id again fences the old one's open transaction at once, so readers do not wait for it.
                "transactional.id": group,
                "transaction.timeout.ms": _TRANSACTION_TIMEOUT_MS,
                "partitioner": "murmur2_random",
                "linger.ms": 5,
                "queue.buffering.max.kbytes": 8192,
            },
            # Quix's own callbacks log a traceback; `run` logs the one line that matters.
            on_processing_error=_not_handled,
            on_consumer_error=_not_handled,
            on_producer_error=_not_handled,
        )
        topic = application.topic(self._plan.source.topic, key_deserializer="bytes", value_deserializer="bytes")
        stream = application.dataframe(readable(topic))
        producer, tally = stream.processing_context.producer, metrics.Tally(self._id, group)
        process = processor(settings, self._id, self._plan, self._sink_topic, producer.produce, tally)
        stream.update(process, metadata=True)
        after_commit(producer, tally.committed)
        return application


def processor(
    settings: Settings, query_id: str, plan: QueryPlan, sink_topic: str, produce: Produce, tally: metrics.Tally
) -> Processor:
    """What a query does with each record.

    A result keeps the record's timestamp and headers. A record that cannot be read, and a row that is too large for the
    client, goes to the processing log and no further. `produce` is the checkpoint's own producer, so all of it is in one
    transaction with the record's offset.
    """
    pipeline = compile_pipeline(plan)

    def process(value: bytes | None, key: bytes | None, timestamp: int, headers: Any) -> None:
        tally.records += 1
        now = time.time_ns() // 1_000_000
        try:
            result = pipeline(key, value)
            if result is not None:
                produce(sink_topic, value=result[1], key=result[0], headers=headers, timestamp=timestamp)
                tally.rows += 1
        except Unreadable as error:
            entry = deserialization_error(query_id, plan.source.topic, error, now, settings.log_records)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.MSG_SIZE_TOO_LARGE:
                raise
            entry = production_error(query_id, sink_topic, error.args[0].str(), now)
        else:
            return
        produce(settings.log_topic, value=entry)
        tally.skipped += 1

    return process


class Queries:
    """The queries that this process runs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._running: dict[str, _Query] = {}

    def start(self, query_id: str, plan: QueryPlan, sink_topic: str, auto_offset_reset: str) -> None:
        """Begin to run a query."""
        query = _Query(self._settings, query_id, plan, sink_topic, auto_offset_reset)
        self._running[query_id] = query
        metrics.watch(query_id, lambda: not query.failed)
        query.start()

    def stop(self, query_id: str) -> None:
        """End a query; it returns when the query is at its end, or when its client does not come back."""
        query = self._running.pop(query_id)
        query.stop()
        query.join(_STOP_SECONDS)
        metrics.forget(query_id, self._settings.group_of(query_id))

    def stop_all(self, seconds: float) -> None:
        """End all queries, and wait no longer than so many seconds for their last checkpoints."""
        deadline = time.monotonic() + seconds
        for query in self._running.values():
            query.stop()
        for query in self._running.values():
            query.join(max(0.0, deadline - time.monotonic()))

    def problem(self) -> str | None:
        """Which queries have failed, or None."""
        failed = [query_id for query_id, query in self._running.copy().items() if query.failed]
        return f"in state ERROR: {', '.join(failed)}" if failed else None

    def state(self, query_id: str) -> str:
        """RUNNING or ERROR."""
        return "ERROR" if self._running[query_id].failed else "RUNNING"


def _not_handled(*_: object) -> bool:
    return False


def _reason(error: Exception) -> str:
    """What went wrong, in one line, without the record that it may be about."""
    return f"{type(error).__name__}: {error}".splitlines()[0]
