"""What is known of the stack at one moment, and what of it is a fault. No I/O."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from contracts import topics

RUNNING = "RUNNING"
# What is said of a connector, a task or a query whose server does not answer.
UNKNOWN = "UNKNOWN"


@dataclass(frozen=True)
class Part:
    """A part that can be asked whether it is well; `detail` is its answer, or what is wrong."""

    up: bool
    detail: str = ""


@dataclass(frozen=True)
class Topic:
    """Committed records since the topic began, or that it still held when the console started, and records a second now.

    `offsets` are those that records and transactions have taken, in all partitions: they outlive the records.
    """

    records: int = 0
    rate: float = 0.0
    offsets: int = 0


@dataclass(frozen=True)
class Group:
    """A consumer group: records not yet processed by topic, and its members; None is not known."""

    lag: Mapping[str, int] = field(default_factory=dict)
    members: int | None = None

    @property
    def behind(self) -> int:
        return sum(self.lag.values())


@dataclass(frozen=True)
class Task:
    """A connector's task."""

    id: int
    state: str


@dataclass(frozen=True)
class Connector:
    """A connector and its tasks in Connect's words."""

    state: str
    tasks: tuple[Task, ...]
    topics: tuple[str, ...]

    @property
    def runs(self) -> bool:
        return self.state == RUNNING and bool(self.tasks) and all(task.state == RUNNING for task in self.tasks)


@dataclass(frozen=True)
class Query:
    """A persistent query of ksqlDB."""

    state: str
    sink: str


@dataclass(frozen=True)
class Quantiles:
    """Seconds."""

    p50: float
    p99: float


@dataclass(frozen=True)
class State:
    """The whole. `counting` is true until every topic has been read to its end once: until then totals and lags are too small."""

    counting: bool = True
    parts: Mapping[str, Part] = field(default_factory=dict)
    topics: Mapping[str, Topic] = field(default_factory=lambda: dict.fromkeys(topics.ALL, Topic()))
    groups: Mapping[str, Group] = field(default_factory=dict)
    connectors: Mapping[str, Connector] = field(default_factory=dict)
    queries: Mapping[str, Query] = field(default_factory=dict)
    # From the bank's timestamp to the row on the result topic, over the last half minute; None without rows.
    end_to_end: Quantiles | None = None
    # As the processor measures its calls, over the last half minute; None without calls.
    validator_calls: Quantiles | None = None
    # Rows found fraudulent by transactions of the bank, of all so far; None without transactions.
    fraud_share: float | None = None

    @property
    def faults(self) -> tuple[str, ...]:
        """What is not as it should be, a sentence each. Dead letters are shown, but are none: the stack did its duty."""
        return tuple(self._faults())

    def _faults(self) -> Iterator[str]:
        for name, part in self.parts.items():
            if not part.up:
                yield f"{name} is down: {part.detail}"
        for name, connector in self.connectors.items():
            for what, state in [
                (f"connector {name}", connector.state),
                *((f"connector {name}, task {task.id}", task.state) for task in connector.tasks),
            ]:
                if state != RUNNING:
                    yield f"{what} is {state}"
            if not connector.tasks:
                yield f"connector {name} has no task"
        for name, query in self.queries.items():
            if query.state != RUNNING:
                yield f"query {name} is {query.state}"

    @property
    def dead_letters(self) -> int:
        return sum(self.topics[name].records for name in topics.DEAD_LETTERS)

    def to_json(self) -> dict[str, Any]:
        """For `/api/state`, with the verdict."""
        return {"well": not self.faults, "faults": self.faults, **asdict(self)}
