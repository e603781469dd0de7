"""Puts together what the readers and the polls find, and keeps the last minutes."""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from math import inf
from threading import Event, Thread

import httpx

from console import polls, reasons
from console.dead_letters import DeadLetter
from console.delays import Delays
from console.events import RESTART
from console.events import Event as StackEvent
from console.groups import Groups, Stalls, behind, lag
from console.journal import Journal
from console.keys import Keys
from console.metrics import END_TO_END
from console.reader import Reader
from console.reasons import Reason
from console.records import KNOWN_USERS, Fraud, Place, quantiles
from console.search import Users
from console.series import RECENT_TICKS, TICK_SECONDS, Series, Tick, histogram_quantiles
from console.settings import Settings
from console.state import (
    FAILING_SHARE,
    NOT_ASKED,
    RUNNING,
    UNKNOWN,
    Connector,
    Group,
    Health,
    Quantiles,
    Query,
    State,
    Task,
    Topic,
)
from console.surroundings import Surroundings
from contracts import topics
from runtime import services
from runtime.connect import Connect, Refused, Unavailable, states
from runtime.hang import alive
from runtime.ksqldb import KsqlClient, KsqlError

logger = logging.getLogger(__name__)

POLL_SECONDS = 2.0
# What has not worked for this long does not come back by itself: a busy machine or a broker that starts is back before.
SILENT_SECONDS = 30.0
RESTART_SECONDS, RESTART_LOOK_SECONDS = 30.0, 0.5
# Without a leader of theirs nobody can commit what its group or transaction keeps there.
KAFKAS_OWN = ("__consumer_offsets", "__transaction_state")


class Collector:
    """Everything that the page, the API and the metrics show. `start` and `stop` are called in the server's loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopping = Event()
        self._reader = Reader(self._stopping)
        self._timing = Delays(self._stopping)
        self._groups = Groups(self._expected_groups, self._stopping)
        self._journal = Journal(self._stopping)
        self._threads = [
            Thread(target=run, name=name, daemon=True)
            for name, run in (
                ("reader", self._reader.run),
                ("delays", self._timing.run),
                ("groups", self._groups.run),
                ("journal", self._journal.run),
            )
        ]
        self._http = polls.client()
        urls = filter(None, (settings.kconnect_url, settings.kconnect_2_url))
        self._workers = {
            name: Connect(url, seconds=polls.ANSWER_SECONDS) for name, url in zip(services.WORKERS, urls, strict=False)
        }
        self._connect = self._workers[services.KAFKA_CONNECT]
        self._ksqldb = KsqlClient(settings.ksqldb_url, seconds=polls.ANSWER_SECONDS)
        self._looks = {
            "Kafka Connect check": self._look_at_connect,
            "ksqlDB check": self._look_at_ksqldb,
            "validator check": self._look_at_validator,
            "service check": self._look_at_services,
            "disk and process check": self._look_around,
        }
        # When each last came to its end, a time.monotonic().
        self._worked_at = dict.fromkeys((*self._looks, "sampling"), time.monotonic())
        self._tasks: list[asyncio.Task[None]] = []
        self._health = dict.fromkeys(
            (*self._workers, services.KSQLDB, services.VALIDATOR, services.INGESTOR, services.PROCESSOR),
            NOT_ASKED,
        )
        self._surroundings = Surroundings(settings)
        # By connector, its last restart that was asked for here.
        self._restarted: dict[str, StackEvent] = {}
        self._stalls = Stalls()
        self._stalls_looked_at = 0.0
        self._connectors: dict[str, Connector] = {}
        self._expected_connectors = services.CONNECTORS
        self._queries: dict[str, Query] = {}
        self._service_id = ""
        self._calls: deque[polls.Calls] = deque(maxlen=RECENT_TICKS + 1)
        self._delays: deque[list[float]] = deque(maxlen=RECENT_TICKS)
        self._recent_end_to_end: Quantiles | None = None
        self.series = Series()

    def start(self) -> None:
        """Begin to look."""
        for thread in self._threads:
            thread.start()
        for name, look in self._looks.items():
            self._tasks.append(asyncio.create_task(self._forever(name, look, POLL_SECONDS)))
        self._tasks.append(asyncio.create_task(self._forever("sampling", self._tick, TICK_SECONDS)))

    async def stop(self) -> None:
        """End what `start` began."""
        self._stopping.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.aclose()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def state(self) -> State:
        """What is known now."""
        with self._reader.lock:
            records = self._reader.records
            totals, rates, recent = dict(records.totals), records.rates(), records.came()
            last_dead_letter = dict(records.last_dead_letter)
        members = self._groups.members
        committed = self._groups.committed
        # As of the last look: what has come since may be processed by now.
        look = time.time() - (time.monotonic() - self._groups.worked_at)
        with self._reader.lock:
            oldest_waiting = None if self._reader.counting else self._reader.queues.oldest(committed, look)
        groups = {
            name: Group(
                lag(places),
                None if members is None else members.get(name, 0),
                self._owner(name),
                self._stalls.seconds(name),
                self._interval(name),
            )
            for name, places in self._behind(committed).items()
            if name != services.ARCHIVER or self._has_archiver(committed[name])
        }
        looked_at = {
            services.KAFKA: self._groups.broker,
            **self._health,
            **self._surroundings.health,
            services.CONSOLE: self.health(),
        }
        failed = _failed_share(self._calls)
        if failed is not None and failed > FAILING_SHARE and looked_at[services.VALIDATOR].up:
            looked_at[services.VALIDATOR] = Health(False, f"{failed:.0%} of the processor's calls get no usable answer")
        if services.ARCHIVER in groups:  # it has no address that is known here, but a group
            alive = groups[services.ARCHIVER].members
            looked_at[services.ARCHIVER] = Health(bool(alive), "" if alive else "its group has no member")
        return State(
            counting=self._reader.counting,
            services=looked_at,
            topics={
                name: Topic(totals[name], rates.get(name, 0.0), recent.get(name, 0), last_dead_letter.get(name))
                for name in totals
            },
            groups=groups,
            connectors=dict(self._connectors),
            queries=dict(self._queries),
            partitions={name: count for name, count in self._groups.partitions.items() if name in topics.CREATED},
            leaderless=tuple(place for place in self._groups.leaderless if place[0] in (*topics.CREATED, *KAFKAS_OWN)),
            cluster=self._groups.cluster,
            expected_connectors=self._expected_connectors,
            end_to_end=self._recent_end_to_end,
            oldest_waiting=oldest_waiting,
            validator_calls=histogram_quantiles(self._calls[0].buckets, self._calls[-1].buckets)
            if self._calls
            else None,
            fraud_share=_share(totals),
            disk=self._surroundings.disk,
            recent=self._journal.recent(time.time()),
        )

    def events(self) -> list[StackEvent]:
        """What happened, newest first."""
        return self._journal.newest()

    def health(self) -> Health:
        """The console's own: what it shows would stand still and look healthy if one of these did not work."""
        worked_at = {
            "topic reader": self._reader.worked_at,
            "consumer group check": self._groups.worked_at,
            **self._worked_at,
        }
        silent = [name for name, at in worked_at.items() if time.monotonic() - at > SILENT_SECONDS]
        return Health(not silent, ", ".join(f"its {name} has failed for {SILENT_SECONDS:.0f} s" for name in silent))

    def frauds(self) -> list[Fraud]:
        """The newest, newest first."""
        return self._reader.records.frauds

    def dead_letters(self) -> list[DeadLetter]:
        """The latest dead letters, latest first."""
        return self._reader.records.dead_letters

    def reasons(self) -> list[Reason]:
        """Dead letters by topic and reason, the one that was last met first."""
        with self._reader.lock:
            return self._reader.records.reasons.all()

    @property
    def keys(self) -> Keys:
        """Where transactions are, by key."""
        return self._reader.keys

    def committed(self) -> Mapping[str, Mapping[Place, int]]:
        """How far each group has come, by partition, a look ago at most."""
        return self._groups.committed

    def name_of(self, user: str) -> str:
        """A user's name, or the id of one whose row was not seen lately."""
        return self._reader.records.names.get(user, user)

    def users(self) -> Users | None:
        """Everyone who was ever seen; None when these are not all, or not yet."""
        with self._reader.lock:
            records = self._reader.records
            if self._reader.counting or len(records.names) >= KNOWN_USERS:
                return None
            return Users(dict(records.names), records.totals[topics.USERS])

    async def restart_connector(self, name: str) -> None:
        """Restart it and its tasks. Raises Refused or Unavailable."""
        began = time.time()
        await asyncio.to_thread(self._connect.restart, name, only_failed=False)
        text = f"connector {name} was restarted from the console"
        self._restarted[name] = StackEvent(RESTART, name, text, began)

    async def runs_again(self, name: str) -> bool:
        """Whether the restarted connector and its tasks run within RESTART_SECONDS."""
        until = time.monotonic() + RESTART_SECONDS
        while time.monotonic() < until:
            await asyncio.sleep(RESTART_LOOK_SECONDS)
            with suppress(Unavailable, Refused):
                found = await asyncio.to_thread(self._connect.status, name)
                if found["tasks"] and all(one["state"] == RUNNING for one in states(found).values()):
                    self._restarted[name] = replace(self._restarted[name], ended=time.time())
                    return True
        return False

    def _end_restarts(self) -> None:
        """A restart may take longer than anybody waits for it here, as while its store is down."""
        for name, event in self._restarted.items():
            if event.ended is None and name in self._connectors and self._connectors[name].runs:
                self._restarted[name] = replace(event, ended=time.time())

    def _expected_groups(self) -> dict[str, tuple[str, ...]]:
        return {
            **services.SERVICE_GROUPS,
            **{services.connector_group(name): connector.topics for name, connector in self._connectors.items()},
            **{
                services.query_group(self._service_id, query): (topics.FRAUDULENT_TRANSACTIONS,)
                for query in self._queries
            },
        }

    def _behind(self, committed: Mapping[str, Mapping[Place, int]]) -> dict[str, dict[Place, int]]:
        with self._reader.lock:
            first, last = dict(self._reader.records.first), dict(self._reader.records.last)
        return {name: behind(places, first, last) for name, places in committed.items()}

    def _owner(self, group: str) -> str:
        if group in services.SERVICE_GROUPS:
            return "" if group == services.ARCHIVER else group  # the archiver is a service that is judged by its group
        return services.KAFKA_CONNECT if group in map(services.connector_group, self._connectors) else services.KSQLDB

    def _interval(self, group: str) -> float:
        """The archiver commits when it has written its objects, and a worker has one interval for all of its connectors."""
        archives = group == services.ARCHIVER or self._owner(group) == services.KAFKA_CONNECT
        return self._settings.archive_interval_seconds if archives else 0.0

    def _look_for_stalls(self) -> None:
        """Update the timers of stalls; they are reset while the broker does not answer."""
        if not self._groups.broker.up or self._reader.counting:
            self._stalls.clear()
        elif self._groups.worked_at != self._stalls_looked_at:
            self._stalls_looked_at = self._groups.worked_at
            committed = self._groups.committed
            self._stalls.look(committed, self._behind(committed), self._stalls_looked_at)

    def _has_archiver(self, committed: Mapping[Place, int]) -> bool:
        """Whether this stack archives without Connect: it has no connector to S3, and an archiver was here."""
        return not self._connectors.keys() & set(services.S3_CONNECTORS) and (
            services.ARCHIVER in (self._groups.members or ()) or any(offset >= 0 for offset in committed.values())
        )

    async def _look_at_connect(self) -> None:
        """At every worker: each knows the connectors of all."""
        for name, worker in self._workers.items():
            try:
                self._connectors = await asyncio.to_thread(polls.connectors, worker)
                if services.S3_PLUGIN in await asyncio.to_thread(worker.plugins):
                    self._expected_connectors = (*services.CONNECTORS, *services.S3_CONNECTORS)
                self._health[name] = Health(True, f"{len(self._connectors)} connectors")
                self._connect = worker
                self._end_restarts()
            except (Unavailable, Refused, LookupError) as error:
                self._health[name] = Health(False, polls.problem_of(error))
        if not any(self._health[name].up for name in self._workers):
            self._connectors = {
                name: replace(connector, state=UNKNOWN, tasks=tuple(Task(task.id, UNKNOWN) for task in connector.tasks))
                for name, connector in self._connectors.items()
            }

    async def _look_at_ksqldb(self) -> None:
        try:
            self._service_id, queries = await asyncio.to_thread(polls.ksqldb, self._ksqldb)
            self._queries = dict(sorted(queries.items()))
            self._health[services.KSQLDB] = Health(True, f"{len(queries)} queries")
        except (KsqlError, LookupError) as error:
            self._health[services.KSQLDB] = Health(False, polls.problem_of(error))
            self._queries = {name: replace(query, state=UNKNOWN) for name, query in self._queries.items()}

    async def _look_at_validator(self) -> None:
        self._health[services.VALIDATOR] = await polls.responds(
            self._http, f"{self._settings.fraud_validator_url}/docs"
        )

    async def _look_around(self) -> None:
        """Look at disk and processes, then derive the events."""
        await self._surroundings.look()
        state = self.state()
        if not any(health is NOT_ASKED for health in (self._groups.broker, *self._health.values())):
            new = [] if state.counting else reasons.events(self.reasons())
            happened = [*self._surroundings.restarts, *self._restarted.values(), *new]
            self._journal.look([*state.faults, *state.warnings], happened, time.time())

    async def _look_at_services(self) -> None:
        (ingestor, _), (processor, processors) = await asyncio.gather(
            polls.replicas(self._http, self._settings.ingestor_metrics_url),
            polls.replicas(self._http, self._settings.processor_metrics_url),
        )
        self._health[services.INGESTOR], self._health[services.PROCESSOR] = ingestor, processor
        buckets: Counter[float] = Counter()
        failed = 0.0
        for base in processors:
            try:
                calls = await polls.validator_calls(self._http, base)
                buckets.update(calls.buckets)
                failed += calls.failed
            except (httpx.HTTPError, ValueError) as error:
                logger.info("no metrics from %s: %s", base, polls.problem_of(error))
        if buckets:
            self._calls.append(polls.Calls(dict(buckets), failed))
        else:
            self._calls.clear()

    async def _forever(self, name: str, look: Callable[[], Awaitable[None]], seconds: float) -> None:
        while True:
            try:
                await look()
                self._worked_at[name] = time.monotonic()
            except Exception:  # one malformed response must not end the looking
                logger.exception("%s failed", name)
            await asyncio.sleep(seconds)

    async def _tick(self) -> None:
        alive("sampling")
        self._look_for_stalls()
        with self._reader.lock:
            rates = self._reader.records.rates()
            recent = self._reader.records.rates(RECENT_TICKS * TICK_SECONDS)
        delays = self._timing.take()
        for delay in delays:
            END_TO_END.observe(delay)
        self._delays.append(delays)
        self._recent_end_to_end = quantiles([delay for tick in self._delays for delay in tick])
        calls = histogram_quantiles(self._calls[-2].buckets, self._calls[-1].buckets) if len(self._calls) > 1 else None
        if rates and not self._reader.counting:
            self.series.append(Tick(time.time(), rates, quantiles(delays), calls, _share(recent)))


def _share(counts: Mapping[str, float]) -> float | None:
    """The share found fraudulent, of records or of rates. Results lag behind the input, so it is capped at 1."""
    came = counts.get(topics.BANK_TRANSACTIONS)
    return min(counts[topics.FRAUDULENT_TRANSACTIONS_RESULT] / came, 1.0) if came else None


def _failed_share(calls: Sequence[polls.Calls]) -> float | None:
    """Of the calls between the first and the last reading; None without calls. Smaller readings are a new process's."""
    if not calls:
        return None
    first, last = calls[0], calls[-1]
    if last.buckets.get(inf, 0.0) < first.buckets.get(inf, 0.0):
        first = polls.Calls({})
    came = last.buckets.get(inf, 0.0) - first.buckets.get(inf, 0.0)
    return max(last.failed - first.failed, 0.0) / came if came > 0 else None
