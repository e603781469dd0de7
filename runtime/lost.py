"""Finds a Kafka client that would wait for ever, by its statistics: only a new process helps it.

It may have lost every broker, and does not connect to one again. librdkafka 2.10 and later forgets the brokers that metadata does
not list, and a broker that has just started lists none until it has registered with its controller. Now and then the client then
forgets its bootstrap addresses as well (librdkafka issue 5301), and no setting prevents that.

Or it is a member of a group whose offsets the broker keeps from it, see `Transactions.begin`.
"""

import json
import logging
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from runtime import hang

LOST_SECONDS = 5.0
# What librdkafka calls a partition that it does not read, and asks no broker about.
NOT_READ = ("none", "stopping", "stopped")
# Much longer than an open transaction of a replica that is gone, which keeps its offsets until `transaction.timeout.ms` is over.
OFFSETS_SECONDS = 60.0
STATISTICS_MS = 1_000


class Offsets:
    """Whether a group's member knows from where to read. Without that it is in its group, healthy, and reads nothing."""

    def __init__(self) -> None:
        self._known_at = time.monotonic()

    def look(self, statistics: Mapping[str, Any]) -> None:
        """End the process when the member has asked for the records of no partition for OFFSETS_SECONDS."""
        now, group = time.monotonic(), statistics.get("cgrp", {})
        partitions = (each for topic in statistics["topics"].values() for each in topic["partitions"].values())
        is_member = (group.get("state"), group.get("join_state")) == ("up", "steady") and group["assignment_size"] > 0
        if not is_member or any(each["fetch_state"] not in NOT_READ for each in partitions):
            self._known_at = now
        elif now - self._known_at > OFFSETS_SECONDS:
            hang.end(f"the Kafka client {statistics['client_id']} is not given the offsets of its group")


class Brokers:
    """The brokers of one consumer or producer, by its statistics, which it delivers inside poll() and consume()."""

    def __init__(self, *also: Callable[[Mapping[str, Any]], None]) -> None:
        self._known_at = time.monotonic()
        self._also = also

    def on_statistics(self, statistics: str) -> None:
        """For `stats_cb`: look, and hand on what was parsed."""
        found = json.loads(statistics)
        self.look(found)
        for take in self._also:
            take(found)

    def look(self, statistics: Mapping[str, Any]) -> None:
        """End the process when the client has had no broker to connect to for LOST_SECONDS."""
        now = time.monotonic()
        if any(broker["source"] in ("learned", "configured") for broker in statistics["brokers"].values()):
            self._known_at = now
        elif now - self._known_at > LOST_SECONDS:
            hang.end(f"the Kafka client {statistics['client_id']} has lost every broker")


def watched(*also: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
    """The properties of a client without which its process cannot work; `also` get its statistics."""
    return {"statistics.interval.ms": STATISTICS_MS, "stats_cb": Brokers(*also).on_statistics}


class Admin:
    """An admin client for a long time: after a call that no broker answered the next one is made by a new client."""

    def __init__(self, config: Mapping[str, Any], log: logging.Logger | None = None) -> None:
        self._config, self._log = dict(config), log
        self._client: AdminClient | None = None

    @contextmanager
    def client(self) -> Generator[AdminClient]:
        """The client for one or more calls, which may raise KafkaException."""
        client = self._client = self._client or AdminClient(self._config, logger=self._log)
        try:
            yield client
        except KafkaException as error:
            if error.args[0].code() < 0:  # librdkafka's own; a broker that refuses something has been reached
                self._client = None
            raise
