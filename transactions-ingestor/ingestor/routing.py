"""The routing rule: a record of `bank-transactions` goes to one topic, or is refused with a reason. No I/O."""

from typing import NamedTuple

from pydantic import ValidationError

from contracts import topics
from contracts.dead_letters import reason_of
from contracts.models import FRAUDULENT, UNIDENTIFIED
from contracts.records import Headers, not_a_transaction
from contracts.wire import read, write

_TOPIC_BY_EVALUATION = {
    FRAUDULENT: topics.FRAUDULENT_TRANSACTIONS,
    UNIDENTIFIED: topics.UNIDENTIFIED_TRANSACTIONS,
}


class Routed(NamedTuple):
    """Where a transaction goes: its id is the key, its value has the contract's fields and no others."""

    topic: str
    key: str
    value: bytes


class Refused(NamedTuple):
    """Why a record cannot be routed, without personal data."""

    reason: str


def route(value: bytes | None, headers: Headers | None) -> Routed | Refused:
    """Validate one record and choose its topic; `headers` are None when they cannot be read.

    The value is serialized again from the parsed transaction, so that every later stage sees one form: numbers as numbers,
    each field once, nothing outside the contract.
    """
    if (reason := not_a_transaction(value, headers)) is not None:
        return Refused(reason)
    try:
        transaction = read(value or b"")
    except ValidationError as error:
        return Refused(reason_of(error))
    topic = _TOPIC_BY_EVALUATION.get(transaction.evaluation)
    if topic is None:
        return Refused(f"evaluation: must be one of {', '.join(_TOPIC_BY_EVALUATION)}")
    return Routed(topic, transaction.transaction_id, write(transaction))
