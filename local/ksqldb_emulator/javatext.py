"""Text and order as Java makes them: numbers, and the order of a hash map."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import TypeVar

T = TypeVar("T")

_JAVA_DOUBLE = re.compile(
    r"[+-]?(?:NaN|Infinity|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[fFdD]?)\Z",
)
_JAVA_HEX_DOUBLE = re.compile(r"[+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?[0-9]+[fFdD]?\Z")
_JAVA_INTEGER = re.compile(r"[+-]?[0-9]+\Z")


def double_text(value: float) -> str:
    """Java's Double.toString: 42.0, 1.0E7, 1.0E-4."""
    size = abs(value)
    if 1e-3 <= size < 1e7:
        return repr(value)
    if math.isnan(value):
        return "NaN"
    if size == float("inf"):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return repr(value)
    shortest = Decimal(repr(value)).normalize()
    if len(shortest.as_tuple().digits) == 1:
        # Of the texts of one or two digits Java takes the one nearest to the number: 4.9E-324, not 5.0E-324.
        nearest = Decimal(f"{Decimal(value):.1E}")
        shortest = nearest.normalize() if float(nearest) == value else shortest
    sign, digits, exponent = shortest.as_tuple()
    text = "".join(map(str, digits))
    return f"{'-' if sign else ''}{text[0]}.{text[1:] or '0'}E{int(exponent) + len(text) - 1}"


def decimal_text(value: Decimal) -> str:
    """Java's BigDecimal.toString, which differs from Python's in having no negative zero."""
    return str(abs(value) if value == 0 else value)


def parse_double(text: str) -> float:
    """Java's Double.parseDouble. Raises ValueError."""
    text = text.strip("".join(map(chr, range(33))))
    if _JAVA_DOUBLE.match(text):
        return float(text.rstrip("fFdD") if text[-1:] in "fFdD" else text)
    if _JAVA_HEX_DOUBLE.match(text):
        return float.fromhex(text.rstrip("fFdD") if re.search(r"[pP][+-]?[0-9]+[fFdD]\Z", text) else text)
    raise ValueError("no double")


def parse_integer(text: str, bits: int) -> int:
    """Java's Integer.parseInt (32 bits) and Long.parseLong (64 bits). Raises ValueError."""
    if not _JAVA_INTEGER.match(text):
        raise ValueError("no integer")
    value = int(text)
    if value != wrapped(value, bits):
        raise ValueError("out of range")
    return value


def wrapped(value: int, bits: int) -> int:
    """The low bits of a number as a signed one: what a Java narrowing cast leaves."""
    half = 1 << (bits - 1)
    return (value + half) % (1 << bits) - half


def hash_code(text: str) -> int:
    """Java's String.hashCode as an unsigned 32-bit number."""
    code = 0
    units = text.encode("utf-16-be", "surrogatepass")
    for high, low in zip(units[::2], units[1::2], strict=True):
        code = (31 * code + (high << 8 | low)) & 0xFFFFFFFF
    return code


def hash_ordered(items: Iterable[T], key: Callable[[T], str]) -> list[T]:
    """Items in the order in which a Java HashMap, keyed by Objects.hash(text), gives them back."""
    listed = list(items)
    buckets = 16
    while len(listed) > buckets * 3 // 4:
        buckets *= 2

    def bucket(item: T) -> int:
        code = (31 + hash_code(key(item))) & 0xFFFFFFFF
        return (code ^ (code >> 16)) & (buckets - 1)

    return sorted(listed, key=bucket)
