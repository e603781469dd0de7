"""The exact JSON reader: what it reads, and Jackson's words for what it does not."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.ksqldb_emulator import jackson

EXPECTED = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not json", f"Unrecognized token 'not': was expecting {EXPECTED}"),
        ("nul", f"Unrecognized token 'nul': was expecting {EXPECTED}"),
        ("nullx", f"Unrecognized token 'nullx': was expecting {EXPECTED}"),
        ('{"a":tru}', f"Unrecognized token 'tru': was expecting {EXPECTED}"),
        ("élan", f"Unrecognized token 'élan': was expecting {EXPECTED}"),
        ("NaN", "Non-standard token 'NaN': enable `JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS` to allow"),
        ('{"a": 1, ', "Unexpected end-of-input within/between Object entries"),
        ('{"a"', "Unexpected end-of-input within/between Object entries"),
        ("[1", "Unexpected end-of-input within/between Array entries"),
        ('{"a": "b', "Unexpected end-of-input in VALUE_STRING"),
        ('{"', "Unexpected end-of-input: was expecting closing '\"' for name"),
        ('{"ab', "Unexpected end-of-input in field name"),
        ('{"a" 1}', "Unexpected character ('1' (code 49)): was expecting a colon to separate field name and value"),
        ('{"a":1 "b"}', "Unexpected character ('\"' (code 34)): was expecting comma to separate Object entries"),
        ("[1 2]", "Unexpected character ('2' (code 50)): was expecting comma to separate Array entries"),
        ("{a:1}", "Unexpected character ('a' (code 97)): was expecting double-quote to start field name"),
        ("{'a':1}", "Unexpected character (''' (code 39)): was expecting double-quote to start field name"),
        ('{"a":1,}', "Unexpected character ('}' (code 125)): was expecting double-quote to start field name"),
        ('{"a":}', "Unexpected character ('}' (code 125)): expected a value"),
        ("[1,]", "Unexpected character (']' (code 93)): expected a value"),
        ("'a'", f"Unexpected character (''' (code 39)): expected a valid value {EXPECTED}"),
        ("<x>", f"Unexpected character ('<' (code 60)): expected a valid value {EXPECTED}"),
        ("“", f"Unexpected character ('“' (code 8220 / 0x201c)): expected a valid value {EXPECTED}"),
        ("]", f"Unexpected character (']' (code 93)): expected a valid value {EXPECTED}"),
        ("01", "Invalid numeric value: Leading zeroes not allowed"),
        (
            "-x",
            "Unexpected character ('x' (code 120)) in numeric value: "
            "expected digit (0-9) to follow minus sign, for valid numeric value",
        ),
        ("[1.]", "Unexpected character (']' (code 93)) in numeric value: Decimal point not followed by a digit"),
        ("[1e+]", "Unexpected character (']' (code 93)) in numeric value: Exponent indicator not followed by a digit"),
        ("1x", "Unexpected character ('x' (code 120)): Expected space separating root-level values"),
        (
            '"a\nb"',
            "Illegal unquoted character ((CTRL-CHAR, code 10)): "
            "has to be escaped using backslash to be included in string value",
        ),
        (
            '{"a\tb":1}',
            "Illegal unquoted character ((CTRL-CHAR, code 9)): "
            "has to be escaped using backslash to be included in name",
        ),
        (r'"\x"', "Unrecognized character escape 'x' (code 120)"),
        (r'"\u12g4"', "Unexpected character ('g' (code 103)): expected a hex-digit for character escape sequence"),
        (
            "\x00",
            "Illegal character ((CTRL-CHAR, code 0)): "
            "only regular white space (\\r, \\n, \\t) is allowed between tokens",
        ),
        (
            "/* c */ 1",
            "Unexpected character ('/' (code 47)): maybe a (non-standard) comment? "
            "(not recognized as one since Feature 'ALLOW_COMMENTS' not enabled for parser)",
        ),
        (
            "[" * 1001,
            "Document nesting depth (1001) exceeds the maximum allowed "
            "(1000, from `StreamReadConstraints.getMaxNestingDepth()`)",
        ),
    ],
)
def test_messages(text: str, message: str) -> None:
    with pytest.raises(jackson.JsonError) as error:
        jackson.read(text.encode())
    assert str(error.value) == message


def test_bytes_that_are_no_utf8() -> None:
    with pytest.raises(jackson.JsonError, match="Invalid UTF-8 start byte 0xff"):
        jackson.read(b'"\xff"')
    with pytest.raises(jackson.JsonError, match="Invalid UTF-8 middle byte 0x22"):
        jackson.read(b'"\xc3"')


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'{"a":1} trailing', {"a": 1}),
        (b'{"a":1,"a":2}', {"a": 2}),
        (b"\xef\xbb\xbf1 ", 1),
        (b"1.50", Decimal("1.50")),
        (rb'"\ud83d\ude00"', "😀"),
        (rb'"\u00e9\/"', "é/"),
        (b" \n\t\r[ ] ", []),
    ],
)
def test_what_it_reads(text: bytes, value: Any) -> None:
    assert jackson.read(text) == value
    assert str(jackson.read(text)) == str(value)


@pytest.mark.parametrize("text", [b"", b"  \n"])
def test_nothing_is_missing_and_not_null(text: bytes) -> None:
    assert jackson.read(text) is jackson.MISSING


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values)
def test_it_reads_what_json_writes(value: Any) -> None:
    assert jackson.read(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")) == value


@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:\\u0123eE+-.truefalsn \n/', max_size=60).map(str.encode))
def test_anything_is_a_value_or_a_clear_error(text: bytes) -> None:
    try:
        jackson.read(text)
    except jackson.JsonError as error:
        assert str(error)
