"""Health checks. Each answers within a few seconds and never raises.

True: the service can be used. False: it answers, but says that it cannot be used. None: no answer.
"""

import socket
import struct
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

import bson
from confluent_kafka import KafkaException

from runtime.lost import Admin

SECONDS = 3.0

Check = Callable[[], bool | None]


def port_open(host: str, port: int) -> Check:
    """Something accepts connections."""

    def check() -> bool | None:
        with socket.socket() as probe:
            probe.settimeout(SECONDS)
            return True if probe.connect_ex((host, port)) == 0 else None

    return check


def http_ok(url: str, alive: str | None = None, below: int = 300) -> Check:
    """GET answers with a status below `below`. `alive` is asked when `url` gives no answer: any of its own shows that the
    process lives.
    """

    def check() -> bool | None:
        status = _status(url)
        if status is None and alive is not None:
            return None if _status(alive) is None else False
        return None if status is None else status < below

    return check


def broker_ready(address: str, security: Mapping[str, str] = MappingProxyType({})) -> Check:
    """The broker answers a metadata request, or another of its cluster, and is one of those that clients are sent to.

    `security`: the client's settings for a secured broker.
    """
    host, port = address.rsplit(":", 1)
    listening = port_open(host, int(port))
    admin = Admin({**security, "bootstrap.servers": address, "log_level": 0, "reconnect.backoff.max.ms": 500})

    def check() -> bool | None:
        if not listening():  # librdkafka would log each refused connection
            return None
        try:
            with admin.client() as client:
                return (
                    any(one.port == int(port) for one in client.list_topics(timeout=SECONDS).brokers.values()) or None
                )
        except KafkaException:
            return None

    return check


def mongodb_answers(host: str, port: int) -> Check:
    """The server answers a ping: that it accepts connections says nothing, since the kernel does that for it."""
    ping = bson.encode({"ping": 1, "$db": "admin"})
    # An OP_MSG (2013) with one section: length, request id, response to, opcode, flags, kind of section.
    message = struct.pack("<iiiiIB", 21 + len(ping), 1, 0, 2013, 0, 0) + ping

    def check() -> bool | None:
        try:
            with socket.create_connection((host, port), SECONDS) as connection:
                connection.sendall(message)
                return True if connection.recv(1) else None
        except OSError:
            return None

    return check


def fresh(file: Path, seconds: float) -> Check:
    """The file, which a service touches as long as it works, has been touched in the last seconds."""

    def check() -> bool | None:
        try:
            return True if time.time() - file.stat().st_mtime < seconds else None
        except OSError:
            return None

    return check


def _status(url: str) -> int | None:
    # Not requests: every service is asked every two seconds for as long as it runs, and requests takes five times as long.
    address = urlsplit(url)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=SECONDS)
    try:
        connection.request("GET", address.path or "/")
        return connection.getresponse().status
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
