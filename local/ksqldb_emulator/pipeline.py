"""A planned query as one function of a record: pure, compiled once, used once per record."""

from collections.abc import Callable

from local.ksqldb_emulator import tree as t
from local.ksqldb_emulator.expressions import Row
from local.ksqldb_emulator.planner import QueryPlan
from local.ksqldb_emulator.serde import value_reader, value_writer

# A record's key and value, in and out. None as the result: the record yields nothing.
Keyed = tuple[bytes | None, bytes | None]
Pipeline = Callable[[bytes | None, bytes | None], Keyed | None]


def row_reader(plan: QueryPlan) -> Callable[[bytes | None, bytes | None], Row | None]:
    """A reader of a source's records: key columns, then value columns; None for a tombstone. It raises Unreadable."""
    read_value, has_key = value_reader(plan.source.value), bool(plan.source.key)

    def read(key: bytes | None, value: bytes | None) -> Row | None:
        if value is None:
            return None
        row = read_value(value)
        return (None if key is None else key.decode("utf-8", "replace"), *row) if has_key else row

    return read


def compile_pipeline(plan: QueryPlan) -> Pipeline:
    """The function of a persistent query. It raises Unreadable for a record that cannot be read."""
    read, keep = row_reader(plan), plan.keep
    key_of = (lambda _: None) if plan.key is None else plan.key.evaluate
    selected = [projection.evaluate for projection in plan.values]
    write_value = value_writer(tuple(projection.column for projection in plan.values))
    own_key = plan.key is not None and any(plan.key.expression == t.Column(None, key.name) for key in plan.source.key)

    def run(key: bytes | None, value: bytes | None) -> Keyed | None:
        row = read(key, value)
        if row is None:
            # A tombstone has no columns: WHERE drops it, and without WHERE it passes as it is.
            return (key if own_key else None, None) if keep is None else None
        if keep is not None and not keep(row):
            return None
        new_key = key_of(row)
        out_key = None if new_key is None else new_key.encode("utf-8", "replace")
        return out_key, write_value(tuple(evaluate(row) for evaluate in selected))

    return run
