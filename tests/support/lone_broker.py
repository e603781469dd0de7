"""A broker of a cluster of one that speaks as much of Kafka's protocol as a client needs to find it, and can list no broker."""

import struct
from socketserver import StreamRequestHandler

from tests.support.tcp import HEADER, LENGTH, LocalServer

API_VERSIONS, METADATA = 18, 3
UNSUPPORTED_VERSION = 35


class LoneBroker(LocalServer):
    """`registered` is whether metadata lists the broker: for a moment after its start it does not. `asked` counts how often."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.registered, self.asked = True, 0

    def answer(self, kind: int, version: int) -> bytes:
        """ApiVersions 0, and Metadata 4 with one topic: a client takes no brokers and no topics for no answer."""
        if kind == API_VERSIONS:
            ranges = struct.pack(">hhh", API_VERSIONS, 0, 0) + struct.pack(">hhh", METADATA, 4, 4)
            return struct.pack(">hi", UNSUPPORTED_VERSION if version else 0, 2) + ranges
        self.asked += 1
        host = b"127.0.0.1"
        broker = struct.pack(">ih", 1, len(host)) + host + struct.pack(">ih", self.server_address[1], -1)
        brokers = struct.pack(">i", 1) + broker if self.registered else struct.pack(">i", 0)
        cluster, controller = struct.pack(">h", 1) + b"c", struct.pack(">i", 1)
        topic = struct.pack(">ihh", 1, 0, 1) + b"t" + struct.pack(">?i", False, 0)
        return struct.pack(">i", 0) + brokers + cluster + controller + topic


class _Connection(StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, LoneBroker)
        while length := self.rfile.read(LENGTH.size):
            request = self.rfile.read(*LENGTH.unpack(length))
            kind, version, number = HEADER.unpack_from(request)
            answer = LENGTH.pack(number) + self.server.answer(kind, version)
            self.wfile.write(LENGTH.pack(len(answer)) + answer)
