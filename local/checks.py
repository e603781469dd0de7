"""Readiness checks: each answers within a few seconds whether a part can be used, and never raises."""

import socket
from collections.abc import Callable

import requests
from confluent_kafka import ConsumerGroupState, KafkaException
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
            return bool(_admin(bootstrap).list_topics(timeout=SECONDS).brokers)
        except KafkaException:
            return False

    return check


def group_stable(bootstrap: str, group: str) -> Check:
    """The consumer group has members and their partitions are assigned."""

    def check() -> bool:
        admin = _admin(bootstrap)  # kept until the answer is there: a future of a client that is gone never completes
        try:
            (future,) = admin.describe_consumer_groups([group], request_timeout=SECONDS).values()
            description = future.result(2 * SECONDS)
        except (KafkaException, TimeoutError):
            return False
        return description.state == ConsumerGroupState.STABLE and bool(description.members)

    return check


def _admin(bootstrap: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})


def _address(bootstrap: str) -> tuple[str, int]:
    host, port = bootstrap.rsplit(":", 1)
    return host, int(port)
