"""The statements and expressions that the parser makes, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from local.ksqldb_emulator.sqltypes import SqlType


@dataclass(frozen=True)
class Location:
    """Where something stands in the text: line from 1, column from 0."""

    line: int
    column: int


@dataclass(frozen=True)
class Literal:
    """A constant. Its Python type says which one: str, bool, int, Decimal, float or None."""

    value: str | bool | int | Decimal | float | None


@dataclass(frozen=True)
class ColumnRef:
    """A column by its name, perhaps with the name or the alias of its source before a dot."""

    name: str
    source: str | None
    location: Location


@dataclass(frozen=True)
class Dereference:
    """`base->field`."""

    base: Expression
    field: str
    location: Location


@dataclass(frozen=True)
class FunctionCall:
    """`name(arguments)`."""

    name: str
    arguments: tuple[Expression, ...]
    location: Location


@dataclass(frozen=True)
class Comparison:
    """`left operator right`; the operator is =, <>, !=, <, <=, > or >=."""

    operator: str
    left: Expression
    right: Expression
    location: Location


@dataclass(frozen=True)
class Logical:
    """`left AND right` or `left OR right`."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Not:
    """`NOT value`."""

    value: Expression


@dataclass(frozen=True)
class NullCheck:
    """`value IS NULL` or `value IS NOT NULL`."""

    value: Expression
    negated: bool


Expression = Literal | ColumnRef | Dereference | FunctionCall | Comparison | Logical | Not | NullCheck


@dataclass(frozen=True)
class SelectItem:
    """One item of a SELECT list; `alias` is None until the statement is prepared."""

    expression: Expression
    alias: str | None
    location: Location


@dataclass(frozen=True)
class SelectAll:
    """`*` or `source.*`."""

    source: str | None
    location: Location


@dataclass(frozen=True)
class Query:
    """A SELECT. `limit` and `emit` matter to a push query only."""

    items: tuple[SelectItem | SelectAll, ...]
    source: str
    source_location: Location
    alias: str
    where: Expression | None
    partition_by: tuple[Expression, ...]
    emit: bool
    limit: int | None


@dataclass(frozen=True)
class ColumnElement:
    """A column in CREATE STREAM ( ... )."""

    name: str
    type: SqlType
    key: bool


Properties = tuple[tuple[str, Literal], ...]


@dataclass(frozen=True)
class CreateStream:
    """CREATE STREAM name (columns) WITH (...)."""

    name: str
    elements: tuple[ColumnElement, ...]
    not_exists: bool
    properties: Properties


@dataclass(frozen=True)
class CreateStreamAs:
    """CREATE STREAM name WITH (...) AS SELECT ..."""

    name: str
    query: Query
    not_exists: bool
    properties: Properties


@dataclass(frozen=True)
class InsertInto:
    """INSERT INTO target SELECT ..."""

    target: str
    query: Query
    location: Location


@dataclass(frozen=True)
class ListStreams:
    """SHOW STREAMS."""


@dataclass(frozen=True)
class ListQueries:
    """SHOW QUERIES."""


@dataclass(frozen=True)
class Describe:
    """DESCRIBE name."""

    name: str


@dataclass(frozen=True)
class Terminate:
    """TERMINATE id, or TERMINATE ALL when the id is None."""

    query_id: str | None


@dataclass(frozen=True)
class DropStream:
    """DROP STREAM [IF EXISTS] name [DELETE TOPIC]."""

    name: str
    if_exists: bool
    delete_topic: bool


Statement = (
    CreateStream | CreateStreamAs | InsertInto | ListStreams | ListQueries | Describe | Terminate | DropStream | Query
)


@dataclass(frozen=True)
class Parsed:
    """A statement and its own text, from its first word to its semicolon."""

    statement: Statement
    text: str
