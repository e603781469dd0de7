"""The case of the console: what it costs with nothing to do, and what the pipeline does with it and without it."""

import logging
import re
import time
from statistics import quantiles

import psutil
import requests
from playwright.sync_api import Page, expect

from benchmarks.cases import Plan
from benchmarks.report import Row
from benchmarks.whole_stack import PATIENCE_SECONDS, result_delays, seeded_stack, state_of
from contracts import topics
from tests.support.browser import CHROMIUM, chromium
from tests.support.stack import Stack, wait_until

logger = logging.getLogger(__name__)

RATE = 1_000
# Rows/s: what the bank knows to be fraudulent, and what the validator finds so of the others, by their defaults.
OFFERED = RATE * (0.2 + 0.8 * 0.3)
IDLE_COUNT = 1_000
SETTLE_SECONDS = 5.0
NAME = "Smith"
LOOKED_THROUGH = re.compile(r" in [\d,]+ records")  # the end of a search: Page._search in console/page.py


def console(plan: Plan) -> list[Row]:
    """At 1,000 transactions/s phases with the console alternate with phases in which it is held still: SIGSTOP, SIGCONT."""
    return [*_idle(plan), *_under_load(plan)]


def _idle(plan: Plan) -> list[Row]:
    cpu, memory = Row("console, idle", "% of a core", at_most=5), Row("console, idle", "MiB", at_most=150)
    with seeded_stack(RATE, IDLE_COUNT) as stack:
        wait_until(lambda: _at_rest(stack), PATIENCE_SECONDS, "everything is read")
        time.sleep(SETTLE_SECONDS)
        process = _process(stack)
        for _ in range(plan.repetitions):
            cpu.ours.append(process.cpu_percent(plan.stack_seconds))
            memory.ours.append(process.memory_info().rss / 2**20)
    return [cpu, memory]


def _under_load(plan: Plan) -> list[Row]:
    name = f"console at {RATE:,}/s"
    rows_written = Row(f"{name}: rows on the result topic", "rows/s", limit=[OFFERED], share_of_limit=0.95)
    delays = {percent: Row(f"{name}: to the result topic, p{percent}", "s") for percent in (50, 99)}
    cpu, memory = Row(name, "% of a core"), Row(f"{name}, after a search", "MiB")
    opened, searched = Row(f"{name}: the page is there", "s"), Row(f"{name}: a search by name", "s")
    with seeded_stack(RATE) as stack:
        process = _process(stack)

        def with_console() -> list[float]:
            process.cpu_percent()  # since when the next one counts
            found = result_delays(stack, plan.stack_seconds)
            cpu.ours.append(process.cpu_percent())
            return found

        def without() -> list[float]:
            process.suspend()
            try:
                return result_delays(stack, plan.stack_seconds)
            finally:
                process.resume()
                time.sleep(SETTLE_SECONDS)  # it reads what it has missed

        time.sleep(plan.stack_warm_up)
        for number in range(plan.repetitions):
            # What one phase leaves behind is a load for the next: they take turns at going first.
            if number % 2:
                held, running = without(), with_console()
            else:
                running, held = with_console(), without()
            logger.info("%s: %d rows with it, %d without", name, len(running), len(held))
            rows_written.ours.append(len(running) / plan.stack_seconds)
            rows_written.baseline.append(len(held) / plan.stack_seconds)
            for percent, row in delays.items():
                row.ours.append(quantiles(running, n=100)[percent - 1])
                row.baseline.append(quantiles(held, n=100)[percent - 1])
        if CHROMIUM is not None:
            with chromium() as browser:
                for _ in range(plan.repetitions):
                    _visit(browser.new_page(), stack.settings.console_url, opened, searched)
                    memory.ours.append(process.memory_info().rss / 2**20)
    if CHROMIUM is None:
        logger.warning("chromium is not on PATH: the page was not opened")
    return [row for row in (rows_written, *delays.values(), cpu, memory, opened, searched) if row.ours]


def _visit(page: Page, url: str, opened: Row, searched: Row) -> None:
    expect.set_options(timeout=PATIENCE_SECONDS * 1000)
    started = time.monotonic()
    page.goto(url)
    expect(page.get_by_role("table", name="The newest frauds").locator("tbody tr").first).to_be_visible()
    opened.ours.append(time.monotonic() - started)
    started = time.monotonic()
    page.get_by_role("textbox", name="Transaction, account or user").fill(NAME)
    page.keyboard.press("Enter")
    expect(page.get_by_text(LOOKED_THROUGH)).to_be_visible()
    searched.ours.append(time.monotonic() - started)


def _at_rest(stack: Stack) -> bool:
    state = requests.get(f"{stack.settings.console_url}/api/state", timeout=10).json()
    return state["topics"][topics.BANK_TRANSACTIONS]["records"] == IDLE_COUNT and all(
        not lag for group in state["groups"].values() for lag in group["lag"].values()
    )


def _process(stack: Stack) -> psutil.Process:
    return psutil.Process(state_of(stack)["services"]["console"]["pid"])
