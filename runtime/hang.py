"""Ends a process whose Kafka client hangs, so that it is restarted and reads again whatever it had not committed."""

import faulthandler
import logging
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from threading import Event, Timer

logger = logging.getLogger(__name__)

# Longer than `transaction.timeout.ms` in runtime/kafka.py: by then the broker has aborted the transaction on its own.
HANG_SECONDS = 20.0
# Longer than a service is busy with one batch or checkpoint.
SILENT_SECONDS = 60.0

_watched = Event()
_heard: dict[str, float] = {}


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


@contextmanager
def silence_ends() -> Generator[None]:
    """Within the block `alive` counts."""
    _watched.set()
    try:
        yield
    finally:
        _watched.clear()
        _heard.clear()
        faulthandler.cancel_dump_traceback_later()


def alive(name: str) -> None:
    """Note a sign of life of a client or a loop. The process ends, with a traceback of each thread, when one has given none for
    SILENT_SECONDS to twice as long; `over` takes its name back.

    The threads of a consumer can lock each other out when a broker is lost (librdkafka issue 5476). It then gives no record any
    more and no statistics, and some of its calls never return, nor let another thread of Python run: the timer needs none.
    """
    if _watched.is_set():
        _heard[name] = now = time.monotonic()
        if now - min([*_heard.values()]) < SILENT_SECONDS:
            faulthandler.dump_traceback_later(SILENT_SECONDS, exit=True)


def over(name: str) -> None:
    """No sign of life is expected of it any more."""
    _heard.pop(name, None)
    if not _heard:
        faulthandler.cancel_dump_traceback_later()


def end(reason: str) -> None:
    """End the process, from any thread and inside any call of the client."""
    logger.critical("%s: exiting, so that the service is restarted", reason)
    logging.shutdown()
    os._exit(1)  # a hanging call blocks the main thread, the only one that an exception or a signal could end
