"""The web application: the page, and for programs /api/state, /api/events, /api/transaction/<id>, /metrics and /healthz."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from starlette.middleware.trustedhost import TrustedHostMiddleware

from console import page, transaction
from console.collector import Collector
from console.metrics import StateMetrics
from console.settings import Settings

# The names that the console is called by: from this machine, and from the containers beside it. Any other name is
# refused: a page elsewhere could have its own name point here (DNS rebinding), and read the console.
HOSTS = ["localhost", "127.0.0.1", "console"]


def application(settings: Settings) -> FastAPI:
    """The application; it begins to look at the stack when it is started."""
    collector = Collector(settings)
    REGISTRY.register(StateMetrics(collector.state))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        collector.start()
        yield
        await collector.stop()

    app = FastAPI(lifespan=lifespan, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=HOSTS)

    @app.get("/api/state")
    def state() -> Response:
        return Response(orjson.dumps(collector.state().to_json()), media_type="application/json")

    @app.get("/api/events")
    def events() -> Response:
        now = time.time()
        found = [event.to_json(now) for event in collector.events()]
        return Response(orjson.dumps(found), media_type="application/json")

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/healthz")
    def healthz() -> Response:
        health = collector.health()
        return Response(health.detail or "ok", 200 if health.up else 503, media_type="text/plain")

    transaction.add_to(app, collector)
    page.add_to(app, collector)
    return app
