"""Waiting for another service to be ready."""

import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

from runtime.errors import UserError

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 0.3
LOG_SECONDS = 5.0

T = TypeVar("T")


def until(
    attempt: Callable[[], T],
    seconds: float,
    problem: str,
    not_yet: type[Exception] | tuple[type[Exception], ...],
    reason: Callable[[Any], str] = str,
    remedy: str = "",
) -> T:
    """Repeat `attempt` while it raises one of `not_yet`, and return its result; the problem is logged every five seconds.

    `problem` is a clause such as "Kafka is not ready", and `reason` gives the text to show for an error.
    Raises UserError after `seconds`.
    """
    started = logged = time.monotonic()
    while True:
        try:
            return attempt()
        except not_yet as error:
            now = time.monotonic()
            if now - started >= seconds:
                raise UserError(f"{problem} within {seconds:g} s ({reason(error)}){remedy and f': {remedy}'}") from None
            if now - logged >= LOG_SECONDS:
                logger.info("waiting: %s yet (%s)", problem, reason(error))
                logged = now
        time.sleep(PAUSE_SECONDS)
