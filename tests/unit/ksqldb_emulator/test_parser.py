"""Text to statements and back to text, and the complaints about what is no statement."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.ksqldb_emulator import tree as t
from local.ksqldb_emulator.errors import ParseError
from local.ksqldb_emulator.formatter import format_expression, format_statement
from local.ksqldb_emulator.parser import parse


def where(text: str) -> t.Expression:
    statement = parse(f"SELECT a FROM s WHERE {text} EMIT CHANGES;")[0].statement
    assert isinstance(statement, t.Query)
    assert statement.where is not None
    return statement.where


def test_a_text_of_several_statements() -> None:
    parsed = parse("-- one\nSHOW STREAMS; /* two */ list\n  queries ;\n\n")
    assert [p.text for p in parsed] == ["SHOW STREAMS;", "list\n  queries ;"]
    assert [p.statement for p in parsed] == [t.ListStreams(), t.ListQueries()]


@pytest.mark.parametrize("text", ["", "  \n", "-- nothing", "/* nothing\n */"])
def test_no_statement(text: str) -> None:
    assert parse(text) == []


@pytest.mark.parametrize(
    ("text", "statement"),
    [
        ("describe `a b`;", t.Describe("a b")),
        ("DESCRIBE key;", t.Describe("KEY")),
        ("TERMINATE csas_x_1;", t.Terminate("CSAS_X_1")),
        ("terminate all;", t.Terminate(None)),
        ("DROP STREAM x;", t.DropStream("X", if_exists=False, delete_topic=False)),
        ('drop stream if exists "x" delete topic;', t.DropStream("x", if_exists=True, delete_topic=True)),
    ],
)
def test_statements(text: str, statement: t.Statement) -> None:
    assert parse(text)[0].statement == statement


@pytest.mark.parametrize(
    ("text", "formatted"),
    [
        ("a = 'it''s'", "(A = 'it''s')"),
        ("a != -1", "(A <> -1)"),
        ("a>=1.50", "(A >= 1.50)"),
        ("a < 1e3", "(A < 1E3)"),
        ("a < -12.5E-4", "(A < -1.25E-3)"),
        ("a = 0e0", "(A = 0E0)"),
        ("a = TRUE", "(A = true)"),
        ("s.a IS NULL", "(S.A IS NULL)"),
        ("a->`b c`->d is not null", "(A->`b c`->D IS NOT NULL)"),
        ("NOT a = 1 AND b = 2", "((NOT (A = 1)) AND (B = 2))"),
        ("a = 1 OR b = 2 AND c = 3", "((A = 1) OR ((B = 2) AND (C = 3)))"),
        ("(a = 1 OR b = 2) AND c = 3", "(((A = 1) OR (B = 2)) AND (C = 3))"),
        ("a = 1 AND b = 2 AND c = 3", "(((A = 1) AND (B = 2)) AND (C = 3))"),
        ("`select` = `A`", "(`select` = A)"),
        ("`SELECT` = `1a`", "(`SELECT` = `1a`)"),
        ("as_value(a) = 1a", "(AS_VALUE(A) = 1A)"),
        ("emit = partition", "(EMIT = PARTITION)"),
    ],
)
def test_expressions_are_printed_as_the_server_does(text: str, formatted: str) -> None:
    assert format_expression(where(text)) == formatted


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM s emit EMIT CHANGES;",
        "SELECT * FROM s partition PARTITION BY a EMIT CHANGES;",
        "SELECT * FROM s AS emit EMIT CHANGES LIMIT 1;",
    ],
)
def test_words_that_are_names_too(text: str) -> None:
    statement = parse(text)[0].statement
    assert isinstance(statement, t.Query)
    assert statement.alias in ("EMIT", "PARTITION")
    assert statement.emit


def test_create_stream_is_printed_as_the_server_does() -> None:
    text = (
        "create stream if not exists `a b` (k int key, v struct<x array<varchar>, `y` boolean>, d Double)"
        " with (value_format='json', 'kafka_topic'='t''s', partitions=3);"
    )
    statement = parse(text)[0].statement
    assert isinstance(statement, t.CreateStream)
    assert format_statement(statement) == (
        "CREATE STREAM IF NOT EXISTS `a b` (K INTEGER KEY, V STRUCT<X ARRAY<STRING>, `y` BOOLEAN>, D DOUBLE)"
        " WITH (KAFKA_TOPIC='t''s', PARTITIONS=3, VALUE_FORMAT='json');"
    )


@pytest.mark.parametrize(
    "text",
    [
        "CREATE STREAM A WITH (KAFKA_TOPIC='a') AS SELECT\n  S.A A,\n  S.B->C D\nFROM S S\nEMIT CHANGES;",
        "CREATE STREAM A WITH (KAFKA_TOPIC='a') AS SELECT *\nFROM S S\nEMIT CHANGES;",
        "CREATE STREAM `a` AS SELECT S.*\nFROM S S\nWHERE (S.A IS NULL)\nPARTITION BY S.A\nEMIT CHANGES;",
    ],
)
def test_what_the_server_prints_reads_back_as_the_same(text: str) -> None:
    statement = parse(text)[0].statement
    assert isinstance(statement, t.CreateStreamAs)
    assert format_statement(statement) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("CREATE STREM x;", "line 1:8: Syntax Error\nSyntax error at or near 'STREM' at line 1:8"),
        ("SHOW STREAMS", "line 1:13: Syntax Error\nmissing ';' at '<EOF>'"),
        ("SHOW STREAMS\n ", "line 2:2: Syntax Error\nmissing ';' at '<EOF>'"),
        ("SHOW STREAMS SHOW QUERIES;", "line 1:14: Syntax Error\nmissing ';' at 'SHOW'"),
        ("SHOW STREAMS x;", "line 1:14: Syntax Error\nExpecting ';'"),
        ("SELECT FROM s;", "line 1:8: Syntax Error\nSyntax error at or near 'FROM' at line 1:8"),
        ("SHOW STREAMS;\nCREAT STREAM x;", "line 2:1: Syntax Error\nUnknown statement 'CREAT'\nDid you mean 'CREATE'?"),
        ("#", "line 1:1: Syntax Error\nSyntax error at or near '#' at line 1:1"),
        ("CREATE STREAM x (a VARCHAR;", "line 1:27: Syntax Error\nExpecting {',', ')'}"),
        ("CREATE STREAM from (a INT);", "line 1:15: Syntax Error\nSyntax error at or near 'from' at line 1:15"),
        ("SELECT a FROM s WHERE 'x;", "line 1:23: Syntax Error\nSyntax error at or near ''' at line 1:23"),
        ("SELECT a FROM s LIMIT 99999999999999999999;", "line 1:23: Invalid numeric literal: 99999999999999999999"),
        ("SELECT a FROM s LIMIT 1.5;", "Value must be integer for command: LIMIT"),
        ("SELECT 1e999 FROM s;", "line 1:8: Number overflows DOUBLE: 1e999"),
        ("CREATE STREAM x (a DATE) WITH (KAFKA_TOPIC='x');", "line 1:20: Cannot resolve unknown type: DATE"),
    ],
)
def test_errors_name_their_place(text: str, message: str) -> None:
    with pytest.raises(ParseError) as error:
        parse(text)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("CREATE TABLE x (a INT PRIMARY KEY);", "line 1:8"),
        ("SELECT a FROM s WHERE a LIKE 'x' EMIT CHANGES;", "line 1:25"),
        ("SELECT a FROM s WHERE a IN ('x') EMIT CHANGES;", "line 1:25"),
        ("SELECT a FROM s GROUP BY a EMIT CHANGES;", "line 1:17"),
        ("SELECT a FROM s JOIN r ON a = b EMIT CHANGES;", "line 1:17"),
        ("SELECT CASE WHEN a = 1 THEN 2 END FROM s;", "line 1:8"),
        ("SELECT a + 1 FROM s;", "line 1:10"),
        ("SELECT a[1] FROM s;", "line 1:9"),
        ("PRINT 'topic';", "line 1:1"),
        ("INSERT INTO s VALUES (1);", "line 1:15"),
        ("SHOW TABLES;", "line 1:6"),
    ],
)
def test_what_only_the_real_server_runs_is_refused_as_that(text: str, place: str) -> None:
    with pytest.raises(ParseError) as error:
        parse(text)
    assert str(error.value).startswith(place)
    assert "the local stand-in does not have it" in str(error.value)


# fuzz: anything is a parse or a clear error

VOCABULARY = """
CREATE STREAM IF NOT EXISTS WITH AS SELECT FROM WHERE PARTITION BY EMIT CHANGES LIMIT INSERT INTO SHOW LIST STREAMS
QUERIES DESCRIBE TERMINATE ALL DROP DELETE TOPIC AND OR IS NULL TRUE STRUCT ARRAY KEY VARCHAR DOUBLE a b1 `c` "e"
'text' '' 1 -2 3.5 4e5 99999999999999999999 ( ) < > <> <= = , . -> ; * - -- /* */ ' ` # é GROUP LIKE KAFKA_TOPIC
"""
WORDS = st.sampled_from(VOCABULARY.split())


def assert_parse_or_clear_error(text: str) -> None:
    try:
        parsed = parse(text)
    except ParseError as error:
        assert str(error)
        return
    for each in parsed:
        assert each.text.endswith(";")
        if isinstance(each.statement, t.CreateStream | t.CreateStreamAs):
            formatted = format_statement(each.statement)
            assert format_statement(parse(formatted)[0].statement) == formatted  # type: ignore[arg-type]


@given(st.lists(WORDS, max_size=25).map(" ".join))
def test_words_in_any_order(text: str) -> None:
    assert_parse_or_clear_error(text)


@given(st.text(max_size=80))
def test_any_text(text: str) -> None:
    assert_parse_or_clear_error(text)


VALID = (
    "CREATE STREAM IF NOT EXISTS s (a VARCHAR KEY, b STRUCT<c DOUBLE, d VARCHAR>) WITH (KAFKA_TOPIC='t', PARTITIONS=1);"
    "CREATE STREAM o WITH (VALUE_FORMAT='JSON') AS SELECT a AS k, AS_VALUE(a) AS a, b->c, 'x' FROM s AS r "
    "WHERE NOT (a IS NULL OR b->c >= 1.5) PARTITION BY a EMIT CHANGES; DROP STREAM IF EXISTS o DELETE TOPIC;"
)


@given(st.integers(0, len(VALID)), st.integers(0, 6), st.text(alphabet="();,'`-> =*1aé\n", max_size=3))
def test_a_valid_text_with_a_piece_replaced(at: int, removed: int, inserted: str) -> None:
    assert_parse_or_clear_error(VALID[:at] + inserted + VALID[at + removed :])


def test_a_very_deep_expression() -> None:
    assert_parse_or_clear_error("SELECT a FROM s WHERE " + "(" * 5000 + "a = 1" + ")" * 5000 + " EMIT CHANGES;")
    assert_parse_or_clear_error("SELECT a FROM s WHERE " + "NOT " * 5000 + "a = 1 EMIT CHANGES;")
