"""Puts together what the readers and the polls find, and keeps the last minutes."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event, Thread

import httpx

from console import polls, processes, reasons
from console.delays import Delays
from console.events import RESTART
from console.events import Event as StackEvent
from console.groups import Groups, Stalls, behind, lag, processed_between
from console.journal import Journal
from console.metrics import END_TO_END
from console.reader import Reader
from console.reasons import Reason
from console.records import KNOWN_USERS, RECENT_SECONDS, Place, quantiles
from console.search import Users
from console.series import RECENT_TICKS, TICK_SECONDS, Series, Tick, histogram_quantiles
from console.settings import Settings
from console.state import (
    FAILING_SHARE,
    NOT_ASKED,
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
from contracts import topics
from runtime import disk, services
from runtime.connect import Connect, Refused, Unavailable
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
        self.reader = Reader(self._stopping)
        self._timing = Delays(self._stopping)
        self.groups = Groups(self._expected_groups, self._stopping)
        self._journal = Journal(self._stopping)
        self._threads = [
            Thread(target=one.run, name=type(one).__name__.lower(), daemon=True)
            for one in (self.reader, self._timing, self.groups, self._journal)
        ]
        # One at a time: each has a consumer, and the threads of the checks are for the checks.
        self.searches, self.look_ups = ThreadPoolExecutor(1, "search"), ThreadPoolExecutor(1, "look-up")
        # Nothing of the environment (a proxy, say) comes between it and the services.
        self._http = httpx.AsyncClient(timeout=polls.ANSWER_SECONDS, trust_env=False)
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
        # What none of the services says of itself, as it was at the last look.
        self._unasked: dict[str, Health] = {}
        self._disk: disk.Space | None = None
        # By connector, its last restart that was asked for here.
        self._restarted: dict[str, StackEvent] = {}
        self._stalls = Stalls()
        self._stalls_looked_at = 0.0
        # How far the groups were in the last minutes.
        self._committed_before: deque[tuple[float, Mapping[str, Mapping[Place, int]]]] = deque()
        self._connectors: dict[str, Connector] = {}
        self._expected_connectors = services.CONNECTORS
        self._queries: dict[str, Query] = {}
        self._service_id = ""
        # The calls of all processors since the console started, at each look, and what each of them said last.
        self._calls: deque[polls.Calls] = deque([polls.Calls({})], maxlen=RECENT_TICKS + 1)
        self._last_calls: dict[str, polls.Calls] = {}
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
        for executor in (self.searches, self.look_ups):
            executor.shutdown(wait=False, cancel_futures=True)
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def state(self) -> State:
        """What is known now."""
        members = self.groups.members
        committed = self.committed()
        # As of the last look: what has come since may be processed by now.
        look = time.time() - (time.monotonic() - self.groups.worked_at)
        looks = self._committed_before  # its ends alone: the loop's thread may add one meanwhile
        passed = processed_between(looks[0][1], looks[-1][1]) if looks else {}
        with self.reader.lock:
            records = self.reader.records
            totals, at_begin, counting = dict(records.totals), records.at_begin, self.reader.counting
            # What is still being counted came long ago.
            rates, recent = ({}, {}) if counting else (records.rates(), records.came())
            last_dead_letter = dict(records.last_dead_letter)
            processed = {
                name: round(offsets * records.share_of_offsets(name))
                for name, offsets in passed.items()
                if name in topics.RECORDS
            }
            oldest_waiting = None if counting else self.reader.queues.oldest(committed, look)
        groups = {
            name: Group(
                lag(places),
                None if members is None else members.get(name, 0),
                self._owner(name),
                self._stalls.seconds(name),
                self._interval(name),
            )
            for name, places in self._behind(committed).items()
        }
        looked_at = {
            services.KAFKA: self.groups.broker,
            **self._health,
            **self._unasked,
            services.CONSOLE: self.health(),
        }
        recent_calls = self._calls[-1].since(self._calls[0])
        failed = recent_calls.failed_share
        if failed is not None and failed > FAILING_SHARE and looked_at[services.VALIDATOR].up:
            looked_at[services.VALIDATOR] = Health(False, f"{failed:.0%} of the processor's calls get no usable answer")
        if services.ARCHIVER in groups:  # it has no address that is known here, but a group
            alive = groups[services.ARCHIVER].members
            looked_at[services.ARCHIVER] = Health(bool(alive), "" if alive else "its group has no member")
        return State(
            counting=counting,
            services=looked_at,
            topics={
                name: Topic(
                    total,
                    rates.get(name, 0.0),
                    total - at_begin[name],
                    max(recent.get(name, 0), processed.get(name, 0)),
                    last_dead_letter.get(name),
                )
                for name, total in totals.items()
            },
            groups=groups,
            connectors=dict(self._connectors),
            queries=dict(self._queries),
            partitions={name: count for name, count in self.groups.partitions.items() if name in topics.CREATED},
            leaderless=tuple(place for place in self.groups.leaderless if place[0] in (*topics.CREATED, *KAFKAS_OWN)),
            cluster=self.groups.cluster,
            expected_connectors=self._expected_connectors,
            end_to_end=self._recent_end_to_end,
            oldest_waiting=oldest_waiting,
            validator_calls=histogram_quantiles(recent_calls.buckets),
            fraud_share=_share(totals),
            disk=self._disk,
            recent=self._journal.recent(time.time()),
        )

    def committed(self) -> Mapping[str, Mapping[Place, int]]:
        """How far each group is, by partition; the archiver is one only where it archives."""
        return {
            name: places
            for name, places in self.groups.committed.items()
            if name != services.ARCHIVER or self._has_archiver(places)
        }

    def events(self) -> list[StackEvent]:
        """What happened, newest first."""
        return self._journal.newest()

    def health(self) -> Health:
        """The console's own: what it shows would stand still and look healthy if one of these did not work."""
        worked_at = {
            "topic reader": self.reader.worked_at,
            "consumer group check": self.groups.worked_at,
            "end-to-end timing": self._timing.worked_at,
            **self._worked_at,
        }
        silent = [name for name, at in worked_at.items() if time.monotonic() - at > SILENT_SECONDS]
        return Health(not silent, ", ".join(f"its {name} has failed for {SILENT_SECONDS:.0f} s" for name in silent))

    def reasons(self) -> list[Reason]:
        """Dead letters by topic and reason, the one that was last met first."""
        with self.reader.lock:
            return self.reader.records.reasons.all()

    def name_of(self, user: str) -> str:
        """A user's name, or the id of one whose row was not seen lately."""
        return self.reader.records.names.get(user, user)

    def users(self) -> Users | None:
        """Everyone who was ever seen; None when these are not all, or not yet."""
        with self.reader.lock:
            records = self.reader.records
            if self.reader.counting or len(records.names) >= KNOWN_USERS:
                return None
            return Users(dict(records.names), records.totals[topics.USERS])

    async def restart_connector(self, name: str) -> None:
        """Restart it and its tasks, also when it was paused or stopped. Raises Refused or Unavailable."""
        began = time.time()
        await asyncio.to_thread(self._connect.resume, name)
        await asyncio.to_thread(self._connect.restart, name, only_failed=False)
        text = f"connector {name} was restarted from the console"
        self._restarted[name] = StackEvent(RESTART, name, text, began)

    async def runs_again(self, name: str) -> bool:
        """Whether the restarted connector and its tasks run within RESTART_SECONDS."""
        until = time.monotonic() + RESTART_SECONDS
        while self._restarted[name].ended is None and time.monotonic() < until:
            await asyncio.sleep(RESTART_LOOK_SECONDS)
        return self._restarted[name].ended is not None

    def _end_restarts(self, asked: float) -> None:
        """A restart may take longer than anybody waits for it here, as while its store is down. `asked`: when Connect was."""
        for name, event in self._restarted.items():
            found = self._connectors.get(name)
            if event.ended is None and event.began < asked and found is not None and found.runs:
                self._restarted[name] = replace(event, ended=time.time())

    def _expected_groups(self) -> dict[str, tuple[str, ...]]:
        """Those of the stack and of its sinks. What a query of a user's reads is not known, and a source has no group."""
        return {
            **services.SERVICE_GROUPS,
            **{
                services.connector_group(name): connector.topics
                for name, connector in self._connectors.items()
                if connector.topics
            },
            **{
                services.query_group(self._service_id, name): (topics.FRAUDULENT_TRANSACTIONS,)
                for name, query in self._queries.items()
                if query.stream in services.STREAMS
            },
        }

    def _behind(self, committed: Mapping[str, Mapping[Place, int]]) -> dict[str, dict[Place, int]]:
        with self.reader.lock:
            first, last = dict(self.reader.records.first), dict(self.reader.records.last)
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
        if not self.groups.broker.up:
            self._stalls.clear()
        elif self.groups.worked_at != self._stalls_looked_at:
            self._stalls_looked_at = self.groups.worked_at
            committed = self.groups.committed
            self._stalls.look(committed, self._behind(committed), self._stalls_looked_at)
            self._committed_before.append((self._stalls_looked_at, committed))
            while self._stalls_looked_at - self._committed_before[0][0] > RECENT_SECONDS:
                self._committed_before.popleft()

    def _has_archiver(self, committed: Mapping[Place, int]) -> bool:
        """Whether this stack archives without Connect: it has no connector to S3, and an archiver was here."""
        return not self._connectors.keys() & set(services.S3_CONNECTORS) and (
            services.ARCHIVER in (self.groups.members or ()) or any(offset >= 0 for offset in committed.values())
        )

    async def _look_at_connect(self) -> None:
        """At every worker: each knows the connectors of all."""
        asked = time.time()
        for name, worker in self._workers.items():
            try:
                self._connectors = await asyncio.to_thread(polls.connectors, worker)
                archives = services.S3_PLUGIN in await asyncio.to_thread(worker.plugins)
                self._expected_connectors = services.CONNECTORS + (services.S3_CONNECTORS if archives else ())
                self._health[name] = Health(True, f"{len(self._connectors)} connectors")
                self._connect = worker
                self._end_restarts(asked)
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
        self._disk = disk.space(self._settings.data_folder)
        launched = processes.read(self._settings.launcher_state)
        self._unasked = processes.health(launched) or await processes.containers(self._settings.containers.split(","))
        if not self._disk.full:  # else it cannot write
            self._unasked |= processes.silent(self._settings.launcher_state)
        state = self.state()
        if not any(health is NOT_ASKED for health in (self.groups.broker, *self._health.values())):
            new = [] if state.counting else reasons.events(self.reasons())
            happened = [*processes.restarts(launched), *self._restarted.values(), *new]
            self._journal.look([*state.faults, *state.warnings], happened, time.time())

    async def _look_at_services(self) -> None:
        (ingestor, _), (processor, processors) = await asyncio.gather(
            polls.replicas(self._http, self._settings.ingestor_metrics_url),
            polls.replicas(self._http, self._settings.processor_metrics_url),
        )
        self._health[services.INGESTOR], self._health[services.PROCESSOR] = ingestor, processor
        calls = self._calls[-1]
        for base in processors:
            try:
                now = await polls.validator_calls(self._http, base)
                calls += now.since(self._last_calls.get(base, now))
                self._last_calls[base] = now
            except (httpx.HTTPError, ValueError) as error:
                logger.info("no metrics from %s: %s", base, polls.problem_of(error))
        self._calls.append(calls)

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
        with self.reader.lock:
            rates = self.reader.records.rates()
            recent = self.reader.records.rates(RECENT_TICKS * TICK_SECONDS)
        delays = self._timing.take()
        for delay in delays:
            END_TO_END.observe(delay)
        self._delays.append(delays)
        self._recent_end_to_end = quantiles([delay for tick in self._delays for delay in tick])
        calls = histogram_quantiles(self._calls[-1].since(self._calls[-2]).buckets) if len(self._calls) > 1 else None
        if rates and not self.reader.counting:
            self.series.append(Tick(time.time(), rates, quantiles(delays), calls, _share(recent)))


def _share(counts: Mapping[str, float]) -> float | None:
    """The share found fraudulent, of records or of rates. Results lag behind the input, so it is capped at 1."""
    came = counts.get(topics.BANK_TRANSACTIONS)
    return min(counts[topics.FRAUDULENT_TRANSACTIONS_RESULT] / came, 1.0) if came else None
