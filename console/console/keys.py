"""Where the newest records of a key are, so that a look-up reads these and no others. No I/O.

Of a record four bytes of its key's checksum are kept, and four of its offset: 8 MB for a million.
"""

from array import array
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from threading import Lock
from zlib import crc32

from console.records import Place
from contracts import topics
from contracts.records import Message, Position

# Where a transaction begins. What follows is found by the time of these.
TOPICS = frozenset((topics.BANK_TRANSACTIONS, *topics.ROUTED, topics.BANK_TRANSACTIONS_DLQ))
# The newest records of each topic that are known.
MOST = 1_000_000
CHUNK = 4_096
# Those of one key that are found: a bank may give all of its transactions the same one.
MOST_OF_A_KEY = 20
_OFFSETS = 2**32


class _Chunk:
    """Records of one partition in the order of their offsets, which are counted from `base`."""

    __slots__ = ("base", "checksums", "offsets", "partition")

    def __init__(self, partition: int, base: int) -> None:
        self.partition, self.base = partition, base
        self.checksums, self.offsets = array("I"), array("I")

    def find(self, checksum: int) -> Iterator[int]:
        at = -1
        while True:
            try:
                at = self.checksums.index(checksum, at + 1)
            except ValueError:
                return
            yield self.base + self.offsets[at]


class Keys:
    """Takes every record of TOPICS in the order of each partition, from its first. Any thread may ask."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = Lock()
        # By topic, the oldest first; by partition, the one that is not full yet, which is among them.
        self._chunks = defaultdict[str, deque[_Chunk]](deque)
        self._current: dict[Place, _Chunk] = {}
        self._records = defaultdict[str, int](int)
        self._known: dict[Place, tuple[int, int]] = {}

    def take(self, messages: Iterable[Message]) -> None:
        """Take a batch."""
        with self._lock:
            for message in messages:
                if (topic := message.topic() or "") in TOPICS:
                    self._add((topic, message.partition() or 0), message.offset() or 0, message.key())

    def find(self, key: bytes) -> list[Position]:
        """Where the newest records of each topic with this key are, or with a key of the same checksum."""
        checksum, found = crc32(key), list[Position]()
        with self._lock:
            for topic, chunks in self._chunks.items():
                newest: list[Position] = []
                for chunk in reversed(chunks):
                    newest = [Position(topic, chunk.partition, offset) for offset in chunk.find(checksum)] + newest
                    if len(newest) >= MOST_OF_A_KEY:
                        break
                found += newest[-MOST_OF_A_KEY:]
        return found

    def known(self, place: Place) -> tuple[int, int]:
        """The offsets (from, before) of a partition that the index covers completely."""
        with self._lock:
            return self._known.get(place, (0, 0))

    def _add(self, place: Place, offset: int, key: bytes | None) -> None:
        topic, partition = place
        first, following = self._known.get(place, (0, 0))
        if offset < following:  # the topic was deleted and created
            self._forget(place)
            first = 0
        self._known[place] = first, offset + 1
        if key is None:
            return
        chunk = self._current.get(place)
        if chunk is None or len(chunk.offsets) == CHUNK or offset - chunk.base >= _OFFSETS:
            chunk = self._current[place] = _Chunk(partition, offset)
            self._chunks[topic].append(chunk)
        chunk.checksums.append(crc32(key))
        chunk.offsets.append(offset - chunk.base)
        self._records[topic] += 1
        while self._records[topic] > self._most + CHUNK:
            self._drop_oldest(topic)

    def _drop_oldest(self, topic: str) -> None:
        oldest = self._chunks[topic].popleft()
        self._records[topic] -= len(oldest.offsets)
        place = topic, oldest.partition
        if self._current[place] is oldest:
            del self._current[place]
        self._known[place] = oldest.base + oldest.offsets[-1] + 1, self._known[place][1]

    def _forget(self, place: Place) -> None:
        topic, partition = place
        kept = deque(chunk for chunk in self._chunks[topic] if chunk.partition != partition)
        self._chunks[topic], self._records[topic] = kept, sum(len(chunk.offsets) for chunk in kept)
        self._current.pop(place, None)
