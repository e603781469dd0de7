"""Text to statements, and the complaints about what is no statement."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.ksqldb_emulator import tree as t
from local.ksqldb_emulator.errors import Refused
from local.ksqldb_emulator.parser import parse


def column(name: str) -> t.Column:
    return t.Column(None, name)


def where(text: str) -> t.Expression:
    statement = parse(f"SELECT a FROM s WHERE {text} EMIT CHANGES;")[0].statement
    assert isinstance(statement, t.Select)
    assert statement.where is not None
    return statement.where


def test_a_text_of_several_statements() -> None:
    parsed = parse("-- one\nSHOW STREAMS; /* two */ list\n  queries ;\n\n")
    assert [p.text for p in parsed] == ["SHOW STREAMS;", "list\n  queries ;"]
    assert [p.statement for p in parsed] == [t.Show("STREAMS"), t.Show("QUERIES")]


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
        ("show topics;", t.Show("TOPICS")),
        ("DROP STREAM x;", t.DropStream(None, "X", None)),
        ('drop stream if exists "x" delete topic;', t.DropStream(True, "x", True)),
        ("print 'a-b';", t.PrintTopic("a-b", None, None)),
        ("PRINT users FROM BEGINNING LIMIT 3;", t.PrintTopic("users", True, 3)),
    ],
)
def test_statements(text: str, statement: t.Statement) -> None:
    assert parse(text)[0].statement == statement


A_IS_1, B_IS_2, C_IS_3 = (
    t.Comparison(column(name), "=", t.Literal(value)) for name, value in [("A", 1), ("B", 2), ("C", 3)]
)


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("a = 'it''s'", t.Comparison(column("A"), "=", t.Literal("it's"))),
        ("a != -1", t.Comparison(column("A"), "!=", t.Literal(-1))),
        ("a>=1.50", t.Comparison(column("A"), ">=", t.Literal(1.5))),
        ("a < -12.5E-4", t.Comparison(column("A"), "<", t.Literal(-0.00125))),
        ("a = TRUE", t.Comparison(column("A"), "=", t.Literal(True))),
        ("s.a IS NULL", t.IsNull(column("A"))),
        ("a->`b c`->d is not null", t.Not(t.IsNull(t.Dereference(t.Dereference(column("A"), "b c"), "D")))),
        ("NOT a = 1 AND b = 2", t.And(t.Not(A_IS_1), B_IS_2)),
        ("a = 1 OR b = 2 AND c = 3", t.Or(A_IS_1, t.And(B_IS_2, C_IS_3))),
        ("(a = 1 OR b = 2) AND c = 3", t.And(t.Or(A_IS_1, B_IS_2), C_IS_3)),
        ("`select` = `A`", t.Comparison(column("select"), "=", column("A"))),
        ("as_value(key)", t.FunctionCall("AS_VALUE", (column("KEY"),))),
    ],
)
def test_expressions(text: str, expression: t.Expression) -> None:
    assert where(text) == expression


def test_create_stream() -> None:
    text = (
        "create stream if not exists `a b` (k int key, v struct<x struct<z varchar>, `y` boolean>, d Double)"
        " with (value_format='json', 'kafka_topic'='t''s', partitions=3);"
    )
    statement = parse(text)[0].statement
    assert isinstance(statement, t.CreateStream)
    assert (statement.not_exists, statement.name) == (True, "a b")
    assert [(e.name, str(e.type), e.key) for e in statement.elements] == [
        ("K", "INTEGER", True),
        ("V", "STRUCT<`X` STRUCT<`Z` STRING>, `y` BOOLEAN>", None),
        ("D", "DOUBLE", None),
    ]
    assert statement.properties == {"VALUE_FORMAT": "json", "KAFKA_TOPIC": "t's", "PARTITIONS": 3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("CREATE STREM x;", "line 1:8: syntax error at 'STREM'"),
        ("SHOW STREAMS", "line 1: syntax error at the end: a ';' is missing"),
        ("SHOW STREAMS\n ", "line 2: syntax error at the end: a ';' is missing"),
        ("SHOW STREAMS SHOW QUERIES;", "line 1:14: syntax error at 'SHOW'"),
        ("SHOW STREAMS;\nCREAT STREAM x;", "line 2:1: syntax error at 'CREAT'"),
        ("#", "line 1:1: syntax error at '#'"),
        ("CREATE STREAM x (a VARCHAR;", "line 1:27: syntax error at ';'"),
        (
            "CREATE STREAM from (a INT) WITH (x='y');",
            "line 1:15: from is a reserved word: as a name it is written `FROM`",
        ),
        ("SELECT a FROM s WHERE 'x;", "line 1:23: syntax error at '''"),
        ("SELECT 99999999999999999999 FROM s;", "line 1:8: 99999999999999999999 is no BIGINT"),
        (f"SELECT {'9' * 5_000} FROM s;", "line 1:8: 99999999999999999999 is no BIGINT"),
    ],
)
def test_errors_name_their_place(text: str, message: str) -> None:
    with pytest.raises(Refused) as error:
        parse(text)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("CREATE TABLE x (a INT PRIMARY KEY);", "line 1:8: TABLE is ksqlDB's"),
        ("CREATE OR REPLACE STREAM x AS SELECT a FROM s;", "line 1:8: OR REPLACE is ksqlDB's"),
        ("CREATE STREAM x (a DATE) WITH (KAFKA_TOPIC='x');", "line 1:20: the type DATE is ksqlDB's"),
        ("CREATE STREAM x (a DECIMAL(4, 2)) WITH (KAFKA_TOPIC='x');", "line 1:27: DECIMAL is ksqlDB's"),
        ("CREATE STREAM x (a MAP<INT, INT>) WITH (KAFKA_TOPIC='x');", "line 1:23: MAP is ksqlDB's"),
        ("CREATE STREAM x (a ARRAY<INT>) WITH (KAFKA_TOPIC='x');", "line 1:25: ARRAY is ksqlDB's"),
        ("SELECT a FROM s WHERE a LIKE 'x' EMIT CHANGES;", "line 1:25: LIKE is ksqlDB's"),
        ("SELECT a FROM s WHERE a IN ('x') EMIT CHANGES;", "line 1:25: IN is ksqlDB's"),
        ("SELECT a FROM s GROUP BY a EMIT CHANGES;", "line 1:23: GROUP BY is ksqlDB's"),
        ("SELECT a FROM s JOIN r ON a = b EMIT CHANGES;", "line 1:22: JOIN is ksqlDB's"),
        ("SELECT a + 1 FROM s;", "line 1:10: + is ksqlDB's"),
        ("SELECT a[1] FROM s;", "line 1:9: [ is ksqlDB's"),
        ("INSERT INTO s SELECT * FROM x;", "line 1:1: INSERT INTO is ksqlDB's"),
        ("INSERT INTO s VALUES (1);", "line 1:1: INSERT INTO is ksqlDB's"),
        ("SHOW TABLES;", "line 1:6: TABLES is ksqlDB's"),
        ("DESCRIBE s EXTENDED;", "line 1:12: EXTENDED is ksqlDB's"),
        ("EXPLAIN x;", "line 1:1: EXPLAIN is ksqlDB's"),
    ],
)
def test_what_only_the_real_server_runs_is_refused_as_that(text: str, start: str) -> None:
    with pytest.raises(Refused) as error:
        parse(text)
    assert str(error.value).startswith(start)
    assert "the local emulator does not have it" in str(error.value)


# fuzz: anything is a parse or a clear error

VOCABULARY = """
CREATE STREAM IF NOT EXISTS WITH AS SELECT FROM WHERE PARTITION BY EMIT CHANGES LIMIT INSERT INTO SHOW LIST STREAMS
QUERIES DESCRIBE TERMINATE ALL DROP DELETE TOPIC AND OR IS NULL TRUE STRUCT ARRAY KEY VARCHAR DOUBLE a b1 `c` "e"
'text' '' 1 -2 3.5 4e5 99999999999999999999 ( ) < > <> <= = , . -> ; * - -- /* */ ' ` # é GROUP LIKE KAFKA_TOPIC
PRINT TOPICS BEGINNING
"""
WORDS = st.sampled_from(VOCABULARY.split())


def assert_parse_or_clear_error(text: str) -> None:
    try:
        parsed = parse(text)
    except Refused as error:
        assert str(error)
        return
    assert all(each.text.endswith(";") for each in parsed)


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
