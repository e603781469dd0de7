"""The page: built once per browser, then kept up to date with what changed, at most once per second and only while it is open."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from confluent_kafka import KafkaException
from fastapi import FastAPI
from nicegui import Client, ui
from nicegui.element import Element

from console import charts, flow, header, search, tables
from console.collector import Collector
from console.series import RANGES, TICK_SECONDS
from console.state import LATE_SECONDS, State
from console.tables import NOTHING
from contracts import topics
from runtime.connect import Refused, Unavailable

logger = logging.getLogger(__name__)

REFRESH_SECONDS = 1.0
# Rows of a long table that are shown until the user asks for more.
FIRST = 8
TITLE = "Real-time fraud detection"
PAUSE, RESUME = "Pause", "Resume"
WEB = Path(__file__).parent / "web"
ICON, FAULT_ICON = (f"data:image/svg+xml,{quote((WEB / name).read_text())}" for name in ("icon.svg", "icon-fault.svg"))


class Shown(Element):
    """An element that is sent again when one of its values is new."""

    def show(self, **values: Any) -> None:
        """Change the values of these names."""
        if any(self._props.get(name) != value for name, value in values.items()):
            self._props.update(values)


class Flow(Shown, component="web/flow.js"):
    """The picture of the pipeline."""

    def __init__(self) -> None:
        super().__init__()
        self._props["picture"] = flow.picture()
        self._props["values"] = {}


class Rows(Shown, component="web/rows.js"):
    """A table."""

    def __init__(self, caption: str, columns: list[tables.Column], empty: str, first: int = 20) -> None:
        super().__init__()
        self._props.update(caption=caption, columns=columns, rows=[], empty=empty, first=first)


class Section(Element, component="web/section.js"):
    """A part of the page with its heading; one that `folds` is closed at first on a narrow screen."""

    def __init__(self, heading: str, folds: bool = False) -> None:
        super().__init__()
        self._props.update(heading=heading, folds=folds)


class Tab(Shown, component="web/tab.js"):
    """The browser's tab, by its `heading` and its `icon`."""


class Theme(Element, component="web/theme.js"):
    """The button that chooses between dark and light; its event `dark` carries the choice."""


class Ranges(Element, component="web/range.js"):
    """The buttons that choose how far back the charts look; its event `range` carries the choice."""

    def __init__(self) -> None:
        super().__init__()
        self._props["choices"] = [*RANGES]


class Chart:
    """A chart; its numbers are sent separately from its styling."""

    def __init__(self, chart: charts.Chart) -> None:
        self._chart = chart
        self._sent: list[list[float | None]] = []
        self._element = ui.echart(charts.options(chart, dark=False), renderer="svg").classes("chart")

    def theme(self, dark: bool) -> None:
        """Give it the colours of a theme."""
        self._element.run_chart_method("setOption", charts.options(self._chart, dark))

    def show(self, rows: list[list[float | None]]) -> None:
        """Send the numbers, if they have changed."""
        if rows != self._sent:
            self._sent = rows
            self._element.run_chart_method("setOption", {"dataset": {"source": rows}})


class Page:
    """One browser's page."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._updates: list[Callable[[State], object]] = []
        self._searching = self._paused = False
        self._tab = Tab()
        with ui.element("header"):
            text("h1", TITLE)
            self._verdict = ui.label().classes("verdict").props("role=status")
            self._pause = text("button", PAUSE, "plain").props("type=button").on("click", self._toggle_pause)
            theme = Theme()
            self._before = ui.label().classes("before note")
        with ui.element("main"):
            self._build_tiles()
            with Section("The flow"):
                picture = Flow()
                self._updates.append(lambda state: picture.show(values=flow.values(state)))
            with Section("What happened", folds=True):
                happened = Rows("What happened", tables.EVENTS, "Nothing was wrong in the last seven days.", FIRST)
                self._updates.append(lambda _: happened.show(rows=tables.events(collector.events())))
            with Section("Over time", folds=True):
                self._build_charts(theme)
            with Section("Find a transaction"):
                self._build_search()
            with Section("The newest frauds"):
                newest = Rows("The newest frauds", tables.FRAUDS, "None yet.", FIRST)
                self._updates.append(
                    lambda _: newest.show(rows=tables.frauds(collector.reader.records.frauds, collector.name_of))
                )
            with Section("Dead letters", folds=True):
                text(
                    "p",
                    "Records that could not be processed. Names, addresses and other personal data are masked.",
                    "note",
                )
                reasons = Rows("Dead letters by reason", tables.REASONS, "None. Every record was valid.", FIRST)
                self._updates.append(lambda _: reasons.show(rows=tables.reasons(collector.reasons())))
                text("h3", "One by one")
                dead_letters = Rows("The latest dead letters", tables.DEAD_LETTERS, "None.", first=0)
                self._updates.append(
                    lambda _: dead_letters.show(rows=tables.dead_letters(collector.reader.records.dead_letters))
                )
            with Section("Services", folds=True), ui.element("div").classes("columns"):
                self._build_parts()
        self._refresh()  # the page opens with what is known, not with "None"
        ui.timer(REFRESH_SECONDS, self._refresh)

    def _refresh(self) -> None:
        state = self._collector.state()
        self._verdict.set_text(header.verdict(state))
        self._verdict.classes(replace=f"verdict {header.tone(state)}")
        self._tab.show(heading=header.title(state, TITLE), icon=FAULT_ICON if state.faults else ICON)
        before = header.before(state, time.time())
        self._before.set_text(before)
        self._before.set_visibility(bool(before))
        if not self._paused:  # what is wrong is said all the same
            run_all(self._updates, state)

    def _toggle_pause(self) -> None:
        self._paused = not self._paused
        self._pause.set_content(RESUME if self._paused else PAUSE)
        self._refresh()

    def _build_tiles(self) -> None:
        with ui.element("dl").classes("tiles"):
            for label, value in TILES:
                with ui.element("div"):
                    text("dt", label)
                    with ui.element("dd"):
                        figure = ui.label(NOTHING)
                        if label == END_TO_END:
                            self._build_waiting()
                self._updates.append(lambda state, figure=figure, value=value: figure.set_text(value(state)))

    def _build_waiting(self) -> None:
        shown = ui.label()

        def update(state: State) -> None:
            text, tone = oldest_waiting(state)
            shown.set_text(text)
            shown.classes(replace=f"waiting {tone}")

        self._updates.append(update)

    def _build_charts(self, theme: Theme) -> None:
        drawn: list[tuple[charts.Chart, Chart]] = []
        chosen = next(iter(RANGES))
        ranges = Ranges()
        with ui.element("div").classes("charts"):
            for chart in charts.CHARTS:
                with ui.element("div").classes("card"):
                    text("h3", chart.title)
                    drawn.append((chart, Chart(chart)))

        def repaint(event: Any) -> None:
            for _, element in drawn:
                element.theme(bool(event.args))

        def redraw() -> None:
            points = self._collector.series.points(chosen)
            for chart, element in drawn:
                element.show(charts.rows(chart, points))

        def choose(event: Any) -> None:
            nonlocal chosen
            chosen = event.args if event.args in RANGES else chosen
            redraw()

        theme.on("dark", repaint)
        ranges.on("range", choose)
        ui.timer(TICK_SECONDS, lambda: None if self._paused else redraw())

    def _build_search(self) -> None:
        with ui.element("form").classes("search").props("role=search").on("submit.prevent", self._search):
            self._wanted = ui.input("Transaction, account or user").props("outlined dense clearable")
            text("button", "Search", "main").props("type=submit")
        self._answer = ui.label().classes("note").props("role=status")
        with ui.element("p").classes("note") as self._way:
            self._way_of = ui.link("What became of the transaction with this id")
        with ui.element("div") as self._results:
            text("h3", "What was found")
            self._found = Rows("What was found", tables.FRAUDS, "", FIRST)
        self._results.set_visibility(False)
        self._way.set_visibility(False)

    async def _search(self) -> None:
        wanted = (self._wanted.value or "").strip()
        if self._searching:
            return
        # Only frauds are searched; of any other transaction the id has to be known as a whole.
        self._way.set_visibility(len(wanted.split()) == 1)
        self._way_of.props(f'href="/transaction/{quote(wanted, safe="")}"')
        if not wanted:
            self._answer.set_text("")
            self._results.set_visibility(False)
            return
        self._searching = True
        self._answer.set_text("Searching…")
        try:
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(self._collector.searches, search.find, wanted, self._collector.users())
        except KafkaException:
            self._answer.set_text("Kafka does not answer: try again when it is up.")
            return
        finally:
            self._searching = False
        rows = tables.frauds(found.frauds, lambda user: found.names.get(user) or self._collector.name_of(user))
        self._found.show(rows=rows)
        self._results.set_visibility(bool(rows))
        kind = "fraud" if len(rows) == 1 else "frauds"
        count = f"The newest {len(rows)} {kind}" if len(rows) == search.NEWEST else f"{len(rows)} {kind} found"
        older = "" if found.complete else "; older ones were not searched"
        self._answer.set_text(f"{count} for “{wanted}” in {found.looked_through:,} records{older}.")

    def _build_parts(self) -> None:
        for title, columns, rows, empty in (
            ("Health", tables.SERVICES, tables.services, "Not checked yet."),
            ("Brokers", tables.BROKERS, tables.brokers, "None known yet."),
            ("Topics", tables.TOPICS, tables.topic_totals, ""),
            ("Connectors", tables.CONNECTORS, tables.connectors, "None known yet."),
            ("Queries", tables.QUERIES, tables.queries, "None known yet."),
            ("Consumer groups", tables.GROUPS, tables.groups, "None known yet."),
        ):
            with ui.element("div"):
                text("h3", title)
                table = Rows(title, columns, empty)
            self._updates.append(lambda state, table=table, rows=rows: table.show(rows=rows(state)))
            if columns is tables.CONNECTORS:
                table.on("act", lambda event: self._restart(event.args))

    async def _restart(self, connector: str) -> None:
        try:
            await self._collector.restart_connector(connector)
            ui.notify(f"{connector} is restarting")
            if await self._collector.runs_again(connector):
                ui.notify(f"{connector} runs again", type="positive")
            else:
                ui.notify(f"{connector} does not run yet", type="negative")
        except (Unavailable, Refused) as error:
            ui.notify(f"{connector} was not restarted: Kafka Connect: {error}", type="negative")


END_TO_END = "End to end, p50 / p99"
TILES: tuple[tuple[str, Callable[[State], str]], ...] = (
    ("Transactions/s", lambda state: f"{state.topics[topics.BANK_TRANSACTIONS].rate:,.1f}"),
    ("Transactions", lambda state: f"{state.topics[topics.BANK_TRANSACTIONS].records:,}"),
    ("Frauds found", lambda state: f"{state.topics[topics.FRAUDULENT_TRANSACTIONS_RESULT].records:,}"),
    ("Fraud share", lambda state: NOTHING if state.fraud_share is None else f"{state.fraud_share:.0%}"),
    (
        END_TO_END,
        lambda state: f"{state.end_to_end.p50:.2f} / {state.end_to_end.p99:.2f} s" if state.end_to_end else NOTHING,
    ),
    ("Dead letters", lambda state: f"{state.dead_letters:,}"),
)


def oldest_waiting(state: State) -> tuple[str, str]:
    """What is said below the delays of what has arrived, and its tone: of what has not, the oldest."""
    if state.oldest_waiting is None:
        return "nothing is waiting", ""
    return f"oldest waiting: {state.oldest_waiting:,.1f} s", "bad" if state.oldest_waiting > LATE_SECONDS else ""


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
        gzip_middleware_factory=None,  # it would only make a browser on this machine wait
        show_welcome_message=False,
        # On a very busy machine the default of 3 s makes pages reload, and whatever was typed is lost.
        reconnect_timeout=30.0,
    )


def run_all(updates: Iterable[Callable[[State], object]], state: State) -> None:
    """Run every update, even if others fail: one broken table must not stop the page."""
    for update in updates:
        try:
            update(state)
        except Exception:
            logger.exception("part of the page could not be updated")


def text(tag: str, content: str, classes: str = "") -> ui.html:
    """An element of this tag."""
    return ui.html(content, tag=tag, sanitize=False).classes(classes)
