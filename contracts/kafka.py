"""Kafka client settings from the environment, the same for every client of the stack."""

import os
from collections.abc import Mapping

from contracts.health import STATISTICS_MS


class SettingsError(Exception):
    """A setting is missing or has a value that cannot be used; the message says which and what to do."""


# Environment variable -> librdkafka property: with these the same code runs against a managed or a secured cluster.
SECURITY = {
    "KAFKA_SECURITY_PROTOCOL": "security.protocol",
    "KAFKA_SASL_MECHANISM": "sasl.mechanism",
    "KAFKA_SASL_USERNAME": "sasl.username",
    "KAFKA_SASL_PASSWORD": "sasl.password",
    "KAFKA_SSL_CA_LOCATION": "ssl.ca.location",
}


# A broker sends a record that is larger than this alone.
FETCH_BYTES = 4 * 1024 * 1024


def bootstrap_server(environ: Mapping[str, str] = os.environ) -> str:
    """The broker's address. Raises SettingsError when KAFKA_BOOTSTRAP_SERVER is not set."""
    server = environ.get("KAFKA_BOOTSTRAP_SERVER", "").strip()
    if not server:
        raise SettingsError("KAFKA_BOOTSTRAP_SERVER is not set: give it the broker's address, such as localhost:9092")
    return server


def security_config(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The librdkafka properties for the security settings that are set."""
    return {name: environ[variable] for variable, name in SECURITY.items() if environ.get(variable)}


def client_config(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What every librdkafka client needs to reach the cluster."""
    return {"bootstrap.servers": bootstrap_server(environ), **security_config(environ)}


def static_member(replica: str) -> dict[str, str | int]:
    """A consumer that is a static member of its group: a restarted replica takes its partitions back without a rebalance."""
    return {
        "client.id": replica,
        "group.instance.id": replica,
        "session.timeout.ms": 10_000,
        "heartbeat.interval.ms": 1_000,
        "isolation.level": "read_committed",
        "statistics.interval.ms": STATISTICS_MS,
        # By default a client may hold 64 MiB of records that it has not handed over yet, half of what a service has in all.
        "queued.max.messages.kbytes": 8 * 1024,
        "fetch.max.bytes": FETCH_BYTES,
        "fetch.queue.backoff.ms": 10,  # the default leaves a full queue alone for a second
    }


def transactional(replica: str) -> dict[str, str | int]:
    """A producer with a fixed transactional.id: a restarted replica aborts at once what its killed predecessor left open."""
    return {
        "client.id": replica,
        "transactional.id": replica,
        # How long the open transaction of a replica that never comes back holds read_committed readers up.
        "transaction.timeout.ms": 15_000,
        "compression.type": "lz4",
        "linger.ms": 5,
        "partitioner": "murmur2_random",  # the Java clients' choice, so that a key has one partition whoever writes it
        # A dead letter is as large as what came, plus headers: the topics' limit is the one that counts.
        "message.max.bytes": 16 * 1024 * 1024,
    }
