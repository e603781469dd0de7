"""PRINT: a topic's records as text, in the first format that fits all that was seen.

Nothing says which format a topic has, so the real server tries its formats on each record and drops those that fail. Here they
are tried without Avro, Protobuf and JSON_SR, which need a schema registry, and keys are never taken for windowed ones.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import NamedTuple

from local.ksqldb import jackson, push
from local.ksqldb import tree as t
from local.ksqldb.javatext import double_text
from local.ksqldb.settings import Settings

_NO_DATA = ["¯\\_(ツ)_/¯ - no data processed"]
_NO_FORMAT = (
    " does not match any supported format. It may be a STRING with encoding other than UTF8, or some other format."
)


class Record(NamedTuple):
    """What is shown of a record; `timestamp` is in Unix milliseconds."""

    timestamp: int
    key: bytes | None
    value: bytes | None
    partition: int


def records(settings: Settings, statement: t.PrintTopic) -> Generator[list[Record]]:
    """The records that a statement asks for, in batches, an empty one while none comes. Raises KafkaException."""
    left = statement.limit
    with closing(push.messages(settings, statement.topic, statement.from_beginning)) as batches:
        while left is None or left > 0:
            batch = [
                Record(message.timestamp()[1], message.key(), message.value(), message.partition() or 0)
                for message in next(batches)
            ][:left]
            if left is not None:
                left -= len(batch)
            yield batch


class Printer:
    """Turns records into lines, and says which formats they may have whenever that has changed."""

    def __init__(self) -> None:
        self._keys, self._values = _Formats("Key"), _Formats("Value")

    def lines(self, batch: Sequence[Record]) -> list[str]:
        """The lines for a batch: an empty one for none."""
        if not batch:
            return [""]
        keys = self._keys.show([record.key for record in batch])
        values = self._values.show([record.value for record in batch])
        return [
            *self._keys.news(),
            *self._values.news(),
            *(
                f"rowtime: {_time(record.timestamp)}, key: {key}, value: {value}, partition: {record.partition}"
                for record, key, value in zip(batch, keys, values, strict=True)
            ),
        ]


class _Formats:
    """The formats that all keys, or all values, may have."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._possible = dict(_FORMATS)
        self._seen = False
        self._told: list[str] | None = None

    def show(self, texts: Sequence[bytes | None]) -> list[str]:
        """Each in the first format that is possible after all of them were tried."""
        for data in texts:
            if data is not None:
                self._seen = True
                self._possible = {name: read for name, read in self._possible.items() if _fits(read, data)}
        first = next(iter(self._possible.values()), _bytes)
        return ["<null>" if data is None else first(data) for data in texts]

    def news(self) -> list[str]:
        """A line that names the possible formats, when they are others than before."""
        names = list(self._possible) if self._seen else _NO_DATA
        if names == self._told:
            return []
        self._told = names
        return [f"{self._what} format: {' or '.join(names) or _NO_FORMAT}"]


def _time(timestamp: int) -> str:
    seconds, milliseconds = divmod(timestamp, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y/%m/%d %H:%M:%S}.{milliseconds:03d} Z"


def _fits(read: Callable[[bytes], str], data: bytes) -> bool:
    try:
        read(data)
        return True
    except (ValueError, jackson.JsonError, struct.error):
        return False


def _json(data: bytes) -> str:
    text = _string(data)
    jackson.read(data)
    return text


def _string(data: bytes) -> str:
    text = data.decode()
    if not text or "\ufffd" in text:
        raise ValueError("empty, or not what was sent")
    return text


def _bytes(data: bytes) -> str:
    return "".join(chr(one) if 0x20 <= one < 0x7F and one != 0x5C else f"\\x{one:02X}" for one in data)


_FORMATS: dict[str, Callable[[bytes], str]] = {
    "JSON": _json,
    "KAFKA_INT": lambda data: str(struct.unpack(">i", data)[0]),
    "KAFKA_BIGINT": lambda data: str(struct.unpack(">q", data)[0]),
    "KAFKA_DOUBLE": lambda data: double_text(struct.unpack(">d", data)[0]),
    "KAFKA_STRING": _string,
}
