"""Makes the pictures in docs/ again, from a stack of its own: `bash tests/run.sh pictures`, with `chromium` on PATH."""

import re
import sys
import tempfile
from io import StringIO
from pathlib import Path

import requests
from playwright.sync_api import Browser, ViewportSize, expect
from rich.console import Console

from local import state, view
from local.settings import ROOT
from runtime.services import VALIDATOR
from tests.support.browser import CHROMIUM, chromium
from tests.support.stack import Stack, running_stack, wait_until

DOCS = ROOT / "docs"
WIDE, PHONE = ViewportSize(width=1440, height=1205), ViewportSize(width=390, height=844)
# The charts have two minutes; what is on them is to look like a stack that has run for a while.
ROWS_FIRST, SECONDS = 1_500, 400
BANK = {"BANK_SEED": "20261124", "BANK_RATE": "25", "BANK_POISON_SHARE": "0.004"}


def console(browser: Browser, stack: Stack, name: str, dark: bool = False, phone: bool = False) -> None:
    """What a screen has of the page, from the verdict to the charts."""
    with browser.new_context(
        viewport=PHONE if phone else WIDE,
        device_scale_factor=2 if phone else 1,
        color_scheme="dark" if dark else "light",
    ) as context:
        page = context.new_page()
        page.goto(stack.settings.console_url)
        # A chart without numbers has no times below it.
        expect(page.locator(".chart").last.get_by_text(re.compile(r"\d\d:\d\d")).first).to_be_attached(timeout=60_000)
        page.screenshot(path=DOCS / f"{name}.png")


def transaction(browser: Browser, stack: Stack) -> None:
    """The way of one of the newest frauds to both stores."""
    with browser.new_context(viewport=WIDE) as context:
        page = context.new_page()
        page.goto(stack.settings.console_url)
        page.get_by_role("table", name="The newest frauds").get_by_role("link").last.click()
        verdict = page.locator("header").get_by_role("status")
        expect(verdict).to_contain_text("stored in MongoDB and S3", timeout=60_000)
        page.screenshot(path=DOCS / "transaction.png", full_page=True)


def terminal(browser: Browser, stack: Stack) -> None:
    """The live view of `./start.sh --local`."""
    width, height = 130, 40
    shown = Console(record=True, width=width, file=StringIO())
    shown.print(view.live(state.read(stack.settings.folders.state) or {}, stack.settings, width, height))
    with browser.new_context(viewport=WIDE) as context:
        page = context.new_page()
        page.set_content(shown.export_svg(title="./start.sh --local"))
        page.locator("svg").screenshot(path=DOCS / "terminal.png")


def faults(stack: Stack) -> list[str]:
    return requests.get(f"{stack.settings.console_url}/api/state", timeout=5).json()["faults"]


def rows(stack: Stack) -> int:
    return requests.get(f"{stack.settings.console_url}/api/state", timeout=5).json()["topics"]["users"]["records"]


def main() -> int:
    """Take all of them. Returns the exit code."""
    if CHROMIUM is None:
        sys.exit("chromium is not on PATH (on Debian: apt install chromium)")
    with (
        tempfile.TemporaryDirectory() as folder,
        running_stack(Path(folder) / "local", BANK) as stack,
        chromium() as browser,
    ):
        wait_until(lambda: rows(stack) > ROWS_FIRST, SECONDS, f"{ROWS_FIRST} rows of users")
        console(browser, stack, "console")
        console(browser, stack, "console-dark", dark=True)
        console(browser, stack, "console-phone", dark=True, phone=True)
        transaction(browser, stack)
        terminal(browser, stack)
        requests.put(f"{stack.validator_url}/simulation", json={"hang": True}, timeout=5).raise_for_status()
        wait_until(
            lambda: any(VALIDATOR in fault or "waits" in fault for fault in faults(stack)),
            120,
            "the console sees the outage",
        )
        console(browser, stack, "console-outage")
    return 0


if __name__ == "__main__":
    sys.exit(main())
