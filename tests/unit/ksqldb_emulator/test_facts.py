"""One test for each fact that was measured on the real server (FACTS, "ksqlDB 8.3.1")."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from local.ksqldb_emulator.serde import Unreadable

Build = Callable[..., Any]


def value_of(result: Any) -> str:
    assert result is not None
    return result[1].decode()


def one_column(pipeline: Build, sql_type: str, json_text: str) -> str:
    run = pipeline(f"a {sql_type}", "SELECT a FROM s")
    return value_of(run(None, f'{{"a":{json_text}}}'.encode())).removeprefix('{"A":').removesuffix("}")


# keys


def test_a_stream_without_a_key_column_drops_the_key(pipeline: Build) -> None:
    assert pipeline("a VARCHAR", "SELECT a FROM s")(b"key", b'{"a":"x"}') == (None, b'{"A":"x"}')


def test_partition_by_moves_the_column_into_the_key(pipeline: Build) -> None:
    run = pipeline("a VARCHAR, b VARCHAR", "SELECT a, b FROM s PARTITION BY a")
    assert run(b"key", '{"a":"ä","b":"y"}'.encode()) == ("ä".encode(), b'{"B":"y"}')


def test_as_value_keeps_a_copy_in_the_value(pipeline: Build) -> None:
    run = pipeline("a VARCHAR, b VARCHAR", "SELECT a AS k, AS_VALUE(a) AS a, b FROM s PARTITION BY a")
    assert run(None, b'{"a":"x","b":"y"}') == (b"x", b'{"A":"x","B":"y"}')


def test_a_null_partitioning_column_gives_a_null_key(pipeline: Build) -> None:
    run = pipeline("a VARCHAR, b VARCHAR", "SELECT a, b FROM s PARTITION BY a")
    assert run(b"key", b'{"b":"y"}') == (None, b'{"B":"y"}')


def test_a_key_column_is_kept_as_the_key(pipeline: Build) -> None:
    run = pipeline("k VARCHAR KEY, a VARCHAR", "SELECT * FROM s")
    assert run(b"key", b'{"a":"x"}') == (b"key", b'{"A":"x"}')
    assert run(None, b'{"a":"x"}') == (None, b'{"A":"x"}')


def test_a_key_column_can_be_copied_and_compared(pipeline: Build) -> None:
    run = pipeline("k VARCHAR KEY, a VARCHAR", "SELECT k, AS_VALUE(k) AS c, a FROM s WHERE k <> 'no'")
    assert run(b"yes", b'{"a":"x"}') == (b"yes", b'{"C":"yes","A":"x"}')
    assert run(b"no", b'{"a":"x"}') is None


# names


def test_derived_names_are_upper_case_unless_quoted(pipeline: Build) -> None:
    run = pipeline("a VARCHAR", "SELECT a AS b, a AS `c d`, a AS `E` FROM s")
    assert value_of(run(None, b'{"a":"x"}')) == '{"B":"x","c d":"x","E":"x"}'


def test_input_names_match_in_any_case(pipeline: Build) -> None:
    run = pipeline("abc VARCHAR", "SELECT * FROM s")
    for name in ("abc", "ABC", "aBc"):
        assert value_of(run(None, f'{{"{name}":"x"}}'.encode())) == '{"ABC":"x"}'


def test_the_exact_name_wins_over_another_case(pipeline: Build) -> None:
    run = pipeline("abc VARCHAR", "SELECT * FROM s")
    assert value_of(run(None, b'{"ABC":"exact","abc":"other"}')) == '{"ABC":"exact"}'


def test_a_quoted_name_matches_exactly(pipeline: Build) -> None:
    run = pipeline("`abc` VARCHAR", "SELECT * FROM s")
    assert value_of(run(None, b'{"abc":"x"}')) == '{"abc":"x"}'
    assert value_of(run(None, b'{"ABC":"x"}')) == '{"abc":null}'


def test_a_field_has_its_own_name(pipeline: Build) -> None:
    run = pipeline("a STRUCT<b STRUCT<c VARCHAR>>", "SELECT a->b->c FROM s")
    assert value_of(run(None, b'{"a":{"b":{"c":"y"}}}')) == '{"C":"y"}'


# values


def test_json_is_compact_in_select_order_with_nulls(pipeline: Build) -> None:
    run = pipeline("a VARCHAR, b DOUBLE, c BOOLEAN", "SELECT c, b, a FROM s")
    assert value_of(run(None, b'{ "a" : "x", "extra": [1, {"y": 2}] }')) == '{"C":null,"B":null,"A":"x"}'


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("42", "42.0"),
        ("1234567.89", "1234567.89"),
        ("10000000", "10000000.0"),
        ("12345678.9", "12345678.9"),
        ("0.0001", "0.0001"),
        ("-0.0", "0.0"),
        ("0", "0.0"),
        ("1e3", "1000.0"),
        ("1e23", "1e23"),
        ("1e-400", "0.0"),
        ("123456789012345678901234567890", "1.2345678901234568e29"),
        ("5e-324", "5e-324"),
        ('"12.50"', "12.5"),
        ('" 1e3 "', "1000.0"),
        ('"1.5d"', "1.5"),
        ('"NaN"', '"NaN"'),
        ('"-Infinity"', '"-Infinity"'),
    ],
)
def test_doubles(pipeline: Build, text: str, written: str) -> None:
    assert repr(json.loads(one_column(pipeline, "DOUBLE", text))) == repr(json.loads(written))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("123", '"123"'),
        ("1.1", '"1.1"'),
        ("true", '"true"'),
        ('{"b": [1.5, null], "c": "ü"}', r'"{\"b\":[1.5,null],\"c\":\"ü\"}"'),
        ('[1, "x", null, true, [2]]', '"[1, x, null, true, [2]]"'),
        ('""', '""'),
    ],
)
def test_everything_becomes_a_string(pipeline: Build, text: str, written: str) -> None:
    assert one_column(pipeline, "VARCHAR", text) == written


@pytest.mark.parametrize(
    ("sql_type", "text", "written"),
    [
        ("INTEGER", "7", "7"),
        ("INTEGER", "7.9", "7"),
        ("INTEGER", "-7.9", "-7"),
        ("INTEGER", "2147483648", "-2147483648"),
        ("INTEGER", '"+7"', "7"),
        ("BIGINT", "9223372036854775807", "9223372036854775807"),
        ("BIGINT", "18446744073709551615", "-1"),
        ("BIGINT", "1e3", "1000"),
        ("BIGINT", '"-5"', "-5"),
        ("BOOLEAN", "true", "true"),
        ("BOOLEAN", "null", "null"),
    ],
)
def test_whole_numbers_and_booleans(pipeline: Build, sql_type: str, text: str, written: str) -> None:
    assert one_column(pipeline, sql_type, text) == written


@pytest.mark.parametrize(
    ("sql_type", "text", "problem"),
    [
        ("INTEGER", '"7.5"', "str is no INTEGER"),
        ("INTEGER", '"2147483648"', "str is no INTEGER"),
        ("INTEGER", "true", "bool is no INTEGER"),
        ("BIGINT", '"x"', "str is no BIGINT"),
        ("BIGINT", "{}", "dict is no BIGINT"),
        ("BOOLEAN", '"true"', "str is no BOOLEAN"),
        ("BOOLEAN", "1", "int is no BOOLEAN"),
        ("DOUBLE", "[]", "list is no DOUBLE"),
        ("DOUBLE", "true", "bool is no DOUBLE"),
        ("DOUBLE", '"1,5"', "str is no DOUBLE"),
        ("DOUBLE", '"1_5"', "str is no DOUBLE"),
        ("STRUCT<b VARCHAR>", '"x"', "str is no object"),
    ],
)
def test_what_does_not_convert_is_an_error(pipeline: Build, sql_type: str, text: str, problem: str) -> None:
    with pytest.raises(Unreadable) as error:
        one_column(pipeline, sql_type, text)
    assert str(error.value) == f"{problem}, path: $.A"


def test_a_deep_error_names_its_path(pipeline: Build) -> None:
    run = pipeline("a STRUCT<b STRUCT<c INTEGER>>", "SELECT a->b->c AS c FROM s")
    with pytest.raises(Unreadable, match=r"path: \$\.A\.B\.C"):
        run(None, b'{"a":{"b":{"c":"x"}}}')


@pytest.mark.parametrize(
    ("sql_type", "text"),
    [
        ("VARCHAR", '{"a":' * 300 + "1" + "}" * 300),
        ("VARCHAR", "[" * 600 + "]" * 600),
        ("BIGINT", '"' + "1" * 5_000 + '"'),
    ],
)
def test_what_is_nested_or_written_without_end_is_unreadable(pipeline: Build, sql_type: str, text: str) -> None:
    with pytest.raises(Unreadable):
        one_column(pipeline, sql_type, text)


def test_a_bad_field_spoils_the_record_even_when_no_column_of_the_result_needs_it(pipeline: Build) -> None:
    with pytest.raises(Unreadable):
        pipeline("a VARCHAR, b DOUBLE", "SELECT a FROM s")(None, b'{"a":"x","b":"y"}')


def test_text_comes_out_as_it_went_in(pipeline: Build) -> None:
    text = 'é李/\u2028\x7f" \\ \n\t\b\f\r \x0b\x1f 😀 \\u000b'
    written = one_column(pipeline, "VARCHAR", json.dumps(text))
    assert json.loads(written) == text
    assert "é李/" in written  # raw UTF-8


def test_a_struct_as_a_column(pipeline: Build) -> None:
    run = pipeline("a STRUCT<b INTEGER, `c` DOUBLE>", "SELECT a FROM s")
    assert value_of(run(None, b'{"a":{"b":1,"c":2}}')) == '{"A":{"B":1,"c":2.0}}'
    assert value_of(run(None, b'{"a":null}')) == '{"A":null}'


# nulls and tombstones


def test_a_field_of_a_null_struct_is_null(pipeline: Build) -> None:
    run = pipeline("a STRUCT<b STRUCT<c VARCHAR>>", "SELECT a->b->c AS c FROM s")
    for value in (b"{}", b'{"a":null}', b'{"a":{"b":null}}', b'{"a":{}}'):
        assert value_of(run(None, value)) == '{"C":null}'


def test_a_tombstone_passes_as_a_tombstone(pipeline: Build) -> None:
    assert pipeline("a VARCHAR", "SELECT a FROM s")(b"k", None) == (None, None)
    assert pipeline("k VARCHAR KEY, a VARCHAR", "SELECT * FROM s")(b"k", None) == (b"k", None)
    assert pipeline("a VARCHAR, b VARCHAR", "SELECT a, b FROM s PARTITION BY a")(b"k", None) == (None, None)


def test_where_drops_a_tombstone(pipeline: Build) -> None:
    assert pipeline("a VARCHAR", "SELECT a FROM s WHERE a IS NULL")(b"k", None) is None


# where


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ("a = 'x'", ["x"]),
        ("a <> 'x'", ["y", "z"]),
        ("a != 'x'", ["y", "z"]),
        ("a > 'x' AND a <= 'y'", ["y"]),
        ("a = 'x' OR n >= 3", ["x", "z", None]),
        ("NOT a = 'x'", ["y", "z", None]),
        ("NOT (a = 'x' OR a IS NULL)", ["y", "z"]),
        ("a IS NULL", [None]),
        ("a IS NOT NULL AND n < 2.5", ["x", "y"]),
        ("n = 2", ["y"]),
        ("n > 1e0 and a is not null", ["y", "z"]),
        ("flag = TRUE", ["x"]),
        ("flag", ["x"]),
        ("NOT flag = TRUE AND a <> 'z'", ["y"]),
        ("s.a = 'x' OR `A` = 'z'", ["x", "z"]),
        ("d->e = a", ["x"]),
        ("1 = 1", ["x", "y", "z", None]),
    ],
)
def test_where(pipeline: Build, where: str, kept: list[str | None]) -> None:
    columns = "a VARCHAR, n BIGINT, flag BOOLEAN, d STRUCT<e VARCHAR>"
    run = pipeline(columns, f"SELECT a FROM s WHERE {where}")
    rows = [
        {"a": "x", "n": 1, "flag": True, "d": {"e": "x"}},
        {"a": "y", "n": 2, "flag": False, "d": {"e": "x"}},
        {"a": "z", "n": 3, "flag": False},
        {"n": 4},
    ]
    results = [run(None, json.dumps(row).encode()) for row in rows]
    assert [json.loads(r[1])["A"] for r in results if r is not None] == kept


def test_a_null_boolean_keeps_nothing(pipeline: Build) -> None:
    assert pipeline("flag BOOLEAN", "SELECT flag FROM s WHERE flag")(None, b"{}") is None
