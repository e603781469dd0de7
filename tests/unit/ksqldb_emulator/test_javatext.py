"""Numbers and orders as Java has them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.ksqldb_emulator import javatext


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_double_text_is_the_same_number_in_javas_form(value: float) -> None:
    text = javatext.double_text(value)
    assert float(text) == value
    assert math.copysign(1, float(text)) == math.copysign(1, value)
    assert "." in text
    assert "e" not in text
    scientific = "E" in text
    assert scientific == (value != 0 and not 1e-3 <= abs(value) < 1e7)


@given(st.floats(allow_nan=False))
def test_parse_double_reads_its_own_text(value: float) -> None:
    assert javatext.parse_double(javatext.double_text(value)) == value


@pytest.mark.parametrize("text", ["", "x", "1_000", "1,5", "0x10", "--1", "inf", "nan", "1e", "infinity", "\u0661"])
def test_parse_double_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="no double"):
        javatext.parse_double(text)


@pytest.mark.parametrize("text", ["", " 1", "1 ", "1.0", "1_0", "0x1"])
def test_parse_integer_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="no integer"):
        javatext.parse_integer(text, 32)


@pytest.mark.parametrize(("value", "low"), [(2**31, -(2**31)), (2**32 + 5, 5), (-(2**31) - 1, 2**31 - 1), (7, 7)])
def test_wrapped(value: int, low: int) -> None:
    assert javatext.wrapped(value, 32) == low


def test_hash_code() -> None:
    assert javatext.hash_code("hello") == 99162322
    assert javatext.hash_code("") == 0


def test_hash_order_is_the_recorded_one() -> None:
    ids = ["CSAS_FRAUDULENT_TRANSACTIONS_RESULT_3", "CSAS_SENDER_USERS_5", "CSAS_RECEIVER_USERS_7"]
    assert javatext.hash_ordered(ids, str) == [ids[2], ids[0], ids[1]]
