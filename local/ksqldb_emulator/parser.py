"""Text to statements: the grammar, the tree that it makes, and errors that name their place."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from importlib.resources import files
from itertools import zip_longest
from typing import Any

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedToken, VisitError

from local.ksqldb_emulator import sqltypes, syntaxerrors
from local.ksqldb_emulator import tree as t
from local.ksqldb_emulator.errors import ParseError
from local.ksqldb_emulator.names import RESERVED

_LONG_MAX = 2**63 - 1

# Words that are names as well, where nothing but the next token tells which: FROM s EMIT CHANGES, FROM s emit.
_WORD_ONLY_BEFORE = {"EMIT": "CHANGES", "PARTITION": "BY"}


class _TokenFilter:
    """Tells words from names, which ksqlDB's own parser does by looking ahead as far as it needs to."""

    always_accept = ()

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        """The same tokens, with the right types."""
        tokens = list(stream)
        for token, after in zip_longest(tokens, tokens[1:]):
            word = _WORD_ONLY_BEFORE.get(token.type)
            if word is not None and (after is None or after.type != word):
                yield Token.new_borrow_pos("IDENTIFIER", token.value, token)
            elif token.type == "IDENTIFIER" and token.value.upper() in RESERVED:
                yield Token.new_borrow_pos("RESERVED", token.value, token)
            else:
                yield token


@cache
def _lark() -> Lark:
    grammar = files("local.ksqldb_emulator").joinpath("grammar.lark").read_text("utf-8")
    return Lark(
        grammar,
        parser="lalr",
        lexer="basic",
        postlex=_TokenFilter(),
        propagate_positions=True,
        maybe_placeholders=True,
    )


def parse(text: str) -> list[t.Parsed]:
    """All statements of a text.

    Raises ParseError when any of it is no statement.
    """
    try:
        parsed = _lark().parse(text)
        return _Builder(text).transform(parsed)
    except UnexpectedToken as error:
        raise ParseError(syntaxerrors.unexpected_token(text, error)) from None
    except UnexpectedCharacters as error:
        raise ParseError(syntaxerrors.unexpected_character(text, error)) from None
    except VisitError as error:
        if isinstance(error.orig_exc, ParseError):
            raise error.orig_exc from None
        raise
    except RecursionError:
        raise ParseError(
            "Error processing statement: Statement is too large to parse. "
            "This may be caused by having too many nested expressions in the statement."
        ) from None


def _location(token: Any) -> t.Location:
    return t.Location(token.line, token.column - 1)


class _Builder(Transformer):
    """Makes the data of `tree` from the parser's tree. Every identifier is a Token that holds the name's text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def start(self, children: list[t.Parsed]) -> list[t.Parsed]:
        return children

    @v_args(meta=True)
    def single_statement(self, meta: Any, children: list[t.Statement]) -> t.Parsed:
        return t.Parsed(children[0], self._text[meta.start_pos : meta.end_pos])

    # names and types

    def unquoted(self, children: list[Token]) -> Token:
        return children[0].update(value=children[0].value.upper())

    def quoted(self, children: list[Token]) -> Token:
        text = children[0].value
        return children[0].update(value=text[1:-1].replace(text[0] * 2, text[0]))

    def base_type(self, children: list[Token]) -> sqltypes.SqlType:
        name = children[0]
        known = sqltypes.BY_NAME.get(str(name))
        if known is None:
            raise ParseError(f"line {name.line}:{name.column}: Cannot resolve unknown type: {name}")
        return known

    def struct_field(self, children: list[Any]) -> sqltypes.Column:
        return sqltypes.Column(str(children[0]), children[1])

    def struct_type(self, children: list[Any]) -> sqltypes.SqlType:
        return sqltypes.SqlType("STRUCT", fields=tuple(c for c in children[1:] if c is not None))

    def array_type(self, children: list[Any]) -> sqltypes.SqlType:
        return sqltypes.SqlType("ARRAY", element=children[1])

    # literals

    def string(self, children: list[Token]) -> t.Literal:
        return t.Literal(children[0].value[1:-1].replace("''", "'"))

    def null(self, _: list[Token]) -> t.Literal:
        return t.Literal(None)

    def true(self, _: list[Token]) -> t.Literal:
        return t.Literal(True)

    def false(self, _: list[Token]) -> t.Literal:
        return t.Literal(False)

    def integer(self, children: list[Token | None]) -> t.Literal:
        value = int(_signed(children))
        if not -_LONG_MAX - 1 <= value <= _LONG_MAX:
            raise ParseError(_at(children[1], f"Invalid numeric literal: {_signed(children)}"))
        return t.Literal(value)

    def decimal(self, children: list[Token | None]) -> t.Literal:
        return t.Literal(Decimal(_signed(children)))

    def float(self, children: list[Token | None]) -> t.Literal:
        value = float(_signed(children))
        if value in (float("inf"), float("-inf")):
            raise ParseError(_at(children[1], f"Number overflows DOUBLE: {_signed(children)}"))
        return t.Literal(value)

    # expressions

    def column(self, children: list[Token]) -> t.ColumnRef:
        return t.ColumnRef(str(children[0]), None, _location(children[0]))

    def qualified_column(self, children: list[Token]) -> t.ColumnRef:
        return t.ColumnRef(str(children[1]), str(children[0]), _location(children[0]))

    def dereference(self, children: list[Any]) -> t.Dereference:
        return t.Dereference(children[0], str(children[1]), _start(children[0]) or _location(children[1]))

    def function_call(self, children: list[Any]) -> t.FunctionCall:
        arguments = tuple(c for c in children[1:] if c is not None)
        return t.FunctionCall(str(children[0]), arguments, _location(children[0]))

    def comparison(self, children: list[Any]) -> t.Comparison:
        return t.Comparison(str(children[1]), children[0], children[2], _location(children[1]))

    @v_args(meta=True)
    def equals(self, meta: Any, children: list[Any]) -> t.Comparison:
        return t.Comparison("=", children[0], children[1], _location(meta))

    @v_args(meta=True)
    def less(self, meta: Any, children: list[Any]) -> t.Comparison:
        return t.Comparison("<", children[0], children[1], _location(meta))

    @v_args(meta=True)
    def greater(self, meta: Any, children: list[Any]) -> t.Comparison:
        return t.Comparison(">", children[0], children[1], _location(meta))

    def is_null(self, children: list[Any]) -> t.NullCheck:
        return t.NullCheck(children[0], negated=False)

    def is_not_null(self, children: list[Any]) -> t.NullCheck:
        return t.NullCheck(children[0], negated=True)

    def not_(self, children: list[Any]) -> t.Not:
        return t.Not(children[1])

    def logical(self, children: list[Any]) -> t.Logical:
        return t.Logical(str(children[1]).upper(), children[0], children[2])

    # queries

    @v_args(meta=True)
    def select_single(self, meta: Any, children: list[Any]) -> t.SelectItem:
        expression, _, alias = children
        return t.SelectItem(expression, None if alias is None else str(alias), _location(meta))

    @v_args(meta=True)
    def select_all(self, meta: Any, _: list[Any]) -> t.SelectAll:
        return t.SelectAll(None, _location(meta))

    @v_args(meta=True)
    def select_all_of(self, meta: Any, children: list[Any]) -> t.SelectAll:
        return t.SelectAll(str(children[0]), _location(meta))

    def relation(self, children: list[Any]) -> tuple[Token, str]:
        return children[0], str(children[2] or children[0])

    def where(self, children: list[Any]) -> t.Expression:
        return children[1]

    def partition_by(self, children: list[Any]) -> tuple[t.Expression, ...]:
        return tuple(children[2:])

    def emit(self, _: list[Any]) -> bool:
        return True

    def limit(self, children: list[Any]) -> int:
        value = children[1].value
        if not isinstance(value, int):
            raise ParseError("Value must be integer for command: LIMIT")
        return value

    def query(self, children: list[Any]) -> t.Query:
        body = children[1:]
        items = tuple(c for c in body if isinstance(c, t.SelectItem | t.SelectAll))
        (source, alias), where, partition_by, emit, limit = body[len(items) + 1 :]
        return t.Query(
            items=items,
            source=str(source),
            source_location=_location(source),
            alias=alias,
            where=where,
            partition_by=partition_by or (),
            emit=bool(emit),
            limit=limit,
        )

    # statements

    def table_element(self, children: list[Any]) -> t.ColumnElement:
        return t.ColumnElement(str(children[0]), children[1], key=children[2] is not None)

    def property(self, children: list[Any]) -> tuple[str, t.Literal]:
        name = str(children[0])
        if isinstance(children[0], Token) and children[0].type == "STRING_LITERAL":
            name = name[1:-1].replace("''", "'").upper()
        return name, children[1]

    def with_clause(self, children: list[Any]) -> t.Properties:
        return tuple(children[1:])

    def if_not_exists(self, _: list[Any]) -> bool:
        return True

    def if_exists(self, _: list[Any]) -> bool:
        return True

    def delete_topic(self, _: list[Any]) -> bool:
        return True

    def create_stream(self, children: list[Any]) -> t.CreateStream:
        _, _, not_exists, name, *elements, properties = children
        return t.CreateStream(str(name), tuple(elements), bool(not_exists), properties or ())

    def create_stream_as(self, children: list[Any]) -> t.CreateStreamAs:
        _, _, not_exists, name, properties, _, query = children
        return t.CreateStreamAs(str(name), query, bool(not_exists), properties or ())

    def insert_into(self, children: list[Any]) -> t.InsertInto:
        return t.InsertInto(str(children[2]), children[3], _location(children[2]))

    def list_streams(self, _: list[Any]) -> t.ListStreams:
        return t.ListStreams()

    def list_queries(self, _: list[Any]) -> t.ListQueries:
        return t.ListQueries()

    def describe(self, children: list[Any]) -> t.Describe:
        return t.Describe(str(children[1]))

    def terminate(self, children: list[Any]) -> t.Terminate:
        return t.Terminate(str(children[1]))

    def terminate_all(self, _: list[Any]) -> t.Terminate:
        return t.Terminate(None)

    def drop_stream(self, children: list[Any]) -> t.DropStream:
        _, _, if_exists, name, delete_topic = children
        return t.DropStream(str(name), bool(if_exists), bool(delete_topic))


def _signed(children: list[Token | None]) -> str:
    return "".join(str(child) for child in children if child is not None)


def _at(token: Token | None, message: str) -> str:
    return message if token is None else f"line {token.line}:{token.column}: {message}"


def _start(expression: t.Expression) -> t.Location | None:
    return getattr(expression, "location", None)
