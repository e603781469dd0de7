"""The simulator: `python -m validator`."""

from threading import Event

import uvicorn

from contracts.service import Environment, load_settings, run_service
from validator.app import create_app


class ServerSettings(Environment, env_prefix="VALIDATOR_"):
    """Where to listen."""

    host: str = "127.0.0.1"
    port: int = 8000


def main(_stopping: Event) -> None:
    """Serve until SIGTERM or SIGINT, which uvicorn handles itself: open calls are answered first."""
    server = load_settings(ServerSettings)
    uvicorn.run(create_app(), host=server.host, port=server.port, access_log=False, log_level="warning")


if __name__ == "__main__":
    run_service(main)
