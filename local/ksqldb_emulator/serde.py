"""JSON values: bytes to rows and rows to bytes. A row is a tuple of column values; a STRUCT is a tuple too."""

import math
import re
from collections.abc import Callable
from typing import Any

import orjson

from local.ksqldb_emulator.expressions import Row
from local.ksqldb_emulator.schema import Field, SqlType

Converter = Callable[[Any], Any]

# Python's own readers of numbers take more than Java's: digits with underscores and of other scripts, `inf`.
_NUMBER = re.compile(r"[+-]?(NaN|Infinity|([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[fFdD]?)\Z")
_WHOLE = re.compile(r"[+-]?[0-9]+\Z")
# How many different orders of field names a reader remembers, and of how many characters; a topic has a handful.
_SHAPES, _SHAPE_CHARACTERS = 256, 10_000


class Unreadable(Exception):
    """A record's value that is not what its stream says. The message has nothing of the record in it."""

    def __init__(self, message: str, record: bytes) -> None:
        super().__init__(message)
        self.record = record


class _Wrong(Exception):
    """A value of the wrong type; `path` grows from the inside to the outside."""

    def __init__(self, value: Any, wanted: str) -> None:
        super().__init__()
        self.problem = f"{'null' if value is None else type(value).__name__} is no {wanted}"
        self.path = ""


# values: reading


def value_reader(columns: tuple[Field, ...]) -> Callable[[bytes], Row]:
    """A reader of the JSON values of a topic. It raises Unreadable."""
    convert = _struct_reader(columns)

    def read(data: bytes) -> Row:
        try:
            return convert(orjson.loads(data))
        except orjson.JSONDecodeError as error:
            raise Unreadable(f"not JSON: {error.msg}", data) from None
        except _Wrong as error:
            raise Unreadable(f"{error.problem}, path: ${error.path}", data) from None
        except (RecursionError, TypeError, ValueError):  # of orjson and int(), for what only an attacker writes
            raise Unreadable("nested too deeply, or a number with too many digits", data) from None

    return read


def _reader(sql_type: SqlType) -> Converter:
    return _struct_reader(sql_type.fields) if sql_type.base == "STRUCT" else _SCALARS[sql_type.base]


def _struct_reader(fields: tuple[Field, ...]) -> Callable[[Any], Row]:
    names = [field.name for field in fields]
    strings = [i for i, field in enumerate(fields) if field.type.base == "STRING"]
    others = [(i, _reader(field.type)) for i, field in enumerate(fields) if field.type.base != "STRING"]
    shapes: dict[tuple[str, ...], list[str | None]] = {}

    def read(value: Any) -> Row:
        if value.__class__ is not dict:
            raise _Wrong(value, "object")
        shape = tuple(value)
        found = shapes.get(shape)
        if found is None:
            found = _found(names, value)
            if len(shapes) < _SHAPES and sum(map(len, shape)) < _SHAPE_CHARACTERS:
                shapes[shape] = found
        get = value.get
        row = [get(name) for name in found]
        for i in strings:  # nearly all there is, and nearly always a string
            if row[i].__class__ is not str and row[i] is not None:
                row[i] = _text(row[i])
        for i, convert in others:
            if row[i] is not None:
                try:
                    row[i] = convert(row[i])
                except _Wrong as error:
                    error.path = f".{names[i]}{error.path}"
                    raise
        return tuple(row)

    return read


def _found(names: list[str], value: dict[str, Any]) -> list[str | None]:
    """For each column the name of its field in this object: the same name, or else one that differs in case only."""
    upper = {field.upper(): field for field in value}
    return [name if name in value else upper.get(name) for name in names]


def _text(value: Any) -> str:
    """Whatever is in the place of a VARCHAR, as text."""
    match value:
        case str():
            return value
        case list():
            return f"[{', '.join('null' if item is None else _text(item) for item in value)}]"
        case _:
            return orjson.dumps(value).decode()


def _double(value: Any) -> float:
    if isinstance(value, str) and _NUMBER.match(value := value.strip()):
        value = float(value.rstrip("fFdD"))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Wrong(value, "DOUBLE")
    return float(value)


def _whole(bits: int, wanted: str) -> Converter:
    half = 1 << (bits - 1)

    def read(value: Any) -> int:
        if isinstance(value, str):
            if not _WHOLE.match(value) or not -half <= int(value) < half:
                raise _Wrong(value, wanted)
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _Wrong(value, wanted)
        return (int(value) + half) % (2 * half) - half  # what Java's narrowing leaves

    return read


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Wrong(value, "BOOLEAN")
    return value


_SCALARS: dict[str, Converter] = {
    "STRING": _text,
    "DOUBLE": _double,
    "INTEGER": _whole(32, "INTEGER"),
    "BIGINT": _whole(64, "BIGINT"),
    "BOOLEAN": _boolean,
}


# values: writing


def value_writer(columns: tuple[Field, ...]) -> Callable[[Row], bytes]:
    """A writer of JSON values: compact, in column order, nulls written."""
    names = [column.name for column in columns]
    converters = [(i, convert) for i, column in enumerate(columns) if (convert := _writer(column.type)) is not None]

    def write(row: Row) -> bytes:
        values = list(row)
        for i, convert in converters:
            if values[i] is not None:
                values[i] = convert(values[i])
        return orjson.dumps(dict(zip(names, values, strict=True)))

    return write


def to_json(value: Any, sql_type: SqlType) -> Any:
    """One value as it is in the JSON of an answer."""
    convert = _writer(sql_type)
    return value if value is None or convert is None else convert(value)


def _writer(sql_type: SqlType) -> Converter | None:
    """What has to be done to a value before it is JSON; None when nothing has."""
    if sql_type.base == "STRUCT":
        return lambda row: {f.name: to_json(value, f.type) for f, value in zip(sql_type.fields, row, strict=True)}
    return _write_double if sql_type.base == "DOUBLE" else None


def _write_double(value: float) -> float | str:
    if math.isfinite(value):
        return value + 0.0  # which makes 0.0 of -0.0
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
