"""What the records of the topics add up to: totals, rates, delays, the newest frauds, who is who, dead letters. No I/O."""

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from operator import attrgetter
from typing import Any, Protocol

import orjson

from console.state import Quantiles
from contracts import topics
from contracts.records import Headers, headers_of
from contracts.timestamps import bank_timestamp

NEWEST = 50
RATE_SECONDS = 5.0
RECENT_SECONDS = 30.0
# So many users are known by name; a row of `users` makes one the newest again.
KNOWN_USERS = 20_000
# More of a dead letter is not kept: records may be megabytes, and a page shows less.
KEPT_BYTES = 16 * 1024

Place = tuple[str, int]


class Message(Protocol):
    """What is used of confluent_kafka.Message."""

    def topic(self) -> str | None: ...
    def partition(self) -> int | None: ...
    def offset(self) -> int | None: ...
    def timestamp(self) -> tuple[int, int]: ...
    def key(self) -> bytes | None: ...
    def value(self) -> bytes | None: ...
    def headers(self) -> Headers | None: ...


@dataclass(frozen=True)
class Fraud:
    """A row of the result topic as it came; `timestamp` is when it was written, in milliseconds."""

    timestamp: int
    value: bytes


@dataclass(frozen=True)
class Letter:
    """A dead letter as it came, cut to KEPT_BYTES; `size` is that of the whole."""

    timestamp: int
    topic: str
    partition: int
    offset: int
    headers: Mapping[str, bytes | None]
    value: bytes
    size: int


class Records:
    """Offsets would not do for the totals, since transactions take offsets of their own: every record is seen once.

    But only offsets tell of a topic from which retention has removed records whether there are new ones.
    """

    def __init__(self) -> None:
        self.totals: dict[str, int] = dict.fromkeys(topics.ALL, 0)
        # The first and the last offset seen, by topic and partition.
        self.first: dict[Place, int] = {}
        self.last: dict[Place, int] = {}
        # The offset that comes next, by topic and partition.
        self.next: dict[Place, int] = {}
        # Seconds from the bank's timestamp to the row's own, of rows that came since this was last taken and have both.
        self.delays: list[float] = []
        self.frauds: list[Fraud] = []
        self.letters: list[Letter] = []
        self.names: OrderedDict[str, str] = OrderedDict()
        self._history: deque[tuple[float, dict[str, int]]] = deque()

    def apply(self, messages: Iterable[Message], behind: frozenset[Place]) -> None:
        """Take a batch; partitions that are `behind` tell nothing about delays."""
        results, letters = [], []
        for message in messages:
            topic = message.topic() or ""
            place, offset = (topic, message.partition() or 0), message.offset() or 0
            # First, so that a record that breaks what follows is not read again.
            self.totals[topic] += 1
            self.last[place] = offset
            self.next[place] = offset + 1
            if place not in self.first:
                self.first[place] = offset
            if topic == topics.FRAUDULENT_TRANSACTIONS_RESULT:
                written = message.timestamp()[1]
                results.append(Fraud(written, message.value() or b""))
                if place not in behind and (sent := bank_timestamp(headers_of(message))) is not None:
                    self.delays.append(max(written - sent, 0) / 1000)
            elif topic == topics.USERS:
                self._learn_name(message.value() or b"")
            elif topic in topics.DEAD_LETTERS:
                letters.append(message)
        if results:
            self.frauds = nlargest(NEWEST, [*self.frauds, *results], attrgetter("timestamp"))
        if letters:
            newest = nlargest(NEWEST, letters, lambda message: message.timestamp()[1])
            self.letters = nlargest(NEWEST, [*map(_letter, newest), *self.letters], attrgetter("timestamp"))

    def pass_ends(self, ends: Mapping[Place, int]) -> None:
        """Take where partitions ended, which may be behind a transaction's marker, or before a record that came since."""
        for place, end in ends.items():
            self.next[place] = max(end, self.next.get(place, 0))

    def take_delays(self) -> list[float]:
        """The delays that were seen since the last call."""
        taken, self.delays = self.delays, []
        return taken

    def sample(self, now: float) -> None:
        """Remember the totals of this moment (a time.monotonic()), for rates."""
        self._history.append((now, dict(self.totals)))
        while now - self._history[0][0] > RECENT_SECONDS:
            self._history.popleft()

    def forget_rates(self) -> None:
        """What was counted so far came long ago, not now."""
        self._history.clear()

    def rates(self, seconds: float = RATE_SECONDS) -> dict[str, float]:
        """Records a second by topic over the last `seconds`, at most RECENT_SECONDS; nothing when it is too early to say."""
        samples = list(self._history)
        if len(samples) < 2:
            return {}
        until, after = samples[-1]
        since, before = next((one for one in samples[:-1] if until - one[0] <= seconds), samples[-2])
        return {name: (after[name] - before[name]) / (until - since) for name in after}

    def _learn_name(self, value: bytes) -> None:
        row = row_of(value)
        identity, name = row.get("ID"), row.get("NAME")
        if isinstance(identity, str) and isinstance(name, str):
            self.names[identity] = name
            self.names.move_to_end(identity)
            if len(self.names) > KNOWN_USERS:
                self.names.popitem(last=False)


def row_of(value: bytes) -> dict[str, Any]:
    """A row's fields; none when it is not a row."""
    try:
        row = orjson.loads(value)
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}


def text_of(row: Mapping[str, Any], field: str) -> str:
    """A field that holds text; nothing of any other, since whoever may write to a topic may write anything."""
    value = row.get(field)
    return value if isinstance(value, str) else ""


def quantiles(seconds: Sequence[float]) -> Quantiles | None:
    """The median and the 99th percentile, or None of nothing."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    return Quantiles(ordered[len(ordered) // 2], ordered[min(int(len(ordered) * 0.99), len(ordered) - 1)])


def _letter(message: Message) -> Letter:
    value = message.value() or b""
    return Letter(
        message.timestamp()[1],
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        dict(headers_of(message) or ()),
        value[:KEPT_BYTES],
        len(value),
    )
