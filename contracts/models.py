"""The events as pydantic models: transactions as the banks send them, rows as the stores keep them, the validator's calls.

The gate is pydantic's lax mode: a numeric string is a number. Unknown fields are dropped. Two things are refused on top
of the types, because no later stage could keep them: an empty id (it would be the key of nothing) and an amount that is
not finite (JSON has no word for it).
"""

from typing import Annotated, Literal

from pydantic import BaseModel, FiniteFloat, StringConstraints

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
    """A value of `bank-transactions` and of the two topics that the ingestor routes to. `amount` has the bank's currency."""

    transaction_id: Id
    sender_bank_account: str
    sender_details: User
    receiver_bank_account: str
    receiver_details: User
    amount: FiniteFloat
    status: str
    evaluation: str
    transfer_date: str
    sender_bank: str


class TransactionResult(BaseModel):
    """A value of `fraudulent-transactions-result`; the record's key is TRANSACTION_ID."""

    TRANSACTION_ID: Id
    SENDER_BANK_ACCOUNT: str
    SENDER_ID: Id
    RECEIVER_BANK_ACCOUNT: str
    RECEIVER_ID: Id
    AMOUNT: FiniteFloat
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


class ValidationRequest(BaseModel):
    """The body of the validator's POST /validate. `receiver_details` is the receiver as a JSON *string*."""

    transaction_id: str
    sender_bank_account: str
    receiver_details: str
    sender_bank: str
    amount: float


class ValidationAnswer(BaseModel):
    """The validator's answer to one transaction."""

    is_fraudulent_transaction: bool
