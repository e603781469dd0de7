"""What is said of a dead letter: ours carry `dlq.` headers, Connect's its own. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass

from console.masking import masked
from contracts import dead_letters
from contracts.dead_letters import CONNECT, reason_in, source_of
from contracts.records import Headers, Message

# More of a dead letter is not kept: records may be megabytes, and a page shows less.
KEPT_BYTES = 16 * 1024
# The headers that are read here: a record may bring megabytes of others.
_READ = {
    *(dead_letters.REASON, dead_letters.SOURCE_TOPIC, dead_letters.SOURCE_PARTITION, dead_letters.SOURCE_OFFSET),
    *(CONNECT + name for name in ("topic", "partition", "offset", "exception.class.name", "exception.message")),
}


@dataclass(frozen=True)
class DeadLetter:
    """A dead letter as it came, cut to KEPT_BYTES; `size` is that of the whole."""

    timestamp: int
    topic: str
    partition: int
    offset: int
    headers: Mapping[str, bytes | None]
    value: bytes
    size: int


def of_message(message: Message, headers: Headers | None) -> DeadLetter:
    """The dead letter of a message, whose headers these are."""
    value = message.value() or b""
    return DeadLetter(
        message.timestamp()[1],
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        {name: value for name, value in headers or () if name in _READ and len(value or b"") <= KEPT_BYTES},
        value[:KEPT_BYTES],
        len(value),
    )


@dataclass(frozen=True)
class Account:
    """Why a record is dead, where it was, and what it was, without personal data."""

    reason: str
    source: str
    record: str


def account(dead_letter: DeadLetter) -> Account:
    """The dead letter in words."""
    headers = [*dead_letter.headers.items()]
    source = source_of(headers)
    size = f" ({dead_letter.size:,} bytes in all)" if dead_letter.size > len(dead_letter.value) else ""
    return Account(
        reason_in(headers),
        "{} / {} @ {}".format(*source) if source else "not given",
        masked(dead_letter.value) + size,
    )
