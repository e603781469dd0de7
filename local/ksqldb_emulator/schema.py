"""Names, types and streams, in ksqlDB's words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SqlType:
    """A type. `base` is ksqlDB's own word: STRING, INTEGER, BIGINT, DOUBLE, BOOLEAN or STRUCT, which has `fields`."""

    base: str
    fields: tuple[Field, ...] = ()

    def __str__(self) -> str:
        """As a statement names it, with every field's name quoted."""
        fields = ", ".join(f"{quoted(field.name)} {field.type}" for field in self.fields)
        return f"STRUCT<{fields}>" if self.base == "STRUCT" else self.base


@dataclass(frozen=True)
class Field:
    """A named, typed column of a stream or field of a STRUCT."""

    name: str
    type: SqlType


STRING, INTEGER, BIGINT, DOUBLE, BOOLEAN = map(SqlType, ("STRING", "INTEGER", "BIGINT", "DOUBLE", "BOOLEAN"))
NUMERIC = (INTEGER, BIGINT, DOUBLE)

# The names that a user may write, and the type that each one means.
TYPES = {"VARCHAR": STRING, "INT": INTEGER, **{known.base: known for known in (STRING, *NUMERIC, BOOLEAN)}}


@dataclass(frozen=True)
class Stream:
    """A stream over a topic: the columns of the record's key and those of its value."""

    name: str
    topic: str
    key: tuple[Field, ...]
    value: tuple[Field, ...]
    statement: str
    # The stream that its query reads, when it was made by a query.
    reads: str | None = None

    @property
    def columns(self) -> tuple[Field, ...]:
        """Key columns first, then value columns: the order of a row and of SELECT *."""
        return self.key + self.value


# ksqlDB's words that are no names unless they are quoted.
_WORDS = """
ADVANCE ALL AND AS AT BEGINNING BETWEEN BY CASE CAST CATALOG CONNECTOR CONNECTORS CREATE DAYS DECIMAL DELETE
DESCRIBE DISTINCT DROP ELSE END EXISTS EXPORT EXTENDED FALSE FROM FULL GROUP HAVING HOPPING HOURS IN INNER INSERT
INTO IS JOIN LEFT LIKE LIMIT LIST LOAD MATERIALIZED MILLISECOND MILLISECONDS MINUTES MONTHS NAMESPACE NOT NULL ON
OR OUTER PAUSE PRINT PROPERTIES QUERIES QUERY RENAME RESUME RETENTION RIGHT RUN SAMPLE SCRIPT SECONDS SELECT SIZE
STREAM STREAMS TABLE TERMINATE THEN TO TOPIC TOPICS TRUE TUMBLING UNSET VALUES VIEW WHEN WHERE WINDOW WITH WITHIN
YEARS
"""
RESERVED = frozenset(_WORDS.split())


def quoted(name: str) -> str:
    """The name between back-quotes."""
    return "`" + name.replace("`", "``") + "`"
