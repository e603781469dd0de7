"""Keeps the events on a topic of their own, so that they outlive the console; while Kafka is away they wait in memory."""

import logging
import time
from collections.abc import Iterator
from contextlib import closing
from threading import Event as Signal
from threading import Lock

import orjson
from confluent_kafka import Consumer, KafkaException, Producer

from console.causes import Problem
from console.events import KEPT, Event, Log, of_json
from console.reader import RETRY_SECONDS, client, keep_on
from contracts import topics
from runtime.kafka import IDEMPOTENT, client_config
from runtime.lost import watched
from runtime.reading import end_of, records_between

logger = logging.getLogger(__name__)

WRITE_SECONDS = 0.5
FLUSH_SECONDS = 2.0


class Journal:
    """`run` is a thread's. An event is written when it begins and again when it ends: the last record of a key counts."""

    def __init__(self, stopping: Signal) -> None:
        self._stopping = stopping
        self._lock = Lock()
        self._log = Log()

    def look(self, problems: list[Problem], happened: list[Event], now: float) -> None:
        """As Log.look."""
        with self._lock:
            self._log.look(problems, happened, now)

    def newest(self) -> list[Event]:
        """As Log.newest."""
        with self._lock:
            return self._log.newest()

    def recent(self, now: float) -> tuple[Event, ...]:
        """As Log.recent."""
        with self._lock:
            return self._log.recent(now)

    def run(self) -> None:
        """Read what is there, once there is a broker, then write what comes until told to stop."""
        keep_on(self._write, self._stopping, RETRY_SECONDS, "events are not written", (KafkaException, KeyError))

    def _write(self) -> None:
        # While there is no such topic yet, this raises KeyError.
        stored = list(_stored())
        with self._lock:
            self._log.take(stored)
        producer = Producer({**client_config(), **IDEMPOTENT, **watched(), "log_level": 0})
        while not self._stopping.wait(WRITE_SECONDS):
            self._write_changes(producer)
        self._write_changes(producer)
        producer.flush(FLUSH_SECONDS)

    def _write_changes(self, producer: Producer) -> None:
        with self._lock:
            changed, self._log.unwritten = self._log.unwritten, {}
        for event in changed.values():
            try:
                producer.produce(topics.STACK_EVENTS, orjson.dumps(event), event.key, on_delivery=_delivered)
            except (BufferError, KafkaException) as error:  # of this one; the others are written
                _delivered(error, None)
        producer.poll(0)


def _stored() -> Iterator[Event]:
    """The newest events of each partition, as they were written last. Raises KafkaException and KeyError."""
    with closing(Consumer(client("console-events"))) as consumer:
        end = end_of(consumer, topics.STACK_EVENTS)
        begin = {partition: max(offset - 2 * KEPT, 0) for partition, offset in end.items()}
        found: dict[str, Event] = {}
        for batch in records_between(consumer, topics.STACK_EVENTS, begin, end):
            for message in batch:
                try:
                    event = of_json(orjson.loads(message.value() or b""), time.time())
                except (ValueError, KeyError, TypeError) as error:  # whoever may write to a topic may write anything
                    logger.info("an invalid event is skipped: %s", error)
                else:
                    found[event.key] = event
        yield from found.values()


def _delivered(error: object, _message: object) -> None:
    if error is not None:
        logger.warning("an event was not written: %s", error)
