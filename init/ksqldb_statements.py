"""Parses ksqlDB's CREATE statements, and compares them by meaning.

A server prints a statement in its own form: upper-case names prefixed with their source, all types and properties filled
in, parentheses around every condition. Two texts are the same statement when their parse trees match.
"""

import re
from dataclasses import dataclass
from typing import Any

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedInput

from runtime.ksqldb import PIECE

_SYNONYMS = {"VARCHAR": "STRING", "INT": "INTEGER", "!=": "<>"}
# Properties that a server adds when the file omits them.
_FILLED_IN = frozenset({"CLEANUP_POLICY", "PARTITIONS", "REPLICAS", "RETENTION_MS", "KEY_FORMAT", "VALUE_FORMAT"})


class NotUnderstood(Exception):
    """The text is not one of the kinds of statement that are compared here."""


@dataclass(frozen=True)
class Statement:
    """A CREATE statement: `head` says what kind of thing is created, `name` is the stream's name."""

    head: tuple[str, ...]
    name: str
    columns: Any
    properties: dict[str, Any]
    query: Any


class _Trees(Transformer[Token, Any]):
    """Parse trees as tuples: the rule's name and its children. Names and numbers are normalized, an absent part is None."""

    def __default__(self, data: str, children: list[Any], meta: Any) -> Any:
        name = str(data).removeprefix("not_")
        return (name, *children) if name == data else ("negated", (name, *children))

    def __default_token__(self, token: Token) -> str:
        text = str(token)
        if token.type == "STRING":
            return text
        if token.type == "QUOTED":
            return text[1:-1].replace(text[0] * 2, text[0])
        if token.type == "NUMBER":
            return repr(float(text)) if "e" in text.lower() else text
        return _SYNONYMS.get(text.upper(), text.upper())

    def name(self, children: list[str]) -> str:
        return children[0]

    def property(self, children: list[Any]) -> tuple[str, Any]:
        name, value = children
        return name.strip("'").upper(), value

    def properties(self, children: list[tuple[str, Any]]) -> dict[str, Any]:
        return dict(children)

    def source(self, children: list[str | None]) -> Any:
        name, alias = children
        return "source", name, alias or name

    def start(self, children: list[Any]) -> Statement:
        source, kind, name, columns, properties, query = children
        return Statement((source, kind), name, columns, properties or {}, query)


_PARSER = Lark.open("ksqldb.lark", rel_to=__file__, parser="lalr", maybe_placeholders=True)


def created(text: str) -> Statement | None:
    """The stream or table that a statement creates, or None when it creates none. Raises NotUnderstood."""
    first = next((piece[0] for piece in PIECE.finditer(text) if not piece["blank"]), "")
    if first.upper() != "CREATE":
        return None
    try:
        return _Trees().transform(_PARSER.parse(text))
    except UnexpectedInput as error:
        raise NotUnderstood(f"line {error.line}, column {error.column} cannot be compared") from None


def same(wanted: Statement, running: Statement) -> bool:
    """Whether a server that runs `running` does what `wanted` says."""
    left = {"KAFKA_TOPIC": ("value", f"'{wanted.name}'"), **wanted.properties}
    right = {"KAFKA_TOPIC": ("value", f"'{running.name}'"), **running.properties}
    return (
        (wanted.head, wanted.name, wanted.columns) == (running.head, running.name, running.columns)
        and all(right.get(name) == value for name, value in left.items())
        and right.keys() - left.keys() <= _FILLED_IN
        and _alike(wanted.query, running.query)
    )


def _alike(wanted: Any, running: Any) -> bool:
    """Whether both are equal apart from what a server adds: the source before a column's name, the name of an unnamed item."""
    match wanted, running:
        case ("column_of", name, None), ("column_of", _, other) if other is not None:
            return name == other
        case ("item", expression, alias), ("item", other, name):
            return _alike(expression, other) and (name == alias if alias else _by_itself(name, expression))
        case tuple(), tuple():
            return len(wanted) == len(running) and all(map(_alike, wanted, running))
    return wanted == running


def _by_itself(name: str | None, expression: Any) -> bool:
    """Whether a server gives an unnamed item this name: that of its column or field, else a numbered one."""
    names = [part for part in expression[1:] if isinstance(part, str)]
    base = names[-1] if expression[0] in ("column_of", "field_of") else "KSQL_COL"
    return name is None or re.fullmatch(rf"{re.escape(base)}(_\d+)?", name) is not None
