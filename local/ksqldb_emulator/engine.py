"""Carries out statements and remembers them: what changes something goes through the command topic, from which a restart
repeats it.
"""

import logging
import threading
from collections.abc import Mapping
from typing import Any

from local.ksqldb_emulator import entities, processing_log
from local.ksqldb_emulator import tree as t
from local.ksqldb_emulator.commands import Command, CommandLog
from local.ksqldb_emulator.entities import Entity
from local.ksqldb_emulator.errors import QUERY_ENDPOINT, SERVER_ERROR, KsqlError, Refused, not_here
from local.ksqldb_emulator.parser import parse
from local.ksqldb_emulator.planner import PersistentQuery, QueryPlan, check_properties, plan_create, plan_query
from local.ksqldb_emulator.runner import Queries
from local.ksqldb_emulator.schema import Stream, quoted
from local.ksqldb_emulator.settings import Settings
from local.ksqldb_emulator.topics import DEFAULT_RETENTION_MS, Topic, Topics

log = logging.getLogger(__name__)

RESETS = ("earliest", "latest")


class Engine:
    """The streams and queries of a server."""

    def __init__(self, settings: Settings, topics: Topics, commands: CommandLog, queries: Queries) -> None:
        self._settings = settings
        self._topics = topics
        self._commands = commands
        self._runner = queries
        self._streams: dict[str, Stream] = {}
        self._queries: dict[str, PersistentQuery] = {}
        # The number of the next query: ksqlDB takes the offset after the last command.
        self._next_id = 0
        self._lock = threading.Lock()

    def execute(self, text: str, properties: Mapping[str, Any]) -> list[Entity]:
        """Carry out the statements of a text, one after the other, and return what each answers.

        Raises KsqlError at the first that is refused; it has the answers of those before it.
        """
        done: list[Entity] = []
        with self._lock:
            for statement in parse(text):
                try:
                    done.append(self._carry_out(statement, properties))
                except Refused as error:
                    error.text, error.entities = statement.text, done
                    raise
        return done

    def query(self, text: str) -> tuple[t.Select, QueryPlan] | t.PrintTopic:
        """A statement for /query and /query-stream: a push query with its plan, or PRINT. Raises KsqlError."""
        parsed = parse(text)
        try:
            match [statement for statement, _ in parsed]:
                case [t.PrintTopic(topic) as statement]:
                    if self._topics.describe(topic) is None:
                        raise Refused(f"the topic {topic} does not exist")
                    return statement
                case [t.Select(emit=True) as query]:
                    return query, plan_query(query, self._streams, persistent=False)
                case [t.Select()]:
                    raise Refused(f"{not_here('a pull query')}; with EMIT CHANGES it is a push query")
                case _:
                    raise Refused("one SELECT or PRINT is expected here; other statements go to /ksql")
        except Refused as error:
            error.text = parsed[0].text if parsed else text
            raise

    def restore(self) -> None:
        """Repeat the commands of the command topic, and start the queries that are still there at its end."""
        for offset, command in self._commands.read():
            try:
                self._repeat(command, offset)
            except Refused as error:
                log.warning("not repeated: %s (%s)", command.statement.split(" WITH ")[0], error)
        if processing_log.STREAM_NAME not in self._streams:
            self.execute(processing_log.stream_statement(self._settings.log_topic), {})
        for query in self._queries.values():
            self._runner.start(query)
        log.info("restored %d streams and %d queries", len(self._streams), len(self._queries))

    def _repeat(self, command: Command, offset: int) -> None:
        """Do again what a command did, but for what happened outside of this process."""
        statement = parse(command.statement)[0].statement
        match statement:
            case t.CreateStream():
                self._streams[statement.name] = plan_create(statement, command.statement)
            case t.CreateStreamAs():
                plan = plan_query(statement.query, self._streams, persistent=True)
                self._add_query(statement, plan, command)
            case t.Terminate(query_id):
                for each in self._meant(query_id):
                    self._queries.pop(each)
                return  # it does not count for the numbers of queries
            case t.DropStream(_, name):
                self._streams.pop(name, None)
                self._queries = {key: query for key, query in self._queries.items() if query.sink.name != name}
        self._next_id = offset + 1

    def _carry_out(self, parsed: t.Parsed, properties: Mapping[str, Any]) -> Entity:  # noqa: PLR0911 - one a kind
        statement, text = parsed
        match statement:
            case t.CreateStream() | t.CreateStreamAs() if statement.name in self._streams:
                if not statement.not_exists:
                    raise Refused(f"the stream {statement.name} is there already")
                message = f"Cannot add stream {quoted(statement.name)}: A stream with the same name already exists."
                return entities.entity("warning_entity", text, message=message)
            case t.CreateStream():
                return self._create(statement, text)
            case t.CreateStreamAs():
                return self._create_as(statement, text, properties)
            case t.DropStream():
                return self._drop(statement, text)
            case t.Terminate(query_id):
                return self._terminate(query_id, text)
            case t.Show("STREAMS"):
                return entities.streams_list(text, self._streams.values())
            case t.Show("QUERIES"):
                return entities.queries_list(text, self._with_states())
            case t.Show():
                return entities.topics_list(text, self._topics.all())
            case t.Describe(name):
                if name not in self._streams:
                    raise Refused(f"the stream {name} does not exist; there are {', '.join(sorted(self._streams))}")
                stream = self._streams[name]
                topic = self._topics.describe(stream.topic)
                return entities.source_description(text, stream, self._with_states(), self._readers_of(name), topic)
            case _:
                raise Refused("SELECT and PRINT are asked of /query-stream or /query, not of /ksql", QUERY_ENDPOINT)

    def _create(self, create: t.CreateStream, text: str) -> Entity:
        stream = plan_create(create, text)
        existing, properties = self._topics.describe(stream.topic), create.properties or {}
        if existing is None and "PARTITIONS" not in properties:
            raise KsqlError(f"the topic {stream.topic} does not exist: with PARTITIONS in its WITH clause it is made")
        self._ensure_topic(stream.topic, properties, existing, existing)
        command_id = f"stream/{quoted(create.name)}/create"
        sequence = self._remember(command_id, Command(text))
        self._streams[create.name] = stream
        return entities.carried_out(text, command_id, "Stream created", sequence)

    def _create_as(self, create: t.CreateStreamAs, text: str, request: Mapping[str, Any]) -> Entity:
        properties = create.properties or {}
        check_properties(properties)
        reset = self._settings.reset(request)
        if reset not in RESETS:
            raise Refused(f"auto.offset.reset is {reset!r}: it must be {' or '.join(RESETS)}")
        plan = plan_query(create.query, self._streams, persistent=True)
        topic = properties.get("KAFKA_TOPIC", create.name)
        source = self._topics.describe(plan.source.topic)
        self._ensure_topic(topic, properties, source, self._topics.describe(topic))
        query_id = f"CSAS_{create.name.upper()}_{self._next_id}"
        # One of that name may be left from a command topic that is gone; a new query must not go on where it was.
        self._topics.forget_group(self._settings.group_of(query_id))
        command = Command(text, query_id, reset)
        command_id = f"stream/{quoted(create.name)}/create"
        sequence = self._remember(command_id, command)
        self._runner.start(self._add_query(create, plan, command))
        return entities.carried_out(text, command_id, f"Created query with ID {query_id}", sequence, query_id)

    def _add_query(self, create: t.CreateStreamAs, plan: QueryPlan, command: Command) -> PersistentQuery:
        assert command.query_id is not None
        key = () if plan.key is None else (plan.key.column,)
        value = tuple(projection.column for projection in plan.values)
        topic = (create.properties or {}).get("KAFKA_TOPIC", create.name)
        sink = Stream(create.name, topic, key, value, command.statement, plan.source.name)
        reset = command.auto_offset_reset or self._settings["streams.auto.offset.reset"]
        query = PersistentQuery(command.query_id, sink, plan, reset)
        self._streams[sink.name] = sink
        self._queries[query.query_id] = query
        return query

    def _meant(self, query_id: str | None) -> list[str]:
        return [known for known in self._queries if query_id is None or known.upper() == query_id.upper()]

    def _terminate(self, query_id: str | None, text: str) -> Entity:
        ended = self._meant(query_id)
        if query_id is not None and not ended:
            raise Refused(f"there is no query {query_id}; there are {', '.join(self._queries) or 'none'}")
        command_id, next_id = f"terminate/{query_id or 'ALL'}/execute", self._next_id
        sequence = self._remember(command_id, Command(text))
        self._next_id = next_id  # terminating does not count for the numbers of queries
        for each in ended:
            self._end(each)
        return entities.carried_out(text, command_id, "Query terminated.", sequence)

    def _drop(self, drop: t.DropStream, text: str) -> Entity:
        stream = self._streams.get(drop.name)
        if stream is None and not drop.if_exists:
            raise Refused(f"the stream {drop.name} does not exist; there are {', '.join(sorted(self._streams))}")
        if readers := self._readers_of(drop.name):
            raise Refused(f"{drop.name} is read by {', '.join(readers)}: drop these first")
        command_id = f"stream/{drop.name}/drop"
        sequence = self._remember(command_id, Command(text))
        if stream is None:
            message = f"Source {quoted(drop.name)} does not exist."
            return entities.carried_out(text, command_id, message, sequence)
        for query in [query for query in self._queries.values() if query.sink.name == drop.name]:
            self._end(query.query_id)
        del self._streams[drop.name]
        if drop.delete_topic:
            self._topics.delete(stream.topic)
        message = f"Source {quoted(drop.name)} (topic: {stream.topic}) was dropped."
        return entities.carried_out(text, command_id, message, sequence)

    def _end(self, query_id: str) -> None:
        del self._queries[query_id]
        self._runner.stop(query_id)

    def _remember(self, command_id: str, command: Command) -> int:
        """Write a command to the command topic and return its offset, after which the next query is numbered."""
        sequence = self._commands.append(command_id, command)
        self._next_id = sequence + 1
        return sequence

    def _readers_of(self, name: str) -> list[str]:
        return sorted(stream.name for stream in self._streams.values() if stream.reads == name)

    def _with_states(self) -> list[tuple[PersistentQuery, str]]:
        return [(query, self._runner.state(query.query_id)) for query in self._queries.values()]

    def _ensure_topic(self, name: str, properties: t.Properties, pattern: Topic | None, existing: Topic | None) -> None:
        """The topic has to be as WITH says, or else like `pattern`. It is made when it is not there."""
        like = pattern or Topic(name, 1, 1, DEFAULT_RETENTION_MS)
        wanted = Topic(
            name,
            properties.get("PARTITIONS", like.partitions),
            properties.get("REPLICAS", like.replicas),
            properties.get("RETENTION_MS", like.retention_ms),
        )
        if existing is None:
            self._topics.create(wanted)
        elif existing != wanted:
            raise Refused(
                f"the topic {name} has {existing.partitions} partitions, {existing.replicas} replicas and a retention of "
                f"{existing.retention_ms} ms, and the statement needs {wanted.partitions}, {wanted.replicas} and "
                f"{wanted.retention_ms} ms",
                SERVER_ERROR,
            )
