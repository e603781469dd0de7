"""A real browser: the chromium of the machine."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

CHROMIUM = shutil.which("chromium")


@contextmanager
def chromium() -> Iterator[Browser]:
    """It has to be on PATH: a browser that was fetched for a test would not be the machine's."""
    with sync_playwright() as playwright:
        # Chromium's sandbox does not work for root, which containers and CI are.
        arguments = ["--no-sandbox"] if os.getuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()
