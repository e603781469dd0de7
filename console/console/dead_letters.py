"""What is said of a dead letter: ours carry `dlq.` headers, Connect's its own. No I/O."""

from dataclasses import dataclass

from console.masking import masked
from contracts.dead_letters import reason_in, source_of
from contracts.records import Headers, Message

# More of a dead letter is not kept: records may be megabytes, and a page shows less. No header that is longer is read.
KEPT_BYTES = 16 * 1024


@dataclass(frozen=True)
class DeadLetter:
    """A dead letter as it came, cut to KEPT_BYTES; `size` is that of the whole, `source` where the record was."""

    timestamp: int
    topic: str
    partition: int
    offset: int
    reason: str
    source: str
    value: bytes
    size: int

    @property
    def record(self) -> str:
        """What it was, personal data masked."""
        size = f" ({self.size:,} bytes in all)" if self.size > len(self.value) else ""
        return masked(self.value) + size


def of_message(message: Message, headers: Headers | None) -> DeadLetter:
    """The dead letter of a message, whose headers these are."""
    value = message.value() or b""
    read = [(name, value) for name, value in headers or () if len(value or b"") <= KEPT_BYTES]
    source = source_of(read)
    return DeadLetter(
        message.timestamp()[1],
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        reason_in(read),
        "{} / {} @ {}".format(*source) if source else "not given",
        value[:KEPT_BYTES],
        len(value),
    )
