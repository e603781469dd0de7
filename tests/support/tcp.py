"""What stands in place of a broker, or before one."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import ThreadingTCPServer
from threading import Thread
from typing import TypeVar

HEADER = struct.Struct(">hhi")  # a request's kind and version, and its number
LENGTH = struct.Struct(">i")  # of a request or an answer, before it


class LocalServer(ThreadingTCPServer):
    """A server on a port of its own."""

    daemon_threads = True
    allow_reuse_address = True

    @property
    def address(self) -> str:
        """For `bootstrap.servers`."""
        return f"127.0.0.1:{self.server_address[1]}"


ServerT = TypeVar("ServerT", bound=LocalServer)


@contextmanager
def serving(server: ServerT) -> Iterator[ServerT]:
    """The server, which serves meanwhile."""
    with server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()
