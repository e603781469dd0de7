"""Statements and expressions as text, the way the real server prints them back."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from local.ksqldb_emulator import tree as t
from local.ksqldb_emulator.names import escaped, quoted
from local.ksqldb_emulator.sqltypes import Schema, SqlType


def format_statement(statement: t.CreateStream | t.CreateStreamAs) -> str:
    """The statement's text with its semicolon."""
    exists = "IF NOT EXISTS " if statement.not_exists else ""
    text = f"CREATE STREAM {exists}{escaped(statement.name)}"
    if isinstance(statement, t.CreateStreamAs):
        return f"{text}{_with(statement.properties)} AS {_query(statement.query)};"
    return f"{text} ({', '.join(_element(e) for e in statement.elements)}){_with(statement.properties)};"


def format_type(sql_type: SqlType) -> str:
    """A type as a statement names it: STRUCT<ID STRING, ...>."""
    return _type(sql_type, escaped, "STRING")


def format_quoted_type(sql_type: SqlType) -> str:
    """A type with every field's name quoted, as the header of a push query names it."""
    return _type(sql_type, quoted, "STRING")


def format_serde_type(sql_type: SqlType) -> str:
    """A type as a deserialization error names it: VARCHAR for STRING, no quotes."""
    return _type(sql_type, str, "VARCHAR")


def format_schema(schema: Schema) -> str:
    """A schema as an error about schemas names it."""
    return ", ".join(
        [f"{quoted(c.name)} {format_quoted_type(c.type)} KEY" for c in schema.key]
        + [f"{quoted(c.name)} {format_quoted_type(c.type)}" for c in schema.value]
    )


def format_expression(expression: t.Expression) -> str:  # noqa: PLR0911 - one a kind
    """An expression, with the parentheses that the real server puts around operators."""
    match expression:
        case t.Literal(value):
            return _literal(value)
        case t.ColumnRef(name, source):
            return escaped(name) if source is None else f"{escaped(source)}.{escaped(name)}"
        case t.Dereference(base, field):
            return f"{format_expression(base)}->{escaped(field)}"
        case t.FunctionCall(name, arguments):
            return f"{escaped(name)}({', '.join(map(format_expression, arguments))})"
        case t.Comparison(operator, left, right):
            shown = "<>" if operator == "!=" else operator
            return f"({format_expression(left)} {shown} {format_expression(right)})"
        case t.Logical(operator, left, right):
            return f"({format_expression(left)} {operator} {format_expression(right)})"
        case t.Not(value):
            return f"(NOT {format_expression(value)})"
        case t.NullCheck(value, negated):
            return f"({format_expression(value)} IS {'NOT ' if negated else ''}NULL)"


def _query(query: t.Query) -> str:
    items = [_item(item) for item in query.items]
    select = " " + items[0] if len(items) == 1 else "\n  " + ",\n  ".join(items)
    lines = [f"SELECT{select}", f"FROM {escaped(query.source)} {escaped(query.alias)}"]
    if query.where is not None:
        lines.append(f"WHERE {format_expression(query.where)}")
    if query.partition_by:
        lines.append(f"PARTITION BY {', '.join(map(format_expression, query.partition_by))}")
    lines.append("EMIT CHANGES")
    return "\n".join(lines)


def _item(item: t.SelectItem | t.SelectAll) -> str:
    if isinstance(item, t.SelectAll):
        return "*" if item.source is None else f"{escaped(item.source)}.*"
    text = format_expression(item.expression)
    return text if item.alias is None else f"{text} {escaped(item.alias)}"


def _element(element: t.ColumnElement) -> str:
    return f"{escaped(element.name)} {format_type(element.type)}{' KEY' if element.key else ''}"


def _with(properties: t.Properties) -> str:
    if not properties:
        return ""
    return f" WITH ({', '.join(f'{name}={_literal(literal.value)}' for name, literal in sorted(properties))})"


def _type(sql_type: SqlType, name: Callable[[str], str], string: str) -> str:
    if sql_type.base == "STRUCT":
        fields = ", ".join(f"{name(f.name)} {_type(f.type, name, string)}" for f in sql_type.fields)
        return f"STRUCT<{fields}>"
    if sql_type.element is not None:
        return f"ARRAY<{_type(sql_type.element, name, string)}>"
    if sql_type.base == "DECIMAL":
        return f"DECIMAL({sql_type.precision}, {sql_type.scale})"
    return string if sql_type.base == "STRING" else sql_type.base


def _literal(value: str | bool | int | Decimal | float | None) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _scientific(value)
    return str(value)


def _scientific(value: float) -> str:
    """A DOUBLE literal: scientific notation with all digits, 1E3 for 1000."""
    digits = Decimal(repr(value)).normalize()
    sign, numbers, exponent = digits.as_tuple()
    if not any(numbers):
        return "-0E0" if sign else "0E0"
    text = "".join(map(str, numbers))
    point = f".{text[1:]}" if len(text) > 1 else ""
    return f"{'-' if sign else ''}{text[0]}{point}E{int(exponent) + len(text) - 1}"
