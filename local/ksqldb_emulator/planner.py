"""Statements to plans: names, schemas, keys. Pure functions of a statement and the metastore."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import count

from local.ksqldb_emulator import tree as t
from local.ksqldb_emulator.errors import PlanError
from local.ksqldb_emulator.expressions import Scope, TypeProblem, type_of
from local.ksqldb_emulator.formatter import format_expression, format_quoted_type, format_schema, format_type
from local.ksqldb_emulator.metastore import Metastore, Stream
from local.ksqldb_emulator.names import escaped, quoted
from local.ksqldb_emulator.sqltypes import Column, Schema

_KEY_TYPES = frozenset({"STRING", "INTEGER", "BIGINT", "DOUBLE"})
_PROPERTIES = frozenset(
    {"KAFKA_TOPIC", "VALUE_FORMAT", "KEY_FORMAT", "FORMAT", "PARTITIONS", "REPLICAS", "RETENTION_MS"}
)


# The real server's own columns. This stand-in does not have them; their names stay free for neither.
_SYSTEM_COLUMNS = frozenset({"ROWTIME", "ROWPARTITION", "ROWOFFSET", "WINDOWSTART", "WINDOWEND"})


@dataclass(frozen=True)
class Projection:
    """One column of a query's result."""

    column: Column
    expression: t.Expression


@dataclass(frozen=True)
class QueryPlan:
    """A query with every name resolved. `key` is None when its result has no key."""

    source: Stream
    where: t.Expression | None
    key: Projection | None
    values: tuple[Projection, ...]

    @property
    def schema(self) -> Schema:
        """The schema of the result."""
        key = () if self.key is None else (self.key.column,)
        return Schema(key, tuple(value.column for value in self.values))


# properties


def check_properties(properties: t.Properties) -> None:
    """Raise PlanError for a property that is unknown, of the wrong kind, or for a format that is not JSON."""
    for name, literal in properties:
        if name not in _PROPERTIES:
            raise PlanError(f"Failed to prepare statement: Invalid config variable(s) in the WITH clause: {name}")
        wants_number = name in ("PARTITIONS", "REPLICAS", "RETENTION_MS")
        if wants_number and type(literal.value) is not int:
            raise PlanError(f"Failed to prepare statement: Invalid value {literal.value} for property {name}")
    for name, format_ in (("VALUE_FORMAT", "JSON"), ("KEY_FORMAT", "KAFKA")):
        value = text_property(properties, name)
        if value is not None and value.upper() != format_:
            raise PlanError(f"{name} {value} is not in the local stand-in: it has {format_}")
    if text_property(properties, "FORMAT") is not None:
        raise PlanError("FORMAT is not in the local stand-in: use VALUE_FORMAT='JSON' and KEY_FORMAT='KAFKA'")


def text_property(properties: t.Properties, name: str) -> str | None:
    """A property's value as text, or None when it is not given."""
    value = dict(properties).get(name)
    return None if value is None else str(value.value)


def number_property(properties: t.Properties, name: str) -> int | None:
    """A property's value as a number, or None when it is not given."""
    text = text_property(properties, name)
    return None if text is None else int(text)


# streams


def topic_of(statement: t.CreateStream) -> str:
    """The topic of CREATE STREAM. Raises PlanError for what the server refuses before it looks at any topic."""
    topic = text_property(statement.properties, "KAFKA_TOPIC")
    if topic is None:
        raise PlanError(
            'Failed to prepare statement: Missing required property "KAFKA_TOPIC" which has no default value.'
        )
    names = [element.name for element in statement.elements]
    duplicates = sorted({name for name in names if names.count(name) > 1})
    if duplicates:
        shown = ", ".join(map(quoted, duplicates))
        raise PlanError(f"Failed to prepare statement: Duplicate column names: {shown}")
    if text_property(statement.properties, "VALUE_FORMAT") is None:
        raise PlanError(
            "Statement is missing the 'VALUE_FORMAT' property from the WITH clause. "
            "Either provide one or set a default via the 'ksql.persistence.default.format.value' config."
        )
    return topic


def plan_create(statement: t.CreateStream, text: str) -> Stream:
    """The stream that CREATE STREAM makes; `text` is the statement as the server keeps it."""
    for element in statement.elements:
        if element.name in _SYSTEM_COLUMNS:
            raise PlanError(f"'{element.name}' is a reserved column name. You cannot use it as a name for a column.")
    key = tuple(Column(e.name, e.type) for e in statement.elements if e.key)
    value = tuple(Column(e.name, e.type) for e in statement.elements if not e.key)
    _check_key(key)
    return Stream(statement.name, topic_of(statement), Schema(key, value), text)


def _check_key(key: tuple[Column, ...]) -> None:
    shown = f"[{', '.join(f'{quoted(c.name)} {format_quoted_type(c.type)} KEY' for c in key)}]"
    if len(key) > 1:
        reason = f"The 'KAFKA' format only supports a single field. Got: {shown}"
    elif key and key[0].type.base not in _KEY_TYPES:
        reason = f"The 'KAFKA' format does not support type '{key[0].type.base}'"
    else:
        return
    raise PlanError(
        "Key format does not support schema.\nformat: KAFKA\n"
        f"schema: Persistence{{columns={shown}, features=[]}}\nreason: {reason}"
    )


def qualified(query: t.Query, metastore: Metastore) -> t.Query:
    """The query with its columns qualified by their source and with every item named, as the server keeps it.

    Raises PlanError when the source does not exist.
    """
    source = metastore.streams.get(query.source)
    if source is None:
        raise PlanError(f"Exception while preparing statement: {escaped(query.source)} does not exist.")
    known = {column.name for column in source.schema.columns}
    names = _NameGenerator(known)

    def qualify(expression: t.Expression) -> t.Expression:  # noqa: PLR0911 - one a kind
        match expression:
            case t.ColumnRef(name, None):
                return replace(expression, source=query.alias) if name in known else expression
            case t.ColumnRef(_, qualifier):
                if qualifier not in (query.alias, query.source):
                    raise PlanError(
                        f"Exception while preparing statement: '{qualifier}' is not a valid stream/table name or alias."
                    )
                return expression
            case t.Dereference(base):
                return replace(expression, base=qualify(base))
            case t.FunctionCall(_, arguments):
                return replace(expression, arguments=tuple(map(qualify, arguments)))
            case t.Comparison(_, left, right) | t.Logical(_, left, right):
                return replace(expression, left=qualify(left), right=qualify(right))
            case t.Not(value) | t.NullCheck(value):
                return replace(expression, value=qualify(value))
            case _:
                return expression

    def named(item: t.SelectItem | t.SelectAll) -> t.SelectItem | t.SelectAll:
        if isinstance(item, t.SelectAll):
            return item
        expression = qualify(item.expression)
        return replace(item, expression=expression, alias=item.alias or names.name_of(expression))

    return replace(
        query,
        items=tuple(map(named, query.items)),
        where=None if query.where is None else qualify(query.where),
        partition_by=tuple(map(qualify, query.partition_by)),
    )


_NUMBERED = re.compile(r"(?P<stem>.*?)(?:_(?P<number>[0-9]+))?\Z", re.DOTALL)


class _NameGenerator:
    """Names for the items that the user gave none: a column's own, a field's own, or KSQL_COL_n.

    A field's name loses a number at its end and gets the next free one: with a column ID, `x->ID_7` becomes ID_1.
    """

    def __init__(self, taken: set[str]) -> None:
        self._used: dict[str, set[int]] = {}
        for name in taken:
            stem, number = _split(name)
            self._used.setdefault(stem, set()).add(number)

    def name_of(self, expression: t.Expression) -> str:
        """The name; asked again, another one."""
        if isinstance(expression, t.ColumnRef):
            return expression.name
        if isinstance(expression, t.Dereference):
            stem, number = self._next(_split(expression.field)[0])
            return f"{stem}_{number}" if number else stem
        return "_".join(map(str, self._next("KSQL_COL")))

    def _next(self, stem: str) -> tuple[str, int]:
        used = self._used.setdefault(stem, set())
        number = next(number for number in count() if number not in used)
        used.add(number)
        return stem, number


def _split(name: str) -> tuple[str, int]:
    match = _NUMBERED.match(name)
    assert match is not None  # it matches everything
    return match["stem"], int(match["number"] or 0)


def plan_query(query: t.Query, metastore: Metastore, sink: str | None) -> QueryPlan:
    """The plan of a qualified query. `sink` names the stream that it fills, and is None for a push query."""
    source = metastore.streams[query.source]
    if query.where is not None:
        _check_where(query.where, source.schema)
    if sink is None:
        if query.partition_by:
            raise PlanError("PARTITION BY in a push query is not in the local stand-in")
        items = _expand(query, source.schema.columns)
        return QueryPlan(source, query.where, None, tuple(_projections(items, source.schema)))
    if query.limit is not None:
        raise PlanError("LIMIT in a persistent query is not in the local stand-in")
    if query.partition_by:
        return _repartitioned(query, source, sink)
    items = _expand(query, source.schema.columns)
    key = source.schema.key
    expression = t.ColumnRef(next(iter(key)).name, None, t.Location(1, 0)) if key else None
    return _with_key(query, source, expression, items, sink, "key column")


def _check_where(where: t.Expression, schema: Schema) -> None:
    try:
        where_type = type_of(where, Scope(schema, "WHERE"))
    except TypeProblem as error:
        raise PlanError(f"Error in WHERE expression: {error}") from None
    if where_type is None or where_type.base != "BOOLEAN":
        shown = "null" if where_type is None else format_type(where_type)
        raise PlanError(
            "Type error in WHERE expression: "
            f"Should evaluate to boolean but is {format_expression(bare(where))} ({shown}) instead."
        )


def _repartitioned(query: t.Query, source: Stream, sink: str) -> QueryPlan:
    """PARTITION BY: the old key becomes a column of the value, the last one; `*` puts the new key first."""
    expression, *others = query.partition_by
    if others:
        raise PlanError("The 'KAFKA' format only supports a single field: PARTITION BY one expression")
    columns = source.schema.value + source.schema.key
    if isinstance(expression, t.Literal) and expression.value is None:
        return _with_key(query, source, None, _expand(query, columns), sink, "")
    items = _expand(query, columns)
    if not isinstance(expression, t.ColumnRef) and any(isinstance(item, t.SelectAll) for item in query.items):
        names = _NameGenerator({column.name for column in columns})
        items.insert(0, t.SelectItem(expression, names.name_of(expression), t.Location(1, 0)))
    return _with_key(query, source, expression, items, sink, "partitioning expression")


def _expand(query: t.Query, columns: tuple[Column, ...]) -> list[t.SelectItem]:
    """The items with `*` replaced by the columns it stands for."""
    items: list[t.SelectItem] = []
    for item in query.items:
        if isinstance(item, t.SelectItem):
            items.append(item)
            continue
        if item.source not in (None, query.alias, query.source):
            raise PlanError(
                f"Exception while preparing statement: '{item.source}' is not a valid stream/table name or alias."
            )
        for column in columns:
            ref = t.ColumnRef(column.name, query.alias, item.location)
            items.append(t.SelectItem(ref, column.name, item.location))
    return items


def _projections(items: list[t.SelectItem], schema: Schema) -> list[Projection]:
    scope = Scope(schema, "SELECT")
    projections = []
    for item in items:
        sql_type = type_of(item.expression, scope)
        assert item.alias is not None  # `qualified` has named every item
        if sql_type is None:
            raise PlanError(f"NULL as a column is not in the local stand-in: {quoted(item.alias)}")
        projections.append(Projection(Column(item.alias, sql_type), item.expression))
    return projections


def _with_key(
    query: t.Query, source: Stream, expression: t.Expression | None, items: list[t.SelectItem], sink: str, what: str
) -> QueryPlan:
    """The plan whose key is the item that equals `expression`; None means a result without a key."""
    if expression is not None:
        key_type = type_of(expression, Scope(source.schema, "PARTITION BY"))
        if key_type is None:
            raise PlanError("NULL as a part of a key is not in the local stand-in")
        _check_key((Column(_key_name(expression), key_type),))
    projections = _projections(items, source.schema)
    keys = [p for p in projections if expression is not None and bare(p.expression) == bare(expression)]
    values = [p for p in projections if p not in keys]
    if len(keys) > 1:
        aliases = " and ".join(sorted(p.column.name for p in keys))
        assert expression is not None
        raise PlanError(
            f"The projection contains a key column ({quoted(_key_name(expression))}) more than once, aliased as: "
            f"{aliases}.\nEach key column must only be in the projection once. If you intended to copy the key into "
            "the value, then consider using the AS_VALUE function to indicate which key reference should be copied."
        )
    if not values:
        raise PlanError("The projection contains no value columns.")
    _check_names(keys, values)
    if expression is not None and not keys:
        shown = format_expression(expression)
        raise PlanError(
            "Key missing from projection (ie, SELECT). \n"
            f"The query used to build {quoted(sink)} must include the {what} {shown} in its projection "
            f"(eg, SELECT {shown}...)."
        )
    return QueryPlan(source, query.where, keys[0] if keys else None, tuple(values))


def _key_name(expression: t.Expression) -> str:
    return _NameGenerator(set()).name_of(expression)


def _check_names(keys: list[Projection], values: list[Projection]) -> None:
    names = [p.column.name for p in values]
    for value in values:
        if names.count(value.column.name) > 1:
            shown = f"{quoted(value.column.name)} {format_type(value.column.type)}"
            raise PlanError(f"Duplicate value columns found in schema: {shown}")
    for key in keys:
        if key.column.name in names:
            raise PlanError(f"Value columns clash with key columns: {quoted(key.column.name)}")


def bare(expression: t.Expression) -> t.Expression:  # noqa: PLR0911 - one a kind
    """The expression without the names of sources and without places, to show it and to compare it."""
    nowhere = t.Location(0, 0)
    match expression:
        case t.ColumnRef(name):
            return t.ColumnRef(name, None, nowhere)
        case t.Dereference(base):
            return replace(expression, base=bare(base), location=nowhere)
        case t.FunctionCall(_, arguments):
            return replace(expression, arguments=tuple(map(bare, arguments)), location=nowhere)
        case t.Comparison(_, left, right):
            return replace(expression, left=bare(left), right=bare(right), location=nowhere)
        case t.Logical(_, left, right):
            return replace(expression, left=bare(left), right=bare(right))
        case t.Not(value) | t.NullCheck(value):
            return replace(expression, value=bare(value))
        case _:
            return expression


# From each type, the types that its values become by themselves.
_WIDER = {
    "INTEGER": {"BIGINT", "DOUBLE"},
    "BIGINT": {"DOUBLE"},
    "DECIMAL": {"DOUBLE"},
}


def into(plan: QueryPlan, target: Stream) -> QueryPlan:
    """The plan with the types of the stream that its result is inserted into.

    Raises PlanError when the result does not fit: other names, another key, types that do not widen.
    """
    if not _fits(plan.schema, target.schema):
        raise PlanError(
            "Incompatible schema between results and sink.\n"
            f"Result schema is {format_schema(plan.schema)}\n"
            f"Sink schema is {format_schema(target.schema)}"
        )
    key = None if plan.key is None else replace(plan.key, column=target.schema.key[0])
    values = (replace(p, column=c) for p, c in zip(plan.values, target.schema.value, strict=True))
    return replace(plan, key=key, values=tuple(values))


def _fits(result: Schema, target: Schema) -> bool:
    if len(result.key) != len(target.key) or len(result.value) != len(target.value):
        return False
    return all(
        one.name == other.name and (one.type == other.type or other.type.base in _WIDER.get(one.type.base, ()))
        for one, other in zip(result.columns, target.columns, strict=True)
    )
