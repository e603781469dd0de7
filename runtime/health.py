"""Health of a consuming service, as its Kafka client sees it: the consumer is polled, and its group is stable."""

import os
import sys
import time
import urllib.request
from collections.abc import Mapping
from typing import Any

# The client delivers its statistics inside poll(): fresh statistics prove that the service's loop is running.
STALE_SECONDS = 15.0


class ConsumerHealth:
    """`on_statistics` gets what the consumer says of itself: see `watched` in runtime/lost.py."""

    def __init__(self) -> None:
        self._seen_at: float | None = None
        self._group = "not joined yet"

    def on_statistics(self, statistics: Mapping[str, Any]) -> None:
        """Keep what matters of librdkafka's statistics."""
        group = statistics.get("cgrp", {})
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
    """`python -m runtime.health`: the container's HEALTHCHECK. Returns 0 when the service on METRICS_PORT is healthy."""
    try:
        # From the standard library: this runs every few seconds, in images that do not need requests otherwise.
        with urllib.request.urlopen(f"http://127.0.0.1:{os.environ['METRICS_PORT']}/healthz", timeout=3):
            return 0
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
