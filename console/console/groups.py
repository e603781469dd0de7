"""Asks the broker whether it is there, how far each consumer group has come, and who its members are.

None of this goes through the admin client's newer calls: their bookkeeping has been seen to abort the whole process while
a broker dies (librdkafka issue 4605). A consumer that has a group's name and subscribes to nothing may ask for the group's
offsets, and the older `list_groups` waits by itself.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from threading import Event

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import ClusterMetadata

from console import cluster
from console.cluster import Cluster
from console.reader import client, keep_on
from console.records import Place
from console.state import NOT_ASKED, Health
from runtime.kafka import client_config
from runtime.lost import Admin

LOOK_SECONDS = 2.0
ANSWER_SECONDS = 2.0


class Groups:
    """`run` is a thread's; it replaces what it knows as a whole. `expected` gives the groups and the topics each reads."""

    def __init__(self, expected: Callable[[], Mapping[str, tuple[str, ...]]], stopping: Event) -> None:
        self.broker = NOT_ASKED
        # By group: where it will read on, by partition; a partition without a committed offset has -1001.
        self.committed: Mapping[str, Mapping[Place, int]] = {}
        # None is not known: of all, or of a group that this client does not understand.
        self.members: Mapping[str, int | None] | None = None
        self.cluster = Cluster()
        # Partitions by topic, and those that no broker leads.
        self.partitions: Mapping[str, int] = {}
        self.leaderless: tuple[Place, ...] = ()
        # When it last looked without an error, a time.monotonic().
        self.worked_at = time.monotonic()
        self._expected = expected
        self._stopping = stopping
        self._admin = Admin({**client_config(), "reconnect.backoff.max.ms": 1_000, "log_level": 0})
        self._consumers: dict[str, Consumer] = {}

    def run(self) -> None:
        """Look until told to stop."""
        keep_on(self._look, self._stopping, LOOK_SECONDS, "groups are not known")
        for consumer in self._consumers.values():
            consumer.close()

    def _look(self) -> None:
        try:
            with self._admin.client() as admin:
                metadata = admin.list_topics(timeout=ANSWER_SECONDS)
        except KafkaException:
            self.broker, self.members = Health(False, "does not answer"), None
            self.cluster = cluster.unreachable(self.cluster)
            self.worked_at = time.monotonic()
            return
        self.cluster = cluster.read(metadata)
        self.broker = Health(True, self.cluster.summary)
        self.partitions = {name: len(topic.partitions) for name, topic in metadata.topics.items()}
        self.leaderless = tuple(
            (name, number)
            for name, topic in sorted(metadata.topics.items())
            for number, partition in sorted(topic.partitions.items())
            if partition.leader < 0
        )
        self._look_at_groups(metadata)
        self.worked_at = time.monotonic()

    def _look_at_groups(self, metadata: ClusterMetadata) -> None:
        # What the older call knows nothing about, groups of a newer protocol, is "Dead" to it.
        with self._admin.client() as admin:
            groups = admin.list_groups(timeout=ANSWER_SECONDS)
        self.members = {group.id: None if group.state == "Dead" else len(group.members) for group in groups}
        committed = {}
        for group, names in self._expected().items():
            places = [
                TopicPartition(name, number)
                for name in names
                if name in metadata.topics
                for number in metadata.topics[name].partitions
            ]
            consumer = self._consumers.pop(group, None) or Consumer(client(group))
            found = consumer.committed(places, timeout=ANSWER_SECONDS)
            self._consumers[group] = consumer  # one that failed is not used again: it may have lost every broker
            committed[group] = {(place.topic, place.partition): place.offset for place in found}
        for group in self._consumers.keys() - committed.keys():
            self._consumers.pop(group).close()
        self.committed = committed


def behind(committed: Mapping[Place, int], first: Mapping[Place, int], last: Mapping[Place, int]) -> dict[Place, int]:
    """Records not yet processed, by partition: behind the last record, since the end of a log may be a transaction's marker."""
    return {
        place: max(last[place] + 1 - max(offset, first[place]), 0) if place in last else 0
        for place, offset in committed.items()
    }


def lag(behind: Mapping[Place, int]) -> dict[str, int]:
    """The same by topic."""
    total: dict[str, int] = {}
    for (topic, _), records in behind.items():
        total[topic] = total.get(topic, 0) + records
    return total


def processed_between(
    before: Mapping[str, Mapping[Place, int]], now: Mapping[str, Mapping[Place, int]]
) -> dict[str, int]:
    """Offsets by topic that the group which came furthest has committed between two looks.

    A transaction's marker has an offset too. A partition that had no commit at first is left out.
    """
    processed: dict[str, int] = {}
    for group, places in now.items():
        passed = Counter[str]()
        for place, offset in places.items():
            first = before.get(group, {}).get(place, -1)
            passed[place[0]] += max(offset - first, 0) if first >= 0 else 0
        for topic, count in passed.items():
            processed[topic] = max(count, processed.get(topic, 0))
    return processed


class Stalls:
    """For how long each partition of a group has had records to read while its commit stood still.

    By partition: a group that goes on everywhere else must not hide one record that it cannot get past.
    """

    def __init__(self) -> None:
        self._since: dict[tuple[str, Place], tuple[int, float]] = {}
        self._looked_at = 0.0

    def look(
        self, committed: Mapping[str, Mapping[Place, int]], behind: Mapping[str, Mapping[Place, int]], now: float
    ) -> None:
        """Take what is committed now (a time.monotonic())."""
        since = {}
        for group, places in behind.items():
            for place in (place for place, records in places.items() if records):
                offset = committed[group][place]
                known = self._since.get((group, place))
                since[group, place] = known if known and known[0] == offset else (offset, now)
        self._since, self._looked_at = since, now

    def clear(self) -> None:
        """Nobody can commit anything now: the time begins again."""
        self._since = {}

    def seconds(self, group: str) -> dict[str, float]:
        """The longest of each topic of a group, as of the last look."""
        longest: dict[str, float] = {}
        for (name, (topic, _)), (_, since) in self._since.items():
            if name == group:
                longest[topic] = max(self._looked_at - since, longest.get(topic, 0.0))
        return longest
