"""The routing rule: a record of `bank-transactions` goes to one topic, or is refused with a reason. No I/O."""

from contracts import topics
from contracts.models import FRAUDULENT, UNIDENTIFIED
from contracts.records import Headers, Output
from contracts.wire import Invalid, parse, write

_TOPIC_BY_EVALUATION = {
    FRAUDULENT: topics.FRAUDULENT_TRANSACTIONS,
    UNIDENTIFIED: topics.UNIDENTIFIED_TRANSACTIONS,
}


def route(value: bytes | None, headers: Headers | None) -> Output | Invalid:
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
    return Output(topic, transaction.transaction_id, write(transaction))
