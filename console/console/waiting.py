"""How old the oldest transaction is that waits: quantiles of those that have arrived say nothing about it. No I/O."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import zip_longest
from operator import attrgetter
from typing import NamedTuple

from console.records import Place
from contracts import topics
from contracts.records import Message, headers_of
from contracts.timestamps import bank_timestamp

# Where transactions wait for the next service. Rows wait for a sink's interval, which is no delay of the stream.
QUEUES = frozenset((topics.BANK_TRANSACTIONS, *topics.ROUTED))

RUN_MS = 1_000
# Of each partition. Of more, those that were read are dropped: until then they are kept, since a group that is new or set back
# reads them again. Else each two become one, and the time of the later one is no longer known.
MAX_RUNS = 1_000


class Run(NamedTuple):
    """Records of one second: when the first was written, when the bank sent it (both in ms), and the last one's offset."""

    written: int
    sent: int
    last: int


class Queues:
    """When the records of each queue were sent, to a second."""

    def __init__(self) -> None:
        self._runs: dict[Place, list[Run]] = {}
        # What every group has read, at the last look.
        self._read: dict[Place, int] = {}

    def take(self, messages: Iterable[Message]) -> None:
        """Records in the order of their partitions, those of other topics left out."""
        for message in messages:
            if message.topic() in QUEUES:
                self._take(message)

    def _take(self, message: Message) -> None:
        place, offset = (message.topic() or "", message.partition() or 0), message.offset() or 0
        written = message.timestamp()[1]
        runs = self._runs.setdefault(place, [])
        if runs and offset < runs[-1].last:  # of a topic that was deleted and created
            runs.clear()
        if runs and abs(written - runs[-1].written) < RUN_MS:
            runs[-1] = runs[-1]._replace(last=offset)
            return
        sent = None if place[0] == topics.BANK_TRANSACTIONS else bank_timestamp(headers_of(message))
        runs.append(Run(written, sent or written, offset))
        if len(runs) > MAX_RUNS:
            read = bisect_left(runs, self._read.get(place, 0), key=attrgetter("last"))
            if read:
                del runs[: min(read, MAX_RUNS // 2)]
            else:
                pairs = zip_longest(runs[::2], runs[1::2])
                self._runs[place] = [one if two is None else one._replace(last=two.last) for one, two in pairs]

    def oldest(self, committed: Mapping[str, Mapping[Place, int]], at: float) -> float | None:
        """Seconds from when the bank sent it until `at` (since the epoch), when this was committed; None when none waits."""
        next_read: dict[Place, int] = {}
        for places in committed.values():
            for place, offset in places.items():
                if place[0] in QUEUES:
                    next_read[place] = min(max(offset, 0), next_read.get(place, offset))
        self._read = next_read
        waiting = []
        for place, offset in next_read.items():
            runs = self._runs.get(place, [])
            runs = runs[bisect_left(runs, offset, key=attrgetter("last")) :]
            # What was written since is not asked for; nor is the time known of what a clock that was ahead dates later.
            if (first := next((run for run in runs if run.written <= at * 1000), None)) is not None:
                waiting.append(first.sent)
        return max(at - min(waiting) / 1000, 0.0) if waiting else None
