"""The configurations of the ingestor's two clients."""

from collections.abc import Callable, Mapping
from typing import Any

from runtime import services
from runtime.kafka import client_config, static_member, transactional

SERVICE = services.INGESTOR


def consumer_config(replica: str, *also: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
    """Offsets are committed only by the producer's transactions. `also` get the consumer's statistics."""
    return {
        **client_config(),
        **static_member(replica, *also),
        "group.id": SERVICE,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }


def producer_config(replica: str) -> dict[str, str | int]:
    """One transaction per batch."""
    return {**client_config(), **transactional(replica)}
