"""What the seed foretells: which transactions go where, known without running anything."""

import itertools
import json
from dataclasses import dataclass
from functools import cache

from bank.generator import messages
from contracts.mapping import to_result, to_user_rows
from contracts.models import FRAUDULENT, UNIDENTIFIED, SourceProcess, Transaction, TransactionResult, UserRow
from validator.verdict import is_fraudulent

SEED, COUNT, CUSTOMERS, FRAUDULENT_SHARE, POISON_SHARE, VALIDATOR_SHARE = 20261124, 5_000, 200, 0.2, 0.03, 0.3

BANK = {
    "BANK_SEED": str(SEED),
    "BANK_COUNT": str(COUNT),
    "BANK_RATE": "500",
    "BANK_CUSTOMERS": str(CUSTOMERS),
    "BANK_FRAUDULENT_SHARE": str(FRAUDULENT_SHARE),
    "BANK_POISON_SHARE": str(POISON_SHARE),
    "VALIDATOR_FRAUDULENT_SHARE": str(VALIDATOR_SHARE),
}


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
def expectation() -> Expectation:
    """For the set that BANK sends."""
    stream = list(itertools.islice(messages(SEED, CUSTOMERS, FRAUDULENT_SHARE, POISON_SHARE), COUNT))
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
        if is_fraudulent(transaction.transaction_id, VALIDATOR_SHARE):
            found.append((transaction, "kafka-streams"))
    for transaction, process in found:
        results[transaction.transaction_id] = to_result(transaction, FRAUDULENT, process)
        for row in to_user_rows(transaction, process):
            users[row.ID] = row
    poisoned = sum(message.evaluation is None for message in stream)
    return Expectation(routed[FRAUDULENT], routed[UNIDENTIFIED], poisoned, results, users)
