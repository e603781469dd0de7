"""What every long-running process of the stack does the same way: logging, settings, stopping, counting."""

import logging
import os
import re
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from threading import Event
from typing import Annotated, Protocol, TypeVar

from pydantic import AfterValidator, AnyHttpUrl, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts.kafka import SettingsError

logger = logging.getLogger(__name__)

# More replicas than this have no partition to read: a topic has six unless told otherwise.
MAX_REPLICAS = 64


class Environment(BaseSettings):
    """Settings that come from environment variables; an empty one counts as not set, as `NAME=` in an env file means."""

    model_config = SettingsConfigDict(env_ignore_empty=True, allow_inf_nan=False)


def _without_call(url: str) -> str:
    return str(AnyHttpUrl(url)).rstrip("/").removesuffix("/validate").rstrip("/")


# The validator's address: users give it with the path of its one call or without, services get it without.
ValidatorUrl = Annotated[str, AfterValidator(_without_call)]

SettingsT = TypeVar("SettingsT", bound=Environment)

# The value of such a variable is never shown.
SECRET = re.compile("PASS|SECRET|URI")


def load_settings(settings: type[SettingsT]) -> SettingsT:
    """The settings from the environment. Raises SettingsError that names each variable that is missing or wrong."""
    try:
        return settings()
    except ValidationError as error:
        raise SettingsError("; ".join(problems(settings, error).values())) from None


def variable(settings: type[Environment], field: str) -> str:
    """The environment variable of a field."""
    return f"{settings.model_config.get('env_prefix', '')}{field}".upper()


def problems(settings: type[Environment], error: ValidationError) -> dict[str, str]:
    """What is wrong, by field: the variable, what it has, and what it must be."""
    return {
        str(problem["loc"][0]): _problem(variable(settings, str(problem["loc"][0])), problem)
        for problem in error.errors()
    }


def _problem(name: str, problem: ErrorDetails) -> str:
    if problem["type"] == "missing":
        return f"{name} is not set"
    must = re.sub("^Value error, |, unable to parse.*$", "", problem["msg"]).replace("Input should be", "must be")
    return f"{name} {must}" if SECRET.search(name) else f"{name}={problem['input']!r} {must}"


def run_service(main: Callable[[Event], None]) -> None:
    """Run `main` until SIGTERM or SIGINT sets the event that it is given; a settings error ends it with one clear line."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    stopping = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        main(stopping)
    except SettingsError as error:
        logger.error("%s", error)
        sys.exit(2)
    except Exception:
        logger.exception("stopped by an error")
        sys.exit(1)


class Count(Protocol):
    """What a total is passed on to: a counter of prometheus_client, which not every part of the stack needs."""

    def inc(self, amount: float) -> None: ...


class Totals:
    """Counts by outcome, logged at most once a second and only when something was counted; `counters` go along."""

    def __init__(self, log: logging.Logger, counters: Mapping[str, Count] | None = None) -> None:
        self._log = log
        self._counters = counters or {}
        self._counts: Counter[str] = Counter()
        self._logged_at = time.monotonic()
        self._changed = False

    def add(self, counts: Counter[str] | dict[str, int]) -> None:
        """Add to the totals, and log them if a second has passed."""
        self._counts.update(counts)
        for name, count in counts.items():
            if name in self._counters:
                self._counters[name].inc(count)
        self._changed = self._changed or bool(counts)
        now = time.monotonic()
        if self._changed and now - self._logged_at >= 1:
            self._log.info("%s", " ".join(f"{name}={count}" for name, count in sorted(self._counts.items())))
            self._logged_at, self._changed = now, False


def replica_name(service: str) -> str:
    """A name that this replica keeps through restarts and no other replica has: transactions and group places hang on it.

    REPLICA_ID decides when it is set. In Docker Compose all replicas have the same environment: there REPLICA_NAMES is what
    the containers' names begin with, and the one that has this container's address gives the number, which a container
    keeps also when it is made anew. Anything else has its host name.
    """
    replica = os.environ.get("REPLICA_ID") or _number_among(os.environ.get("REPLICA_NAMES", "")) or socket.gethostname()
    return f"{service}-{replica}"


def _number_among(names: str) -> str | None:
    if not names:
        return None
    own = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)}
    for number in range(1, MAX_REPLICAS + 1):
        try:
            if socket.gethostbyname(f"{names}{number}") in own:
                return str(number)
        except OSError:
            continue
    return None
