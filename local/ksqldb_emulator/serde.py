"""JSON values and KAFKA keys: bytes to rows and rows to bytes.

A row is a tuple of column values; a STRUCT is a tuple too. Each reader is compiled once for its schema. Most records
take the fast way (orjson, and checks of types only). A record that the fast way does not like is read again by the
exact one, which knows ksqlDB's coercions and its words for what it refuses.
"""

from __future__ import annotations

import base64
import json
import re
import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import orjson

from local.ksqldb_emulator import jackson
from local.ksqldb_emulator.formatter import format_serde_type
from local.ksqldb_emulator.javatext import decimal_text, double_text, parse_double, parse_integer, wrapped
from local.ksqldb_emulator.sqltypes import Column, SqlType

Row = tuple[Any, ...]

# The first byte of a character outside the basic plane in UTF-8.
_OUTSIDE_BMP = re.compile(rb"[\xf0-\xf4]")
# An escape, a character outside the basic plane, or half of one.
_OTHERWISE = re.compile(r"\\u[0-9a-f]{4}|\\.|[\ud800-\udfff\U00010000-\U0010ffff]")

# How many different orders of field names a reader remembers; a topic has a handful.
_SHAPES = 256


class SerdeError(Exception):
    """A record that cannot be read: its message and its causes, outermost first, as the processing log shows them."""

    def __init__(self, target: str, message: str, causes: list[str], record: bytes) -> None:
        super().__init__(message)
        self.target = target
        self.message = message
        self.causes = causes
        self.record_base64 = base64.b64encode(record).decode()


class _NotFast(Exception):
    """The fast way does not know what to do with this."""


# values: reading


def value_reader(columns: tuple[Column, ...], topic: str) -> Callable[[bytes], Row]:
    """A reader of the JSON values of a topic. It raises SerdeError."""
    fast = _fast_struct(columns)
    exact = _exact(SqlType("STRUCT", fields=columns))
    loads = orjson.loads

    def read(data: bytes) -> Row:
        try:
            return fast(loads(data))
        except (_NotFast, orjson.JSONDecodeError):
            return read_exactly(data)

    def read_exactly(data: bytes) -> Row:
        try:
            row = exact(jackson.read(data))
        except jackson.JsonError as error:
            causes = [str(error)]
        except RecursionError:
            causes = [jackson.TOO_DEEP]
        except _Coercion as error:
            paths = ["".join(["$", *error.path][i:]) for i in range(len(error.path) + 1)]
            causes = [*(f"{error.raw}, path: {path}" for path in paths), error.raw]
        else:
            if row is None:
                # The real server trips over its own feet here, and says so.
                message = 'Cannot invoke "org.apache.kafka.connect.data.Struct.schema()" because "<local3>" is null'
                raise SerdeError("value", message, [], data)
            return row
        raise SerdeError("value", f"Failed to deserialize value from topic: {topic}. {causes[0]}", causes, data)

    return read


def _fast_struct(columns: tuple[Column, ...]) -> Callable[[Any], Row]:
    names = [column.name for column in columns]
    others = [(i, _fast(column.type)) for i, column in enumerate(columns) if column.type.base != "STRING"]
    strings = [i for i, column in enumerate(columns) if column.type.base == "STRING"]
    shapes: dict[tuple[str, ...], list[str | None]] = {}

    def read(value: Any) -> Row:
        if value.__class__ is not dict:
            raise _NotFast
        shape = tuple(value)
        fields = shapes.get(shape)
        if fields is None:
            fields = _fields(names, value)
            if len(shapes) < _SHAPES:
                shapes[shape] = fields
        get = value.get
        row = [get(field) for field in fields]
        for i in strings:
            item = row[i]
            if item.__class__ is not str and item is not None:
                raise _NotFast
        for i, convert in others:
            item = row[i]
            if item is not None:
                row[i] = convert(item)
        return tuple(row)

    return read


def _fields(names: list[str], value: dict[str, Any]) -> list[str | None]:
    """For each column the name of its field in this object: the same name, or else one that differs in case only."""
    upper = {field.upper(): field for field in value}
    return [name if name in value else upper.get(name) for name in names]


def _fast(sql_type: SqlType) -> Callable[[Any], Any]:
    match sql_type.base:
        case "DOUBLE":
            return _fast_double
        case "INTEGER":
            return lambda item: _fast_integer(item, 32)
        case "BIGINT":
            return lambda item: _fast_integer(item, 64)
        case "BOOLEAN":
            return _fast_boolean
        case "STRUCT":
            return _fast_struct(sql_type.fields)
        case _:
            return _not_fast


def _fast_double(item: Any) -> float:
    if item.__class__ is float:
        return item
    if item.__class__ is int:
        return float(item)
    raise _NotFast


def _fast_integer(item: Any, bits: int) -> int:
    if item.__class__ is int and -(1 << (bits - 1)) <= item < 1 << (bits - 1):
        return item
    raise _NotFast


def _fast_boolean(item: Any) -> bool:
    if item.__class__ is bool:
        return item
    raise _NotFast


def _not_fast(_: Any) -> Any:
    raise _NotFast


class _Coercion(Exception):
    """A value of the wrong type; `path` grows from the inside to the outside."""

    def __init__(self, raw: str) -> None:
        super().__init__(raw)
        self.raw = raw
        self.path: list[str] = []


def _exact(sql_type: SqlType) -> Callable[[Any], Any]:
    """A converter of what `jackson.read` gives."""
    match sql_type.base:
        case "STRING":
            convert = _exact_string
        case "DOUBLE":
            convert = _exact_double
        case "INTEGER":
            convert = _exact_integer
        case "BIGINT":
            convert = _exact_bigint
        case "BOOLEAN":
            convert = _exact_boolean
        case "ARRAY":
            assert sql_type.element is not None
            convert = _exact_array(_exact(sql_type.element), sql_type)
        case _:
            convert = _exact_struct(sql_type)
    return lambda node: None if node is None else convert(node)


def _exact_struct(sql_type: SqlType) -> Callable[[Any], Row]:
    names = [column.name for column in sql_type.fields]
    converters = [_exact(column.type) for column in sql_type.fields]

    def convert(node: Any) -> Row:
        if not isinstance(node, dict):
            raise _wrong_type(node, format_serde_type(sql_type))
        row = []
        for name, field, item in zip(names, _fields(names, node), converters, strict=True):
            try:
                row.append(item(node[field] if field is not None else None))
            except _Coercion as error:
                error.path.insert(0, f".{name}")
                raise
        return tuple(row)

    return convert


def _exact_array(element: Callable[[Any], Any], sql_type: SqlType) -> Callable[[Any], list[Any]]:
    def convert(node: Any) -> list[Any]:
        if not isinstance(node, list):
            raise _wrong_type(node, format_serde_type(sql_type))
        result = []
        for index, item in enumerate(node):
            try:
                result.append(element(item))
            except _Coercion as error:
                error.path.insert(0, f"[{index}]")
                raise
        return result

    return convert


def _exact_string(node: Any) -> str:
    if isinstance(node, dict):
        return _json_text(node)
    if isinstance(node, list):
        return f"[{', '.join('null' if item is None else _exact_string(item) for item in node)}]"
    if node is jackson.MISSING:
        return ""
    return _scalar_text(node)


def _exact_double(node: Any) -> float:
    if _is_number(node):
        try:
            return float(node)
        except OverflowError:
            return float("inf") if node > 0 else float("-inf")
    if isinstance(node, str):
        try:
            return parse_double(node)
        except ValueError:
            raise _wrong_text("DOUBLE") from None
    raise _wrong_type(node, "DOUBLE")


def _exact_integer(node: Any) -> int:
    return _exact_whole(node, 32, "INTEGER")


def _exact_bigint(node: Any) -> int:
    return _exact_whole(node, 64, "BIGINT")


def _exact_whole(node: Any, bits: int, name: str) -> int:
    if _is_number(node):
        return wrapped(int(node), bits)
    if isinstance(node, str):
        try:
            return parse_integer(node, bits)
        except ValueError:
            raise _wrong_text(name) from None
    raise _wrong_type(node, name)


def _exact_boolean(node: Any) -> bool:
    if isinstance(node, bool):
        return node
    raise _wrong_type(node, "BOOLEAN")


def _is_number(node: Any) -> bool:
    return isinstance(node, int | Decimal) and not isinstance(node, bool)


def _wrong_type(node: Any, required: str) -> _Coercion:
    return _Coercion(f"Can't convert type. sourceType: {_node_name(node)}, requiredType: {required}")


def _wrong_text(required: str) -> _Coercion:
    return _Coercion(f"Can't coerce string to type. targetType: {required}")


def _node_name(node: Any) -> str:
    """Jackson's name for the kind of a value."""
    if isinstance(node, bool):
        return "BooleanNode"
    if isinstance(node, int):
        if node == wrapped(node, 32):
            return "IntNode"
        return "LongNode" if node == wrapped(node, 64) else "BigIntegerNode"
    names = {dict: "ObjectNode", list: "ArrayNode", str: "TextNode", Decimal: "DecimalNode"}
    return names.get(type(node), "MissingNode")


def _scalar_text(node: Any) -> str:
    if isinstance(node, bool):
        return "true" if node else "false"
    return decimal_text(node) if isinstance(node, Decimal) else str(node)


def _json_text(node: Any) -> str:
    """A value as compact JSON with its numbers as they are."""
    if isinstance(node, dict):
        return "{" + ",".join(f"{string_text(k)}:{_json_text(v)}" for k, v in node.items()) + "}"
    if isinstance(node, list):
        return "[" + ",".join(map(_json_text, node)) + "]"
    if node is None:
        return "null"
    return string_text(node) if isinstance(node, str) else _scalar_text(node)


# values: writing


def value_writer(columns: tuple[Column, ...]) -> Callable[[list[Any]], bytes]:
    """A writer of JSON values: compact, in column order, nulls written."""
    names = [column.name for column in columns]
    converters = [(c.name, convert) for c in columns if (convert := _fragment(c.type)) is not None]
    dumps = orjson.dumps

    def write(row: list[Any]) -> bytes:
        fields = dict(zip(names, row, strict=True))
        for name, convert in converters:
            value = fields[name]
            if value is not None:
                fields[name] = convert(value)
        try:
            data = dumps(fields)
        except TypeError:  # half a character, which orjson does not write
            return carefully(row)
        if b"\\u00" in data or (not data.isascii() and _OUTSIDE_BMP.search(data)):
            return carefully(row)
        return data

    def carefully(row: list[Any]) -> bytes:
        """The same as orjson writes, but for the few characters that Jackson escapes in another way."""
        return json_value(row, SqlType("STRUCT", fields=columns)).encode()

    return write


def string_text(text: str) -> str:
    """A string as JSON text, as Jackson writes it.

    Control characters have upper-case digits, and a character outside the basic plane is two escapes.
    """
    return _OTHERWISE.sub(_escape, json.dumps(text, ensure_ascii=False))


def _escape(match: re.Match[str]) -> str:
    found = match.group()
    if len(found) > 1:
        return found[:2] + found[2:].upper() if found[1] == "u" else found
    units = found.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{high:02X}{low:02X}" for high, low in zip(units[::2], units[1::2], strict=True))


def _fragment(sql_type: SqlType) -> Callable[[Any], Any] | None:
    """What has to be done to a value so that orjson writes it as Jackson does; None when nothing has."""
    if sql_type.base in ("STRING", "INTEGER", "BIGINT", "BOOLEAN"):
        return None
    return lambda value: orjson.Fragment(json_value(value, sql_type).encode())


def json_value(value: Any, sql_type: SqlType) -> str:  # noqa: PLR0911 - one a kind
    """One value as JSON text, as ksqlDB writes it."""
    if value is None:
        return "null"
    match sql_type.base:
        case "STRING":
            return string_text(value)
        case "DOUBLE":
            text = double_text(float(value))
            return f'"{text}"' if text[-1] in "Ny" else text
        case "BOOLEAN":
            return "true" if value else "false"
        case "DECIMAL":
            return decimal_text(value)
        case "STRUCT":
            fields = zip(sql_type.fields, value, strict=True)
            return "{" + ",".join(f"{string_text(c.name)}:{json_value(v, c.type)}" for c, v in fields) + "}"
        case "ARRAY":
            assert sql_type.element is not None
            return "[" + ",".join(json_value(item, sql_type.element) for item in value) + "]"
        case _:
            return str(value)


# keys

# How a number is laid out, how many bytes it has, and what Kafka's own reader of it calls itself.
_KEY_LAYOUT = {
    "INTEGER": (">i", 4, "IntegerDeserializer"),
    "BIGINT": (">q", 8, "LongDeserializer"),
    "DOUBLE": (">d", 8, "Deserializer"),
}


def key_reader(columns: tuple[Column, ...], topic: str) -> Callable[[bytes | None], Row]:
    """A reader of KAFKA keys: a row of one column, or of none for a stream without a key. It raises SerdeError."""
    if not columns:
        return lambda _: ()
    base = columns[0].type.base
    if base == "STRING":
        return lambda data: (None if data is None else data.decode("utf-8", "replace"),)
    layout, size, reader = _KEY_LAYOUT[base]

    def read(data: bytes | None) -> Row:
        if data is None:
            return (None,)
        if len(data) != size:
            cause = f"Size of data received by {reader} is not {size}"
            raise SerdeError("key", f"Error deserializing KAFKA message from topic: {topic}", [cause], data)
        return struct.unpack(layout, data)

    return read


def key_writer(column: Column | None) -> Callable[[Any], bytes | None]:
    """A writer of KAFKA keys: raw UTF-8, or a big-endian number."""
    if column is None:
        return lambda _: None
    base = column.type.base
    if base == "STRING":
        return lambda value: None if value is None else value.encode("utf-8", "replace")
    layout = _KEY_LAYOUT[base][0]
    return lambda value: None if value is None else struct.pack(layout, value)
