"""From the validator's verdict on a transaction to the records to write. No I/O."""

from contracts import topics
from contracts.mapping import to_result, to_user_rows
from contracts.models import FRAUDULENT, Transaction
from contracts.records import Output
from processor.validator import Verdict

SOURCE_PROCESS = "kafka-streams"


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
