"""What is said of a dead letter: ours carry `dlq.` headers, Connect's its own. No I/O."""

from dataclasses import dataclass

from console.masking import masked, masked_reason
from console.records import Letter
from contracts import dead_letters

CONNECT = "__connect.errors."


@dataclass(frozen=True)
class Account:
    """Why a record is dead, where it was, and what it was, without personal data."""

    reason: str
    source: str
    record: str


def account(letter: Letter) -> Account:
    """The letter in words."""

    def header(name: str) -> str:
        return (letter.headers.get(name) or b"").decode("utf-8", "replace")

    if dead_letters.REASON in letter.headers:
        reason = header(dead_letters.REASON)
        place = [
            header(n) for n in (dead_letters.SOURCE_TOPIC, dead_letters.SOURCE_PARTITION, dead_letters.SOURCE_OFFSET)
        ]
    else:
        exception = header(CONNECT + "exception.class.name").rpartition(".")[2]
        reason = f"{exception}: {masked_reason(header(CONNECT + 'exception.message'))}" if exception else "not given"
        place = [header(CONNECT + name) for name in ("topic", "partition", "offset")]
    size = f" ({letter.size:,} bytes in all)" if letter.size > len(letter.value) else ""
    return Account(reason, "{} / {} @ {}".format(*place) if place[0] else "not given", masked(letter.value) + size)
