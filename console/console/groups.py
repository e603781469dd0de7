"""Asks the broker whether it is there, how far each consumer group has come, and who its members are.

None of this goes through the admin client's newer calls: their bookkeeping has been seen to abort the whole process while
a broker dies (librdkafka issue 4605). A consumer that has a group's name and subscribes to nothing may ask for the group's
offsets, and the older `list_groups` waits by itself.
"""

import logging
import time
from collections.abc import Callable, Mapping
from threading import Event

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ClusterMetadata

from console.reader import client
from console.records import Place
from console.state import Part
from contracts.kafka import client_config

logger = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
ANSWER_SECONDS = 2.0


class Groups:
    """`run` is a thread's; it replaces what it knows as a whole. `expected` gives the groups and the topics each reads."""

    def __init__(self, expected: Callable[[], Mapping[str, tuple[str, ...]]], stopping: Event) -> None:
        self.broker = Part(False, "not asked yet")
        # By group: where it will read on, by partition; a partition without a place has -1001.
        self.committed: Mapping[str, Mapping[Place, int]] = {}
        self.members: Mapping[str, int] | None = None
        # When it last looked without an error, a time.monotonic().
        self.worked_at = time.monotonic()
        self._expected = expected
        self._stopping = stopping
        self._admin = AdminClient({**client_config(), "reconnect.backoff.max.ms": 1_000, "log_level": 0})
        self._consumers: dict[str, Consumer] = {}

    def run(self) -> None:
        """Look until told to stop."""
        while not self._stopping.is_set():
            try:
                self._look()
                self.worked_at = time.monotonic()
            except KafkaException as error:  # a coordinator that is just starting, say
                logger.info("groups are not known for now: %s", error.args[0].str())
            except Exception:  # one odd answer must not end the looking
                logger.exception("groups are not known for now")
            self._stopping.wait(LOOK_SECONDS)
        for consumer in self._consumers.values():
            consumer.close()

    def _look(self) -> None:
        try:
            metadata = self._admin.list_topics(timeout=ANSWER_SECONDS)
        except KafkaException:
            self.broker, self.members = Part(False, "does not answer"), None
            return
        count = len(metadata.brokers)
        self.broker = Part(True, f"{count} broker{'s' if count > 1 else ''}")
        self._look_at_groups(metadata)

    def _look_at_groups(self, metadata: ClusterMetadata) -> None:
        self.members = {group.id: len(group.members) for group in self._admin.list_groups(timeout=ANSWER_SECONDS)}
        committed = {}
        for group, names in self._expected().items():
            places = [
                TopicPartition(name, number)
                for name in names
                if name in metadata.topics
                for number in metadata.topics[name].partitions
            ]
            if group not in self._consumers:
                self._consumers[group] = Consumer(client(group))
            found = self._consumers[group].committed(places, timeout=ANSWER_SECONDS)
            committed[group] = {(place.topic, place.partition): place.offset for place in found}
        self.committed = committed


def lag(committed: Mapping[Place, int], first: Mapping[Place, int], last: Mapping[Place, int]) -> dict[str, int]:
    """Records not yet processed, by topic: behind the last record, since the end of a log may be a transaction's marker."""
    behind: dict[str, int] = {}
    for place, offset in committed.items():
        behind.setdefault(place[0], 0)
        if place in last:
            behind[place[0]] += max(last[place] + 1 - max(offset, first[place]), 0)
    return behind
