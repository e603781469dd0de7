"""The ingestor's settings and the client configurations that follow from them."""

from contracts.kafka import client_config
from contracts.service import Environment

SERVICE = "transactions-ingestor"


class Settings(Environment):
    """REPLICA_ID tells the replicas apart: two live processes must never share one."""

    replica_id: str = "0"


def consumer_config(settings: Settings) -> dict[str, str | int | bool]:
    """A static member of the group: a restarted replica takes its partitions back without a rebalance."""
    return {
        **client_config(),
        "client.id": f"{SERVICE}-{settings.replica_id}",
        "group.id": SERVICE,
        "group.instance.id": f"{SERVICE}-{settings.replica_id}",
        "session.timeout.ms": 10_000,
        "heartbeat.interval.ms": 1_000,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
    }


def producer_config(settings: Settings) -> dict[str, str | int | bool]:
    """A fixed transactional.id: a restarted replica aborts at once what its killed predecessor left open."""
    return {
        **client_config(),
        "client.id": f"{SERVICE}-{settings.replica_id}",
        "transactional.id": f"{SERVICE}-{settings.replica_id}",
        # How long the open transaction of a replica that never comes back holds read_committed readers up.
        "transaction.timeout.ms": 15_000,
        "compression.type": "lz4",
        "linger.ms": 5,
        "partitioner": "murmur2_random",  # the Java clients' choice, so that a key has one partition whoever writes it
        # A dead letter is as large as what came, plus headers: the topics' limit is the one that counts.
        "message.max.bytes": 16 * 1024 * 1024,
    }
