"""SQL types, as ksqlDB names them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SqlType:
    """A type of a column or of an expression.

    `base` is ksqlDB's own word (STRING, INTEGER, BIGINT, DOUBLE, BOOLEAN, DECIMAL, STRUCT, ARRAY).
    `fields` belongs to STRUCT, `element` to ARRAY, `precision` and `scale` to DECIMAL.
    """

    base: str
    fields: tuple[Column, ...] = ()
    element: SqlType | None = None
    precision: int = 0
    scale: int = 0

    def field(self, name: str) -> Column | None:
        """The field of a STRUCT by its exact name."""
        return next((column for column in self.fields if column.name == name), None)


@dataclass(frozen=True)
class Column:
    """A named, typed column of a stream or field of a STRUCT."""

    name: str
    type: SqlType


STRING = SqlType("STRING")
INTEGER = SqlType("INTEGER")
BIGINT = SqlType("BIGINT")
DOUBLE = SqlType("DOUBLE")
BOOLEAN = SqlType("BOOLEAN")

# The names a user may write, and the type that each one means.
BY_NAME = {
    "STRING": STRING,
    "VARCHAR": STRING,
    "INT": INTEGER,
    "INTEGER": INTEGER,
    "BIGINT": BIGINT,
    "DOUBLE": DOUBLE,
    "BOOLEAN": BOOLEAN,
}

NUMERIC = frozenset({"INTEGER", "BIGINT", "DECIMAL", "DOUBLE"})


@dataclass(frozen=True)
class Schema:
    """The columns of a stream: those of the record's key and those of its value."""

    key: tuple[Column, ...]
    value: tuple[Column, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        """Key columns first, then value columns: the order of SELECT * and of a processing row."""
        return self.key + self.value
