"""From a transaction's timestamp to the sight of its row on the result topic: what a read_committed reader has to wait."""

import time
from threading import Event, Lock

from confluent_kafka import OFFSET_END, Consumer, KafkaException

from console.reader import (
    BATCH_SECONDS,
    BATCH_SIZE,
    METADATA_SECONDS,
    PARTITIONS_SECONDS,
    RETRY_SECONDS,
    keep_on,
    watched_client,
)
from contracts import topics
from contracts.records import Message, headers_of
from contracts.timestamps import bank_timestamp
from runtime.hang import over
from runtime.reading import assign_more

GROUP = "console-delays"


def delay_of(row: Message, now: float) -> float | None:
    """Seconds until `now` (since the epoch), at which the row was seen; None without the bank's timestamp."""
    sent = bank_timestamp(headers_of(row))
    return None if sent is None else max(now - sent / 1000, 0.0)


class Delays:
    """`run` is a thread's.

    It has a consumer of its own: the reader of all topics takes its time, so that a busy broker has few requests of it. This
    one is given a row at the moment of its commit.
    """

    def __init__(self, stopping: Event) -> None:
        self._stopping = stopping
        self._lock = Lock()
        self._seen: list[float] = []
        # When it last read without an error, a time.monotonic().
        self.worked_at = time.monotonic()

    def take(self) -> list[float]:
        """The delays that were seen since the last call."""
        with self._lock:
            taken, self._seen = self._seen, []
        return taken

    def run(self) -> None:
        """Read what comes from now on, until told to stop."""
        keep_on(self._read, self._stopping, RETRY_SECONDS, "rows are not timed")

    def _read(self) -> None:
        consumer = Consumer(
            watched_client(GROUP)
            | {
                "auto.offset.reset": "latest",
                "enable.partition.eof": False,
                "fetch.min.bytes": 1,
                "fetch.wait.max.ms": 500,
            }
        )
        known, looked_at = set[int](), 0.0
        try:
            while not self._stopping.is_set():
                if not known or time.monotonic() - looked_at > PARTITIONS_SECONDS:
                    looked_at = time.monotonic()
                    known = assign_more(
                        consumer, topics.FRAUDULENT_TRANSACTIONS_RESULT, known, OFFSET_END, METADATA_SECONDS
                    )
                messages = consumer.consume(1, BATCH_SECONDS) + consumer.consume(BATCH_SIZE, 0)
                now = time.time()
                rows = []
                for message in messages:
                    if (error := message.error()) is None:
                        rows.append(message)
                    elif error.fatal():
                        raise KafkaException(error)
                delays = [delay for row in rows if (delay := delay_of(row, now)) is not None]
                with self._lock:
                    self._seen += delays
                self.worked_at = time.monotonic()
        finally:
            consumer.close()  # it may hang as well
            over(GROUP)
