"""What the seed foretells: which transactions go where, known without running anything."""

import itertools
import json
from dataclasses import dataclass
from functools import cache

from bank.generator import messages
from contracts.mapping import to_result, to_user_rows
from contracts.models import FRAUDULENT, UNIDENTIFIED, SourceProcess, Transaction, TransactionResult, UserRow
from validator.verdict import is_fraudulent


@dataclass(frozen=True)
class SeededSet:
    """What the bank is told to send, and the share that the validator finds fraudulent."""

    count: int
    rate: int
    seed: int = 20261124
    customers: int = 200
    fraudulent_share: float = 0.2
    poison_share: float = 0.03
    validator_share: float = 0.3

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
    stream = list(
        itertools.islice(messages(sent.seed, sent.customers, sent.fraudulent_share, sent.poison_share), sent.count)
    )
    routed: dict[str, dict[str, Transaction]] = {FRAUDULENT: {}, UNIDENTIFIED: {}}
    for message in stream:
        if message.evaluation is not None:
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
    poisoned = sum(message.evaluation is None for message in stream)
    return Expectation(routed[FRAUDULENT], routed[UNIDENTIFIED], poisoned, results, users)
