"""When the bank sent a record: kept in a header, since a record's own timestamp is that of the topic it is on.

Every topic has the time of writing as its records' timestamps (LogAppendTime): retention then counts from when a record was
written, whatever clock the bank has, and no timestamp can be one that a later stage fails at. Where a topic has its
producers' timestamps instead (CreateTime), the same holds for all that is derived from it: nothing hands a timestamp on.
"""

from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_NOT_AVAILABLE

from contracts.records import Headers

# The timestamp that the record had on `bank-transactions`: Unix time in milliseconds, as decimal text.
BANK_TIMESTAMP = "bank.timestamp"

# What brokers allow by default (message.timestamp.after.max.ms).
MAX_FUTURE_MS = 3_600_000
# Kafka's protocol has this for a record whose producer gave it no timestamp.
_NONE = -1
# The year 5138: a number with more digits is no time in milliseconds.
_MAX_DIGITS = 14

# As confluent_kafka.Message.timestamp() has it: its kind, and Unix time in milliseconds.
Timestamp = tuple[int, int]


def impossible(timestamp: Timestamp, now: float) -> str | None:
    """Why a record of `bank-transactions` cannot have been sent then, or None. `now` is time.time().

    A record without a timestamp is in order.
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
    """A record's headers with its timestamp, if it has one. One that was there already is replaced: a dead letter that was
    put back counts from then, and nobody but the ingestor says when a bank sent something.
    """
    kind, milliseconds = timestamp
    kept = [header for header in headers if header[0] != BANK_TIMESTAMP] if headers else []
    if kind != TIMESTAMP_NOT_AVAILABLE and milliseconds != _NONE:
        kept.append((BANK_TIMESTAMP, b"%d" % milliseconds))
    return kept


def bank_timestamp(headers: Headers | None) -> int | None:
    """Unix time in milliseconds; None without a header that can be read, also where the headers cannot be."""
    for name, value in headers or ():
        if name == BANK_TIMESTAMP and value and value.isdigit() and len(value) <= _MAX_DIGITS:
            return int(value)
    return None
