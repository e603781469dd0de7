"""What the tests of the ksqlDB emulator share: the recorded answers, and an engine without Kafka."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from local.ksqldb_emulator import settings as configuration
from local.ksqldb_emulator.commands import Command, CommandLog
from local.ksqldb_emulator.engine import Engine
from local.ksqldb_emulator.pipeline import Pipeline, compile_pipeline
from local.ksqldb_emulator.planner import PersistentQuery, QueryPlan
from local.ksqldb_emulator.runner import Queries
from local.ksqldb_emulator.settings import Settings
from local.ksqldb_emulator.topics import Topic, Topics

GOLDEN = Path(__file__).parent / "golden"
WEEK_MS = 604800000


class FakeTopics(Topics):
    """Topics in a dictionary."""

    def __init__(self, *names: str) -> None:
        self.topics = {name: Topic(name, 6, 1, WEEK_MS) for name in names}
        self.forgotten_groups: list[str] = []

    def describe(self, name: str) -> Topic | None:
        return self.topics.get(name)

    def replicas(self) -> dict[str, list[int]]:
        return {name: [topic.replicas] * topic.partitions for name, topic in self.topics.items()}

    def create(self, topic: Topic) -> None:
        self.topics.setdefault(topic.name, topic)

    def delete(self, name: str) -> None:
        self.topics.pop(name, None)

    def forget_group(self, group: str) -> None:
        self.forgotten_groups.append(group)

    def all(self) -> list[Topic]:
        return list(self.topics.values())

    def cluster_id(self) -> str:
        return "MkU3OEVBNTcwNTJENDM2Qg"


class FakeCommands(CommandLog):
    """A command topic in a list; a transaction's mark takes every second offset."""

    def __init__(self) -> None:
        self.commands: list[tuple[int, Command]] = []

    def append(self, command_id: str, command: Command) -> int:
        offset = 2 * len(self.commands)
        self.commands.append((offset, command))
        return offset

    def read(self) -> Iterator[tuple[int, Command]]:
        yield from self.commands


class FakeQueries(Queries):
    """Queries that do not run."""

    def __init__(self) -> None:
        self.plans: dict[str, tuple[QueryPlan, str, str]] = {}

    def start(self, query: PersistentQuery) -> None:
        assert query.query_id not in self.plans
        self.plans[query.query_id] = (query.plan, query.sink.topic, query.auto_offset_reset)

    def stop(self, query_id: str) -> None:
        del self.plans[query_id]

    def state(self, query_id: str) -> str:
        assert query_id in self.plans
        return "RUNNING"


class World:
    """An engine and everything around it. `restart` makes a new engine over the same Kafka."""

    def __init__(self, settings: Settings, *topics: str) -> None:
        self.settings = settings
        self.topics = FakeTopics(settings.log_topic, *topics)
        self.commands = FakeCommands()
        self.restart()

    def restart(self) -> None:
        self.queries = FakeQueries()
        self.engine = Engine(self.settings, self.topics, self.commands, self.queries)
        self.engine.restore()

    def run(self, text: str, **properties: str) -> list[dict[str, Any]]:
        return self.engine.execute(text, properties)


@pytest.fixture(scope="session")
def settings() -> Settings:
    loaded = configuration.load({"KAFKA_BOOTSTRAP_SERVER": "127.0.0.1:1"})
    return replace(loaded, properties={**loaded.properties, "ksql.streams.auto.offset.reset": "latest"})


@pytest.fixture
def make_world(settings: Settings) -> Callable[..., World]:
    return lambda *topics: World(settings, *topics)


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A world with the pipeline's topics."""
    return make_world("fraudulent-transactions", "fraudulent-transactions-result", "users")


@pytest.fixture(scope="session")
def statements() -> list[dict[str, Any]]:
    """The recorded requests and answers, in order."""
    return json.loads((GOLDEN / "statements.json").read_text("utf-8"))


@pytest.fixture(scope="session")
def push_queries() -> list[dict[str, Any]]:
    return json.loads((GOLDEN / "push_queries.json").read_text("utf-8"))


@pytest.fixture
def pipeline(make_world: Callable[..., World]) -> Callable[..., Pipeline]:
    """Compiles a query: `pipeline(columns, select)` reads a topic `t` of those columns."""

    def build(columns: str, select: str) -> Pipeline:
        world = make_world("t")
        world.run(f"CREATE STREAM s ({columns}) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON');")
        world.run(f"CREATE STREAM o AS {select};")
        plan, _, _ = next(iter(world.queries.plans.values()))
        return compile_pipeline(plan)

    return build
