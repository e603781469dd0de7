"""The layout of the archive: which values are rows, how an object holds them, and how it is named. No I/O."""

import gzip
from collections.abc import Iterable
from typing import NamedTuple

from pydantic import ValidationError

from contracts.dead_letters import reason_of
from contracts.models import ROWS
from contracts.timestamps import utc


class NotARow(Exception):
    """The contract refuses the value; the message says why, without the value."""


class Row(NamedTuple):
    """A line of the archive. `timestamp` is the record's, in Unix milliseconds."""

    offset: int
    timestamp: int
    line: bytes


def row_line(topic: str, value: bytes | None) -> bytes:
    """The value as a line: the contract's fields in the contract's order and nothing else, as the Aiven sink writes them.

    Raises NotARow. The check is strict, so that the types match those of the tables over the archive.
    """
    if value is None:
        raise NotARow("value is null")
    try:
        return ROWS[topic].model_validate_json(value, strict=True).model_dump_json().encode()
    except ValidationError as error:
        raise NotARow(reason_of(error)) from None


def objects(prefix: str, topic: str, incarnation: str, partition: int, rows: Iterable[Row]) -> dict[str, bytes]:
    """A checkpoint's rows of one partition as objects, by name: one object per day, named by its first offset.

    A row's day comes from its record's timestamp, so a row that is read again has the same day. A checkpoint that was
    not committed is read again from the same offset, but may end at another one. Its objects are overwritten all the
    same: no row of a day comes before that day's first row, wherever a later checkpoint starts, so the checkpoint that
    contains this first row gives its object the same name again.
    """
    days: dict[str, list[Row]] = {}
    for row in rows:
        days.setdefault(utc(row.timestamp).date().isoformat(), []).append(row)
    return {
        object_name(prefix, topic, day, incarnation, partition, of[0].offset): _content(of) for day, of in days.items()
    }


def object_name(prefix: str, topic: str, day: str, incarnation: str, partition: int, start_offset: int) -> str:
    """The name that `file.name.template` in init/connectors/s3-*.json gives, with its padding to 20 digits."""
    return f"{prefix}/{topic}/dt={day}/{topic}-{incarnation}-{partition}-{start_offset:020d}.jsonl.gz"


def _content(rows: list[Row]) -> bytes:
    """One line per row, compressed. The same rows give the same bytes."""
    return gzip.compress(b"".join(row.line + b"\n" for row in rows), compresslevel=6, mtime=0)
