"""The container's HEALTHCHECK: `python -m bank.health`. Healthy when something was delivered not long ago, or nothing waits."""

import logging
import math
import sys
import tempfile
import time
from pathlib import Path

from confluent_kafka import KafkaError, Message, Producer

logger = logging.getLogger(__name__)

HEARTBEAT = Path(tempfile.gettempdir()) / "bank-delivered"
STALE_SECONDS = 15.0


class Heartbeat:
    """Notes in a file that the broker takes what is sent, at most once per second."""

    def __init__(self) -> None:
        self._noted_at = -math.inf
        self._refused = False

    def on_delivery(self, error: KafkaError | None, _message: Message) -> None:
        """Take a delivery report."""
        if error is None:
            self._refused = False
            self._note()
        elif not self._refused:
            self._refused = True
            logger.error("not delivered: %s", error.str())

    def on_pause(self, producer: Producer) -> None:
        """Nothing is due. That is healthy unless something waits, or the last message was refused."""
        if not self._refused and not len(producer):
            self._note()

    def _note(self) -> None:
        if time.monotonic() - self._noted_at >= 1:
            self._noted_at = time.monotonic()
            HEARTBEAT.touch()


if __name__ == "__main__":
    sys.exit(not HEARTBEAT.exists() or time.time() - HEARTBEAT.stat().st_mtime > STALE_SECONDS)
