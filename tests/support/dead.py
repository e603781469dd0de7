"""The headers of a dead letter, for tests that need no more of it."""

from collections.abc import Sequence

from contracts.dead_letters import dead_letter
from contracts.records import Headers, Record


def dead_letter_headers(
    headers: Sequence[tuple[str, bytes | None]] | None,
    reason: str,
    topic: str,
    partition: int,
    offset: int,
    service: str,
) -> Headers:
    """As dead_letter() writes them for a record with these headers at this position."""
    record = Record(b"value", None, list(headers or ()), (1, 0), topic, partition, offset)
    return dead_letter(record, reason, service).headers
