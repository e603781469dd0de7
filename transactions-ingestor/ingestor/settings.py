"""The configurations of the ingestor's two clients."""

from contracts.kafka import client_config, static_member, transactional

SERVICE = "transactions-ingestor"


def consumer_config(replica: str) -> dict[str, str | int | bool]:
    """Offsets are committed by the producer's transactions alone."""
    return {
        **client_config(),
        **static_member(replica),
        "group.id": SERVICE,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }


def producer_config(replica: str) -> dict[str, str | int]:
    """One transaction a batch."""
    return {**client_config(), **transactional(replica)}
