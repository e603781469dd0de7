"""Transactions from a seed: the same seed gives the same ids, people and evaluations, so that tests know the answer."""

import json
import random
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from faker import Faker

from bank.poison import poisoned
from contracts.models import FRAUDULENT, UNIDENTIFIED

BANKS = ("Northwind Bank", "Banco del Sol", "Harbour Trust", "First Meridian", "Alpine Kantonalbank", "Lotus Savings")
BLOOD_GROUPS = ("A+", "A-", "B+", "B-", "AB+", "AB-", "O+", "O-")
FIRST_BIRTHDATE, BIRTHDATES = date(1940, 1, 1), 24_000  # until 2005


class Message(NamedTuple):
    """A message for the topic; `evaluation` is None for a poisoned one."""

    key: str
    value: bytes
    evaluation: str | None


def customers(seed: int, count: int) -> list[dict[str, str]]:
    """A bounded pool of people, so that users recur as they do in a bank."""
    faker = Faker()
    faker.seed_instance(seed)
    people = []
    for _ in range(count):
        people.append(
            {
                "id": faker.uuid4(),
                "name": faker.name(),
                "address": faker.address(),
                "email": faker.free_email(),
                # Faker's own dates of birth are counted back from today: a bank that starts tomorrow would have other people.
                "birthdate": str(FIRST_BIRTHDATE + timedelta(faker.random_int(0, BIRTHDATES))),
                "phone_number": faker.phone_number(),
                "job": faker.job(),
                "company": faker.company(),
                "ssn": faker.ssn(),
                "blood_group": faker.random_element(BLOOD_GROUPS),
                "website": faker.url(),
                "username": faker.user_name(),
                "bank_account": faker.iban(),
            }
        )
    return people


def messages(seed: int, pool: int, fraudulent: float, poison: float) -> Iterator[Message]:
    """An endless stream: a share `poison` is broken, a share `fraudulent` of the rest is known to be fraudulent."""
    rng = random.Random(seed)
    people = customers(seed, pool)
    while True:
        transaction = _transaction(rng, people, FRAUDULENT if rng.random() < fraudulent else UNIDENTIFIED)
        key = transaction["transaction_id"]
        if rng.random() < poison:
            yield Message(key, poisoned(rng, transaction), None)
        else:
            yield Message(key, json.dumps(transaction, ensure_ascii=False).encode(), transaction["evaluation"])


def _transaction(rng: random.Random, people: list[dict[str, str]], evaluation: str) -> dict[str, Any]:
    sender, receiver = rng.sample(people, 2)
    return {
        "transaction_id": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
        "sender_bank_account": sender["bank_account"],
        "sender_details": sender,
        "receiver_bank_account": receiver["bank_account"],
        "receiver_details": receiver,
        "amount": round(rng.lognormvariate(5, 1.5), 2),
        "status": "completed",
        "evaluation": evaluation,
        "transfer_date": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "sender_bank": rng.choice(BANKS),
    }
