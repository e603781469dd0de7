"""Ends a process whose Kafka client hangs, so that it is restarted and reads again whatever it had not committed."""

import logging
import os
from collections.abc import Generator
from contextlib import contextmanager
from threading import Timer

logger = logging.getLogger(__name__)

# Longer than `transaction.timeout.ms` in runtime/kafka.py: by then the broker has aborted the transaction on its own.
HANG_SECONDS = 20.0


@contextmanager
def no_hang(what: str) -> Generator[None]:
    """End the process when the block takes longer than HANG_SECONDS.

    librdkafka's transaction operations can block forever, whatever timeout they are given, after the broker was missing from
    the cluster's metadata for a moment, as a suspended broker is (librdkafka issues 5456 and 5511).
    """
    timer = Timer(HANG_SECONDS, end, [f"{what} has not returned for {HANG_SECONDS:.0f} s"])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def end(reason: str) -> None:
    """End the process, from any thread and inside any call of the client."""
    logger.critical("%s: exiting, so that the service is restarted", reason)
    logging.shutdown()
    os._exit(1)  # a hanging call blocks the main thread, the only one that an exception or a signal could end
