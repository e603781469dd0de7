"""The page of one transaction, at /transaction/<id>, and the same for programs at /api/transaction/<id>."""

import asyncio
import time
from typing import Any
from urllib.parse import quote

import orjson
from confluent_kafka import KafkaException
from fastapi import FastAPI, Response
from nicegui import Client, ui

from console import lookup, tables
from console.collector import Collector
from console.page import TITLE, WEB, Rows, Theme, text
from console.stages import WAITING, Trace, trace

# A transaction that waits is looked up again.
REFRESH_SECONDS = 2.0
NO_KAFKA = "Kafka does not answer: try again when it is up"


class LookUpError(Exception):
    """Why a look-up has no result; `code` is HTTP's."""

    def __init__(self, code: int, summary: str) -> None:
        super().__init__(summary)
        self.code = code


async def look_up(collector: Collector, identity: str) -> Trace:
    """The transaction's way. Raises LookUpError."""
    committed = collector.committed()
    loop = asyncio.get_running_loop()
    try:
        found = await loop.run_in_executor(collector.look_ups, lookup.find, identity, committed, collector.reader.keys)
    except KafkaException:
        raise LookUpError(503, NO_KAFKA) from None
    if (way := trace(found, time.time())) is not None:
        return way
    if not found.complete:
        seconds = f"{lookup.SECONDS:.0f} s"
        raise LookUpError(504, f"No transaction {identity} was found in {seconds}: not all that Kafka holds was read")
    raise LookUpError(
        404, f"No transaction {identity} is among the records that Kafka holds (by default those of the last 7 days)"
    )


class TransactionPage:
    """One browser's page of one transaction."""

    def __init__(self, collector: Collector, identity: str) -> None:
        self._collector, self._identity = collector, identity
        with ui.element("header"):
            text("h1", "Transaction")
            self._summary = ui.label("Looking it up…").classes("verdict").props("role=status")
            Theme()
        with ui.element("main"), ui.element("section"):
            with ui.element("div").classes("identity"):
                ui.label(identity).classes("id")
                text("button", "Copy id", "plain").props("type=button").on(
                    "click", lambda: ui.clipboard.write(identity)
                )
                ui.link("Raw JSON", f"/api/transaction/{quote(identity, safe='')}")
                ui.link("Console", "/")
            self._stages = Rows("Stages", tables.STAGES, "")
        self._timer = ui.timer(REFRESH_SECONDS, self._refresh)

    async def _refresh(self) -> None:
        self._timer.deactivate()
        try:
            found = await look_up(self._collector, self._identity)
        except LookUpError as error:
            self._say(str(error), "bad" if error.code == 503 else "warn")
            if error.code == 503:
                self._timer.activate()
            return
        self._say(found.summary, TONES[found.status])
        self._stages.show(rows=tables.stages(found.stages))
        if found.status == WAITING:
            self._timer.activate()

    def _say(self, summary: str, tone: str) -> None:
        self._summary.set_text(summary)
        self._summary.classes(replace=f"verdict {tone}")


TONES = {"done": "ok", "waiting": "warn", "dead letter": "bad", "unknown": "warn"}


def add_to(app: FastAPI, collector: Collector) -> None:
    """Serve the page and the JSON."""

    @app.get("/api/transaction/{identity:path}")
    async def transaction(identity: str) -> Response:
        try:
            found = await look_up(collector, identity)
        except LookUpError as error:
            return _json({"id": identity, "summary": str(error)}, error.code)
        return _json(found.to_json(), 200)

    @ui.page("/transaction/{identity:path}", title=f"Transaction · {TITLE}")
    def page(client: Client, identity: str) -> None:
        client.content.classes("page")
        ui.add_css(WEB / "style.css")
        TransactionPage(collector, identity)


def _json(content: Any, code: int) -> Response:
    return Response(orjson.dumps(content, option=orjson.OPT_INDENT_2), code, media_type="application/json")
