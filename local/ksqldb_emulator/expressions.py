"""Expressions: their types, and closures that compute them.

`Scope` resolves names for one source. A compiled expression is a function of a row, so nothing walks the tree once per
record.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from local.ksqldb_emulator import tree as t
from local.ksqldb_emulator.errors import PlanError
from local.ksqldb_emulator.formatter import format_expression, format_type
from local.ksqldb_emulator.sqltypes import BIGINT, BOOLEAN, DOUBLE, INTEGER, NUMERIC, STRING, Schema, SqlType


class TypeProblem(PlanError):
    """Operands that do not go together, or a field that is not there."""


Evaluator = Callable[[tuple[Any, ...]], Any]


@dataclass(frozen=True)
class Scope:
    """The columns that an expression may name, and the clause that it stands in (for errors)."""

    schema: Schema
    clause: str

    def index(self, ref: t.ColumnRef) -> int:
        """The column's place in a row."""
        for index, column in enumerate(self.schema.columns):
            if column.name == ref.name:
                return index
        raise PlanError(f"{_place(ref.location)}{self.clause} column '{format_expression(ref)}' cannot be resolved.")


def _place(location: t.Location) -> str:
    return f"Line: {location.line}, Col: {location.column + 1}: "


def type_of(expression: t.Expression, scope: Scope) -> SqlType | None:  # noqa: PLR0911 - one a kind
    """The expression's type; None for NULL, which has none. Raises PlanError."""
    match expression:
        case t.Literal(value):
            return _literal_type(value)
        case t.ColumnRef():
            return scope.schema.columns[scope.index(expression)].type
        case t.Dereference(base, field):
            base_type = type_of(base, scope)
            if base_type is None or base_type.base != "STRUCT":
                shown = "null" if base_type is None else format_type(base_type)
                raise TypeProblem(f"Expected STRUCT type, got: {shown}")
            column = base_type.field(field)
            if column is None:
                raise TypeProblem(f"Could not find field '{field}' in '{_shown(base)}'.")
            return column.type
        case t.FunctionCall(name, arguments, location):
            if name != "AS_VALUE" or len(arguments) != 1:
                raise PlanError(
                    f"{_place(location)}the local stand-in has no function {name} with {len(arguments)} argument(s)"
                )
            return type_of(arguments[0], scope)
        case t.Comparison():
            _check_comparison(expression, scope)
            return BOOLEAN
        case t.Logical(operator, left, right):
            for side in (left, right):
                _check_boolean(operator, side, scope)
            return BOOLEAN
        case t.Not(value):
            _check_boolean("NOT", value, scope)
            return BOOLEAN
        case t.NullCheck(value):
            type_of(value, scope)
            return BOOLEAN


def _literal_type(value: Any) -> SqlType | None:
    match value:
        case None:
            return None
        case bool():
            return BOOLEAN
        case str():
            return STRING
        case int():
            return INTEGER if -(2**31) <= value < 2**31 else BIGINT
        case Decimal():
            _, digits, exponent = value.as_tuple()
            scale = max(-int(exponent), 0)
            return SqlType("DECIMAL", precision=max(len(digits), scale), scale=scale)
        case _:
            return DOUBLE


def _shown(expression: t.Expression) -> str:
    """An expression in an error: without the names of sources, which are resolved by then."""
    match expression:
        case t.ColumnRef(name):
            return name
        case t.Dereference(base, field):
            return f"{_shown(base)}->{field}"
        case _:
            return format_expression(expression)


def _check_boolean(operator: str, operand: t.Expression, scope: Scope) -> None:
    operand_type = type_of(operand, scope)
    if operand_type != BOOLEAN:
        shown = "null" if operand_type is None else format_type(operand_type)
        raise TypeProblem(f"{operator} needs a boolean, but {_shown(operand)} is of type {shown}.")


def _check_comparison(comparison: t.Comparison, scope: Scope) -> None:
    left, right = type_of(comparison.left, scope), type_of(comparison.right, scope)
    shown_operator = "<>" if comparison.operator == "!=" else comparison.operator
    if left is None or right is None:
        sides = ("NULL" if side is None else side.base for side in (left, right))
        raise TypeProblem(
            f"Comparison with NULL not supported: {f' {shown_operator} '.join(sides)}\n"
            "Use 'IS NULL' or 'IS NOT NULL' instead."
        )
    if left.base in NUMERIC and right.base in NUMERIC:
        return
    equality = shown_operator in ("=", "<>")
    if left.base == right.base and (left.base == "STRING" or equality):
        return
    raise TypeProblem(
        f"Cannot compare {_shown(comparison.left)} ({format_type(left)}) to {_shown(comparison.right)} "
        f"({format_type(right)}) with {_OPERATOR_NAMES[shown_operator]}."
    )


_OPERATOR_NAMES = {
    "=": "EQUAL",
    "<>": "NOT_EQUAL",
    "<": "LESS_THAN",
    "<=": "LESS_THAN_OR_EQUAL",
    ">": "GREATER_THAN",
    ">=": "GREATER_THAN_OR_EQUAL",
}


class _NullBoolean(Exception):
    """A condition that is NULL. The real server cannot evaluate it either, and takes the whole expression as NULL."""


def compile_expression(expression: t.Expression, scope: Scope) -> Evaluator:
    """A function of a row. NULL is None; a comparison with NULL is false, as it is in ksqlDB."""
    evaluate = _compile(expression, scope)
    if not isinstance(expression, t.Logical | t.Not):
        return evaluate

    def run(row: tuple[Any, ...]) -> Any:
        try:
            return evaluate(row)
        except _NullBoolean:
            return None

    return run


def _compile(expression: t.Expression, scope: Scope) -> Evaluator:  # noqa: PLR0911 - one a kind
    match expression:
        case t.Literal(value):
            return lambda row: value
        case t.ColumnRef():
            index = scope.index(expression)
            return lambda row: row[index]
        case t.Dereference(base, field, _):
            return _dereference(base, field, scope)
        case t.FunctionCall(_, arguments, _):
            return _compile(arguments[0], scope)
        case t.Comparison(operator, left, right, _):
            return _comparison(operator, left, right, scope)
        case t.Logical("AND", left, right):
            first, second = _condition(left, scope), _condition(right, scope)
            return lambda row: first(row) and second(row)
        case t.Logical(_, left, right):
            first, second = _condition(left, scope), _condition(right, scope)
            return lambda row: first(row) or second(row)
        case t.Not(value):
            inner = _condition(value, scope)
            return lambda row: not inner(row)
        case t.NullCheck(value, negated):
            inner = _compile(value, scope)
            if negated:
                return lambda row: inner(row) is not None
            return lambda row: inner(row) is None


def _condition(expression: t.Expression, scope: Scope) -> Evaluator:
    """An operand of AND, OR and NOT: it has to be true or false."""
    evaluate = _compile(expression, scope)
    if not isinstance(expression, t.ColumnRef | t.Dereference | t.FunctionCall):
        return evaluate  # the rest is never NULL

    def run(row: tuple[Any, ...]) -> bool:
        value = evaluate(row)
        if value is None:
            raise _NullBoolean
        return value

    return run


def _dereference(base: t.Expression, field: str, scope: Scope) -> Evaluator:
    base_type = type_of(base, scope)
    assert base_type is not None  # the planner has typed the expression before
    place = [column.name for column in base_type.fields].index(field)
    if isinstance(base, t.ColumnRef):
        index = scope.index(base)
        return lambda row: None if (struct := row[index]) is None else struct[place]
    inner = _compile(base, scope)
    return lambda row: None if (struct := inner(row)) is None else struct[place]


def _comparison(operator: str, left: t.Expression, right: t.Expression, scope: Scope) -> Evaluator:
    types = {t_.base for t_ in (type_of(left, scope), type_of(right, scope)) if t_ is not None}
    first, second = _compile(left, scope), _compile(right, scope)
    if "DOUBLE" in types and len(types) > 1:
        first, second = _as_double(first), _as_double(second)
    if operator == "=":
        return lambda row: (a := first(row)) is not None and (b := second(row)) is not None and a == b
    if operator in ("<>", "!="):
        return lambda row: (a := first(row)) is not None and (b := second(row)) is not None and a != b
    if operator == "<":
        return lambda row: (a := first(row)) is not None and (b := second(row)) is not None and a < b
    if operator == "<=":
        return lambda row: (a := first(row)) is not None and (b := second(row)) is not None and a <= b
    if operator == ">":
        return lambda row: (a := first(row)) is not None and (b := second(row)) is not None and a > b
    return lambda row: (a := first(row)) is not None and (b := second(row)) is not None and a >= b


def _as_double(evaluate: Evaluator) -> Evaluator:
    return lambda row: None if (value := evaluate(row)) is None else float(value)
