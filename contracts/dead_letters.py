"""Dead letters: the record as it came, with headers that say why it is here and where it was; and their way back."""

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

from pydantic import ValidationError

from contracts import topics
from contracts.records import Headers, headers_size

REASON = "dlq.reason"
SOURCE_TOPIC = "dlq.source.topic"
SOURCE_PARTITION = "dlq.source.partition"
SOURCE_OFFSET = "dlq.source.offset"
SERVICE = "dlq.service"
# How often a record was put back from a dead-letter topic to its source. It stays with the record wherever it goes.
TRIES = "dlq.tries"

# Kafka Connect's own headers on the dead letters of its sinks.
_CONNECT = "__connect.errors."
_CONNECT_TOPIC = f"{_CONNECT}topic"
_CONNECT_PARTITION = f"{_CONNECT}partition"
_CONNECT_OFFSET = f"{_CONNECT}offset"
_CONNECT_REASON = f"{_CONNECT}exception.class.name"  # the message beside it may quote the record

_LETTER = {REASON, SOURCE_TOPIC, SOURCE_PARTITION, SOURCE_OFFSET, SERVICE}
_SOURCES = set(topics.ALL) - set(topics.DEAD_LETTERS)

# A partition or an offset; whoever may write to a topic may write anything.
_NUMBER = re.compile("[0-9]{1,19}")

# What a bank's topic takes uncompressed, with room for the headers of a letter and of its way back.
MAX_LETTER_BYTES = 8 * 1024 * 1024 - 16 * 1024


class Replay(NamedTuple):
    """How a letter goes back: to which topic (None when its headers name none), why it had come, how often before this."""

    topic: str | None
    reason: str
    tries: int
    headers: Headers


class Source(NamedTuple):
    """Where a dead letter's record was."""

    topic: str
    partition: int
    offset: int


class Letter(NamedTuple):
    """A dead letter to produce."""

    value: bytes | None
    key: bytes | None
    headers: Headers


def dead_letter(
    value: bytes | None,
    key: bytes | None,
    headers: Headers | None,
    reason: str,
    topic: str,
    partition: int,
    offset: int,
    service: str,
) -> Letter:
    """The letter of a record. One that is too large for any (a broker's limit is that of what came compressed) keeps
    only its reason and its place, where the record still is.
    """
    size = len(value or b"") + len(key or b"") + headers_size(headers or [])
    if size > MAX_LETTER_BYTES:
        value = key = headers = None
        reason = f"{reason}; its {size} bytes are too many for a dead letter: it is in its place only"
    return Letter(value, key, dead_letter_headers(headers, reason, topic, partition, offset, service))


def dead_letter_headers(
    headers: Sequence[tuple[str, bytes | None]] | None,
    reason: str,
    topic: str,
    partition: int,
    offset: int,
    service: str,
) -> Headers:
    """The record's own headers, then the reason and the place; a letter that dies twice carries the newest of these once."""
    kept = [(name, value) for name, value in headers or () if name not in _LETTER]
    return [
        *kept,
        (REASON, reason.encode()),
        (SOURCE_TOPIC, topic.encode()),
        (SOURCE_PARTITION, str(partition).encode()),
        (SOURCE_OFFSET, str(offset).encode()),
        (SERVICE, service.encode()),
    ]


def source_of(headers: Sequence[tuple[str, bytes | None]] | None) -> Source | None:
    """Where the record was, whichever service or sink wrote the dead letter; None when its headers do not say."""
    read = {name: (value or b"").decode(errors="replace") for name, value in headers or ()}
    for topic, partition, offset in (
        (SOURCE_TOPIC, SOURCE_PARTITION, SOURCE_OFFSET),
        (_CONNECT_TOPIC, _CONNECT_PARTITION, _CONNECT_OFFSET),
    ):
        numbers = read.get(partition, ""), read.get(offset, "")
        if read.get(topic) and all(map(_NUMBER.fullmatch, numbers)):
            return Source(read[topic], *map(int, numbers))
    return None


def identity(
    value: bytes | None, key: bytes | None, headers: Sequence[tuple[str, bytes | None]] | None
) -> bytes | None:
    """The same for every copy of a dead letter, and for no other; None when its headers do not say where it was.

    Kafka Connect reads a batch again when its store refuses it, and then writes the same dead letters again. The record
    itself is part of it, since a topic that was deleted and created begins with the same offsets again.
    """
    source = source_of(headers)
    if source is None:
        return None
    digest = blake2b(digest_size=16)
    own = [part for name, header in _own(headers) for part in (name.encode(), header)]
    for part in (repr(source).encode(), key, value, *own):
        digest.update(b"-" if part is None else b"%d:" % len(part))
        digest.update(part or b"")
    return digest.digest()


def replay(headers: Sequence[tuple[str, bytes | None]] | None) -> Replay:
    """The record's own headers and the count of its tries; what was written about its death stays with the letter."""
    read = {name: (value or b"").decode(errors="replace") for name, value in headers or ()}
    topic = read.get(SOURCE_TOPIC) or read.get(_CONNECT_TOPIC)
    reason = read.get(REASON) or read.get(_CONNECT_REASON) or "no reason in its headers"
    tries = int(read[TRIES]) if read.get(TRIES, "").isdecimal() else 0
    kept = [(name, value) for name, value in _own(headers) if name != TRIES]
    return Replay(topic if topic in _SOURCES else None, reason, tries, [*kept, (TRIES, str(tries + 1).encode())])


def reason_of(error: ValidationError) -> str:
    """What was wrong, field by field, without the values: they are personal data, and the record itself is beside it."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, problem['loc'])) or 'value'}: {problem['msg']}" for problem in problems)


def _own(headers: Sequence[tuple[str, bytes | None]] | None) -> Headers:
    """The headers that the record had before it became a dead letter."""
    return [(name, value) for name, value in headers or () if name not in _LETTER and not name.startswith(_CONNECT)]
