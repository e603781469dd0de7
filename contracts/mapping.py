"""The rules that turn a transaction into the rows that are stored. The statements in ksqldb/ do the same in SQL.

A transaction is what `contracts.wire.read` returns: only the fields of Transaction are used, no methods.
"""

from typing import Any

from pydantic import BaseModel

from contracts.models import SourceProcess, Transaction, TransactionResult, User, UserRow, ValidationRequest
from contracts.wire import write


def _columns(model: type[BaseModel]) -> list[tuple[str, str]]:
    return [(name, name.upper()) for name in model.model_fields]


_TRANSACTION, _USER = _columns(Transaction), _columns(User)


def to_result(transaction: Transaction, evaluation: str, source_process: SourceProcess) -> TransactionResult:
    """The transaction's row, with the evaluation that was found and the process that found it."""
    fields: dict[str, Any] = {
        **{column: getattr(transaction, name) for name, column in _TRANSACTION},
        "SENDER_ID": transaction.sender_details.id,
        "RECEIVER_ID": transaction.receiver_details.id,
        "EVALUATION": evaluation,
        "SOURCE_PROCESS": source_process,
    }
    return TransactionResult(**fields)


def to_user_rows(transaction: Transaction, source_process: SourceProcess) -> tuple[UserRow, UserRow]:
    """The sender's row and the receiver's row, in that order."""
    return (
        _user_row(transaction.sender_details, source_process),
        _user_row(transaction.receiver_details, source_process),
    )


def to_validation_request(transaction: Transaction) -> ValidationRequest:
    """The request to the validator about a transaction."""
    return ValidationRequest(
        transaction_id=transaction.transaction_id,
        sender_bank_account=transaction.sender_bank_account,
        receiver_details=write(transaction.receiver_details).decode(),
        sender_bank=transaction.sender_bank,
        amount=transaction.amount,
    )


def _user_row(user: User, source_process: SourceProcess) -> UserRow:
    fields = {column: getattr(user, name) for name, column in _USER}
    return UserRow(**fields, SOURCE_PROCESS=source_process)
