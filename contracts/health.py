"""Health of a consuming service, as its Kafka client sees it: it polls, and its place in the consumer group is settled."""

import json
import os
import sys
import time
import urllib.request

# The client's statistics are handed over inside poll(): fresh statistics prove that the service's loop turns.
STATISTICS_MS = 1_000
STALE_SECONDS = 15.0


class ConsumerHealth:
    """Set `on_statistics` as the consumer's `stats_cb`, with `statistics.interval.ms` = STATISTICS_MS."""

    def __init__(self) -> None:
        self._seen_at: float | None = None
        self._group = "not joined yet"

    def on_statistics(self, statistics: str) -> None:
        """Take librdkafka's statistics, a JSON text."""
        group = json.loads(statistics).get("cgrp", {})
        self._group = f"{group.get('state')}, {group.get('join_state')}"
        self._seen_at = time.monotonic()

    def problem(self) -> str | None:
        """What is wrong, or None."""
        if self._seen_at is None or time.monotonic() - self._seen_at > STALE_SECONDS:
            return "the consumer is not polled"
        if self._group != "up, steady":
            return f"the consumer group's state is {self._group}"
        return None


def main() -> int:
    """`python -m contracts.health`: the container's HEALTHCHECK. Returns 0 when the service on METRICS_PORT is healthy."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{os.environ['METRICS_PORT']}/healthz", timeout=3):
            return 0
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
