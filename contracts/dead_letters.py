"""Dead letters: the original record, plus headers with the reason and its source position; and how they are replayed."""

import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from pydantic import ValidationError

from contracts import topics
from contracts.records import Headers, Position, Record, headers_size
from contracts.traceparent import TRACEPARENT, TRACESTATE

REASON = "dlq.reason"
SOURCE_TOPIC = "dlq.source.topic"
SOURCE_PARTITION = "dlq.source.partition"
SOURCE_OFFSET = "dlq.source.offset"
SERVICE = "dlq.service"
# How often a record was replayed from a dead-letter topic to its source. The header stays with the record everywhere.
TRIES = "dlq.tries"

# Kafka Connect's own headers on the dead letters of its sinks.
CONNECT = "__connect.errors."
_CONNECT_TOPIC = f"{CONNECT}topic"
_CONNECT_PARTITION = f"{CONNECT}partition"
_CONNECT_OFFSET = f"{CONNECT}offset"
_CONNECT_EXCEPTION = f"{CONNECT}exception.class.name"
_CONNECT_MESSAGE = f"{CONNECT}exception.message"

_OWN = {REASON, SOURCE_TOPIC, SOURCE_PARTITION, SOURCE_OFFSET, SERVICE}
_TRACE = {TRACEPARENT, TRACESTATE}

# In place of what may be personal data.
MASK = "•••"
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")
_ADDRESS = re.compile(r"(?<!\S)[^\s@]*+@\S*")
_NUMBERS = re.compile(r"\+?\d[\d\s().-]{5,}\d|\d{4,}")

# A partition, an offset or a count. Checked, since any client that may write to the topic may write anything.
_NUMBER = re.compile("[0-9]{1,19}")

# The limit of the bank's topic, uncompressed, less room for the headers of a dead letter and of its replay.
MAX_DEAD_LETTER_BYTES = 8 * 1024 * 1024 - 16 * 1024

# Of a reason, no more characters are shown: a page and an event have many.
MAX_REASON = 1_000


class Replay(NamedTuple):
    """How to replay a dead letter: its target topic (None when its headers name none), its reason, its replays so far."""

    topic: str | None
    reason: str
    tries: int
    headers: Headers


class DeadLetter(NamedTuple):
    """A dead letter to produce."""

    value: bytes | None
    key: bytes | None
    headers: Headers


def dead_letter(record: Record, reason: str, service: str) -> DeadLetter:
    """The record with its own headers, then the reason and its position, which replace those of an earlier dead letter.

    A record that is too large for any dead letter (a broker's limit applies to compressed bytes) leaves only its reason and
    its position, where it can still be read.
    """
    value, key, headers = record.value, record.key, record.headers or []
    if (size := len(value or b"") + len(key or b"") + headers_size(headers)) > MAX_DEAD_LETTER_BYTES:
        value, key, headers = None, None, []
        reason = f"{reason}; its {size} bytes are too many for a dead letter: read it at its source"
    return DeadLetter(
        value,
        key,
        [
            *((name, header) for name, header in headers if name not in _OWN),
            (REASON, reason.encode()),
            (SOURCE_TOPIC, record.topic.encode()),
            (SOURCE_PARTITION, str(record.partition).encode()),
            (SOURCE_OFFSET, str(record.offset).encode()),
            (SERVICE, service.encode()),
        ],
    )


def forwarded(headers: Headers) -> Headers:
    """The headers with which a record is passed on: only a service that refuses one says why, and where it was."""
    return [header for header in headers if header[0] not in _OWN] if headers else headers


def source_of(headers: Sequence[tuple[str, bytes | None]] | None) -> Position | None:
    """The record's source position, whichever service or sink wrote the dead letter; None when its headers lack it."""
    read = _texts(headers)
    for topic, partition, offset in (
        (SOURCE_TOPIC, SOURCE_PARTITION, SOURCE_OFFSET),
        (_CONNECT_TOPIC, _CONNECT_PARTITION, _CONNECT_OFFSET),
    ):
        numbers = read.get(partition, ""), read.get(offset, "")
        if read.get(topic) and all(map(_NUMBER.fullmatch, numbers)):
            return Position(read[topic], *map(int, numbers))
    return None


def identity(
    value: bytes | None, key: bytes | None, headers: Sequence[tuple[str, bytes | None]] | None
) -> bytes | None:
    """An identity shared by all copies of a dead letter and by no other; None when its headers lack its source position.

    When its store refuses a batch, Kafka Connect reads the batch again and writes the same dead letters again. The record
    itself is part of the identity, since a topic that is deleted and recreated uses the same offsets again. Its trace is not:
    where Connect is traced, each copy was written in a span of its own.
    """
    source = source_of(headers)
    if source is None:
        return None
    digest = blake2b(digest_size=16)
    own = [part for name, header in _own(headers) if name not in _TRACE for part in (name.encode(), header)]
    for part in (repr(source).encode(), key, value, *own):
        digest.update(b"-" if part is None else b"%d:" % len(part))
        digest.update(part or b"")
    return digest.digest()


def replay(headers: Sequence[tuple[str, bytes | None]] | None) -> Replay:
    """How to replay a dead letter with these headers: the record keeps its own headers and gets a new count of tries."""
    read = _texts(headers)
    topic = read.get(SOURCE_TOPIC) or read.get(_CONNECT_TOPIC)
    tries = int(read[TRIES]) if _NUMBER.fullmatch(read.get(TRIES, "")) else 0
    kept = [(name, value) for name, value in _own(headers) if name != TRIES]
    return Replay(
        topic if topic in topics.RECORDS else None, reason_in(headers), tries, [*kept, (TRIES, str(tries + 1).encode())]
    )


def reason_in(headers: Sequence[tuple[str, bytes | None]] | None) -> str:
    """Why a record is dead, whichever service or sink wrote it, without personal data."""
    read = _texts(headers)
    if read.get(REASON):
        return read[REASON][:MAX_REASON]
    exception = read.get(_CONNECT_EXCEPTION, "").rpartition(".")[2]
    return ": ".join(filter(None, (exception, masked_reason(read.get(_CONNECT_MESSAGE, ""))))) or "not given"


@lru_cache(maxsize=1024)
def kind_of(reason: str) -> str:
    """The reason without what differs from record to record: numbers."""
    return re.sub(r"\d+", "N", reason)


def masked_reason(reason: str) -> str:
    """A library's own words, which may quote the record: what is in quotes, addresses and long numbers are masked."""
    return _NUMBERS.sub(MASK, _ADDRESS.sub(MASK, _QUOTED.sub(MASK, reason)))[:300]


def reason_of(error: ValidationError) -> str:
    """What was wrong, field by field, without the values: they are personal data, and the dead letter has them anyway."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, problem['loc'])) or 'value'}: {problem['msg']}" for problem in problems)


def _texts(headers: Sequence[tuple[str, bytes | None]] | None) -> dict[str, str]:
    return {name: (value or b"").decode(errors="replace") for name, value in headers or ()}


def _own(headers: Sequence[tuple[str, bytes | None]] | None) -> Headers:
    """The headers that the record had before it became a dead letter."""
    return [(name, value) for name, value in headers or () if name not in _OWN and not name.startswith(CONNECT)]
