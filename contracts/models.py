"""The events as pydantic models: transactions as the banks send them, rows as the stores keep them, the validator's calls.

Validation is pydantic's lax mode: a numeric string is a number. Unknown fields are dropped. Beyond wrong types, two things
are refused, because no later stage could keep them: an empty id (no record could be found by it) and an amount that is a
boolean, not finite, or has more digits than a double holds (amounts.py). A value is exactly one JSON text, and its strings
are valid Unicode: an unpaired surrogate is not.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, StrictBool, StringConstraints

from contracts import topics
from contracts.amounts import Amount

Id = Annotated[str, StringConstraints(min_length=1)]
SourceProcess = Literal["ksql", "kafka-streams"]

FRAUDULENT = "fraudulent"
UNIDENTIFIED = "unidentified"


class User(BaseModel):
    """A bank's customer."""

    id: Id
    name: str
    address: str
    email: str
    birthdate: str
    phone_number: str
    job: str
    company: str
    ssn: str
    blood_group: str
    website: str
    username: str
    bank_account: str


class Transaction(BaseModel):
    """A value of `bank-transactions` and of the two topics that the ingestor routes to. `amount` is in the bank's currency."""

    transaction_id: Id
    sender_bank_account: str
    sender_details: User
    receiver_bank_account: str
    receiver_details: User
    amount: Amount
    status: str
    evaluation: str
    transfer_date: str
    sender_bank: str

    @classmethod
    def from_json(cls, value: bytes) -> Self:
        """Parse a record's value. Raises ValidationError.

        Unlike `model_validate_json`, this judges the amount by its digits as written: pydantic parses a number with a
        fraction into a double, and by then the digits that a double does not hold are lost.
        """
        cls.model_validate_json(value)
        return cls.model_validate(json.loads(value.decode(), parse_float=str, parse_int=str))


class TransactionResult(BaseModel):
    """A value of `fraudulent-transactions-result`; the record's key is TRANSACTION_ID."""

    TRANSACTION_ID: Id
    SENDER_BANK_ACCOUNT: str
    SENDER_ID: Id
    RECEIVER_BANK_ACCOUNT: str
    RECEIVER_ID: Id
    AMOUNT: Amount
    STATUS: str
    EVALUATION: str
    TRANSFER_DATE: str
    SENDER_BANK: str
    SOURCE_PROCESS: SourceProcess


class UserRow(BaseModel):
    """A value of `users`; the record's key is ID."""

    ID: Id
    NAME: str
    ADDRESS: str
    EMAIL: str
    BIRTHDATE: str
    PHONE_NUMBER: str
    JOB: str
    COMPANY: str
    SSN: str
    BLOOD_GROUP: str
    WEBSITE: str
    USERNAME: str
    BANK_ACCOUNT: str
    SOURCE_PROCESS: SourceProcess


# The topics whose rows end up in the stores.
ROWS: Mapping[str, type[BaseModel]] = {topics.FRAUDULENT_TRANSACTIONS_RESULT: TransactionResult, topics.USERS: UserRow}


class ValidationRequest(BaseModel):
    """The body of the validator's POST /validate. `receiver_details` is the receiver as a JSON *string*."""

    transaction_id: str
    sender_bank_account: str
    receiver_details: str
    sender_bank: str
    amount: float


class ValidationAnswer(BaseModel):
    """The validator's answer to one transaction."""

    is_fraudulent_transaction: StrictBool  # of "no", pydantic would make one as well
