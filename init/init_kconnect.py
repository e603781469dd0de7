"""Creates or updates the connectors of connectors/: init_kconnect.sh runs this, and has the names and targets at its top.

Each file is a connector's configuration as Connect takes it. `${NAME}` in it is the environment's NAME, and two more that
come from the connector's topic: `${ROW_SCHEMA}` is what its rows must be, and `${TOPIC_INCARNATION}` another text each
time that the topic is created. `${env:NAME}` goes to the worker as it stands: credentials are in its environment alone.
"""

import json
import logging
import os
import re
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the script is run by its path

try:
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    from contracts.connect import connect_schema
    from contracts.incarnations import incarnations
    from contracts.kafka import SettingsError, client_config
    from contracts.models import ROWS
except ModuleNotFoundError as error:
    sys.exit(
        f"init_kconnect: {sys.executable} has no package {error.name}: "
        "PYTHON=.local/python bash init/init_kconnect.sh uses those of the local mode"
    )

logger = logging.getLogger("init_kconnect")

CONNECTORS = Path(__file__).with_name("connectors")
# What earlier versions registered: left on a worker it would write every row once more.
FORMER = ("s3-sink",)
Config = dict[str, str]


class WorkerError(Exception):
    """The worker's answer, or what is missing of it."""


class Worker:
    """Kafka Connect's REST API. What is asked of it may take `timeout` seconds."""

    def __init__(self, url: str, timeout: float) -> None:
        self._url = url.rstrip("/")
        self._timeout = timeout

    def plugins(self) -> set[str]:
        """The classes of the connectors that the worker has. Waits for it."""
        plugins = self._until(f"Kafka Connect at {self._url}", lambda: (True, self._call("GET", "/connector-plugins")))
        return {plugin["class"] for plugin in plugins}

    def register(self, name: str, config: Config) -> None:
        """Create or update a connector, and restart what of it has failed."""
        self._until(name, lambda: (True, self._call("PUT", f"/connectors/{name}/config", config)))
        # An unchanged configuration restarts nothing, so without this a second run would not repair what has failed.
        restart = f"/connectors/{name}/restart?includeTasks=true&onlyFailed=true"
        self._until(name, lambda: (True, self._call("POST", restart)))

    def remove(self, name: str) -> None:
        """Remove a connector, if it is there."""
        connectors = self._until("the list of connectors", lambda: (True, self._call("GET", "/connectors")))
        if name in connectors:
            self._until(name, lambda: (True, self._call("DELETE", f"/connectors/{name}")))
            logger.info("%s: removed, an earlier version made it", name)

    def await_running(self, name: str) -> None:
        """Wait until the connector and all of its tasks are RUNNING. Raises WorkerError when one of them has failed."""
        # The worker shows the failure from before a restart for a moment longer.
        stale_until = time.monotonic() + 3

        def attempt() -> tuple[bool, str]:
            status = self._call("GET", f"/connectors/{name}/status")
            parts = [("connector", status["connector"])] + [(f"task {task['id']}", task) for task in status["tasks"]]
            for part, state in parts:
                if state["state"] == "FAILED" and time.monotonic() > stale_until:
                    trace = "\n  ".join(state.get("trace", "").splitlines()[:5])
                    raise WorkerError(f"{name}: {part} has FAILED:\n  {trace}")
            states = ", ".join(f"{part} {state['state']}" for part, state in parts)
            return len(parts) > 1 and all(state["state"] == "RUNNING" for _, state in parts), states

        logger.info("%s: %s", name, self._until(name, attempt))

    def _call(self, method: str, path: str, body: Config | None = None) -> Any:
        request = urllib.request.Request(self._url + path, method=method, headers={"Content-Type": "application/json"})
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, data, timeout=30) as answer:
                return json.loads(answer.read() or "null")
        except urllib.error.HTTPError as error:
            if error.code in (404, 409, 500, 503):  # just created, rebalancing, starting
                raise TimeoutError(f"HTTP {error.code}") from None
            try:
                message = json.load(error)["message"]
            except (ValueError, KeyError):
                message = error.reason
            raise WorkerError(f"{path}: HTTP {error.code}: {message}") from None
        except (OSError, ValueError) as error:
            raise TimeoutError(str(error)) from None

    def _until(self, what: str, attempt: Callable[[], tuple[bool, Any]]) -> Any:
        """Repeat `attempt` until it is done; every five seconds a line says what it waits for."""
        deadline = time.monotonic() + self._timeout
        said = time.monotonic()
        state = "no answer"
        while time.monotonic() < deadline:
            try:
                done, state = attempt()
                if done:
                    return state
            except TimeoutError as error:
                state = str(error)
            if time.monotonic() - said >= 5:
                said = time.monotonic()
                logger.info("waiting for %s: %s", what, state)
            time.sleep(0.3)
        raise WorkerError(f"{what} not ready after {self._timeout:.0f} s: {state}")


def read(path: Path, incarnation: Callable[[str], str]) -> Config:
    """The connector's configuration with the names filled in. What comes out empty is left out.

    `incarnation` gives a topic's, and is called only where the file needs it.
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
    """The topic's incarnation as the broker has it. Raises SettingsError."""
    try:
        return incarnations(AdminClient(client_config(), logger=logging.getLogger("kafka")), [topic])[topic]
    except KafkaException as error:
        raise SettingsError(
            f"the id of the topic {topic}, which names its S3 objects, could not be read at "
            f"{client_config()['bootstrap.servers']}: {error}: run init/init_kafka.py first"
        ) from None


def main() -> None:
    """Register every connector whose plugin the worker has, and wait until all of them run."""
    worker = Worker(os.environ["KCONNECT_URL"], float(os.environ["KCONNECT_TIMEOUT"]))
    plugins = worker.plugins()
    configs: dict[str, Config] = {}
    for path in sorted(CONNECTORS.glob("*.json")):
        if json.loads(path.read_text())["connector.class"] in plugins:
            configs[path.stem] = read(path, incarnation_of)
        else:
            logger.info("%s: left out, the worker does not have its plugin", path.stem)
    for name in FORMER:
        worker.remove(name)
    for name, config in configs.items():
        worker.register(name, config)
    for name in configs:
        worker.await_running(name)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        main()
    except (WorkerError, SettingsError) as error:
        # The sink's messages quote a MongoDB URI that cannot be parsed, or whose host cannot be looked up, with the password.
        sys.exit("init_kconnect: " + re.sub(r"://\S+@", "://***@", str(error)))
