"""What is known of the stack at one moment, and what of it is a fault. No I/O."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from console.causes import DEAD_LETTERS, SERVICE, Problem, explained, root
from console.cluster import Cluster
from console.events import Event
from contracts import topics
from runtime import services
from runtime.disk import Space
from runtime.services import CONNECTORS

RUNNING = "RUNNING"
# What is said of a connector, a task or a query whose server does not answer.
UNKNOWN = "UNKNOWN"

# A group that has records to read and commits nothing for this long does not come back by itself: a rebalance and a restart
# of the broker are over before. Who writes to S3 commits only when an object is written: see Group.interval.
STALLED_SECONDS = 60.0
# The share of dead letters among the records of the last minutes: more than the first is a warning, more than the second a
# fault. Fewer dead letters than MIN_DEAD_LETTERS are neither: somebody may be trying something.
WARNING_SHARE = 0.05
FAULT_SHARE = 0.5
MIN_DEAD_LETTERS = 5
# A transaction that waits for longer is late. A service that is restarted is back before.
LATE_SECONDS = 10.0
# Of the calls to the validator in the last half minute: one record that it cannot answer is asked about again and again.
FAILING_SHARE = 0.9


@dataclass(frozen=True)
class Health:
    """The health of a service that can be asked; `detail` is its answer, or what is wrong."""

    up: bool
    detail: str = ""


NOT_ASKED = Health(False, "not asked yet")


@dataclass(frozen=True)
class Topic:
    """Committed records since the topic began, or that it still held when the console started, and records/s now.

    `arrived` are those that came after the start, `recent` those that came in the last minutes, or that were processed then if
    these are more, as after an outage. A dead letter counts once, whatever copies there are; `last` is when the newest was
    written, in seconds since the epoch.
    """

    records: int = 0
    rate: float = 0.0
    arrived: int = 0
    recent: int = 0
    last: float | None = None


@dataclass(frozen=True)
class Group:
    """A consumer group: records not yet processed by topic, and its members; None is not known.

    `owner` is the service that its members run in. `stalled` is for how many seconds a topic has had records to read while
    nothing was committed, `interval` how many may be between two commits.
    """

    lag: Mapping[str, int] = field(default_factory=dict)
    members: int | None = None
    owner: str = ""
    stalled: Mapping[str, float] = field(default_factory=dict)
    interval: float = 0.0

    @property
    def behind(self) -> int:
        return sum(self.lag.values())


@dataclass(frozen=True)
class Task:
    """A connector's task; `error` is the class of what made it fail."""

    id: int
    state: str
    error: str = ""

    @property
    def text(self) -> str:
        return f"{self.state} ({self.error})" if self.error else self.state


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
    stream: str = ""


@dataclass(frozen=True)
class Quantiles:
    """Seconds."""

    p50: float
    p99: float


@dataclass(frozen=True)
class State:
    """The whole. `counting` is true until every topic has been read to its end once: until then totals and lags are too small."""

    counting: bool = True
    services: Mapping[str, Health] = field(default_factory=dict)
    topics: Mapping[str, Topic] = field(default_factory=lambda: dict.fromkeys(topics.ALL, Topic()))
    groups: Mapping[str, Group] = field(default_factory=dict)
    connectors: Mapping[str, Connector] = field(default_factory=dict)
    queries: Mapping[str, Query] = field(default_factory=dict)
    # Partitions by topic, as the broker has them, and those that no broker leads.
    partitions: Mapping[str, int] = field(default_factory=dict)
    leaderless: tuple[tuple[str, int], ...] = ()
    cluster: Cluster = field(default_factory=Cluster)
    # The connectors that the worker should run.
    expected_connectors: tuple[str, ...] = CONNECTORS
    # From the bank's timestamp to the row on the result topic, over the last half minute; None without rows.
    end_to_end: Quantiles | None = None
    # Seconds since the bank sent the oldest transaction that waits for a service; None when none does.
    oldest_waiting: float | None = None
    # As the processor measures its calls, over the last half minute; None without calls.
    validator_calls: Quantiles | None = None
    # Rows found fraudulent by transactions of the bank, of all so far; None without transactions.
    fraud_share: float | None = None
    # The disk of the stack's data; None is not known.
    disk: Space | None = None
    # What was wrong in the last minutes and is over, the latest first.
    recent: tuple[Event, ...] = ()

    @cached_property
    def faults(self) -> list[Problem]:
        """What is wrong, root causes first. Dead letters are none, unless most of what comes is one: the stack did its duty."""
        found = [
            *self._disk_full(),
            *self._services_down(),
            *self._connectors_not_running(),
            *self._queries_not_running(),
            *self._missing(),
            *self._stalled(),
            *(
                Problem(DEAD_LETTERS, name, f"{text}: most of what comes is refused")
                for name, share, text in self._dead_letter_shares()
                if share > FAULT_SHARE
            ),
        ]
        return explained(found, self._down())

    @cached_property
    def warnings(self) -> list[Problem]:
        """What should be looked at, while everything works."""
        return [
            *(
                Problem(DEAD_LETTERS, name, text)
                for name, share, text in self._dead_letter_shares()
                if WARNING_SHARE < share <= FAULT_SHARE
            ),
            *self._uneven_partitions(),
            *self._replicas_missing(),
        ]

    def word(self, name: str) -> str:
        """Of a service: up, down, or what it waits for."""
        if self._up(name):
            return "up"
        cause = root(services.NEEDS.get(name, ()), self._down())
        return f"waits for {cause}" if cause else "down"

    def _down(self) -> set[str]:
        down = {name for name, service in self.services.items() if not service.up}
        # One worker runs the connectors of all: what is wrong with them has another cause.
        return down.difference(services.WORKERS) if self._a_worker_is_up() else down

    def _up(self, name: str) -> bool:
        service = self.services.get(name)
        return service is not None and service.up

    def _a_worker_is_up(self) -> bool:
        return any(map(self._up, services.WORKERS))

    def _services_down(self) -> Iterator[Problem]:
        for name, service in self.services.items():
            if not service.up:
                yield Problem(SERVICE, name, f"{name} is down: {service.detail}", services.NEEDS.get(name, ()))

    def _connectors_not_running(self) -> Iterator[Problem]:
        for name, connector in self.connectors.items():
            needs = services.connector_needs(name)
            for what, state in [
                (f"connector {name}", connector.state),
                *((f"connector {name}, task {task.id}", task.text) for task in connector.tasks),
            ]:
                if state != RUNNING:
                    yield Problem("connector", name, f"{what} is {state}", needs)
            if not connector.tasks:
                yield Problem("connector", name, f"connector {name} has no task", needs)

    def _queries_not_running(self) -> Iterator[Problem]:
        for name, query in self.queries.items():
            if query.state != RUNNING:
                yield Problem("query", name, f"query {name} is {query.state}", (services.KSQLDB,))

    def _missing(self) -> Iterator[Problem]:
        """Of what the stack should have; of a service that does not answer nothing is known but that."""
        if self._a_worker_is_up():
            for name in self.expected_connectors:
                if name not in self.connectors:
                    yield Problem("missing", name, f"connector {name} is missing: start the stack again to create it")
        if self._up(services.KSQLDB):
            for name in sorted(set(services.STREAMS).difference(query.stream for query in self.queries.values())):
                yield Problem(
                    "missing",
                    name,
                    f"the query of stream {name} is missing: run init/clean_ksqldb.sh, then start the stack again",
                )
        if self._up(services.KAFKA):
            for name in topics.CREATED:
                if not self.partitions.get(name):
                    yield Problem("missing", name, f"topic {name} is missing: start the stack again to create it")
            if self.leaderless:
                yield Problem(
                    "offline",
                    "leaders",
                    f"{_partitions(self.leaderless)} without a leader: a broker is missing",
                    (services.KAFKA,),
                )
        for name, group in self.groups.items():
            is_up = self._a_worker_is_up() if group.owner in services.WORKERS else self._up(group.owner)
            if group.members == 0 and is_up:
                yield Problem(
                    "missing",
                    name,
                    f"group {name} has no member: nothing reads {', '.join(group.lag)}",
                    self._needs_of_group(name, group),
                )

    def _stalled(self) -> Iterator[Problem]:
        for name, group in self.groups.items():
            for topic, seconds in group.stalled.items():
                if seconds > STALLED_SECONDS + group.interval:
                    yield Problem(
                        "stalled",
                        name,
                        f"group {name} has {group.lag.get(topic, 0):,} records of {topic} to read and has "
                        f"committed nothing in one partition for {seconds:.0f} s",
                        self._needs_of_group(name, group),
                    )

    def _needs_of_group(self, name: str, group: Group) -> tuple[str, ...]:
        for connector in self.connectors:
            if name == services.connector_group(connector):
                return services.connector_needs(connector)
        owner = group.owner or name
        return owner, *services.NEEDS.get(owner, ())

    def _disk_full(self) -> Iterator[Problem]:
        if self.disk and (text := self.disk.problem):
            yield Problem("disk", self.disk.folder, text)

    def _dead_letter_shares(self) -> Iterator[tuple[str, float, str]]:
        for name, read in services.READ_FROM.items():
            dead_letters, came = self.topics[name].recent, sum(self.topics[one].recent for one in read)
            if dead_letters < MIN_DEAD_LETTERS:
                continue
            share = min(dead_letters / came, 1.0) if came else 1.0
            what = f"{dead_letters:,} of {max(came, dead_letters):,} records" if came else f"{dead_letters:,} records"
            yield name, share, f"{share:.0%} dead letters: {what} of the last minutes are on {name}"

    def _uneven_partitions(self) -> Iterator[Problem]:
        counts = {name: self.partitions[name] for name in topics.ALL if self.partitions.get(name)}
        usual = Counter(counts.values()).most_common(1)
        for name, count in counts.items():
            if count != usual[0][0]:
                yield Problem(
                    "partitions",
                    name,
                    f"topic {name} has {count} partitions, the others {usual[0][0]}: ksqlDB needs the same number on all "
                    "topics to create its streams",
                )

    def _replicas_missing(self) -> Iterator[Problem]:
        """While Kafka answers: of one that does not, nothing is known but that."""
        if not self._up(services.KAFKA):
            return
        # The one broker is Kafka itself; one of several is a cause of its own.
        others, needs = "", (services.KAFKA,)
        if len(self.cluster.brokers) > 1:
            others, needs = ": the other brokers lead its partitions", ()
        for name, broker in self.cluster.brokers.items():
            if not broker.up:
                yield Problem("broker", name, f"broker {name} is down{others}", needs)
        if count := self.cluster.under_replicated:
            yield Problem(
                "under-replicated",
                "replicas",
                f"{count} partitions are under-replicated: not all of their replicas are in sync",
                (services.KAFKA,),
            )

    @property
    def dead_letters(self) -> int:
        return sum(self.topics[name].records for name in topics.DEAD_LETTERS)

    def to_json(self) -> dict[str, Any]:
        """For `/api/state`, with the verdict. Warnings leave it healthy."""
        faults, warnings = ([problem.text for problem in problems] for problems in (self.faults, self.warnings))
        return {"healthy": not faults, "faults": faults, "warnings": warnings, **asdict(self)}


def _partitions(places: tuple[tuple[str, int], ...]) -> str:
    """One fault, however many they are: each topic has some on a broker that is away."""
    if len(places) == 1:
        return "topic {}, partition {} is".format(*places[0])
    return f"{len(places)} partitions of {len({name for name, _ in places})} topics are"
