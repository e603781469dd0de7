"""The HTTP side of the process: HTTP/1.1 and HTTP/2 on one port, without TLS, as the real server has them.

curl and the init script speak HTTP/1.1. The ksqlDB clients on PyPI speak HTTP/2 to /query-stream, from the first byte.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import hypercorn.asyncio
import hypercorn.config

_GRACE = 1  # seconds that open requests have at the end; a push query ends by itself within them


def listen(host: str, port: int) -> socket.socket:
    """Take the port. Raises OSError when it is taken already."""
    return socket.create_server((host, port))


async def serve(application: Any, listening: socket.socket, stop: asyncio.Event) -> None:
    """Serve an ASGI application until `stop` is set."""
    config = hypercorn.config.Config()
    config.bind = [f"fd://{listening.fileno()}"]
    config.include_server_header = False
    config.include_date_header = False
    config.graceful_timeout = _GRACE
    config.loglevel = "WARNING"
    await hypercorn.asyncio.serve(application, config, shutdown_trigger=stop.wait)
