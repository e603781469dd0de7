"""The configurations of the ingestor's two clients."""

from contracts.health import STATISTICS_MS
from contracts.kafka import client_config

SERVICE = "transactions-ingestor"


def consumer_config(replica: str) -> dict[str, str | int | bool]:
    """A static member of the group: a restarted replica takes its partitions back without a rebalance."""
    return {
        **client_config(),
        "client.id": replica,
        "group.id": SERVICE,
        "group.instance.id": replica,
        "session.timeout.ms": 10_000,
        "heartbeat.interval.ms": 1_000,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        "statistics.interval.ms": STATISTICS_MS,
    }


def producer_config(replica: str) -> dict[str, str | int | bool]:
    """A fixed transactional.id: a restarted replica aborts at once what its killed predecessor left open."""
    return {
        **client_config(),
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
