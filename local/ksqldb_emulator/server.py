"""The HTTP side: ksqlDB's paths, bodies and status codes."""

import logging
import random
from collections.abc import AsyncIterator, Generator, Mapping
from typing import Any, TypeVar

import anyio.to_thread
import orjson
from confluent_kafka import KafkaException
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from local.ksqldb_emulator import push
from local.ksqldb_emulator import tree as t
from local.ksqldb_emulator.engine import Engine
from local.ksqldb_emulator.errors import NOT_READY, SERVER_ERROR, KsqlError
from local.ksqldb_emulator.serde import to_json
from local.ksqldb_emulator.settings import Settings
from local.ksqldb_emulator.topics import Topics

log = logging.getLogger(__name__)

VERSION = "8.3.1"
_JSON = "application/json"
_KSQL_JSON = "application/vnd.ksql.v1+json"
_DELIMITED = "application/vnd.ksqlapi.delimited.v1"
# Any other name is that of a web page that had its own name point here, to read and to command what it must not.
_HOSTS = ["localhost", "127.0.0.1", "ksqldb-server"]

T = TypeVar("T")


class Server:
    """The paths of a ksqlDB server. `ready` is set when the engine has its statements back."""

    def __init__(self, settings: Settings, engine: Engine, topics: Topics) -> None:
        self._settings = settings
        self._engine = engine
        self._topics = topics
        self.ready = False
        self.stopping = False

    def application(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/", lambda _: RedirectResponse("/info", status_code=307)),
                Route("/info", self._info),
                Route("/healthcheck", self._health),
                Route("/ksql", self._ksql, methods=["POST"]),
                Route("/query-stream", self._query, methods=["POST"]),
                Route("/query", self._query, methods=["POST"]),
            ],
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=_HOSTS)],
            exception_handlers={KsqlError: _refused, KafkaException: _kafka_failed},
        )

    async def _info(self, request: Request) -> Response:
        self._check_ready()
        info = {
            "version": VERSION,
            "kafkaClusterId": await anyio.to_thread.run_sync(self._topics.cluster_id),
            "ksqlServiceId": self._settings["service.id"],
            "serverStatus": "RUNNING",
        }
        return _answer(request, {"KsqlServerInfo": info})

    async def _health(self, request: Request) -> Response:
        self._check_ready()
        try:
            await anyio.to_thread.run_sync(self._topics.cluster_id)
            kafka = True
        except KafkaException:
            kafka = False
        healthy = {"isHealthy": True}
        details = {"metastore": healthy, "kafka": {"isHealthy": kafka}, "commandRunner": healthy}
        answer = {"isHealthy": kafka, "details": details, "serverState": "READY"}
        return _answer(request, answer, 200 if kafka else 503)

    async def _ksql(self, request: Request) -> Response:
        text, properties = await self._statement(request)
        return _answer(request, await anyio.to_thread.run_sync(self._engine.execute, text, properties))

    async def _query(self, request: Request) -> Response:
        """PRINT as lines of text; a push query as a header and then one array a line."""
        text, properties = await self._statement(request)
        found = await anyio.to_thread.run_sync(self._engine.query, text)
        if isinstance(found, t.PrintTopic):
            return StreamingResponse(self._lines(found), media_type="text/plain")
        query, plan = found
        beginning = self._settings.reset(properties) == "earliest"
        columns = [projection.column for projection in plan.values]
        types = [column.type for column in columns]
        header = {
            "queryId": f"transient_{query.alias or query.source}_{random.getrandbits(63)}",
            "columnNames": [column.name for column in columns],
            "columnTypes": list(map(str, types)),
        }

        async def body() -> AsyncIterator[bytes]:
            yield orjson.dumps(header) + b"\n"
            async for batch in self._batches(push.rows(self._settings, plan, beginning, query.limit)):
                yield b"".join(orjson.dumps(list(map(to_json, row, types))) + b"\n" for row in batch)

        return StreamingResponse(body(), media_type=_DELIMITED)

    async def _lines(self, asked: t.PrintTopic) -> AsyncIterator[str]:
        yield push.FORMATS
        lines = push.lines(self._settings, asked.topic, bool(asked.from_beginning), asked.limit)
        async for batch in self._batches(lines):
            yield "".join(f"{line}\n" for line in batch)

    async def _batches(self, batches: Generator[list[T]]) -> AsyncIterator[list[T]]:
        try:
            while not self.stopping:
                batch = await anyio.to_thread.run_sync(next, batches, None)
                if batch is None:
                    return
                yield batch
        finally:
            batches.close()

    async def _statement(self, request: Request) -> tuple[str, Mapping[str, Any]]:
        """The statement and the properties of a request's body; either name of the two APIs will do."""
        self._check_ready()
        if "origin" in request.headers:  # a browser says for which web page it asks
            raise KsqlError("a web page may not ask")
        try:
            body = orjson.loads(await request.body())
        except orjson.JSONDecodeError:
            body = None
        if not isinstance(body, dict):
            raise KsqlError("the request is no JSON object")
        text = body.get("ksql", body.get("sql"))
        properties = body.get("streamsProperties") or body.get("properties") or {}
        if not isinstance(text, str) or not isinstance(properties, dict):
            raise KsqlError('the request needs a text "ksql" (or "sql"), and "streamsProperties" have to be an object')
        return text, properties

    def _check_ready(self) -> None:
        if not self.ready:
            raise KsqlError("KSQL is not yet ready to serve requests.", NOT_READY)


def _answer(request: Request, body: Any, status: int = 200) -> Response:
    """A JSON answer, of ksqlDB's own media type when the client asks for that one."""
    media_type = _KSQL_JSON if _KSQL_JSON in request.headers.get("accept", "") else _JSON
    return Response(orjson.dumps(body), status, media_type=media_type)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, KsqlError)
    return _answer(request, error.answer(), error.status)


def _kafka_failed(request: Request, error: Exception) -> Response:
    log.error("Kafka failed a statement: %s", error.args[0])
    return _refused(request, KsqlError(f"Kafka: {error.args[0]}", SERVER_ERROR))
