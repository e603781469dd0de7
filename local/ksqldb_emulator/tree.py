"""The statements and expressions that the parser makes, as plain data.

lark makes each class of the grammar's rule or alias of the same name; the fields are the rule's children, in their order.
What is optional and not there is None.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lark.ast_utils import Ast, WithMeta

from local.ksqldb_emulator.schema import SqlType


class Parsed(NamedTuple):
    """A statement and its own text, from its first word to its semicolon."""

    statement: Statement
    text: str


@dataclass(frozen=True)
class Literal(Ast):
    value: str | bool | int | float | None


@dataclass(frozen=True)
class Column(Ast, WithMeta):
    meta: Any = field(compare=False, repr=False)  # where it stands, for errors
    name: str
    source: str | None = field(default=None, compare=False)  # the name before its dot


@dataclass(frozen=True)
class Dereference(Ast):
    base: Expression
    field: str


@dataclass(frozen=True)
class FunctionCall(Ast):
    name: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True)
class Comparison(Ast):
    left: Expression
    sign: str
    right: Expression


@dataclass(frozen=True)
class And(Ast):
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Or(Ast):
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Not(Ast):
    value: Expression


@dataclass(frozen=True)
class IsNull(Ast):
    value: Expression


Expression = Literal | Column | Dereference | FunctionCall | Comparison | And | Or | Not | IsNull


@dataclass(frozen=True)
class SelectItem(Ast):
    expression: Expression
    alias: str | None


@dataclass(frozen=True)
class SelectAll(Ast):
    pass


@dataclass(frozen=True)
class Select(Ast):
    items: tuple[SelectItem | SelectAll, ...]
    source: str
    alias: str | None
    where: Expression | None
    partition_by: tuple[Expression, ...] | None
    emit: bool | None
    limit: int | None


@dataclass(frozen=True)
class Element(Ast):
    name: str
    type: SqlType
    key: bool | None


Properties = dict[str, Any]


@dataclass(frozen=True)
class CreateStream(Ast):
    not_exists: bool | None
    name: str
    elements: tuple[Element, ...]
    properties: Properties | None


@dataclass(frozen=True)
class CreateStreamAs(Ast):
    not_exists: bool | None
    name: str
    properties: Properties | None
    query: Select


@dataclass(frozen=True)
class DropStream(Ast):
    if_exists: bool | None
    name: str
    delete_topic: bool | None


@dataclass(frozen=True)
class PrintTopic(Ast):
    topic: str
    from_beginning: bool | None
    limit: int | None


@dataclass(frozen=True)
class Show(Ast):
    what: str  # STREAMS, QUERIES or TOPICS


@dataclass(frozen=True)
class Describe(Ast):
    name: str


@dataclass(frozen=True)
class Terminate(Ast):
    query_id: str | None  # None is ALL


Statement = CreateStream | CreateStreamAs | DropStream | PrintTopic | Show | Describe | Terminate | Select
