"""The service: `python -m console`."""

import logging
from threading import Event

import uvicorn

from console.api import application
from console.settings import Settings
from runtime.service import load_settings, run_service

# How long an open connection of a browser may delay the end.
GOODBYE_SECONDS = 1


def main(_stopping: Event) -> None:
    """Serve until SIGTERM or SIGINT, which uvicorn handles itself."""
    settings = load_settings(Settings)
    for name in ("httpx", "uvicorn"):
        logging.getLogger(name).setLevel(logging.WARNING)
    uvicorn.run(
        application(settings),
        host=settings.console_host,
        port=settings.console_port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GOODBYE_SECONDS,
    )


if __name__ == "__main__":
    run_service(main)
