"""The routing rule: a record of `bank-transactions` goes to one topic, or is refused with a reason. No I/O."""

from typing import NamedTuple

from contracts import topics
from contracts.models import FRAUDULENT, UNIDENTIFIED
from contracts.records import Headers
from contracts.wire import Invalid, parse, write

_TOPIC_BY_EVALUATION = {
    FRAUDULENT: topics.FRAUDULENT_TRANSACTIONS,
    UNIDENTIFIED: topics.UNIDENTIFIED_TRANSACTIONS,
}


class Routed(NamedTuple):
    """Where a transaction goes: its id is the key, its value has the contract's fields and no others."""

    topic: str
    key: str
    value: bytes


def route(value: bytes | None, headers: Headers | None) -> Routed | Invalid:
    """Validate one record and choose its topic; `headers` are None when they cannot be read.

    The value is serialized again from the parsed transaction, so that every later stage sees one form: numbers as numbers,
    each field once, nothing outside the contract.
    """
    transaction = parse(value, headers)
    if isinstance(transaction, Invalid):
        return transaction
    topic = _TOPIC_BY_EVALUATION.get(transaction.evaluation)
    if topic is None:
        return Invalid(f"evaluation: must be one of {', '.join(_TOPIC_BY_EVALUATION)}")
    return Routed(topic, transaction.transaction_id, write(transaction))
