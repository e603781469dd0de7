"""Creates or updates the connectors in connectors/: init_kconnect.sh runs this, and has the names and targets at its top.

Each file is a connector's configuration in Connect's own format. `${NAME}` stands for the environment variable NAME. Two more
names depend on the connector's topic: `${ROW_SCHEMA}` is the schema of its rows, and `${TOPIC_INCARNATION}` changes each
time the topic is created. `${env:NAME}` goes to the worker as it stands: credentials are only in the worker's environment.
"""

import json
import logging
import os
import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from contracts.connect_schema import connect_schema
from contracts.models import ROWS
from runtime.connect import Connect, Refused, Unavailable, states
from runtime.errors import UserError, without_credentials
from runtime.incarnations import incarnations
from runtime.kafka import client_config
from runtime.service import Environment, load_settings, run_command
from runtime.waiting import until

logger = logging.getLogger("init_kconnect")

CONNECTORS = Path(__file__).with_name("connectors")
ANSWER_SECONDS = 30.0
# After a restart the worker still reports the earlier failure for a moment.
STALE_SECONDS = 3.0

Config = dict[str, str]
T = TypeVar("T")


class Settings(Environment, env_prefix="KCONNECT_"):
    """The worker's URL, and how many seconds the worker, and then each connector, may take."""

    url: str
    timeout: float


def read(path: Path, incarnation: Callable[[str], str]) -> Config:
    """The connector's configuration with the names replaced by their values. Settings that end up empty are left out.

    `incarnation` returns the incarnation of a topic; it is called only if the file needs it.
    """
    config: Config = json.loads(path.read_text())
    topic = config["topics"]
    computed: dict[str, Callable[[], str]] = {
        "ROW_SCHEMA": lambda: json.dumps(connect_schema(ROWS[topic])),
        "TOPIC_INCARNATION": lambda: incarnation(topic),
    }

    def value_of(match: re.Match[str]) -> str:
        name = match[1]
        return computed[name]() if name in computed else os.environ[name]

    filled = {name: re.sub(r"\$\{([A-Z0-9_]+)\}", value_of, value) for name, value in config.items()}
    return {name: value for name, value in filled.items() if value != ""}


def incarnation_of(topic: str) -> str:
    """The topic's current incarnation, from the broker. Raises UserError."""
    try:
        return incarnations(AdminClient(client_config(), logger=logging.getLogger("kafka")), [topic])[topic]
    except KafkaException as error:
        raise UserError(
            f"the id of the topic {topic}, which names its S3 objects, could not be read at "
            f"{client_config()['bootstrap.servers']}: {error}: run init/init_kafka.py first"
        ) from None


def running(connect: Connect, name: str, stale_until: float) -> str:
    """The states of the connector and of all of its tasks when these are RUNNING. Raises Unavailable before, Refused when one
    has FAILED: until `stale_until` that is an earlier failure, which the worker still reports after a restart.
    """
    found = states(connect.status(name))
    for task, state in found.items():
        if state["state"] == "FAILED" and time.monotonic() > stale_until:
            trace = "\n  ".join(state.get("trace", "").splitlines()[:5])
            raise Refused(f"{name}: {task} has FAILED:\n  {trace}")
    text = ", ".join(f"{task} {state['state']}" for task, state in found.items())
    if len(found) == 1 or any(state["state"] != "RUNNING" for state in found.values()):
        raise Unavailable(text)
    return text


def remove(connect: Connect, name: str) -> None:
    """Remove a connector that an earlier start has left: without its plugin it would be FAILED for good."""
    if name in connect.connectors():
        connect.remove(name)


def main() -> None:
    """Register every connector whose plugin the worker has, remove the others, and wait until all run. Raises UserError."""
    settings = load_settings(Settings)
    connect = Connect(settings.url, seconds=ANSWER_SECONDS)

    def ready(what: str, attempt: Callable[[], T]) -> T:
        try:
            return until(attempt, settings.timeout, f"{what} is not ready", Unavailable)
        except Refused as error:
            # If a MongoDB URI cannot be parsed, or its host cannot be resolved, the sink quotes it with the password.
            raise UserError(without_credentials(str(error))) from None

    plugins = ready(f"Kafka Connect at {without_credentials(settings.url)}", connect.plugins)
    configs: dict[str, Config] = {}
    for path in sorted(CONNECTORS.glob("*.json")):
        if json.loads(path.read_text())["connector.class"] in plugins:
            configs[path.stem] = read(path, incarnation_of)
        else:
            logger.info("%s: left out, the worker does not have its plugin", path.stem)
            ready(path.stem, partial(remove, connect, path.stem))
    for name, config in configs.items():
        ready(name, partial(connect.put, name, config))
        # The same configuration again changes nothing: not what was paused, and not what has failed.
        ready(name, partial(connect.resume, name))
        ready(name, partial(connect.restart, name, only_failed=True))
    for name in configs:
        logger.info("%s: %s", name, ready(name, partial(running, connect, name, time.monotonic() + STALE_SECONDS)))


if __name__ == "__main__":
    run_command(main)
