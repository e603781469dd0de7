"""One stack for the browser tests, and a real browser."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from local.settings import ROOT
from tests.support.browser import CHROMIUM, chromium
from tests.support.expectation import SeededSet
from tests.support.stack import Stack, running_stack

SCREENSHOTS = ROOT / ".local" / "screenshots"
SENT = SeededSet(count=1_000, rate=100)
# A page is as quick as the machine is free; what is waited for is there or it is not.
PATIENCE_MS = 120_000


@dataclass
class Visit:
    """A page, and what its browser complained of or asked elsewhere for."""

    page: Page
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Skips where there is none."""
    if CHROMIUM is None:
        pytest.skip("chromium is not on PATH (on Debian: apt install chromium)")
    expect.set_options(timeout=PATIENCE_MS)
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def stack(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole local stack, through which the bank sends one seeded set, poison included."""
    with running_stack(tmp_path_factory.mktemp("stack") / "local", SENT.environment) as running:
        yield running


@pytest.fixture(params=["light"])
def visit(request: pytest.FixtureRequest, browser: Browser, stack: Stack) -> Iterator[Visit]:
    """The page as a first visitor sees it. Afterwards it must have complained of nothing and asked no other host."""
    scheme, width = request.param if isinstance(request.param, tuple) else (request.param, 1440)
    with browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme) as context:
        context.set_default_timeout(PATIENCE_MS)
        visiting = Visit(context.new_page())
        page, url = visiting.page, stack.settings.console_url

        def asked(to: str) -> None:
            if not to.startswith((url, url.replace("http", "ws"), "data:", "blob:")):
                visiting.complaints.append(f"asked {to}")

        def said(message: ConsoleMessage) -> None:
            if message.type == "error":
                visiting.complaints.append(message.text)

        page.on("console", said)
        page.on("pageerror", lambda error: visiting.complaints.append(str(error)))
        page.on("request", lambda request: asked(request.url))
        page.on("websocket", lambda socket: asked(socket.url))
        page.goto(url)
        expect(page.get_by_role("img", name="The flow of transactions")).to_be_visible()
        yield visiting
        assert visiting.complaints == []


@pytest.fixture
def page(visit: Visit) -> Page:
    """The page itself."""
    return visit.page
