"""From the validator's verdict on a transaction to the records to write. No I/O."""

from typing import NamedTuple

from pydantic import ValidationError

from contracts import topics
from contracts.dead_letters import reason_of
from contracts.mapping import to_result, to_user_rows
from contracts.models import FRAUDULENT, Transaction
from contracts.records import Headers, not_a_transaction
from contracts.wire import read
from processor.validator import Verdict

SOURCE_PROCESS = "kafka-streams"


class Output(NamedTuple):
    """A record to produce."""

    topic: str
    key: str
    value: bytes


class Unreadable(NamedTuple):
    """Why a record is not a transaction, without personal data."""

    reason: str


def parse(value: bytes | None, headers: Headers | None) -> Transaction | Unreadable:
    """Parse a record of `unidentified-transactions`. The ingestor may not be the only writer, so its limits apply here too."""
    if (reason := not_a_transaction(value, headers)) is not None:
        return Unreadable(reason)
    try:
        return read(value or b"")
    except ValidationError as error:
        return Unreadable(reason_of(error))


def outputs(transaction: Transaction, verdict: Verdict) -> list[Output]:
    """Nothing for an honest transaction; for a fraudulent one its row, the sender's row and the receiver's row."""
    if not verdict.fraudulent:
        return []
    result = to_result(transaction, FRAUDULENT, SOURCE_PROCESS)
    users = to_user_rows(transaction, SOURCE_PROCESS)
    return [
        Output(topics.FRAUDULENT_TRANSACTIONS_RESULT, result.TRANSACTION_ID, result.model_dump_json().encode()),
        *(Output(topics.USERS, user.ID, user.model_dump_json().encode()) for user in users),
    ]
