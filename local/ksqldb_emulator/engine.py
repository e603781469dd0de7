"""Carries out statements: tries the whole request on a copy first, then does it, and remembers it.

This is the real server's way: a request of several statements fails as a whole when one of them cannot be carried out,
and everything that changes something goes through the command topic, from which a restart repeats it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from local.ksqldb_emulator import entities, planner, processing_log
from local.ksqldb_emulator import tree as t
from local.ksqldb_emulator.commands import Command
from local.ksqldb_emulator.entities import Entity, PersistentQuery
from local.ksqldb_emulator.errors import (
    BAD_REQUEST,
    QUERY_ENDPOINT,
    SERVER_ERROR,
    KsqlError,
    ParseError,
    PlanError,
    StatementError,
)
from local.ksqldb_emulator.formatter import format_statement
from local.ksqldb_emulator.metastore import Metastore, Stream
from local.ksqldb_emulator.names import escaped, quoted
from local.ksqldb_emulator.parser import parse
from local.ksqldb_emulator.runner import Queries
from local.ksqldb_emulator.settings import Settings
from local.ksqldb_emulator.topics import DEFAULT_RETENTION_MS, Topic, Topics

log = logging.getLogger(__name__)

_OFFSET_RESET = ("auto.offset.reset", "ksql.streams.auto.offset.reset")


class Commands(Protocol):
    """What the engine asks of the command topic."""

    def append(self, command_id: str, command: Command) -> int:
        """Write a command and return its offset."""
        ...

    def read(self) -> Any:
        """All commands with their offsets."""
        ...


@dataclass
class _World:
    """Everything that statements change. `real` is False for the copy on which a request is tried."""

    metastore: Metastore
    queries: dict[str, PersistentQuery]
    new_topics: dict[str, Topic] = field(default_factory=dict)
    next_id: int = 0
    real: bool = True

    def copy(self) -> _World:
        return _World(self.metastore.copy(), dict(self.queries), {}, self.next_id, real=False)


class Engine:
    """The streams and queries of a server."""

    def __init__(self, settings: Settings, topics: Topics, commands: Commands, queries: Queries) -> None:
        self._settings = settings
        self._topics = topics
        self._commands = commands
        self._runner = queries
        self._world = _World(Metastore(), {})
        self._lock = threading.Lock()

    # requests

    def execute(self, text: str, properties: Mapping[str, Any]) -> list[Entity]:
        """Carry out all statements of a text and return what each answers. Raises KsqlError."""
        try:
            parsed = parse(text)
        except ParseError as error:
            raise StatementError(str(error), text) from None
        with self._lock:
            trial = self._world.copy()
            for statement in parsed:
                self._carry_out(statement, trial, properties)
            done: list[Entity] = []
            for statement in parsed:
                try:
                    done.append(self._carry_out(statement, self._world, properties))
                except StatementError as error:
                    error.entities = done
                    raise
            return done

    def push_query(self, text: str) -> tuple[t.Query, planner.QueryPlan]:
        """The plan of a push query. Raises StatementError."""
        try:
            parsed = parse(text)
        except ParseError as error:
            raise StatementError(str(error), text) from None
        if len(parsed) != 1:
            raise StatementError(f"Expected exactly one KSQL statement; found {len(parsed)} instead", text)
        query = parsed[0].statement
        if not isinstance(query, t.Query):
            raise StatementError("Statement type is not a query: use /ksql for it", parsed[0].text)
        try:
            if not query.emit:
                raise PlanError("The local stand-in has push queries only: add EMIT CHANGES")
            query = planner.qualified(query, self._world.metastore)
            return query, planner.plan_query(query, self._world.metastore, sink=None)
        except PlanError as error:
            raise StatementError(str(error), parsed[0].text) from None

    # start

    def restore(self) -> None:
        """Repeat the commands of the command topic, and start the queries that are still there at its end."""
        for offset, command in self._commands.read():
            if self._repeat(command):
                self._world.next_id = offset + 1
        if self._settings.log_stream_create and processing_log.STREAM_NAME not in self._world.metastore.streams:
            self.execute(processing_log.stream_statement(self._settings.log_topic), {})
        for query in self._world.queries.values():
            self._start(query)
        log.info("restored %d streams and %d queries", len(self._world.metastore.streams), len(self._world.queries))

    def _repeat(self, command: Command) -> bool:
        """Do again what a command did. True when the next query is numbered after it: terminating does not count."""
        parsed = parse(command.statement)[0]
        world = self._world
        match parsed.statement:
            case t.CreateStream() as create:
                world.metastore.streams[create.name] = planner.plan_create(create, command.statement)
            case t.CreateStreamAs() as create:
                plan = self._plan(create.query, world, create.name)
                self._add_query(self._created_as(create, plan, command.statement), plan, command, world)
            case t.InsertInto() as insert:
                target = world.metastore.streams[insert.target]
                plan = planner.into(self._plan(insert.query, world, insert.target), target)
                self._add_query(target, plan, command, world)
            case t.Terminate(query_id):
                for each in list(world.queries) if query_id is None else [query_id]:
                    world.queries.pop(each, None)
                return False
            case t.DropStream(name):
                self._forget(name, world)
        return True

    def _start(self, query: PersistentQuery) -> None:
        self._runner.start(query.query_id, query.plan, query.sink.topic, query.auto_offset_reset)

    # statements

    def _carry_out(self, parsed: t.Parsed, world: _World, properties: Mapping[str, Any]) -> Entity:  # noqa: PLR0911 - one a kind
        try:
            match parsed.statement:
                case t.CreateStream() as create:
                    return self._create(create, parsed.text, world)
                case t.CreateStreamAs() as create:
                    return self._create_as(create, parsed.text, world, properties)
                case t.InsertInto() as insert:
                    return self._insert(insert, parsed.text, world, properties)
                case t.ListStreams():
                    return entities.streams_list(parsed.text, world.metastore.streams.values())
                case t.ListQueries():
                    return entities.queries_list(parsed.text, self._with_states(world, lambda _: True))
                case t.Describe(name):
                    return self._describe(name, parsed.text, world)
                case t.Terminate(query_id):
                    return self._terminate(query_id, parsed.text, world)
                case t.DropStream() as drop:
                    return self._drop(drop, parsed.text, world)
                case t.Query():
                    raise StatementError(
                        "The following statement types should be issued to the websocket endpoint '/query':\n"
                        "\t* PRINT\n\t* SELECT",
                        parsed.text,
                        QUERY_ENDPOINT,
                    )
        except PlanError as error:
            raise StatementError(str(error), parsed.text) from None

    def _create(self, create: t.CreateStream, text: str, world: _World) -> Entity:
        if create.not_exists and create.name in world.metastore.streams:
            return entities.warning(text, _exists_already(create.name))
        planner.check_properties(create.properties)
        create = replace(create, properties=_with_key_format(create.properties))
        topic = planner.topic_of(create)
        existing = self._describe_topic(topic, world)
        if existing is None and planner.number_property(create.properties, "PARTITIONS") is None:
            example = replace(create, properties=(*create.properties, ("PARTITIONS", t.Literal(2))))
            raise KsqlError(
                f"Topic '{topic}' does not exist. If you want to create a new topic for the stream/table please re-run "
                "the statement providing the required 'PARTITIONS' configuration in the WITH clause (and optionally "
                f"'REPLICAS'). For example: {format_statement(example)}",
                BAD_REQUEST,
            )
        self._ensure_topic(topic, create.properties, existing, existing, text, world)
        create = replace(create, properties=(*create.properties, ("CLEANUP_POLICY", t.Literal("delete"))))
        text = format_statement(create)
        if create.name in world.metastore.streams:
            raise StatementError(_exists(create.name), text)
        try:
            stream = planner.plan_create(create, text)
        except PlanError as error:
            raise StatementError(str(error), text) from None
        command_id = f"stream/{quoted(create.name)}/create"
        sequence = self._remember(command_id, Command(text), world)
        world.metastore.streams[create.name] = stream
        return entities.current_status(text, command_id, "Stream created", None, sequence)

    def _create_as(self, create: t.CreateStreamAs, text: str, world: _World, properties: Mapping[str, Any]) -> Entity:
        query = planner.qualified(create.query, world.metastore)
        if create.not_exists and create.name in world.metastore.streams:
            return entities.warning(text, _exists_already(create.name))
        planner.check_properties(create.properties)
        source = world.metastore.streams[query.source]
        topic = planner.text_property(create.properties, "KAFKA_TOPIC") or create.name
        pattern = self._describe_topic(source.topic, world)
        made = self._ensure_topic(topic, create.properties, pattern, self._describe_topic(topic, world), text, world)
        added = {
            "KAFKA_TOPIC": topic,
            "PARTITIONS": made.partitions,
            "REPLICAS": made.replicas,
            "RETENTION_MS": made.retention_ms,
            "CLEANUP_POLICY": "delete",
        }
        given = {**dict(create.properties), **{name: t.Literal(value) for name, value in added.items()}}
        create = replace(create, query=query, properties=tuple(given.items()))
        text = format_statement(create)
        try:
            plan = planner.plan_query(query, world.metastore, create.name)
            if create.name in world.metastore.streams:
                raise PlanError(_exists(create.name))
        except PlanError as error:
            raise StatementError(f"Could not determine output schema for query due to error: {error}", text) from None
        command = Command(text, f"CSAS_{create.name.upper()}_{world.next_id}", self._offset_reset(properties))
        command_id = f"stream/{quoted(create.name)}/create"
        return self._run_query(text, command_id, command, self._created_as(create, plan, text), plan, world)

    def _insert(self, insert: t.InsertInto, text: str, world: _World, properties: Mapping[str, Any]) -> Entity:
        target = world.metastore.streams.get(insert.target)
        query = planner.qualified(insert.query, world.metastore)
        if target is None:
            raise PlanError(f"Exception while preparing statement: {escaped(insert.target)} does not exist.")
        plan = planner.into(planner.plan_query(query, world.metastore, insert.target), target)
        command = Command(text, f"INSERTQUERY_{world.next_id}", self._offset_reset(properties))
        return self._run_query(text, f"stream/{quoted(insert.target)}/create", command, target, plan, world)

    def _run_query(
        self, text: str, command_id: str, command: Command, sink: Stream, plan: planner.QueryPlan, world: _World
    ) -> Entity:
        assert command.query_id is not None
        if world.real:
            # One of that name may be left from a command topic that is gone; a new query must not go on where it was.
            self._topics.forget_group(self._settings.group_of(command.query_id))
        sequence = self._remember(command_id, command, world)
        query = self._add_query(sink, plan, command, world)
        if world.real:
            self._start(query)
        message = f"Created query with ID {query.query_id}"
        return entities.current_status(text, command_id, message, query.query_id, sequence)

    def _describe(self, name: str, text: str, world: _World) -> Entity:
        stream = world.metastore.streams.get(name)
        if stream is None:
            raise PlanError(f"Could not find STREAM/TABLE '{name}' in the Metastore")
        topic = self._describe_topic(stream.topic, world)
        return entities.source_description(
            text,
            stream,
            readers=self._with_states(world, lambda query: query.plan.source.name == name),
            writers=self._with_states(world, lambda query: query.sink.name == name),
            constraints=world.metastore.readers_of(name),
            partitions=topic.partitions if topic else 0,
            replicas=topic.replicas if topic else 0,
        )

    def _terminate(self, query_id: str | None, text: str, world: _World) -> Entity:
        if query_id is None:
            ended = list(world.queries)
        else:
            ended = [known for known in world.queries if known.upper() == query_id.upper()]
            if not ended:
                raise PlanError(f"Unknown queryId: {query_id}")
        command_id = f"terminate/{query_id or 'ALL'}/execute"
        next_id = world.next_id  # it stays: terminating does not count for the numbers of queries
        sequence = self._remember(command_id, Command(text), world)
        world.next_id = next_id
        for each in ended:
            self._end(each, world)
        return entities.current_status(text, command_id, "Query terminated.", None, sequence)

    def _drop(self, drop: t.DropStream, text: str, world: _World) -> Entity:
        stream = world.metastore.streams.get(drop.name)
        if stream is None and not drop.if_exists:
            raise PlanError(f"Stream {drop.name} does not exist.")
        command_id = f"stream/{drop.name}/drop"
        if stream is None:
            sequence = self._remember(command_id, Command(text), world)
            message = f"Source {quoted(drop.name)} does not exist."
            return entities.current_status(text, command_id, message, None, sequence)
        self._check_unused(drop.name, world)
        if drop.delete_topic:
            # The topic goes now, so the statement that is kept and answered does not say so any more.
            text = f"DROP STREAM {'IF EXISTS ' if drop.if_exists else ''}{escaped(drop.name)};"
        sequence = self._remember(command_id, Command(text), world)
        for query in self._made_by(drop.name, world):
            self._end(query, world)
        self._forget(drop.name, world)
        if drop.delete_topic and world.real:
            self._topics.delete(stream.topic)
        message = f"Source {quoted(drop.name)} (topic: {stream.topic}) was dropped."
        return entities.current_status(text, command_id, message, None, sequence)

    def _check_unused(self, name: str, world: _World) -> None:
        inserts = [q for q in world.queries.values() if not q.query_id.startswith("CSAS_")]
        reading = sorted(q.query_id for q in inserts if q.plan.source.name == name)
        writing = sorted(q.query_id for q in inserts if q.sink.name == name)
        if reading or writing:
            raise PlanError(
                f"Cannot drop {name}.\n"
                f"The following queries read from this source: [{', '.join(reading)}].\n"
                f"The following queries write into this source: [{', '.join(writing)}].\n"
                f"You need to terminate them before dropping {name}."
            )
        readers = world.metastore.readers_of(name)
        if readers:
            raise PlanError(
                f"Cannot drop {name}.\n"
                f"The following streams and/or tables read from this source: [{', '.join(readers)}].\n"
                f"You need to drop them before dropping {name}."
            )

    # parts

    @staticmethod
    def _made_by(name: str, world: _World) -> list[str]:
        """The query that made a stream, which ends with it."""
        return [q.query_id for q in world.queries.values() if q.sink.name == name and q.query_id.startswith("CSAS_")]

    def _forget(self, name: str, world: _World) -> None:
        for query_id in self._made_by(name, world):
            world.queries.pop(query_id)
        world.metastore.streams.pop(name, None)

    def _end(self, query_id: str, world: _World) -> None:
        world.queries.pop(query_id)
        if world.real:
            self._runner.stop(query_id)
            self._topics.forget_group_later(self._settings.group_of(query_id))

    @staticmethod
    def _plan(query: t.Query, world: _World, sink: str) -> planner.QueryPlan:
        return planner.plan_query(planner.qualified(query, world.metastore), world.metastore, sink)

    @staticmethod
    def _created_as(create: t.CreateStreamAs, plan: planner.QueryPlan, text: str) -> Stream:
        topic = planner.text_property(create.properties, "KAFKA_TOPIC")
        assert topic is not None  # the statement is in its final form
        return Stream(create.name, topic, plan.schema, text, reads=plan.source.name)

    def _add_query(self, sink: Stream, plan: planner.QueryPlan, command: Command, world: _World) -> PersistentQuery:
        assert command.query_id is not None
        reset = command.auto_offset_reset or self._settings.auto_offset_reset
        query = PersistentQuery(command.query_id, command.statement, sink, plan, reset)
        world.metastore.streams[sink.name] = sink
        world.queries[query.query_id] = query
        return query

    def _remember(self, command_id: str, command: Command, world: _World) -> int:
        """Write a command to the command topic and return its offset, after which the next query is numbered."""
        sequence = world.next_id + 1
        if world.real:
            sequence = self._commands.append(command_id, command)
        world.next_id = sequence + 1
        return sequence

    def _offset_reset(self, properties: Mapping[str, Any]) -> str:
        for name in _OFFSET_RESET:
            if properties.get(name):
                return str(properties[name])
        return self._settings.auto_offset_reset

    def _with_states(self, world: _World, wanted: Any) -> list[tuple[PersistentQuery, str]]:
        return [
            (query, self._runner.state(query.query_id) if query.query_id in self._world.queries else "RUNNING")
            for query in world.queries.values()
            if wanted(query)
        ]

    def _describe_topic(self, name: str, world: _World) -> Topic | None:
        return world.new_topics.get(name) or self._topics.describe(name)

    def _ensure_topic(
        self,
        name: str,
        properties: t.Properties,
        pattern: Topic | None,
        existing: Topic | None,
        text: str,
        world: _World,
    ) -> Topic:
        """The topic as it has to be: as WITH says, or else like `pattern`. It is made when it is not there."""
        partitions = planner.number_property(properties, "PARTITIONS")
        replicas = planner.number_property(properties, "REPLICAS")
        retention = planner.number_property(properties, "RETENTION_MS")
        wanted = Topic(
            name,
            partitions if partitions is not None else pattern.partitions if pattern else 1,
            replicas if replicas is not None else pattern.replicas if pattern else 1,
            retention if retention is not None else pattern.retention_ms if pattern else DEFAULT_RETENTION_MS,
        )
        if existing is None:
            if world.real:
                self._topics.create(wanted)
            else:
                world.new_topics[name] = wanted
        elif existing != wanted:
            raise StatementError(
                f"A Kafka topic with the name '{name}' already exists, with different partition/replica/retention "
                f"configuration than required. KSQL expects {wanted.partitions} partitions (topic has "
                f"{existing.partitions}), {wanted.replicas} replication factor (topic has {existing.replicas}), and "
                f"{wanted.retention_ms} retention (topic has {existing.retention_ms}).",
                text,
                SERVER_ERROR,
            )
        return wanted


def _with_key_format(properties: t.Properties) -> t.Properties:
    if planner.text_property(properties, "KEY_FORMAT") is None:
        return (*properties, ("KEY_FORMAT", t.Literal("KAFKA")))
    return properties


def _exists(name: str) -> str:
    return f"Cannot add stream '{name}': A stream with the same name already exists"


def _exists_already(name: str) -> str:
    return f"Cannot add stream {quoted(name)}: A stream with the same name already exists."
