"""What the records of the topics add up to: totals, rates, the newest frauds, who is who, dead letters. No I/O."""

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from heapq import nlargest
from operator import attrgetter
from typing import Any

import orjson

from console.dead_letters import DeadLetter, of_message
from console.reasons import Reasons
from console.state import Quantiles
from contracts import topics
from contracts.dead_letters import identity
from contracts.records import Headers, Message, headers_of

NEWEST = 50
RATE_SECONDS = 5.0
# The last minutes, in which a share of dead letters is one of what came.
RECENT_SECONDS = 120.0
# Users that are known by name; a row of `users` makes one the newest again.
KNOWN_USERS = 20_000
KNOWN_CHARACTERS = 500  # of an id and a name; longer ones would take all of the memory
# Dead letters, and as many again, that are known by their record: a copy that comes later than that counts.
KNOWN_DEAD_LETTERS = 50_000

Place = tuple[str, int]


@dataclass(frozen=True)
class Fraud:
    """A row of the result topic as it came; `timestamp` is when it was written, in milliseconds."""

    timestamp: int
    value: bytes


class Known:
    """What was seen of late: at least the last `size`. A copy that keeps coming stays known."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._new: set[bytes] = set()
        self._old: set[bytes] = set()

    def add(self, one: bytes) -> bool:
        """Whether it is new."""
        known = one in self._new or one in self._old
        self._new.add(one)
        if len(self._new) >= self._size:
            self._new, self._old = set(), self._new
        return not known


class Records:
    """Offsets would not do for the totals, since transactions take offsets of their own: every record is seen once.

    But only offsets show whether a topic has new records once retention has removed old ones. A dead letter is
    counted and shown once: Kafka Connect writes some again each time that its store has refused a batch.
    """

    def __init__(self) -> None:
        self.totals: dict[str, int] = dict.fromkeys(topics.ALL, 0)
        # The same when all that was there at the start had been counted.
        self.at_begin = dict(self.totals)
        # The first and the last offset seen, by topic and partition.
        self.first: dict[Place, int] = {}
        self.last: dict[Place, int] = {}
        # The offset that comes next, by topic and partition.
        self.next: dict[Place, int] = {}
        self.frauds: list[Fraud] = []
        self.dead_letters: list[DeadLetter] = []
        # When the newest dead letter of a topic was written, copies aside, in seconds since the epoch.
        self.last_dead_letter: dict[str, float] = {}
        self.reasons = Reasons()
        self._known_dead_letters = Known(KNOWN_DEAD_LETTERS)
        self.names: OrderedDict[str, str] = OrderedDict()
        self._history: deque[tuple[float, dict[str, int]]] = deque()

    def apply(self, messages: Iterable[Message]) -> None:
        """Take a batch."""
        results, dead_letters = [], []
        for message in messages:
            topic = message.topic() or ""
            place, offset = (topic, message.partition() or 0), message.offset() or 0
            # First, so that a record that breaks what follows is not read again.
            if place not in self.first or offset < self.last[place]:  # the latter of a topic that was made again
                self.first[place] = offset
            self.last[place] = offset
            self.next[place] = offset + 1
            if topic in topics.DEAD_LETTERS:
                headers = headers_of(message)
                if not self._is_new(message, headers):
                    continue
                dead_letters.append(of_message(message, headers))
                self.reasons.add(dead_letters[-1])
                self.last_dead_letter[topic] = max(message.timestamp()[1] / 1000, self.last_dead_letter.get(topic, 0.0))
            self.totals[topic] += 1
            if topic == topics.FRAUDULENT_TRANSACTIONS_RESULT:
                results.append(Fraud(message.timestamp()[1], message.value() or b""))
            elif topic == topics.USERS:
                self._learn_name(message.value() or b"")
        if results:
            self.frauds = nlargest(NEWEST, [*self.frauds, *results], attrgetter("timestamp"))
        if dead_letters:
            self.dead_letters = nlargest(NEWEST, [*dead_letters, *self.dead_letters], attrgetter("timestamp"))

    def pass_ends(self, ends: Mapping[Place, int], came: Set[Place] = frozenset()) -> None:
        """Take where partitions ended, which may be behind a transaction's marker, or before a record that `came` since.

        Any other end that is before what was read is that of a topic that was deleted and created.
        """
        for place, end in ends.items():
            if end < self.next.get(place, 0) and place not in came:
                for offsets in (self.first, self.last, self.next):
                    offsets.pop(place, None)
            self.next[place] = max(end, self.next.get(place, 0))

    def sample(self, now: float) -> None:
        """Remember the totals of this moment (a time.monotonic()), for rates."""
        self._history.append((now, dict(self.totals)))
        while now - self._history[0][0] > RECENT_SECONDS:
            self._history.popleft()

    def begin(self) -> None:
        """What was counted so far came long ago, not now."""
        self._history.clear()
        self.at_begin = dict(self.totals)

    def rates(self, seconds: float = RATE_SECONDS) -> dict[str, float]:
        """Records/s by topic over the last `seconds`, at most RECENT_SECONDS; nothing when it is too early to say."""
        samples = list(self._history)
        if len(samples) < 2:
            return {}
        until, after = samples[-1]
        since, before = next((one for one in samples[:-1] if until - one[0] <= seconds), samples[-2])
        return {name: (after[name] - before[name]) / (until - since) for name in after}

    def came(self) -> dict[str, int]:
        """Records by topic over the last RECENT_SECONDS, or fewer when it is too early."""
        if not self._history:
            return {}
        (_, before), (_, after) = self._history[0], self._history[-1]
        return {name: after[name] - before[name] for name in after}

    def share_of_offsets(self, topic: str) -> float:
        """How many of a topic's offsets are records: the others are the markers of transactions."""
        offsets = sum(self.last[place] + 1 - first for place, first in self.first.items() if place[0] == topic)
        return min(self.totals[topic] / offsets, 1.0) if offsets else 1.0

    def _is_new(self, dead_letter: Message, headers: Headers | None) -> bool:
        found = identity(dead_letter.value(), dead_letter.key(), headers)
        return found is None or self._known_dead_letters.add(found)

    def _learn_name(self, value: bytes) -> None:
        row = row_of(value)
        identity, name = row.get("ID"), row.get("NAME")
        if isinstance(identity, str) and isinstance(name, str) and len(identity) + len(name) <= KNOWN_CHARACTERS:
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
