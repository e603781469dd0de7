"""Readiness checks: each answers within a few seconds whether a part can be used, and never raises."""

import socket
from collections.abc import Callable

import requests
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

SECONDS = 3.0

Check = Callable[[], bool]


def port_open(host: str, port: int) -> Check:
    """Something accepts connections."""

    def check() -> bool:
        with socket.socket() as probe:
            probe.settimeout(SECONDS)
            return probe.connect_ex((host, port)) == 0

    return check


def http_ok(url: str) -> Check:
    """GET answers with a 2xx."""

    def check() -> bool:
        try:
            return requests.get(url, timeout=SECONDS).ok
        except requests.RequestException:
            return False

    return check


def broker_ready(bootstrap: str) -> Check:
    """The broker answers a metadata request."""
    listening = port_open(*_address(bootstrap))

    def check() -> bool:
        if not listening():  # librdkafka would log each refused connection
            return False
        try:
            return bool(
                AdminClient({"bootstrap.servers": bootstrap, "log_level": 0}).list_topics(timeout=SECONDS).brokers
            )
        except KafkaException:
            return False

    return check


def _address(bootstrap: str) -> tuple[str, int]:
    host, port = bootstrap.rsplit(":", 1)
    return host, int(port)
