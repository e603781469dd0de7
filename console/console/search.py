"""Finds transactions on the result topic by id, account or user, from the newest to the oldest."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from heapq import nlargest
from math import inf
from operator import attrgetter
from typing import Any, TypeVar

from confluent_kafka import Consumer

from console.reader import client
from console.records import NEWEST, Fraud, row_of, text_of
from contracts import topics
from runtime.reading import end_of, records_between

# The newest records of each partition are looked through, for this long at most. A search ends when what is older cannot
# matter any more: it begins with a few records of each partition, and goes back in steps of growing size.
PARTITION_RECORDS = 500_000
FIRST_STEP, GROWTH = 1_000, 4
SECONDS = 20.0
MAX_USERS = 1_000

Key = TypeVar("Key")

_SEARCHED = ("TRANSACTION_ID", "SENDER_BANK_ACCOUNT", "RECEIVER_BANK_ACCOUNT", "SENDER_ID", "RECEIVER_ID")


@dataclass(frozen=True)
class Found:
    """The newest matches, newest first; `names` are those of the users that were found by name or id."""

    frauds: list[Fraud]
    names: dict[str, str]
    looked_through: int
    complete: bool


@dataclass(frozen=True)
class Users:
    """The names of all users by id, and the number of records that they were read from."""

    names: dict[str, str]
    records: int


def find(text: str, users: Users | None = None) -> Found:
    """Search both topics of rows: an id or an account as a whole, a name by a part. Raises KafkaException without a broker.

    The topic of users is read when it is not known who they are.
    """
    deadline = time.monotonic() + SECONDS
    wanted = text.casefold()
    names: dict[str, str] = {}
    frauds: list[Fraud] = []
    cut = False

    def take_user(identity: str, name: str) -> None:
        nonlocal cut
        if identity and (wanted in name.casefold() or wanted == identity.casefold()):
            if len(names) < MAX_USERS:
                names[identity] = name
            elif identity not in names:
                cut = True

    def take_fraud(row: dict[str, Any], fraud: Fraud) -> None:
        nonlocal frauds
        if any(text_of(row, field).casefold() in exact for field in _SEARCHED):
            frauds = nlargest(NEWEST, [*frauds, fraud], attrgetter("timestamp"))

    def enough(since: float) -> bool:
        return len(frauds) == NEWEST and frauds[-1].timestamp >= since

    if users is None:
        looked, complete = _scan(
            topics.USERS, lambda row, _: take_user(text_of(row, "ID"), text_of(row, "NAME")), deadline
        )
    else:
        looked, complete = users.records, True
        for one in reversed(users.names.items()):  # the newest are the last
            take_user(*one)
    complete = complete and not cut
    exact = {wanted, *(identity.casefold() for identity in names)}
    rows, rows_complete = _scan(topics.FRAUDULENT_TRANSACTIONS_RESULT, take_fraud, deadline, enough)
    return Found(frauds, names, looked + rows, complete and rows_complete)


def _scan(
    topic: str,
    take: Callable[[dict[str, Any], Fraud], None],
    deadline: float,
    enough: Callable[[float], bool] = lambda _: False,
) -> tuple[int, bool]:
    """Give `take` the rows that are there by now, the newest first by steps, until all since a time (in ms) are `enough`.

    Returns how many records were looked at, and whether no other could matter.
    """
    looked = 0
    with closing(Consumer(client("console-search"))) as consumer:
        newest = end_of(consumer, topic)
        first = {partition: max(offset - PARTITION_RECORDS, 0) for partition, offset in newest.items()}
        for begin, end in steps_back(first, newest):
            oldest: dict[int | None, float] = {
                partition: inf for partition, offset in begin.items() if offset > first[partition]
            }
            for batch in records_between(consumer, topic, begin, end):
                for message in batch:
                    value, (_, timestamp) = message.value() or b"", message.timestamp()
                    partition = message.partition()
                    oldest[partition] = min(timestamp, oldest.get(partition, inf))
                    take(row_of(value), Fraud(timestamp, value))
                looked += len(batch)
                if time.monotonic() > deadline:
                    return looked, False
            if oldest and enough(max(oldest.values())):
                return looked, True
    return looked, not any(first.values())


def steps_back(first: Mapping[Key, int], end: Mapping[Key, int]) -> Iterator[tuple[dict[Key, int], dict[Key, int]]]:
    """Begin and end, by partition, of steps of growing size from `end` back to `first`: the newest records come first."""
    step, end = FIRST_STEP, dict(end)
    while any(offset > first[key] for key, offset in end.items()):
        begin = {key: max(offset - step, first[key]) for key, offset in end.items()}
        yield begin, end
        end, step = begin, step * GROWTH
