"""Records as Kafka carries them: reading their headers, and how large a transaction's record may be."""

from typing import Protocol

Headers = list[tuple[str, bytes | None]]

UNREADABLE_HEADERS = "headers: a header's name is not UTF-8"

# A transaction is about 1.2 KB. ksqlDB writes a character beyond the basic plane three times as long as it came, and an id
# goes into the row and into its key: at most four times this, which every producer further on takes (1,000,000 bytes).
MAX_TRANSACTION_BYTES = 128 * 1024

# On the wire each header has two lengths, of one byte or more.
_LENGTHS = 2


class Message(Protocol):
    """What is used of confluent_kafka.Message."""

    def headers(self) -> Headers | None: ...


def headers_of(message: Message) -> Headers | None:
    """The record's headers, an empty list when it has none; None when a name is not UTF-8, which no broker checks.

    To be called once a message: after such a failure confluent_kafka gives a list with a null pointer in a name's place.
    """
    try:
        return message.headers() or []
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
