"""Kafka records: safe access to their headers, and how large the record of a transaction may be."""

from operator import methodcaller
from typing import NamedTuple, Protocol, Self

Headers = list[tuple[str, bytes | None]]

UNREADABLE_HEADERS = "headers: a header's name is not UTF-8"

# A transaction is about 1.2 KB. ksqlDB writes a character beyond Unicode's basic plane in three times the bytes, and an id goes
# into both the row and its key: at most four times this limit, which every later producer accepts (1,000,000 bytes).
MAX_TRANSACTION_BYTES = 128 * 1024

# On the wire each header has two lengths, of one byte or more. In memory it is a tuple and two objects.
_LENGTHS, _OBJECTS = 2, 120


class Message(Protocol):
    """The part of confluent_kafka.Message that is used here."""

    def value(self) -> bytes | None: ...
    def key(self) -> bytes | None: ...
    def headers(self) -> Headers | None: ...
    def set_headers(self, headers: Headers, /) -> None: ...
    def timestamp(self) -> tuple[int, int]: ...
    def topic(self) -> str | None: ...
    def partition(self) -> int | None: ...
    def offset(self) -> int | None: ...


class Position(NamedTuple):
    """Where a record is."""

    topic: str
    partition: int
    offset: int


class Output(NamedTuple):
    """A record to produce: its key is an id, its value has the contract's fields and no others."""

    topic: str
    key: str
    value: bytes


class Record(NamedTuple):
    """A record as it was read. `headers` are None when they cannot be read; `timestamp` is its kind and its milliseconds."""

    value: bytes | None
    key: bytes | None
    headers: Headers | None
    timestamp: tuple[int, int]
    topic: str
    partition: int
    offset: int

    @classmethod
    def of(cls, message: Message) -> Self:
        """The record of a message."""
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
    def position(self) -> Position:
        """Where the record is."""
        return Position(self.topic, self.partition, self.offset)

    @property
    def size(self) -> int | None:
        """About the bytes that it takes in memory; None when its headers cannot be read, since their size is then unknown."""
        if self.headers is None:
            return None
        headers = headers_size(self.headers) + _OBJECTS * len(self.headers) if self.headers else 0
        return len(self.value or b"") + len(self.key or b"") + headers


# Not message.headers(): in hot code CPython 3.11 and newer call that without checking for the error that the client leaves
# behind, which then surfaces anywhere later.
_headers = methodcaller("headers")


def headers_of(message: Message) -> Headers | None:
    """The message's headers, an empty list when it has none; None when a header's name is not UTF-8, which no broker checks.

    Such a message has no headers afterwards: confluent_kafka would return a list with a null pointer in place of a name, and
    whoever looks at that name dies.
    """
    try:
        return _headers(message) or []
    except (SystemError, UnicodeDecodeError):  # confluent_kafka 2 turns the second into the first
        message.set_headers([])
        return None


def headers_size(headers: Headers) -> int:
    """The bytes that headers take in a record."""
    size = 0
    for name, value in headers:
        size += len(name.encode()) + len(value or b"") + _LENGTHS
    return size


def not_a_transaction(value: bytes | None, headers: Headers | None) -> str | None:
    """Why a record cannot be a transaction, whatever its fields are; None when it may be one."""
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
