"""`python -m local.ksqldb_emulator`: the emulator as a process."""

import logging
import socket
from threading import Event, Thread

import uvicorn

from local.ksqldb_emulator import settings as configuration
from local.ksqldb_emulator.commands import CommandLog
from local.ksqldb_emulator.engine import Engine
from local.ksqldb_emulator.runner import Queries
from local.ksqldb_emulator.server import Server
from local.ksqldb_emulator.topics import DEFAULT_RETENTION_MS, Topic, Topics
from runtime.errors import UserError
from runtime.kafka import await_broker
from runtime.metrics import serve
from runtime.service import run_service

log = logging.getLogger("local.ksqldb_emulator")

_STOP_PATIENCE = 8.0  # seconds that a stop waits for the last transactions
_GRACE = 1  # seconds that open requests have at the end; a push query ends by itself within them
_FOREVER = -1


def main(stopping: Event) -> None:
    """Serve until stopped; the queries end after the last request."""
    settings = configuration.load()
    try:
        # First of all: a second server would fence the queries of the one that has the port.
        listening = socket.create_server((settings.host, settings.port))
    except OSError as error:
        raise UserError(f"cannot listen on {settings.host}:{settings.port}: {error}") from None
    topics, queries = Topics(settings), Queries(settings)
    engine = Engine(settings, topics, CommandLog(settings), queries)
    server = Server(settings, engine, topics)
    serve(lambda: queries.problem() if server.ready else "the statements are not restored yet")
    http = uvicorn.Server(
        uvicorn.Config(server.application(), log_level="warning", timeout_graceful_shutdown=_GRACE, ws="none")
    )
    thread = Thread(target=http.run, args=([listening],), name="http", daemon=True)
    thread.start()  # it answers that it is not ready while the statements come back, as the real server does
    await_broker(stopping)
    if not stopping.is_set():
        replicas = int(settings["internal.topic.replicas"])
        topics.create(Topic(settings.command_topic, 1, replicas, _FOREVER))
        topics.create(Topic(settings.log_topic, 1, replicas, DEFAULT_RETENTION_MS))
        engine.restore()
        server.ready = True
        log.info("ready on %s:%d for Kafka at %s", settings.host, settings.port, settings.kafka["bootstrap.servers"])
    stopping.wait()
    server.stopping = http.should_exit = True
    thread.join(2 * _GRACE)
    queries.stop_all(_STOP_PATIENCE)
    log.info("stopped")


if __name__ == "__main__":
    run_service(main)
