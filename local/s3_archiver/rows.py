"""The layout of the archive: which values are rows, how an object holds them, and what it is called."""

import gzip
from collections.abc import Iterable

import orjson

EXTENSION = ".jsonl.gz"


def refusal(value: bytes | None) -> str | None:
    """Why a value cannot be a row of the archive, or None when it can: a row is a JSON object."""
    if value is None:
        return "value is null"
    try:
        parsed = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        return f"value is not JSON: {error.msg}"
    return None if isinstance(parsed, dict) else "value is not a JSON object"


def to_object(values: Iterable[bytes]) -> bytes:
    """The values as they are, one a line, compressed. The same values give the same bytes.

    A raw line break in JSON can only be space between its tokens, so a space says the same and keeps the value's line.
    """
    lines = (value.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n" for value in values)
    return gzip.compress(b"".join(lines), compresslevel=6, mtime=0)


def object_name(prefix: str, topic: str, partition: int, start_offset: int) -> str:
    """What `file.name.template` in init/connectors/s3-sink.json says, whose padding is 20 digits."""
    return f"{prefix}/{topic}/{topic}-{partition}-{start_offset:020d}{EXTENSION}"
