"""The simulator: `python -m validator`."""

from threading import Event

import uvicorn

from runtime.service import load_settings, run_service
from validator.app import create_app
from validator.settings import ServerSettings


def main(_stopping: Event) -> None:
    """Serve until SIGTERM or SIGINT, which uvicorn handles itself: open calls are answered first."""
    server = load_settings(ServerSettings)
    uvicorn.run(create_app(), host=server.host, port=server.port, access_log=False, log_level="warning")


if __name__ == "__main__":
    run_service(main)
