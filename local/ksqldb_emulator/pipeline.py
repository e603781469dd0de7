"""A planned query as one function of a record: pure, compiled once, used once per record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local.ksqldb_emulator.expressions import Scope, compile_expression
from local.ksqldb_emulator.planner import QueryPlan
from local.ksqldb_emulator.serde import Row, key_reader, key_writer, value_reader, value_writer

# A record's key and value, in and out. None as the result: the record yields nothing.
Keyed = tuple[bytes | None, bytes | None]
Pipeline = Callable[[bytes | None, bytes | None], Keyed | None]


def row_reader(plan: QueryPlan) -> Callable[[bytes | None, bytes | None], Row | None]:
    """A reader of a source's records: key columns, then value columns; None for a tombstone. It raises SerdeError."""
    source = plan.source
    read_key = key_reader(source.schema.key, source.topic)
    read_value = value_reader(source.schema.value, source.topic)
    if not source.schema.key:
        return lambda _, value: None if value is None else read_value(value)

    def read(key: bytes | None, value: bytes | None) -> Row | None:
        key_row = read_key(key)
        return None if value is None else key_row + read_value(value)

    return read


def row_filter(plan: QueryPlan) -> Callable[[Row], Any] | None:
    """The WHERE clause as a function of a row; None when there is none."""
    return None if plan.where is None else compile_expression(plan.where, Scope(plan.source.schema, "WHERE"))


def compile_pipeline(plan: QueryPlan) -> Pipeline:
    """The function of a persistent query. It raises SerdeError for a record that cannot be read."""
    scope = Scope(plan.source.schema, "SELECT")
    read = row_reader(plan)
    keep = row_filter(plan)
    key_of = None if plan.key is None else compile_expression(plan.key.expression, scope)
    write_key = key_writer(None if plan.key is None else plan.key.column)
    selected = [compile_expression(projection.expression, scope) for projection in plan.values]
    write_value = value_writer(plan.schema.value)

    def run(key: bytes | None, value: bytes | None) -> Keyed | None:
        row = read(key, value)
        if row is None:
            # A tombstone has no columns: WHERE drops it, and without WHERE it passes as it is.
            return (_tombstone_key(key), None) if keep is None else None
        if keep is not None and not keep(row):
            return None
        out_key = None if key_of is None else write_key(key_of(row))
        return out_key, write_value([evaluate(row) for evaluate in selected])

    def _tombstone_key(key: bytes | None) -> bytes | None:
        source_key = plan.source.schema.key
        moved = plan.key is None or not source_key or getattr(plan.key.expression, "name", None) != source_key[0].name
        return None if moved else key

    return run
