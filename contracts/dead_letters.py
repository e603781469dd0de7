"""Dead letters: the record as it came, with headers that say why it is here and where it was."""

from collections.abc import Sequence

from pydantic import ValidationError

REASON = "dlq.reason"
SOURCE_TOPIC = "dlq.source.topic"
SOURCE_PARTITION = "dlq.source.partition"
SOURCE_OFFSET = "dlq.source.offset"
SERVICE = "dlq.service"

Headers = list[tuple[str, bytes | None]]


def dead_letter_headers(
    headers: Sequence[tuple[str, bytes | None]] | None,
    reason: str,
    topic: str,
    partition: int,
    offset: int,
    service: str,
) -> Headers:
    """The record's own headers, then the reason and the place; a letter that dies twice carries the newest of these once."""
    own = {REASON, SOURCE_TOPIC, SOURCE_PARTITION, SOURCE_OFFSET, SERVICE}
    kept = [(name, value) for name, value in headers or () if name not in own]
    return [
        *kept,
        (REASON, reason.encode()),
        (SOURCE_TOPIC, topic.encode()),
        (SOURCE_PARTITION, str(partition).encode()),
        (SOURCE_OFFSET, str(offset).encode()),
        (SERVICE, service.encode()),
    ]


def reason_of(error: ValidationError) -> str:
    """What was wrong, field by field, without the values: they are personal data, and the record itself is beside it."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, problem['loc'])) or 'value'}: {problem['msg']}" for problem in problems)
