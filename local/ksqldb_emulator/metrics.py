"""The emulator's metrics, by query."""

from collections import Counter
from collections.abc import Callable

import prometheus_client as prometheus

from runtime.metrics import LAST_COMMIT

_COUNTERS = {
    "records": prometheus.Counter("ksqldb_query_records", "Records read and committed", ["query"]),
    "rows": prometheus.Counter("ksqldb_query_rows", "Rows written and committed", ["query"]),
    "skipped": prometheus.Counter("ksqldb_query_skipped_records", "Records for the processing log", ["query"]),
}
_RUNNING = prometheus.Gauge("ksqldb_query_running", "1 while the query's state is RUNNING, 0 while ERROR", ["query"])


def committed(query_id: str, group: str, counts: Counter[str]) -> None:
    """Count a batch that was committed."""
    for name, counter in _COUNTERS.items():
        counter.labels(query_id).inc(counts[name])
    LAST_COMMIT.labels(group).set_to_current_time()


def watch(query_id: str, running: Callable[[], bool]) -> None:
    """Show the state of a query that was started."""
    _RUNNING.labels(query_id).set_function(lambda: float(running()))


def forget(query_id: str, group: str) -> None:
    """Show a query no more that was terminated."""
    for metric in (*_COUNTERS.values(), _RUNNING):
        metric.remove(query_id)
    LAST_COMMIT.remove(group)
