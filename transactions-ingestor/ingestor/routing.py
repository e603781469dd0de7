"""The routing rule: a record of `bank-transactions` goes to one topic, or is refused with a reason. No I/O."""

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, get_type_hints

import msgspec
from pydantic import BaseModel, ValidationError

from contracts import topics
from contracts.amounts import Amount
from contracts.dead_letters import reason_of
from contracts.models import FRAUDULENT, UNIDENTIFIED, Id, Transaction
from contracts.records import Headers, not_a_transaction

_TOPIC_BY_EVALUATION = {
    FRAUDULENT: topics.FRAUDULENT_TRANSACTIONS,
    UNIDENTIFIED: topics.UNIDENTIFIED_TRANSACTIONS,
}


# What the contract's types are when they are taken strictly. An amount stays as it is written until it is judged.
_STRICT = {str: str, Id: Annotated[str, msgspec.Meta(min_length=1)], Amount: msgspec.Raw}
# A decimal number of so many characters, in this range, has few enough digits to be held by a double.
_SHORT, _SMALLEST, _LARGEST = 15, 1e-300, 1e300


def _strict(model: type[BaseModel]) -> type[msgspec.Struct]:
    """The model's fields and types and no more, as msgspec has them. Raises KeyError for a type that is not in _STRICT."""
    fields = [
        (name, _strict(kind) if isinstance(kind, type) and issubclass(kind, BaseModel) else _STRICT[kind])
        for name, kind in get_type_hints(model, include_extras=True).items()
    ]
    return msgspec.defstruct(model.__name__, fields, forbid_unknown_fields=True, gc=False)


_Transaction = _strict(Transaction)
_read_strictly: Callable[[bytes], Any] = msgspec.json.Decoder(_Transaction).decode
_write = msgspec.json.Encoder().encode


def _read(value: bytes) -> Any:
    """The transaction. Raises ValidationError when it breaks the contract.

    Nearly all are of the contract's very form, and msgspec reads those in a quarter of the time. All others pydantic judges:
    it lets a numeric string be a number, drops unknown fields, and says what is wrong.
    """
    try:
        transaction = _read_strictly(value)
        transaction.amount = _plain_amount(bytes(transaction.amount))
    except ValueError:  # msgspec's errors, and those of what is no plain number, are all of this kind
        return _Transaction(**Transaction.from_json(value).model_dump())
    return transaction


def _plain_amount(written: bytes) -> float:
    """The double of a JSON number that a double certainly holds: a short one, or one written as Python writes a double.

    Raises ValueError for any other JSON, which is for the contract to judge.
    """
    double = float(written)
    if len(written) <= _SHORT and _SMALLEST < abs(double) < _LARGEST:
        return double
    if repr(double).encode() != written:
        raise ValueError("not certainly held by a double")
    return double


class Routed(NamedTuple):
    """Where a transaction goes: its id is the key, its value is the contract's fields and no others."""

    topic: str
    key: str
    value: bytes


class Refused(NamedTuple):
    """Why a record cannot be routed, without personal data."""

    reason: str


def route(value: bytes | None, headers: Headers | None) -> Routed | Refused:
    """Validate one record and choose its topic; `headers` are None when they cannot be read.

    The value is written anew from what was read, so that every later stage sees one form: numbers as numbers, one field a
    name, nothing that the contract does not know.
    """
    if (reason := not_a_transaction(value, headers)) is not None:
        return Refused(reason)
    try:
        transaction = _read(value or b"")
    except ValidationError as error:
        return Refused(reason_of(error))
    topic = _TOPIC_BY_EVALUATION.get(transaction.evaluation)
    if topic is None:
        return Refused(f"evaluation: is none of {', '.join(_TOPIC_BY_EVALUATION)}")
    return Routed(topic, transaction.transaction_id, _write(transaction))
