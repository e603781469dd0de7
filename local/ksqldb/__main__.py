"""`python -m local.ksqldb`: the stand-in as a process."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from confluent_kafka import KafkaException

from local.ksqldb import settings as configuration
from local.ksqldb.commands import CommandLog
from local.ksqldb.engine import Engine
from local.ksqldb.runner import QuixQueries
from local.ksqldb.server import Server
from local.ksqldb.settings import Settings
from local.ksqldb.topics import KafkaTopics, Topic, Topics

log = logging.getLogger("local.ksqldb")

_KAFKA_PATIENCE = 60.0  # seconds that a start waits for the broker
_STOP_PATIENCE = 8.0  # seconds that a stop waits for the last checkpoints


class _Http(uvicorn.Server):
    """uvicorn, but a signal ends only its own loop: the queries' last checkpoints come after that."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals, and do not raise them again at the end as uvicorn does."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle_exit)
        yield


def main() -> int:
    """Serve until SIGTERM or SIGINT. The exit code is 1 when the start fails."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("quixstreams").setLevel(logging.WARNING)
    settings = configuration.load()
    topics = KafkaTopics(settings)
    queries = QuixQueries(settings)
    engine = Engine(settings, topics, CommandLog(settings), queries)
    server = Server(settings, engine, topics)
    http = _Http(
        uvicorn.Config(
            server.application(),
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=1,
        )
    )
    failures: list[str] = []

    def start() -> None:
        try:
            _wait_for_kafka(topics)
            _make_own_topics(settings, topics)
            engine.restore()
            server.ready = True
            log.info("ready on %s:%d for Kafka at %s", settings.host, settings.port, settings.bootstrap_servers)
        except Exception as error:
            failures.append(f"{type(error).__name__}: {error}")
            http.should_exit = True

    # The statements come back while /info already answers that it is not ready, as the real server does.
    threading.Thread(target=start, name="start", daemon=True).start()
    http.run()
    server.stopping = True
    queries.stop_all(_STOP_PATIENCE)
    for failure in failures:
        log.error("the start failed: %s", failure)
    log.info("stopped")
    return 1 if failures or not http.started else 0


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
