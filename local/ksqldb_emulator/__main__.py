"""`python -m local.ksqldb_emulator`: the stand-in as a process."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
import threading
import time

from confluent_kafka import KafkaException

from contracts.metrics import serve
from local.ksqldb_emulator import listener
from local.ksqldb_emulator import settings as configuration
from local.ksqldb_emulator.commands import CommandLog
from local.ksqldb_emulator.engine import Engine
from local.ksqldb_emulator.runner import QuixQueries
from local.ksqldb_emulator.server import Server
from local.ksqldb_emulator.settings import Settings
from local.ksqldb_emulator.topics import KafkaTopics, Topic, Topics

log = logging.getLogger("local.ksqldb_emulator")

_KAFKA_PATIENCE = 60.0  # seconds that a start waits for the broker
_STOP_PATIENCE = 8.0  # seconds that a stop waits for the last checkpoints


def main() -> int:
    """Serve until SIGTERM or SIGINT. The exit code is 1 when the start fails."""
    _log_to_stderr()
    settings = configuration.load()
    try:
        # First of all: a second server would fence the queries of the one that has the port.
        listening = listener.listen(settings.host, settings.port)
    except OSError as error:
        log.error("cannot listen on %s:%d: %s", settings.host, settings.port, error)
        return 1
    return asyncio.run(_serve(settings, listening))


async def _serve(settings: Settings, listening: socket.socket) -> int:
    topics = KafkaTopics(settings)
    queries = QuixQueries(settings)
    engine = Engine(settings, topics, CommandLog(settings), queries)
    server = Server(settings, engine, topics)
    serve(lambda: queries.problem() if server.ready else "the statements are not restored yet")
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    failures: list[str] = []

    def end() -> None:
        server.stopping = True
        stop.set()

    def start() -> None:
        try:
            _wait_for_kafka(topics)
            _make_own_topics(settings, topics)
            engine.restore()
            server.ready = True
            log.info(
                "ready on %s:%d for Kafka at %s", settings.host, settings.port, settings.kafka()["bootstrap.servers"]
            )
        except Exception as error:
            failures.append(f"{type(error).__name__}: {error}")
            loop.call_soon_threadsafe(end)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    # The statements come back while /info already answers that it is not ready, as the real server does.
    threading.Thread(target=start, name="start", daemon=True).start()
    await listener.serve(server.application(), listening, stop)
    await asyncio.to_thread(queries.stop_all, _STOP_PATIENCE)
    for failure in failures:
        log.error("the start failed: %s", failure)
    log.info("stopped")
    return 1 if failures else 0


class _Sparse(logging.Filter):
    """Lets one line of a chatty library through in ten seconds: Kafka's clients repeat themselves in an outage."""

    def __init__(self) -> None:
        super().__init__()
        self._next: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is logged."""
        if not record.name.startswith(("quixstreams", "librdkafka")):
            return True
        now = time.monotonic()
        if now < self._next.get(record.name, 0.0):
            return False
        self._next[record.name] = now + 10
        return True


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(_Sparse())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("quixstreams").setLevel(logging.WARNING)


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
