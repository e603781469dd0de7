"""Puts together what the readers and the polls find, and keeps the last minutes."""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from math import inf
from threading import Event, Thread

import httpx

from console import parts, polls
from console.groups import Groups, Stalls, behind, lag
from console.metrics import END_TO_END
from console.reader import Reader
from console.records import Fraud, Letter, Place, quantiles
from console.series import RECENT_TICKS, TICK_SECONDS, Tick, histogram_quantiles, series
from console.settings import Settings
from console.state import FAILING_SHARE, UNKNOWN, Connector, Group, Part, Quantiles, Query, State, Task, Topic
from contracts import topics

logger = logging.getLogger(__name__)

POLL_SECONDS = 2.0
# What has not worked for so long does not come back by itself: a busy machine or a broker that starts is back before.
SILENT_SECONDS = 30.0
NOT_ASKED = Part(False, "not asked yet")


class Collector:
    """Everything that the page, the API and the metrics show. `start` and `stop` are called in the server's loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopping = Event()
        self._reader = Reader(self._stopping)
        self._groups = Groups(self._expected_groups, self._stopping)
        self._threads = [
            Thread(target=run, name=name, daemon=True)
            for name, run in (("reader", self._reader.run), ("groups", self._groups.run))
        ]
        self._http = polls.client()
        self._tasks: list[asyncio.Task[None]] = []
        self._parts = dict.fromkeys(
            (parts.KAFKA_CONNECT, parts.KSQLDB, parts.VALIDATOR, parts.INGESTOR, parts.PROCESSOR), NOT_ASKED
        )
        self._stalls = Stalls()
        self._stalls_looked_at = 0.0
        self._connectors: dict[str, Connector] = {}
        self._expected_connectors = parts.CONNECTORS
        self._queries: dict[str, Query] = {}
        self._service_id = ""
        self._calls: deque[polls.Calls] = deque(maxlen=RECENT_TICKS + 1)
        self._delays: deque[list[float]] = deque(maxlen=RECENT_TICKS)
        self._recent_end_to_end: Quantiles | None = None
        self.series = series()

    def start(self) -> None:
        """Begin to look."""
        for thread in self._threads:
            thread.start()
        looks = (self._look_at_connect, self._look_at_ksqldb, self._look_at_validator, self._look_at_services)
        self._tasks = [asyncio.create_task(_forever(look, POLL_SECONDS)) for look in looks]
        self._tasks.append(asyncio.create_task(_forever(self._tick, TICK_SECONDS)))

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
            following, last_letter = dict(records.next), dict(records.last_letter)
        members = self._groups.members
        committed = self._groups.committed
        groups = {
            name: Group(
                lag(places),
                None if members is None else members.get(name, 0),
                self._owner(name),
                self._stalls.seconds(name),
                self._interval(name),
            )
            for name, places in self._behind(committed).items()
            if name != parts.ARCHIVER or self._has_archiver(committed[name])
        }
        offsets = Counter[str]()
        for (topic, _), offset in following.items():
            offsets[topic] += offset
        looked_at = {parts.KAFKA: self._groups.broker, **self._parts, parts.CONSOLE: self.health()}
        failed = _failed_share(self._calls)
        if failed is not None and failed > FAILING_SHARE and looked_at[parts.VALIDATOR].up:
            looked_at[parts.VALIDATOR] = Part(False, f"{failed:.0%} of the processor's calls get no usable answer")
        if parts.ARCHIVER in groups:  # it has no address that is known here, but a group
            alive = groups[parts.ARCHIVER].members
            looked_at[parts.ARCHIVER] = Part(bool(alive), "" if alive else "its group has no member")
        return State(
            counting=self._reader.counting,
            parts=looked_at,
            topics={
                name: Topic(
                    totals[name], rates.get(name, 0.0), offsets[name], recent.get(name, 0), last_letter.get(name)
                )
                for name in totals
            },
            groups=groups,
            connectors=dict(self._connectors),
            queries=dict(self._queries),
            partitions={name: count for name, count in self._groups.partitions.items() if name in topics.CREATED},
            leaderless=tuple(place for place in self._groups.leaderless if place[0] in topics.CREATED),
            expected_connectors=self._expected_connectors,
            end_to_end=self._recent_end_to_end,
            validator_calls=histogram_quantiles(self._calls[0].buckets, self._calls[-1].buckets)
            if self._calls
            else None,
            fraud_share=_share(totals),
        )

    def health(self) -> Part:
        """The console's own: without its threads what it shows of Kafka would stand still and look well."""
        worked_at = {"reader": self._reader.worked_at, "look at the groups": self._groups.worked_at}
        silent = [name for name, at in worked_at.items() if time.monotonic() - at > SILENT_SECONDS]
        return Part(not silent, ", ".join(f"its {name} has not worked for {SILENT_SECONDS:.0f} s" for name in silent))

    def frauds(self) -> list[Fraud]:
        """The newest, newest first."""
        return self._reader.records.frauds

    def letters(self) -> list[Letter]:
        """The latest dead letters, latest first."""
        return self._reader.records.letters

    def name_of(self, user: str) -> str:
        """A user's name, or the id of one whose row was not seen lately."""
        return self._reader.records.names.get(user, user)

    async def restart_connector(self, name: str) -> None:
        """Restart it and its tasks. Raises httpx.HTTPError when Connect refuses or is away."""
        await polls.restart_connector(self._http, self._settings.kconnect_url, name)

    def _expected_groups(self) -> dict[str, tuple[str, ...]]:
        return {
            **parts.SERVICE_GROUPS,
            **{parts.connector_group(name): connector.topics for name, connector in self._connectors.items()},
            **{
                parts.query_group(self._service_id, query): (topics.FRAUDULENT_TRANSACTIONS,) for query in self._queries
            },
        }

    def _behind(self, committed: Mapping[str, Mapping[Place, int]]) -> dict[str, dict[Place, int]]:
        with self._reader.lock:
            first, last = dict(self._reader.records.first), dict(self._reader.records.last)
        return {name: behind(places, first, last) for name, places in committed.items()}

    def _owner(self, group: str) -> str:
        if group in parts.SERVICE_GROUPS:
            return "" if group == parts.ARCHIVER else group  # the archiver is a part that is judged by its group
        return parts.KAFKA_CONNECT if group in map(parts.connector_group, self._connectors) else parts.KSQLDB

    def _interval(self, group: str) -> float:
        """The archiver commits when it has written its objects, and a worker has one interval for all of its connectors."""
        archives = group == parts.ARCHIVER or self._owner(group) == parts.KAFKA_CONNECT
        return self._settings.archive_interval_seconds if archives else 0.0

    def _look_for_stalls(self) -> None:
        """With what the broker said last; while it says nothing, nobody can commit."""
        if not self._groups.broker.up or self._reader.counting:
            self._stalls.clear()
        elif self._groups.worked_at != self._stalls_looked_at:
            self._stalls_looked_at = self._groups.worked_at
            committed = self._groups.committed
            self._stalls.look(committed, self._behind(committed), self._stalls_looked_at)

    def _has_archiver(self, committed: Mapping[Place, int]) -> bool:
        """Whether this stack archives without Connect: it has no connector to S3, and an archiver was here."""
        return not self._connectors.keys() & set(parts.S3_CONNECTORS) and (
            parts.ARCHIVER in (self._groups.members or ()) or any(offset >= 0 for offset in committed.values())
        )

    async def _look_at_connect(self) -> None:
        try:
            self._connectors = await polls.connectors(self._http, self._settings.kconnect_url)
            if parts.S3_PLUGIN in await polls.plugins(self._http, self._settings.kconnect_url):
                self._expected_connectors = (*parts.CONNECTORS, *parts.S3_CONNECTORS)
            self._parts[parts.KAFKA_CONNECT] = Part(True, f"{len(self._connectors)} connectors")
        except (httpx.HTTPError, ValueError, LookupError) as error:
            self._parts[parts.KAFKA_CONNECT] = Part(False, polls.problem_of(error))
            self._connectors = {
                name: replace(connector, state=UNKNOWN, tasks=tuple(Task(task.id, UNKNOWN) for task in connector.tasks))
                for name, connector in self._connectors.items()
            }

    async def _look_at_ksqldb(self) -> None:
        try:
            found = await polls.ksqldb(self._http, self._settings.ksqldb_url)
            self._service_id, self._queries = found.service_id, dict(sorted(found.queries.items()))
            self._parts[parts.KSQLDB] = Part(True, f"{len(found.queries)} queries")
        except (httpx.HTTPError, ValueError, LookupError) as error:
            self._parts[parts.KSQLDB] = Part(False, polls.problem_of(error))
            self._queries = {name: replace(query, state=UNKNOWN) for name, query in self._queries.items()}

    async def _look_at_validator(self) -> None:
        self._parts[parts.VALIDATOR] = await polls.answers(self._http, f"{self._settings.fraud_validator_url}/docs")

    async def _look_at_services(self) -> None:
        (ingestor, _), (processor, processors) = await asyncio.gather(
            polls.replicas(self._http, self._settings.ingestor_metrics_url),
            polls.replicas(self._http, self._settings.processor_metrics_url),
        )
        self._parts[parts.INGESTOR], self._parts[parts.PROCESSOR] = ingestor, processor
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

    async def _tick(self) -> None:
        self._look_for_stalls()
        with self._reader.lock:
            delays = self._reader.records.take_delays()
            rates = self._reader.records.rates()
            recent = self._reader.records.rates(RECENT_TICKS * TICK_SECONDS)
        for delay in delays:
            END_TO_END.observe(delay)
        self._delays.append(delays)
        self._recent_end_to_end = quantiles([delay for tick in self._delays for delay in tick])
        calls = histogram_quantiles(self._calls[-2].buckets, self._calls[-1].buckets) if len(self._calls) > 1 else None
        if rates and not self._reader.counting:
            self.series.append(Tick(time.time(), rates, quantiles(delays), calls, _share(recent)))


async def _forever(look: Callable[[], Awaitable[None]], seconds: float) -> None:
    while True:
        try:
            await look()
        except Exception:  # one odd answer must not end the looking
            logger.exception("a look failed")
        await asyncio.sleep(seconds)


def _share(counts: Mapping[str, float]) -> float | None:
    """Of records or of rates. What is found now came before: when less comes than came, it may seem more than all of it."""
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
