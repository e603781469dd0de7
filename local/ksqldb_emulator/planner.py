"""Statements to plans: names, types and keys. Pure functions of a statement and the streams that are there."""

from collections.abc import Mapping
from dataclasses import dataclass

from local.ksqldb_emulator import tree as t
from local.ksqldb_emulator.errors import Refused, not_here
from local.ksqldb_emulator.expressions import SYSTEM_COLUMNS, Compiler, Evaluator
from local.ksqldb_emulator.schema import BOOLEAN, STRING, Field, Stream

Streams = Mapping[str, Stream]

# What WITH may say, and what each of them has to be.
_PROPERTIES = {
    **dict.fromkeys(("KAFKA_TOPIC", "VALUE_FORMAT", "KEY_FORMAT"), str),
    **dict.fromkeys(("PARTITIONS", "REPLICAS", "RETENTION_MS"), int),
}
_FORMATS = {"VALUE_FORMAT": "JSON", "KEY_FORMAT": "KAFKA"}
_OTHER_PROPERTIES = ("FORMAT", "TIMESTAMP", "TIMESTAMP_FORMAT", "WRAP_SINGLE_VALUE", "VALUE_DELIMITER", "WINDOW_TYPE")


@dataclass(frozen=True)
class Projection:
    """One column of a query's result."""

    column: Field
    expression: t.Expression
    evaluate: Evaluator


@dataclass(frozen=True)
class QueryPlan:
    """A query with every name resolved. `keep` is its WHERE, `key` is None when its result has no key."""

    source: Stream
    keep: Evaluator | None
    key: Projection | None
    values: tuple[Projection, ...]


@dataclass(frozen=True)
class PersistentQuery:
    """A query that runs until it is terminated, and writes the stream `sink`."""

    query_id: str
    sink: Stream
    plan: QueryPlan
    auto_offset_reset: str


def check_properties(properties: t.Properties) -> None:
    """Raises Refused for a property that is unknown or of the wrong kind, and for formats other than the emulator's."""
    for name, value in properties.items():
        if name not in _PROPERTIES:
            other = not_here(f"the property {name}") if name in _OTHER_PROPERTIES else f"there is no property {name}"
            raise Refused(f"{other}; the properties are {', '.join(_PROPERTIES)}")
        if type(value) is not _PROPERTIES[name]:
            raise Refused(f"the property {name} cannot be {value!r}")
    for name, needed in _FORMATS.items():
        if properties.get(name, needed).upper() != needed:
            raise Refused(not_here(f"{name} {properties[name]} (the emulator's is {needed})"))


def plan_create(create: t.CreateStream, text: str) -> Stream:
    """The stream that CREATE STREAM makes of its statement `text`."""
    properties = create.properties or {}
    check_properties(properties)
    for needed in ("KAFKA_TOPIC", "VALUE_FORMAT"):
        if needed not in properties:
            raise Refused(f"the WITH clause has no {needed}")
    names = [element.name for element in create.elements]
    for name in names:
        if name in SYSTEM_COLUMNS:
            raise Refused(f"{name} is a column of ksqlDB's own: another name is needed")
        if names.count(name) > 1:
            raise Refused(f"the column {name} is there more than once")
    key = tuple(Field(e.name, e.type) for e in create.elements if e.key)
    value = tuple(Field(e.name, e.type) for e in create.elements if not e.key)
    if len(key) > 1:
        raise Refused("a KAFKA key has one column")
    for column in key:
        _check_key_type(column)
    return Stream(create.name, properties["KAFKA_TOPIC"], key, value, text)


def _check_key_type(column: Field) -> None:
    if column.type != STRING:
        raise Refused(not_here(f"the key {column.name} of type {column.type.base} (the emulator's are VARCHAR)"))


def plan_query(query: t.Select, streams: Streams, persistent: bool) -> QueryPlan:
    """The plan of a SELECT; `persistent` is one that fills a stream. Raises Refused."""
    if query.source not in streams:
        raise Refused(f"the stream {query.source} does not exist; there are {', '.join(sorted(streams)) or 'none'}")
    source = streams[query.source]
    compiler = _Projections(query, source)
    keep = None
    if query.where is not None:
        where = compiler.compile(query.where)
        if where.type != BOOLEAN:
            raise Refused(f"WHERE has to be a BOOLEAN, not {where.type}")
        keep = where.evaluate
    if not persistent:
        if query.partition_by:
            raise Refused(not_here("PARTITION BY in a push query"))
        return QueryPlan(source, keep, None, compiler.of(source.columns))
    if query.limit is not None:
        raise Refused(not_here("LIMIT in a persistent query"))
    if query.partition_by is None:
        key = t.Column(None, source.key[0].name) if source.key else None
        projections = compiler.of(source.columns)
    else:
        # The old key becomes a column of the value, the last one.
        key, *others = query.partition_by
        if others:
            raise Refused("a KAFKA key has one column: PARTITION BY one expression")
        key = None if key == t.Literal(None) else key
        projections = compiler.of(source.value + source.key)
        if isinstance(key, t.Dereference) and any(isinstance(item, t.SelectAll) for item in query.items):
            projections = (compiler.named(key), *projections)  # `*` has the key in it
    return QueryPlan(source, keep, *_split_key(key, projections))


def _split_key(
    key: t.Expression | None, projections: tuple[Projection, ...]
) -> tuple[Projection | None, tuple[Projection, ...]]:
    """The projection of the key, and the others."""
    keys = [p for p in projections if p.expression == key]
    values = tuple(p for p in projections if p.expression != key)
    if key is not None and len(keys) != 1:
        raise Refused(
            f"the key has to be in the SELECT list once, not {len(keys)} times: with AS_VALUE(...) a copy is in the value"
        )
    if not values:
        raise Refused("the SELECT list has no column but the key")
    names = [p.column.name for p in (*keys, *values)]
    for name in names:
        if names.count(name) > 1:
            raise Refused(f"the SELECT list has the column {name} more than once")
    for projection in keys:
        _check_key_type(projection.column)
    return keys[0] if keys else None, values


class _Projections:
    """Makes the result's columns of a SELECT list."""

    def __init__(self, query: t.Select, source: Stream) -> None:
        self._query = query
        self._source = source
        self._names = tuple(name for name in (query.alias, source.name) if name)
        self.compile = Compiler(source.columns, self._names).compile

    def of(self, everything: tuple[Field, ...]) -> tuple[Projection, ...]:
        """The columns, with `everything` in the place of `*`."""
        projections = []
        for item in self._query.items:
            if isinstance(item, t.SelectAll):
                projections += [self.named(t.Column(None, column.name)) for column in everything]
            else:
                projections.append(self.named(item.expression, item.alias))
        return tuple(projections)

    def named(self, expression: t.Expression, name: str | None = None) -> Projection:
        """The column of one expression."""
        compiled = self.compile(expression)
        name = name or self._name_of(expression)
        if compiled.type is None:
            raise Refused(not_here(f"NULL as a column ({name})"))
        return Projection(Field(name, compiled.type), expression, compiled.evaluate)

    def _name_of(self, expression: t.Expression) -> str:
        """A column and a field have their own names; the real server makes up others, which nobody should depend on."""
        match expression:
            case t.Column(_, name):
                return name
            case t.Dereference(_, name) if name not in (column.name for column in self._source.columns):
                return name
            case _:
                raise Refused("an item of the SELECT list has no name of its own: it needs one, AS name")
