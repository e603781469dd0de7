"""`python -m local.ksqldb_emulator`: the emulator as a process."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from confluent_kafka import KafkaException

from contracts.metrics import serve
from local.ksqldb_emulator import settings as configuration
from local.ksqldb_emulator.commands import CommandLog
from local.ksqldb_emulator.engine import Engine
from local.ksqldb_emulator.runner import Queries
from local.ksqldb_emulator.server import Server
from local.ksqldb_emulator.settings import Settings
from local.ksqldb_emulator.topics import Topic, Topics

log = logging.getLogger("local.ksqldb_emulator")

_KAFKA_PATIENCE = 60.0  # seconds that a start waits for the broker
_STOP_PATIENCE = 8.0  # seconds that a stop waits for the last checkpoints
_GRACE = 1  # seconds that open requests have at the end; a push query ends by itself within them


def main() -> int:
    """Serve until SIGTERM or SIGINT. The exit code is 1 when the start fails."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("quixstreams").setLevel(logging.WARNING)
    settings = configuration.load()
    try:
        # First of all: a second server would fence the queries of the one that has the port.
        listening = socket.create_server((settings.host, settings.port))
    except OSError as error:
        log.error("cannot listen on %s:%d: %s", settings.host, settings.port, error)
        return 1
    return asyncio.run(_serve(settings, listening))


async def _serve(settings: Settings, listening: socket.socket) -> int:
    topics = Topics(settings)
    queries = Queries(settings)
    engine = Engine(settings, topics, CommandLog(settings), queries)
    server = Server(settings, engine, topics)
    serve(lambda: queries.problem() if server.ready else "the statements are not restored yet")
    http = _Http(uvicorn.Config(server.application(), log_level="warning", timeout_graceful_shutdown=_GRACE))
    failures: list[str] = []

    def end() -> None:
        server.stopping = http.should_exit = True

    def start() -> None:
        try:
            _wait_for_kafka(topics)
            _make_own_topics(settings, topics)
            engine.restore()
            server.ready = True
            broker = settings.kafka()["bootstrap.servers"]
            log.info("ready on %s:%d for Kafka at %s", settings.host, settings.port, broker)
        except Exception as error:
            failures.append(f"{type(error).__name__}: {error}")
            end()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)
    # The statements come back while /info already answers that it is not ready, as the real server does.
    threading.Thread(target=start, name="start", daemon=True).start()
    await http.serve(sockets=[listening])
    await asyncio.to_thread(queries.stop_all, _STOP_PATIENCE)
    for failure in failures:
        log.error("the start failed: %s", failure)
    log.info("stopped")
    return 1 if failures else 0


class _Http(uvicorn.Server):
    """It leaves the signals to `_serve`: the queries have to end after it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _wait_for_kafka(topics: Topics) -> None:
    deadline = time.monotonic() + _KAFKA_PATIENCE
    while True:
        try:
            topics.cluster_id()
            return
        except KafkaException as error:
            if time.monotonic() > deadline:
                raise
            log.info("waiting for Kafka: %s", error.args[0])


def _make_own_topics(settings: Settings, topics: Topics) -> None:
    forever = -1
    topics.create(Topic(settings.command_topic, 1, 1, forever))
    if settings.log_topic_create:
        topics.create(Topic(settings.log_topic, settings.log_topic_partitions, settings.log_topic_replicas, 604800000))


if __name__ == "__main__":
    sys.exit(main())
