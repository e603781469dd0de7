"""A JSON reader that is exact where the fast one is not.

It reads what Jackson reads, keeps every number as it is written, and says what Jackson says about a text that is no
JSON. It is slow and meant for the few records that the fast reader stumbles on.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any


class JsonError(Exception):
    """The text is no JSON; the message is Jackson's, without the place."""


class _Missing:
    """An empty text: Jackson's MissingNode, which is not null."""


MISSING = _Missing()

_EXPECTED_VALUE = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)")
_FRACTION = re.compile(rb"\.[0-9]+")
_EXPONENT = re.compile(rb"[eE][+-]?[0-9]+")
_PLAIN_STRING = re.compile(rb'[^"\\\x00-\x1f]*')
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS = {b"t": (b"true", True), b"f": (b"false", False), b"n": (b"null", None)}
_NON_NUMBERS = {b"N": b"NaN", b"I": b"Infinity"}
_MAX_DEPTH = 1000
_MAX_NUMBER = 1000
_MAX_TOKEN = 256
TOO_DEEP = (
    f"Document nesting depth ({_MAX_DEPTH + 1}) exceeds the maximum allowed "
    f"({_MAX_DEPTH}, from `StreamReadConstraints.getMaxNestingDepth()`)"
)


def read(text: bytes) -> Any:
    """The first JSON value of a text; what follows it is ignored, as Jackson's readTree does.

    Numbers come as int, or as Decimal when they have a fraction or an exponent. Raises JsonError.
    """
    try:
        return _Reader(text.removeprefix(b"\xef\xbb\xbf")).root()
    except RecursionError:
        raise JsonError(TOO_DEEP) from None


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._depth = 0

    def root(self) -> Any:
        self._skip_space()
        if self._at >= len(self._data):
            return MISSING
        return self._value("root")

    # what stands at the cursor

    def _peek(self) -> bytes:
        return self._data[self._at : self._at + 1]

    def _skip_space(self) -> None:
        data, at = self._data, self._at
        while at < len(data) and data[at] in b" \t\r\n":
            at += 1
        self._at = at
        if at < len(data) and data[at] < 32:
            raise JsonError(
                f"Illegal character ({_described(chr(data[at]))}): "
                "only regular white space (\\r, \\n, \\t) is allowed between tokens"
            )

    def _next(self, context: str) -> bytes:
        """The next byte that is no white space, not taken."""
        self._skip_space()
        if self._at >= len(self._data):
            raise JsonError(f"Unexpected end-of-input within/between {context} entries")
        if self._peek() == b"/":
            raise self._unexpected(
                "maybe a (non-standard) comment? "
                "(not recognized as one since Feature 'ALLOW_COMMENTS' not enabled for parser)"
            )
        return self._peek()

    # values

    def _value(self, context: str) -> Any:
        first = self._next(context)
        if first == b"{":
            return self._nested(self._object)
        if first == b"[":
            return self._nested(self._array)
        if first == b'"':
            self._at += 1
            return self._string("string value", "in VALUE_STRING")
        if first == b"-" or first.isdigit():
            return self._number(context)
        if first in _WORDS:
            word, value = _WORDS[first]
            self._word(word)
            return value
        raise self._no_value(first, context)

    def _nested(self, read: Any) -> Any:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise JsonError(TOO_DEEP)
        self._at += 1
        value = read()
        self._depth -= 1
        return value

    def _object(self) -> dict[str, Any]:
        result: dict[str, Any] = {}
        if self._next("Object") == b"}":
            self._at += 1
            return result
        while True:
            if self._next("Object") != b'"':
                raise self._unexpected("was expecting double-quote to start field name")
            self._at += 1
            name = self._string("name", "in field name")
            if self._next("Object") != b":":
                raise self._unexpected("was expecting a colon to separate field name and value")
            self._at += 1
            result[name] = self._value("Object")
            if self._closed("Object", b"}"):
                return result

    def _array(self) -> list[Any]:
        result: list[Any] = []
        if self._next("Array") == b"]":
            self._at += 1
            return result
        while True:
            result.append(self._value("Array"))
            if self._closed("Array", b"]"):
                return result

    def _closed(self, context: str, end: bytes) -> bool:
        """After an entry: True at the end of the container, False after a comma."""
        after = self._next(context)
        if after == end:
            self._at += 1
            return True
        if after in (b"}", b"]"):
            raise JsonError(
                f"Unexpected close marker '{after.decode()}': expected '{end.decode()}' (for {context} starting at "
                "[Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled)])"
            )
        if after != b",":
            raise self._unexpected(f"was expecting comma to separate {context} entries")
        self._at += 1
        return False

    def _word(self, word: bytes) -> None:
        for position, expected in enumerate(word):
            if self._data[self._at + position : self._at + position + 1] != bytes([expected]):
                self._at += position
                raise self._unrecognized(word[:position].decode())
        self._at += len(word)
        if _is_identifier_part(self._character()):
            raise self._unrecognized(word.decode())

    def _no_value(self, first: bytes, context: str) -> JsonError:
        if first == b"}" or (first == b"," and context != "root") or (first == b"]" and context == "Array"):
            return self._unexpected("expected a value")
        if first in _NON_NUMBERS:
            word = _NON_NUMBERS[first]
            self._word(word)
            return JsonError(
                f"Non-standard token '{word.decode()}': enable `JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS` to allow"
            )
        if first == b"+":
            self._at += 1
            return self._bad_number(
                "JSON spec does not allow numbers to have plus signs: enable "
                "`JsonReadFeature.ALLOW_LEADING_PLUS_SIGN_FOR_NUMBERS` to allow",
                "+",
            )
        character = self._character()
        if character.isidentifier() or character == "$":
            return self._unrecognized("")
        return self._unexpected(f"expected a valid value {_EXPECTED_VALUE}")

    def _number(self, context: str) -> int | Decimal:
        start = self._at
        whole = _NUMBER.match(self._data, start)
        if whole is None:
            self._at += 1
            raise self._bad_number("expected digit (0-9) to follow minus sign, for valid numeric value")
        self._at = whole.end()
        if whole.group() in (b"0", b"-0") and self._peek().isdigit():
            raise JsonError("Invalid numeric value: Leading zeroes not allowed")
        exact = False
        for mark, pattern, problem in (
            (b".", _FRACTION, "Decimal point not followed by a digit"),
            (b"eE", _EXPONENT, "Exponent indicator not followed by a digit"),
        ):
            if self._peek() and self._peek() in mark:
                part = pattern.match(self._data, self._at)
                if part is None:
                    self._at += 1
                    if mark == b"eE" and self._peek() in (b"+", b"-"):
                        self._at += 1
                    raise self._bad_number(problem)
                self._at, exact = part.end(), True
        if self._at - start > _MAX_NUMBER:
            raise JsonError(
                f"Number value length ({self._at - start}) exceeds the maximum allowed "
                f"({_MAX_NUMBER}, from `StreamReadConstraints.getMaxNumberLength()`)"
            )
        if context == "root" and self._peek() not in (b"", b" ", b"\t", b"\r", b"\n"):
            raise self._unexpected("Expected space separating root-level values")
        text = self._data[start : self._at].decode()
        return Decimal(text) if exact else int(text)

    def _string(self, kind: str, end_of_input: str) -> str:
        parts: list[str] = []
        data = self._data
        start = self._at
        while True:
            plain = _PLAIN_STRING.match(data, self._at)
            assert plain is not None  # the pattern matches the empty text too
            self._at = plain.end()
            parts.append(_decoded(plain.group(), self._peek()))
            stop = self._peek()
            if stop == b'"':
                self._at += 1
                return _joined(parts)
            if stop == b"":
                if kind == "name" and self._at == start:
                    end_of_input = "was expecting closing '\"' for name"
                    raise JsonError(f"Unexpected end-of-input: {end_of_input}")
                raise JsonError(f"Unexpected end-of-input {end_of_input}")
            if stop != b"\\":
                raise JsonError(
                    f"Illegal unquoted character ({_described(stop.decode())}): "
                    f"has to be escaped using backslash to be included in {kind}"
                )
            self._at += 1
            parts.append(self._escape())

    def _escape(self) -> str:
        if self._at >= len(self._data):
            raise JsonError("Unexpected end-of-input in character escape sequence")
        character = self._character()
        self._at += len(character.encode("utf-8", "replace"))
        if character in _ESCAPES:
            return _ESCAPES[character]
        if character != "u":
            raise JsonError(f"Unrecognized character escape {_described(character)}")
        code = 0
        for _ in range(4):
            if self._at >= len(self._data):
                raise JsonError("Unexpected end-of-input in character escape sequence")
            digit = self._peek()
            if digit not in b"0123456789abcdefABCDEF":
                raise self._unexpected("expected a hex-digit for character escape sequence")
            code = code * 16 + int(digit, 16)
            self._at += 1
        return chr(code)

    # complaints

    def _character(self) -> str:
        """The character at the cursor, however many bytes it has; empty at the end."""
        chunk = self._data[self._at : self._at + 4]
        return chunk.decode("utf-8", "replace")[:1]

    def _unexpected(self, comment: str) -> JsonError:
        return JsonError(f"Unexpected character ({_described(self._character())}): {comment}")

    def _bad_number(self, comment: str, character: str | None = None) -> JsonError:
        if character is None:
            if self._at >= len(self._data):
                return JsonError("Unexpected end-of-input in numeric value")
            character = self._character()
        return JsonError(f"Unexpected character ({_described(character)}) in numeric value: {comment}")

    def _unrecognized(self, begin: str) -> JsonError:
        token = begin
        while len(token) < _MAX_TOKEN and _is_identifier_part(character := self._character()):
            token += character
            self._at += len(character.encode())
        if len(token) >= _MAX_TOKEN:
            token += "..."
        return JsonError(f"Unrecognized token '{token}': was expecting {_EXPECTED_VALUE}")


def _is_identifier_part(character: str) -> bool:
    return character == "$" or (bool(character) and ("a" + character).isidentifier())


def _described(character: str) -> str:
    code = ord(character) if character else 0
    if code < 32 or 127 <= code < 160:
        return f"(CTRL-CHAR, code {code})"
    if code > 255:
        return f"'{character}' (code {code} / 0x{code:x})"
    return f"'{character}' (code {code})"


def _decoded(data: bytes, after: bytes) -> str:
    """The text of UTF-8 bytes; `after` is the byte that follows them."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        first = data[error.start]
        following = data[error.end : error.end + 1] or after
        if 0xC2 <= first < 0xF5 and following:
            raise JsonError(f"Invalid UTF-8 middle byte 0x{following[0]:x}") from None
        raise JsonError(f"Invalid UTF-8 start byte 0x{first:x}") from None


def _joined(parts: list[str]) -> str:
    """The parts as one text; two escapes that are the halves of one character become that character."""
    text = "".join(parts)
    if any("\ud800" <= character <= "\udfff" for character in text):
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    return text
