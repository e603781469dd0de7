"""How fast this machine is."""

import time

# What a usual machine needs for the sum in `slowness`.
SUM, USUAL_SECONDS = 1_000_000, 0.012


def slowness() -> float:
    """How many times as much CPU as on a usual machine the same work takes here, at least 1: by the quickest of ten sums."""

    def seconds() -> float:
        started = time.thread_time()
        sum(range(SUM))
        return time.thread_time() - started

    return max(1.0, min(seconds() for _ in range(10)) / USUAL_SECONDS)
