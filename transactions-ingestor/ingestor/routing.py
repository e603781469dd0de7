"""The routing rule: a record of `bank-transactions` goes to one topic, or is refused with a reason. No I/O."""

from collections.abc import Callable
from functools import reduce
from operator import or_
from typing import Annotated, Any, NamedTuple, get_type_hints

import msgspec
from pydantic import BaseModel, ValidationError

from contracts import topics
from contracts.amounts import Amount
from contracts.dead_letters import reason_of
from contracts.models import FRAUDULENT, UNIDENTIFIED, Transaction
from contracts.records import Headers, not_a_transaction

_TOPIC_BY_EVALUATION = {
    FRAUDULENT: topics.FRAUDULENT_TRANSACTIONS,
    UNIDENTIFIED: topics.UNIDENTIFIED_TRANSACTIONS,
}

# A double holds any decimal number of at most this many characters within this range.
_SHORT, _SMALLEST, _LARGEST = 15, 1e-300, 1e300


def _strict(model: type[BaseModel]) -> type[msgspec.Struct]:
    """The model as a msgspec struct with exactly its fields: models, amounts, and strings with their limits.

    An amount stays as written until it is checked. Raises TypeError for any other type or limit.
    """
    kinds, schemas = get_type_hints(model, include_extras=True), model.model_json_schema()["properties"]
    fields = []
    for name, field in model.model_fields.items():
        kind = kinds[name]
        if kind == Amount:
            strict = msgspec.Raw
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            strict = _strict(kind)
        else:
            texts = (_text_or_null(f"{model.__name__}.{name}", one) for one in _alternatives(schemas[name]))
            strict = reduce(or_, texts)
        fields.append((name, strict) if field.is_required() else (name, strict, field.default))
    return msgspec.defstruct(model.__name__, fields, forbid_unknown_fields=True, gc=False, kw_only=True)


def _alternatives(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The JSON schemas of a field's types, with nothing in them but what a value has to be."""
    return schema.get("anyOf") or [
        {name: schema[name] for name in schema if name not in ("title", "default", "description")}
    ]


def _text_or_null(field: str, schema: dict[str, Any]) -> Any:
    match schema:
        case {"type": "null"}:
            return None
        case {"type": "string", **limits} if limits.keys() <= {"minLength", "maxLength"}:
            return Annotated[str, msgspec.Meta(min_length=limits.get("minLength"), max_length=limits.get("maxLength"))]
        case _:
            raise TypeError(f"{field}: the ingestor's strict reader cannot hold {schema}, see _strict in {__name__}")


_Transaction = _strict(Transaction)
_read_strictly: Callable[[bytes], Any] = msgspec.json.Decoder(_Transaction).decode
_write = msgspec.json.Encoder().encode


def _read(value: bytes) -> Any:
    """Parse a transaction. Raises ValidationError when it breaks the contract.

    Nearly all transactions have exactly the contract's form, and msgspec parses those in a quarter of the time. Pydantic
    parses all others: it accepts a numeric string as a number, drops unknown fields, and says what is wrong.
    """
    try:
        transaction = _read_strictly(value)
        transaction.amount = _plain_amount(bytes(transaction.amount))
    except (
        ValueError,
        RecursionError,
    ):  # those of msgspec and of _plain_amount; the second for what is nested very deeply
        return _Transaction(**Transaction.from_json(value).model_dump())
    return transaction


def _plain_amount(written: bytes) -> float:
    """The double for a JSON number that a double certainly holds: a short one, or one written as Python writes a double.

    Raises ValueError for any other JSON, which the contract then judges.
    """
    double = float(written)
    if len(written) <= _SHORT and _SMALLEST < abs(double) < _LARGEST:
        return double
    if repr(double).encode() != written:
        raise ValueError("not certainly held by a double")
    return double


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
        transaction = _read(value or b"")
    except ValidationError as error:
        return Refused(reason_of(error))
    topic = _TOPIC_BY_EVALUATION.get(transaction.evaluation)
    if topic is None:
        return Refused(f"evaluation: must be one of {', '.join(_TOPIC_BY_EVALUATION)}")
    return Routed(topic, transaction.transaction_id, _write(transaction))
