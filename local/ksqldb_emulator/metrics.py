"""The emulator's metrics, by query."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import Counter, Gauge

from contracts.metrics import LAST_COMMIT

_RECORDS = Counter("ksqldb_query_records", "Records read and committed", ["query"])
_ROWS = Counter("ksqldb_query_rows", "Rows written and committed", ["query"])
_SKIPPED = Counter("ksqldb_query_skipped_records", "Records that could not be read, for the processing log", ["query"])
_RUNNING = Gauge("ksqldb_query_running", "1 while the query's state is RUNNING, 0 while it is ERROR", ["query"])


class Tally:
    """What a query does in one checkpoint after another; it counts once it is committed."""

    def __init__(self, query_id: str, group: str) -> None:
        self.records = self.rows = self.skipped = 0
        self._counters = (_RECORDS.labels(query_id), _ROWS.labels(query_id), _SKIPPED.labels(query_id))
        self._last_commit = LAST_COMMIT.labels(group)

    def committed(self) -> None:
        """Count the checkpoint."""
        for counter, count in zip(self._counters, (self.records, self.rows, self.skipped), strict=True):
            counter.inc(count)
        self.records = self.rows = self.skipped = 0
        self._last_commit.set_to_current_time()


def watch(query_id: str, running: Callable[[], bool]) -> None:
    """Show the state of a query that was started."""
    _RUNNING.labels(query_id).set_function(lambda: float(running()))


def forget(query_id: str, group: str) -> None:
    """Show a query no more that was terminated."""
    for metric in (_RECORDS, _ROWS, _SKIPPED, _RUNNING):
        metric.remove(query_id)
    LAST_COMMIT.remove(group)
