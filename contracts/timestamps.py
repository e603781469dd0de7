"""When the bank sent a record: kept in a header, since each topic gives a record a timestamp of its own.

Every topic uses the time of writing as its records' timestamps (LogAppendTime): retention then counts from when a record was
written, whatever the bank's clock says, and no timestamp can make a later stage fail. If a topic has its producers'
timestamps instead (CreateTime), the same holds for all topics derived from it: no stage passes a timestamp on.
"""

from datetime import UTC, datetime

from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_NOT_AVAILABLE

from contracts.records import Headers

# The timestamp that the record had on `bank-transactions`: Unix time in milliseconds, as decimal text.
BANK_TIMESTAMP = "bank.timestamp"

# The brokers' default limit (message.timestamp.after.max.ms).
MAX_FUTURE_MS = 3_600_000
# The timestamp in Kafka's protocol of a record whose producer set none.
_NONE = -1
# Enough until the year 5138: a number with more digits is not a time in milliseconds.
_MAX_DIGITS = 14

# 1970 and 9999.
_FIRST, _LAST = 0, 253_402_300_799_999

# As confluent_kafka.Message.timestamp() returns it: its kind, and Unix time in milliseconds.
Timestamp = tuple[int, int]


def utc(milliseconds: int) -> datetime:
    """The time of a record. One outside the years that a datetime has, which only a broken clock can give, is the nearest."""
    return datetime.fromtimestamp(min(max(milliseconds, _FIRST), _LAST) / 1000, UTC)


def impossible(timestamp: Timestamp, now: float) -> str | None:
    """Why a record of `bank-transactions` cannot have been sent at that time, or None. `now` is time.time().

    A record without a timestamp is accepted.
    """
    kind, milliseconds = timestamp
    if kind != TIMESTAMP_CREATE_TIME or milliseconds == _NONE:
        return None
    if milliseconds < 0:
        return f"timestamp: {milliseconds} is before 1970"
    if milliseconds > now * 1000 + MAX_FUTURE_MS:
        return f"timestamp: {milliseconds} is more than {MAX_FUTURE_MS // 60_000} minutes in the future"
    return None


def with_bank_timestamp(headers: Headers, timestamp: Timestamp) -> Headers:
    """A record's headers with its timestamp, if it has one. An existing header is replaced: a replayed dead letter counts
    from its replay, and only the ingestor says when a bank sent a record.
    """
    kind, milliseconds = timestamp
    kept = [header for header in headers if header[0] != BANK_TIMESTAMP] if headers else []
    if kind != TIMESTAMP_NOT_AVAILABLE and milliseconds != _NONE:
        kept.append((BANK_TIMESTAMP, b"%d" % milliseconds))
    return kept


def bank_timestamp(headers: Headers | None) -> int | None:
    """Unix time in milliseconds; None when the header, or all headers, are missing or unreadable."""
    for name, value in headers or ():
        if name == BANK_TIMESTAMP and value and value.isdigit() and len(value) <= _MAX_DIGITS:
            return int(value)
    return None
