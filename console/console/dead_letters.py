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

    @property
    def reason(self) -> str:
        """Why it is one."""
        return reason_in([*self.headers.items()])

    @property
    def source(self) -> str:
        """Where it was."""
        source = source_of([*self.headers.items()])
        return "{} / {} @ {}".format(*source) if source else "not given"

    @property
    def record(self) -> str:
        """What it was, personal data masked."""
        size = f" ({self.size:,} bytes in all)" if self.size > len(self.value) else ""
        return masked(self.value) + size


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
