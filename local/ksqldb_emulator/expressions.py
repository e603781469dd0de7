"""Expressions as closures over a row, so that nothing walks the tree once per record. NULL is None."""

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

from local.ksqldb_emulator import tree as t
from local.ksqldb_emulator.errors import Refused, not_here
from local.ksqldb_emulator.schema import BIGINT, BOOLEAN, DOUBLE, INTEGER, NUMERIC, STRING, Field, SqlType

Row = tuple[Any, ...]
Evaluator = Callable[[Row], Any]

# The real server's own columns.
SYSTEM_COLUMNS = ("ROWTIME", "ROWPARTITION", "ROWOFFSET", "WINDOWSTART", "WINDOWEND")

_OPERATORS = {
    "=": operator.eq,
    "<>": operator.ne,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_LITERALS = {type(None): None, bool: BOOLEAN, str: STRING, int: INTEGER, float: DOUBLE}


class Compiled(NamedTuple):
    """An expression's type (None for NULL, which has none) and how it is computed."""

    type: SqlType | None
    evaluate: Evaluator


class Compiler:
    """Compiles expressions over rows of these columns; `sources` are the names that may stand before a column's dot."""

    def __init__(self, columns: tuple[Field, ...], sources: tuple[str, ...]) -> None:
        self._columns = {column.name: (index, column.type) for index, column in enumerate(columns)}
        self._sources = sources

    def compile(self, expression: t.Expression) -> Compiled:  # noqa: PLR0911 - one a kind
        """Raises Refused for a name that is not there and for types that do not go together."""
        match expression:
            case t.Literal(value):
                return Compiled(_literal_type(value), lambda _: value)
            case t.Column():
                return self._column(expression)
            case t.Dereference(base, name):
                return self._dereference(base, name)
            case t.FunctionCall(name, arguments):
                if name != "AS_VALUE" or len(arguments) != 1:
                    raise Refused(not_here(f"the function {name} with {len(arguments)} arguments"))
                return self.compile(arguments[0])
            case t.Comparison(left, sign, right):
                return self._comparison(left, sign, right)
            case t.And(left, right):
                first, second = self._condition(left), self._condition(right)
                return Compiled(BOOLEAN, lambda row: first(row) and second(row))
            case t.Or(left, right):
                first, second = self._condition(left), self._condition(right)
                return Compiled(BOOLEAN, lambda row: first(row) or second(row))
            case t.Not(value):
                inner = self._condition(value)
                return Compiled(BOOLEAN, lambda row: not inner(row))
            case t.IsNull(value):
                tested = self.compile(value).evaluate
                return Compiled(BOOLEAN, lambda row: tested(row) is None)

    def _column(self, column: t.Column) -> Compiled:
        if column.source not in (None, *self._sources):
            problem = f"{column.source} is not the source of this query: {', '.join(self._sources)}"
        elif column.name in self._columns:
            index, sql_type = self._columns[column.name]
            return Compiled(sql_type, lambda row: row[index])
        else:
            own = f" ({not_here(column.name)})" if column.name in SYSTEM_COLUMNS else ""
            problem = f"there is no column {column.name}{own}; there are {', '.join(self._columns)}"
        raise Refused(f"line {column.meta.line}:{column.meta.column}: {problem}")

    def _dereference(self, base: t.Expression, name: str) -> Compiled:
        compiled = self.compile(base)
        fields = compiled.type.fields if compiled.type else ()
        names = [field.name for field in fields]
        if name not in names:
            raise Refused(f"there is no field {name} in {compiled.type}")
        place, evaluate = names.index(name), compiled.evaluate
        return Compiled(fields[place].type, lambda row: None if (item := evaluate(row)) is None else item[place])

    def _comparison(self, left: t.Expression, sign: str, right: t.Expression) -> Compiled:
        (left_type, first), (right_type, second) = self.compile(left), self.compile(right)
        numbers = left_type in NUMERIC and right_type in NUMERIC
        if left_type is None or right_type is None:
            raise Refused("a comparison with NULL is never true: use IS NULL or IS NOT NULL")
        if not numbers and (left_type != right_type or (left_type != STRING and sign not in ("=", "<>", "!="))):
            raise Refused(f"{left_type} {sign} {right_type} cannot be compared")
        compare = _OPERATORS[sign]

        def evaluate(row: Row) -> bool:
            a, b = first(row), second(row)
            return a is not None and b is not None and compare(a, b)

        return Compiled(BOOLEAN, evaluate)

    def _condition(self, expression: t.Expression) -> Evaluator:
        """An operand of AND, OR and NOT. It has to be one that is never NULL: with NULL the real server drops the record."""
        if isinstance(expression, t.Comparison | t.And | t.Or | t.Not | t.IsNull):
            return self.compile(expression).evaluate
        raise Refused("AND, OR and NOT take comparisons: a BOOLEAN is written as flag = TRUE")


def _literal_type(value: Any) -> SqlType | None:
    return BIGINT if isinstance(value, int) and abs(value) >= 2**31 else _LITERALS[type(value)]
