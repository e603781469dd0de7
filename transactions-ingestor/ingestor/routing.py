"""The routing rule: a value of `bank-transactions` goes to one topic, or is refused with a reason. No I/O."""

from typing import NamedTuple

from pydantic import ValidationError

from contracts import topics
from contracts.dead_letters import reason_of
from contracts.models import FRAUDULENT, UNIDENTIFIED, Transaction

# Every producer further on has Kafka's default limit of 1 MB a record; a transaction is about 1.2 KB.
MAX_TRANSACTION_BYTES = 512 * 1024

_TOPIC_BY_EVALUATION = {
    FRAUDULENT: topics.FRAUDULENT_TRANSACTIONS,
    UNIDENTIFIED: topics.UNIDENTIFIED_TRANSACTIONS,
}
_parse = Transaction.__pydantic_validator__.validate_json
_serialize = Transaction.__pydantic_serializer__.to_json


class Routed(NamedTuple):
    """Where a transaction goes: its id is the key, its value is the contract's fields and no others."""

    topic: str
    key: str
    value: bytes


class Refused(NamedTuple):
    """Why a value cannot be routed, without personal data."""

    reason: str


def route(value: bytes | None) -> Routed | Refused:
    """Validate one value and choose its topic.

    The value is written anew from the model, so that every later stage sees one form: numbers as numbers, one field a
    name, nothing that the contract does not know.
    """
    if not value:
        return Refused("value: is empty")
    if len(value) > MAX_TRANSACTION_BYTES:
        return Refused(
            f"value: has {len(value)} bytes, more than the {MAX_TRANSACTION_BYTES} that a transaction may have"
        )
    try:
        transaction: Transaction = _parse(value)
    except ValidationError as error:
        return Refused(reason_of(error))
    topic = _TOPIC_BY_EVALUATION.get(transaction.evaluation)
    if topic is None:
        return Refused(f"evaluation: is none of {', '.join(_TOPIC_BY_EVALUATION)}")
    return Routed(topic, transaction.transaction_id, _serialize(transaction))
