"""The page: built once a browser, then kept up to date with what changed, at most once a second and only while it is open."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import httpx
from confluent_kafka import KafkaException
from fastapi import FastAPI
from nicegui import Client, ui
from nicegui.element import Element

from console import charts, flow, polls, search, tables
from console.collector import Collector
from console.series import TICK_SECONDS
from console.state import State
from console.tables import NOTHING
from contracts import topics

logger = logging.getLogger(__name__)

REFRESH_SECONDS = 1.0
# Rows of a long table that are shown until more is asked for.
FIRST = 8
TITLE = "Real-time fraud detection"
WEB = Path(__file__).parent / "web"


class Flow(Element, component="web/flow.js"):
    """The picture of the pipeline."""

    def __init__(self) -> None:
        super().__init__()
        self._props["picture"] = flow.picture()
        self._props["values"] = {}

    def show(self, values: dict[str, dict[str, Any]]) -> None:
        """Send what the nodes say, if it is new."""
        if values != self._props["values"]:
            self._props["values"] = values
            self.update()


class Rows(Element, component="web/rows.js"):
    """A table."""

    def __init__(self, caption: str, columns: list[tables.Column], empty: str, first: int = 20) -> None:
        super().__init__()
        self._props.update(caption=caption, columns=columns, rows=[], empty=empty, first=first)

    def show(self, rows: list[tables.Row]) -> None:
        """Send the rows, if they are new."""
        if rows != self._props["rows"]:
            self._props["rows"] = rows
            self.update()


class Theme(Element, component="web/theme.js"):
    """The button that chooses between dark and light; its event `dark` says which it is."""


class Chart:
    """A chart, whose numbers are sent without its looks."""

    def __init__(self, chart: charts.Chart) -> None:
        self._chart = chart
        self._sent: list[list[float | None]] = []
        self._element = ui.echart(charts.options(chart, dark=False), renderer="svg").classes("chart")

    def theme(self, dark: bool) -> None:
        """Give it the colours of a theme."""
        self._element.run_chart_method("setOption", charts.options(self._chart, dark))

    def show(self, rows: list[list[float | None]]) -> None:
        """Send the numbers, if there are new ones."""
        if rows != self._sent:
            self._sent = rows
            self._element.run_chart_method("setOption", {"dataset": {"source": rows}})


class Page:
    """One browser's page."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._updates: list[Callable[[State], object]] = []
        self._searching = False
        with ui.element("header"):
            _text("h1", TITLE)
            self._verdict = ui.label().classes("verdict").props("role=status")
            theme = Theme()
        with ui.element("main"):
            self._build_tiles()
            with _section("The flow"):
                picture = Flow()
                self._updates.append(lambda state: picture.show(flow.values(state)))
            with _section("The last minutes"), ui.element("div").classes("charts"):
                self._build_charts(theme)
            with _section("The newest frauds"):
                self._build_frauds()
            with _section("Dead letters"):
                _text(
                    "p",
                    "What could not be processed. Names, addresses and whatever else may be personal is masked.",
                    "note",
                )
                letters = Rows(
                    "The latest dead letters", tables.LETTERS, "None. Every record kept to its contract.", FIRST
                )
                self._updates.append(lambda _: letters.show(tables.letters(collector.letters())))
            with _section("The parts"), ui.element("div").classes("columns"):
                self._build_parts()
        self._refresh()  # the page comes with what is known, not with "None"
        ui.timer(REFRESH_SECONDS, self._refresh)

    def _refresh(self) -> None:
        state = self._collector.state()
        self._verdict.set_text(verdict(state))
        self._verdict.classes(replace=f"verdict {'bad' if state.faults else 'warn' if state.warnings else 'ok'}")
        run_all(self._updates, state)

    def _build_tiles(self) -> None:
        with ui.element("dl").classes("tiles"):
            for label, value in TILES:
                with ui.element("div"):
                    _text("dt", label)
                    with ui.element("dd"):
                        figure = ui.label(NOTHING)
                self._updates.append(lambda state, figure=figure, value=value: figure.set_text(value(state)))

    def _build_charts(self, theme: Theme) -> None:
        drawn: list[tuple[charts.Chart, Chart]] = []
        for chart in charts.CHARTS:
            with ui.element("div").classes("card"):
                _text("h3", chart.title)
                drawn.append((chart, Chart(chart)))

        def repaint(event: Any) -> None:
            for _, element in drawn:
                element.theme(bool(event.args))

        def redraw() -> None:
            ticks = list(self._collector.series)
            for chart, element in drawn:
                element.show(charts.rows(chart, ticks))

        theme.on("dark", repaint)
        ui.timer(TICK_SECONDS, redraw)

    def _build_frauds(self) -> None:
        with ui.element("form").classes("search").props("role=search").on("submit.prevent", self._search):
            self._wanted = ui.input("Transaction, account or user").props("outlined dense clearable")
            _text("button", "Search", "main").props("type=submit")
        self._answer = ui.label().classes("note").props("role=status")
        self._found = Rows("What was found", tables.FRAUDS, "", FIRST)
        self._found.set_visibility(False)
        newest = Rows("The newest frauds", tables.FRAUDS, "None yet.", FIRST)
        self._updates.append(lambda _: newest.show(tables.frauds(self._collector.frauds(), self._collector.name_of)))

    async def _search(self) -> None:
        wanted = (self._wanted.value or "").strip()
        if self._searching:
            return
        if not wanted:
            self._answer.set_text("")
            self._found.set_visibility(False)
            return
        self._searching = True
        self._answer.set_text("Searching…")
        try:
            found = await asyncio.to_thread(search.find, wanted)
        except KafkaException:
            self._answer.set_text("Kafka does not answer: try again when it is up.")
            return
        finally:
            self._searching = False
        rows = tables.frauds(found.frauds, lambda user: found.names.get(user) or self._collector.name_of(user))
        self._found.show(rows)
        self._found.set_visibility(bool(rows))
        count = f"The newest {len(rows)} matches" if len(rows) == search.NEWEST else f"{len(rows)} found"
        whole = "" if found.complete else ", which are not all that there are"
        self._answer.set_text(f"{count} for “{wanted}”: {found.looked_through:,} records were looked through{whole}.")

    def _build_parts(self) -> None:
        for title, columns, rows, empty in (
            ("Health", tables.PARTS, tables.parts, "None was asked yet."),
            ("Topics", tables.TOPICS, tables.topic_totals, ""),
            ("Connectors", tables.CONNECTORS, tables.connectors, "None is known."),
            ("Queries", tables.QUERIES, tables.queries, "None is known."),
            ("Consumer groups", tables.GROUPS, tables.groups, "None is known."),
        ):
            with ui.element("div"):
                _text("h3", title)
                table = Rows(title, columns, empty)
            self._updates.append(lambda state, table=table, rows=rows: table.show(rows(state)))
            if columns is tables.CONNECTORS:
                table.on("act", lambda event: self._restart(event.args))

    async def _restart(self, connector: str) -> None:
        try:
            await self._collector.restart_connector(connector)
            ui.notify(f"{connector} is restarting")
        except httpx.HTTPError as error:
            ui.notify(f"{connector} was not restarted: Kafka Connect {polls.problem_of(error)}", type="negative")


TILES: tuple[tuple[str, Callable[[State], str]], ...] = (
    ("Transactions/s", lambda state: f"{state.topics[topics.BANK_TRANSACTIONS].rate:,.1f}"),
    ("Transactions", lambda state: f"{state.topics[topics.BANK_TRANSACTIONS].records:,}"),
    ("Frauds found", lambda state: f"{state.topics[topics.FRAUDULENT_TRANSACTIONS_RESULT].records:,}"),
    ("Fraud share", lambda state: NOTHING if state.fraud_share is None else f"{state.fraud_share:.0%}"),
    (
        "End to end, p50 / p99",
        lambda state: f"{state.end_to_end.p50:.2f} / {state.end_to_end.p99:.2f} s" if state.end_to_end else NOTHING,
    ),
    ("Dead letters", lambda state: f"{state.dead_letters:,}"),
)


def add_to(app: FastAPI, collector: Collector) -> None:
    """Serve the page at /."""

    @ui.page("/")
    def page(client: Client) -> None:
        client.content.classes("page")
        ui.add_css(WEB / "style.css")
        Page(collector)

    ui.run_with(
        app,
        title=TITLE,
        favicon=WEB / "icon.svg",
        dark=None,
        language="en-GB",
        tailwind=False,
        binding_refresh_interval=None,
        show_welcome_message=False,
        # On a machine that is busy enough the default of 3 s makes pages reload, and what was typed is gone.
        reconnect_timeout=30.0,
    )


def run_all(updates: Iterable[Callable[[State], object]], state: State) -> None:
    """Each of them, whatever becomes of the others: one broken table must not stop the page."""
    for update in updates:
        try:
            update(state)
        except Exception:
            logger.exception("a part of the page was not brought up to date")


def verdict(state: State) -> str:
    counting = "Counting what is already there… " if state.counting else ""
    problems = (*state.faults, *state.warnings)
    if not problems:
        return f"{counting}● All is well"
    first, *others = problems
    return f"{counting}▲ {first}" + (f", and {len(others)} more" if others else "")


def _section(title: str) -> Element:
    section = ui.element("section")
    with section:
        _text("h2", title)
    return section


def _text(tag: str, text: str, classes: str = "") -> Element:
    return ui.html(text, tag=tag, sanitize=False).classes(classes)
