"""A way to a broker that loses acknowledgements: records are written, and their producer is not told."""

import socket
from contextlib import suppress
from socketserver import BaseRequestHandler
from threading import Event, Thread

from tests.support.tcp import HEADER, LENGTH, LocalServer

PRODUCE = 0


class BrokerProxy(LocalServer):
    """Passes everything on to the broker at `target` (host, port), to be set; the broker has to advertise `address`.

    With `loses` set, the connection ends when the broker has answered a producer, before the answer is passed on; `lost` is
    set then. As long as `loses` is set, no later records reach the broker.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.target, self.loses, self.lost = ("127.0.0.1", 0), Event(), Event()


class _Connection(BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, BrokerProxy)
        proxy, unanswered = self.server, set[int]()
        with suppress(OSError), socket.create_connection(proxy.target) as broker:
            Thread(target=self._answers, args=(broker, unanswered), daemon=True).start()
            while (request := _frame(self.request)) is not None:
                kind, _, number = HEADER.unpack_from(request)
                if kind == PRODUCE and proxy.loses.is_set():
                    if proxy.lost.is_set():
                        break
                    unanswered.add(number)
                broker.sendall(LENGTH.pack(len(request)) + request)

    def _answers(self, broker: socket.socket, unanswered: set[int]) -> None:
        assert isinstance(self.server, BrokerProxy)
        with suppress(OSError):
            while (answer := _frame(broker)) is not None:
                if LENGTH.unpack_from(answer)[0] in unanswered:
                    self.server.lost.set()
                    break
                self.request.sendall(LENGTH.pack(len(answer)) + answer)
        with suppress(OSError):
            self.request.shutdown(socket.SHUT_RDWR)


def _frame(connection: socket.socket) -> bytes | None:
    length = connection.recv(LENGTH.size, socket.MSG_WAITALL)
    return connection.recv(LENGTH.unpack(length)[0], socket.MSG_WAITALL) if len(length) == LENGTH.size else None
