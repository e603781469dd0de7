"""What a seed makes: which transactions go where, known without running anything."""

import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from bank.generator import Message, messages
from contracts.mapping import to_result, to_user_rows
from contracts.models import FRAUDULENT, UNIDENTIFIED, SourceProcess, Transaction, TransactionResult, UserRow
from validator.verdict import is_fraudulent


@dataclass(frozen=True)
class SeededSet:
    """What the bank is told to send (`count` 0 is endless), and the share that the validator finds fraudulent."""

    count: int
    rate: int
    seed: int = 20261124
    customers: int = 200
    fraudulent_share: float = 0.2
    poison_share: float = 0.03
    validator_share: float = 0.3

    def messages(self) -> Iterator[Message]:
        """What the bank sends, in its order; endless."""
        return messages(self.seed, self.customers, self.fraudulent_share, self.poison_share)

    @property
    def environment(self) -> dict[str, str]:
        """The simulators' variables."""
        return {
            "BANK_SEED": str(self.seed),
            "BANK_COUNT": str(self.count),
            "BANK_RATE": str(self.rate),
            "BANK_CUSTOMERS": str(self.customers),
            "BANK_FRAUDULENT_SHARE": str(self.fraudulent_share),
            "BANK_POISON_SHARE": str(self.poison_share),
            "VALIDATOR_FRAUDULENT_SHARE": str(self.validator_share),
        }


# The set of the integration and Compose tests.
SMALL = SeededSet(count=5_000, rate=500)


@dataclass(frozen=True)
class Expectation:
    """Transactions by the route that they take; `results` and `users` by id, transfer dates left out (they are the clock's)."""

    fraudulent: dict[str, Transaction]
    unidentified: dict[str, Transaction]
    poisoned: int
    results: dict[str, TransactionResult]
    users: dict[str, UserRow]

    @property
    def honest(self) -> set[str]:
        return set(self.unidentified) - set(self.results)


@cache
def expectation(sent: SeededSet = SMALL) -> Expectation:
    """For a set that the bank sends once."""
    return expectation_of(sent, itertools.islice(sent.messages(), sent.count))


def delivered(sent: SeededSet, keys: Iterable[str]) -> Expectation:
    """For an endless set of which so much was delivered until the bank was stopped."""
    missing = set(keys)

    def until_all_are_found() -> Iterator[Message]:
        for message in sent.messages():
            if not missing:
                return
            if message.key in missing:
                missing.remove(message.key)
                yield message

    return expectation_of(sent, until_all_are_found())


def expectation_of(sent: SeededSet, stream: Iterable[Message]) -> Expectation:
    """What becomes of these messages of the set."""
    routed: dict[str, dict[str, Transaction]] = {FRAUDULENT: {}, UNIDENTIFIED: {}}
    poisoned = 0
    for message in stream:
        if message.evaluation is None:
            poisoned += 1
        else:
            routed[message.evaluation][message.key] = Transaction.model_validate(json.loads(message.value))
    results: dict[str, TransactionResult] = {}
    users: dict[str, UserRow] = {}
    found: list[tuple[Transaction, SourceProcess]] = []
    for transaction in routed[FRAUDULENT].values():
        found.append((transaction, "ksql"))
    for transaction in routed[UNIDENTIFIED].values():
        if is_fraudulent(transaction.transaction_id, sent.validator_share):
            found.append((transaction, "kafka-streams"))
    for transaction, process in found:
        results[transaction.transaction_id] = to_result(transaction, FRAUDULENT, process)
        for row in to_user_rows(transaction, process):
            users[row.ID] = row
    return Expectation(routed[FRAUDULENT], routed[UNIDENTIFIED], poisoned, results, users)
