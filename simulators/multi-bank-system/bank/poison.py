"""Messages that no stage may choke on: each kind breaks one thing that the contract asks for."""

import json
import random
from collections.abc import Callable
from typing import Any

Transaction = dict[str, Any]


def _with(**changes: Any) -> Callable[[Transaction], bytes]:
    return lambda transaction: json.dumps({**transaction, **changes}).encode()


KINDS: dict[str, Callable[[Transaction], bytes]] = {
    "truncated": lambda transaction: json.dumps(transaction).encode()[:100],
    "not JSON": lambda _: b"not json",
    "empty": lambda _: b"",
    "array": lambda _: b"[1, 2]",
    "broken UTF-8": lambda transaction: json.dumps(transaction).encode().replace(b"completed", b"\xff\xfe"),
    "deeply nested": lambda _: b"[" * 10_000,
    "missing field": lambda transaction: json.dumps(
        {name: value for name, value in transaction.items() if name != "sender_details"}
    ).encode(),
    "empty id": _with(transaction_id=""),
    "null id": _with(transaction_id=None),
    "user without an id": lambda transaction: _with(receiver_details={**transaction["receiver_details"], "id": ""})(
        transaction
    ),
    "amount is no number": _with(amount="a lot"),
    "amount is not finite": _with(amount=float("nan")),
    "unknown evaluation": _with(evaluation="honest"),
}


def poisoned(rng: random.Random, transaction: Transaction) -> bytes:
    """The transaction, broken in one of the ways."""
    return KINDS[rng.choice(list(KINDS))](transaction)
