"""The HTTP side: ksqlDB's paths, bodies and status codes."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any

import anyio.to_thread
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
from local.ksqldb_emulator.errors import SERVER_ERROR, KsqlError
from local.ksqldb_emulator.formatter import format_quoted_type, format_schema
from local.ksqldb_emulator.planner import QueryPlan
from local.ksqldb_emulator.serde import json_value, string_text
from local.ksqldb_emulator.settings import Settings
from local.ksqldb_emulator.topics import Topics

log = logging.getLogger(__name__)

VERSION = "8.3.1"
_JSON = "application/json"
_KSQL_JSON = "application/vnd.ksql.v1+json"
# Any other name is that of a web page that had its own name point here, to read and to command what it must not.
_HOSTS = ["localhost", "127.0.0.1", "ksqldb-server"]
_DELIMITED = "application/vnd.ksqlapi.delimited.v1"


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
                Route("/", self._root),
                Route("/info", self._info),
                Route("/healthcheck", self._health),
                Route("/ksql", self._ksql, methods=["POST"]),
                Route("/query-stream", self._query_stream, methods=["POST"]),
                Route("/query", self._query, methods=["POST"]),
            ],
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=_HOSTS)],
        )

    async def _root(self, _: Request) -> Response:
        return RedirectResponse("/info", status_code=307)

    async def _info(self, request: Request) -> Response:
        if not self.ready:
            return _starting(request)
        info = {
            "version": VERSION,
            "kafkaClusterId": await anyio.to_thread.run_sync(self._topics.cluster_id),
            "ksqlServiceId": self._settings.service_id,
            "serverStatus": "RUNNING",
        }
        return _answer(request, {"KsqlServerInfo": info})

    async def _health(self, request: Request) -> Response:
        if not self.ready:
            return _starting(request)
        try:
            await anyio.to_thread.run_sync(self._topics.cluster_id)
            kafka = True
        except KafkaException:
            kafka = False
        details = {
            "metastore": {"isHealthy": True},
            "kafka": {"isHealthy": kafka},
            "commandRunner": {"isHealthy": True},
        }
        answer = {"isHealthy": kafka, "details": details, "serverState": "READY"}
        return _answer(request, answer, 200 if kafka else 503)

    async def _ksql(self, request: Request) -> Response:
        if not self.ready:
            return _starting(request)
        try:
            text, properties = _statement(await _body(request), "ksql", "streamsProperties")
            result = await anyio.to_thread.run_sync(self._engine.execute, text, properties)
            return _answer(request, result)
        except KsqlError as error:
            return _answer(request, error.answer(), error.status)
        except KafkaException as error:
            log.error("Kafka failed a statement: %s", error.args[0])
            return _answer(request, KsqlError(f"Kafka: {error.args[0]}", SERVER_ERROR).answer(), 500)

    async def _query_stream(self, request: Request) -> Response:
        if not self.ready:
            return _starting(request)
        try:
            text, properties = _statement(await _body(request), "sql", "properties")
            query, plan = self._engine.push_query(text)
        except KsqlError as error:
            # The real server gives no content type and no length here.
            text = json.dumps(error.answer(), separators=(",", ":"), ensure_ascii=False)
            return StreamingResponse(iter((text,)), error.status)
        columns = [projection.column for projection in plan.values]
        header = {
            "queryId": push.query_id(query),
            "columnNames": [column.name for column in columns],
            "columnTypes": [format_quoted_type(column.type) for column in columns],
        }

        async def body() -> AsyncIterator[str]:
            yield json.dumps(header, separators=(",", ":"), ensure_ascii=False) + "\n"
            async for batch in self._rows(query, plan, properties):
                yield "".join(f"[{_values(row, plan)}]\n" for row in batch)

        return StreamingResponse(body(), media_type=_DELIMITED)

    async def _query(self, request: Request) -> Response:
        """The older way: one JSON array, an element a line."""
        if not self.ready:
            return _starting(request)
        try:
            text, properties = _statement(await _body(request), "ksql", "streamsProperties")
            query, plan = self._engine.push_query(text)
        except KsqlError as error:
            return _answer(request, error.answer(), error.status)

        async def body() -> AsyncIterator[str]:
            schema = string_text(format_schema(plan.schema))
            yield f'[{{"header":{{"queryId":"{push.query_id(query)}","schema":{schema}}}}},\n'
            async for batch in self._rows(query, plan, properties):
                yield "".join(f'{{"row":{{"columns":[{_values(row, plan)}]}}}},\n' for row in batch)
            yield '{"finalMessage":"Limit Reached"}]\n'

        return StreamingResponse(body(), media_type=_JSON)

    async def _rows(
        self, query: t.Query, plan: QueryPlan, properties: Mapping[str, Any]
    ) -> AsyncIterator[list[list[Any]]]:
        reset = properties.get("auto.offset.reset") or properties.get("ksql.streams.auto.offset.reset")
        beginning = (reset or self._settings.auto_offset_reset) == "earliest"
        batches = push.rows(self._settings, plan, beginning, query.limit)
        try:
            while not self.stopping:
                batch = await anyio.to_thread.run_sync(next, batches, None)
                if batch is None:
                    return
                yield batch
        finally:
            batches.close()


async def _body(request: Request) -> Any:
    if "origin" in request.headers:  # a browser says for which web page it asks
        raise KsqlError("A web page may not ask")
    try:
        return json.loads(await request.body())
    except ValueError:
        raise KsqlError("Invalid JSON in request") from None


def _statement(body: Any, name: str, properties_name: str) -> tuple[str, Mapping[str, Any]]:
    """The statement and the properties of a request's body; either name of the two APIs will do."""
    if not isinstance(body, dict):
        raise KsqlError("Invalid JSON in request")
    text = body.get(name, body.get("sql", body.get("ksql")))
    properties = body.get(properties_name) or body.get("streamsProperties") or body.get("properties") or {}
    if not isinstance(text, str):
        raise KsqlError(f'The request has no "{name}"')
    if not isinstance(properties, dict):
        raise KsqlError(f'"{properties_name}" is no object')
    return text, properties


def _values(row: list[Any], plan: QueryPlan) -> str:
    return ",".join(json_value(value, p.column.type) for value, p in zip(row, plan.values, strict=True))


def _answer(request: Request, body: Any, status: int = 200) -> Response:
    """A JSON answer, of ksqlDB's own media type when the client asks for that one."""
    media_type = _KSQL_JSON if _KSQL_JSON in request.headers.get("accept", "") else _JSON
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    return Response(text, status, headers={"content-type": media_type})


def _starting(request: Request) -> Response:
    return _answer(request, KsqlError("KSQL is not yet ready to serve requests.", 50300).answer(), 503)
