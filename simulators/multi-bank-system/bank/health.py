"""The container's HEALTHCHECK: `python -m bank.health`. Healthy when all that was sent has been delivered, not long ago."""

import sys
import tempfile
import time
from pathlib import Path

from confluent_kafka import Producer

HEARTBEAT = Path(tempfile.gettempdir()) / "bank-delivered"
STALE_SECONDS = 15.0


def beat(producer: Producer) -> None:
    """Note the time if nothing waits for the broker."""
    if not len(producer):
        HEARTBEAT.touch()


if __name__ == "__main__":
    sys.exit(not HEARTBEAT.exists() or time.time() - HEARTBEAT.stat().st_mtime > STALE_SECONDS)
