"""Finds transactions on the result topic by id, account or user: a scan from place to place, for one question at a time."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from heapq import nlargest
from operator import attrgetter
from typing import Any

from confluent_kafka import Consumer

from console.reader import client
from console.records import NEWEST, Fraud, row_of, text_of
from contracts import topics
from contracts.reading import end_of, records_between

# The newest records of each partition are looked through, for so long at most.
PARTITION_RECORDS = 500_000
SECONDS = 20.0
MAX_USERS = 1_000

_SEARCHED = ("TRANSACTION_ID", "SENDER_BANK_ACCOUNT", "RECEIVER_BANK_ACCOUNT", "SENDER_ID", "RECEIVER_ID")


@dataclass(frozen=True)
class Found:
    """The newest matches, newest first; `names` are those of the users that were found by name or id."""

    frauds: list[Fraud]
    names: dict[str, str]
    looked_through: int
    complete: bool


def find(text: str) -> Found:
    """Search both topics of rows: an id or an account as a whole, a name by a part. Raises KafkaException without a broker."""
    deadline = time.monotonic() + SECONDS
    wanted = text.casefold()
    names: dict[str, str] = {}
    frauds: list[Fraud] = []

    def take_user(row: dict[str, Any], _: Fraud) -> None:
        identity, name = text_of(row, "ID"), text_of(row, "NAME")
        if identity and (wanted in name.casefold() or wanted == identity.casefold()) and len(names) < MAX_USERS:
            names[identity] = name

    def take_fraud(row: dict[str, Any], fraud: Fraud) -> None:
        nonlocal frauds
        if any(text_of(row, field).casefold() in exact for field in _SEARCHED):
            frauds = nlargest(NEWEST, [*frauds, fraud], attrgetter("timestamp"))

    users, users_complete = _scan(topics.USERS, take_user, deadline)
    exact = {wanted, *(identity.casefold() for identity in names)}
    rows, rows_complete = _scan(topics.FRAUDULENT_TRANSACTIONS_RESULT, take_fraud, deadline)
    return Found(frauds, names, users + rows, users_complete and rows_complete)


def _scan(topic: str, take: Callable[[dict[str, Any], Fraud], None], deadline: float) -> tuple[int, bool]:
    """Give `take` each row that is there by now. Returns how many records were looked at, and whether those were all."""
    consumer = Consumer(client("console-search"))
    looked = 0
    try:
        end = end_of(consumer, topic)
        begin = {partition: max(offset - PARTITION_RECORDS, 0) for partition, offset in end.items()}
        for batch in records_between(consumer, topic, begin, end):
            for message in batch:
                value = message.value() or b""
                take(row_of(value), Fraud(message.timestamp()[1], value))
            looked += len(batch)
            if time.monotonic() > deadline:
                return looked, False
    finally:
        consumer.close()
    return looked, not any(begin.values())
