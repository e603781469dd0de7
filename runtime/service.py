"""Logging, settings, shutdown and counting, the same for every long-running process of the stack."""

import gc
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
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

from pydantic import AfterValidator, AnyHttpUrl, Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from runtime.errors import UserError, without_credentials
from runtime.hang import silence_ends
from runtime.signals import sets

if TYPE_CHECKING:
    from prometheus_client import Counter as Metric  # not every service has that package

logger = logging.getLogger(__name__)

# Replicas beyond the partitions of a topic (six by default) have nothing to read.
MAX_REPLICAS = 64


class Environment(BaseSettings):
    """Settings from environment variables. An empty variable counts as unset, as `NAME=` in an env file means."""

    model_config = SettingsConfigDict(env_ignore_empty=True, allow_inf_nan=False)


Port = Annotated[int, Field(ge=1, le=65535)]
Share = Annotated[float, Field(ge=0, le=1)]


def _without_call(url: str) -> str:
    return str(AnyHttpUrl(url)).rstrip("/").removesuffix("/validate").rstrip("/")


# The validator's address: users may give it with the path of its only call, services get it without.
ValidatorUrl = Annotated[str, AfterValidator(_without_call)]

SettingsT = TypeVar("SettingsT", bound=Environment)

# The values of variables with such names are never shown.
SECRET = re.compile("PASS|SECRET|URI")


def load_settings(settings: type[SettingsT]) -> SettingsT:
    """The settings from the environment. Raises UserError that names each missing or invalid variable."""
    try:
        return settings()
    except ValidationError as error:
        raise UserError("; ".join(problems(settings, error).values())) from None


def variable(settings: type[Environment], field: str) -> str:
    """The environment variable of a field."""
    return f"{settings.model_config.get('env_prefix', '')}{field}".upper()


def problems(settings: type[Environment], error: ValidationError) -> dict[str, str]:
    """What is wrong, by field: the variable, its value, and what the value must be."""
    return {
        str(problem["loc"][0]): _problem(variable(settings, str(problem["loc"][0])), problem)
        for problem in error.errors()
    }


def _problem(name: str, problem: ErrorDetails) -> str:
    if problem["type"] == "missing":
        return f"{name} is not set"
    must = re.sub("^Value error, |, unable to parse.*$", "", problem["msg"]).replace("Input should be", "must be")
    return f"{name} {must}" if SECRET.search(name) else without_credentials(f"{name}={problem['input']!r} {must}")


# The exit code of a UserError: a restart would fail the same way.
USER_ERROR = 2


def run_service(main: Callable[[Event], None]) -> None:
    """Run `main` with an event that SIGTERM and SIGINT set; a UserError ends the process with one log line."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    stopping = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, sets(stopping))
    # Imported modules live as long as the process: the garbage collector's scans of them took a seventh of the processor's time.
    gc.freeze()
    try:
        with silence_ends():
            main(stopping)
    except UserError as error:
        logger.error("%s", error)
        sys.exit(USER_ERROR)
    except Exception:
        logger.exception("stopped by an error")
        sys.exit(1)


def run_command(main: Callable[[], int | None]) -> NoReturn:
    """Run `main`, with its log lines on stdout as they are; a UserError ends the process with one line on stderr."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    try:
        sys.exit(main())
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


class Totals:
    """Counts by outcome, logged at most once per second and only when something was counted; also adds to `counters`."""

    def __init__(self, log: logging.Logger, counters: Mapping[str, "Metric"] | None = None) -> None:
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
    """A name that this replica keeps across restarts and shares with no other; its transactional.id and group.instance.id.

    REPLICA_ID is used if it is set. In Docker Compose all replicas have the same environment, so there REPLICA_NAMES is the
    prefix of the containers' names, and the name that resolves to this container's own address gives the number, which
    stays the same when the container is recreated. Otherwise the host name is used.
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
