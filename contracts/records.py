"""Records as Kafka carries them: reading their headers, and how large a transaction's record may be."""

from operator import methodcaller
from typing import NamedTuple, Protocol, Self

Headers = list[tuple[str, bytes | None]]

UNREADABLE_HEADERS = "headers: a header's name is not UTF-8"

# A transaction is about 1.2 KB. ksqlDB writes a character beyond the basic plane three times as long as it came, and an id
# goes into the row and into its key: at most four times this, which every producer further on takes (1,000,000 bytes).
MAX_TRANSACTION_BYTES = 128 * 1024

# On the wire each header has two lengths, of one byte or more.
_LENGTHS = 2


class Message(Protocol):
    """What is used of confluent_kafka.Message."""

    def value(self) -> bytes | None: ...
    def key(self) -> bytes | None: ...
    def headers(self) -> Headers | None: ...
    def timestamp(self) -> tuple[int, int]: ...
    def topic(self) -> str | None: ...
    def partition(self) -> int | None: ...
    def offset(self) -> int | None: ...


class Record(NamedTuple):
    """A record as it was read. `headers` are None when they cannot be read; `timestamp` is its kind and milliseconds."""

    value: bytes | None
    key: bytes | None
    headers: Headers | None
    timestamp: tuple[int, int]
    topic: str
    partition: int
    offset: int

    @classmethod
    def of(cls, message: Message) -> Self:
        """The record of a message; once a message, as with headers_of."""
        return cls(
            message.value(),
            message.key(),
            headers_of(message),
            message.timestamp(),
            message.topic() or "",
            message.partition() or 0,
            message.offset() or 0,
        )

    @property
    def size(self) -> int | None:
        """Its bytes; None when its headers cannot be read, since how large they are is not known then."""
        if self.headers is None:
            return None
        return len(self.value or b"") + len(self.key or b"") + (headers_size(self.headers) if self.headers else 0)


# Not message.headers(): where that is hot, CPython 3.11 and newer call it without a look at the error that the client leaves
# behind, which then comes up anywhere later on.
_headers = methodcaller("headers")


def headers_of(message: Message) -> Headers | None:
    """The record's headers, an empty list when it has none; None when a name is not UTF-8, which no broker checks.

    To be called once a message: after such a failure confluent_kafka gives a list with a null pointer in a name's place.
    """
    try:
        return _headers(message) or []
    except (SystemError, UnicodeDecodeError):  # the first is what confluent_kafka 2 makes of the second
        return None


def headers_size(headers: Headers) -> int:
    """The bytes that headers take in a record."""
    size = 0
    for name, value in headers:
        size += len(name.encode()) + len(value or b"") + _LENGTHS
    return size


def not_a_transaction(value: bytes | None, headers: Headers | None) -> str | None:
    """Why a record is no transaction, whatever its fields may be; None when it can be one."""
    if headers is None:
        return UNREADABLE_HEADERS
    if not value:
        return "value: is empty"
    if (size := len(value) + headers_size(headers)) > MAX_TRANSACTION_BYTES:
        return (
            f"value and headers: have {len(value)} and {size - len(value)} bytes, more than the {MAX_TRANSACTION_BYTES} "
            "that a transaction may have together"
        )
    return None
