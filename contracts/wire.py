"""Transactions as they are in records, read and written in a fraction of pydantic's time. No I/O."""

from collections.abc import Callable
from functools import reduce
from operator import or_
from typing import Annotated, Any, NamedTuple, get_type_hints

import msgspec
from pydantic import BaseModel, ValidationError

from contracts.amounts import Amount
from contracts.dead_letters import reason_of
from contracts.models import Transaction
from contracts.records import Headers, not_a_transaction

# A double holds any decimal number of at most this many characters within this range.
_SHORT, _SMALLEST, _LARGEST = 15, 1e-300, 1e300


class Invalid(NamedTuple):
    """How a record breaks the contract, without personal data."""

    reason: str


def parse(value: bytes | None, headers: Headers | None) -> Any:
    """The transaction of a record, as `read` gives it, or Invalid; `headers` are None when they cannot be read."""
    if (reason := not_a_transaction(value, headers)) is not None:
        return Invalid(reason)
    try:
        return read(value or b"")
    except ValidationError as error:
        return Invalid(reason_of(error))


def read(value: bytes) -> Any:
    """Parse a transaction. It has the fields of Transaction, but not always its methods.

    Nearly all transactions have exactly the contract's form, and msgspec parses those in a tenth of the time. Pydantic
    parses all others: it accepts a numeric string as a number, drops unknown fields, and says what is wrong. Raises its
    ValidationError for what breaks the contract.
    """
    try:
        transaction = _read_strictly(value)
        transaction.amount = _plain_amount(bytes(transaction.amount))
    except (ValueError, RecursionError):  # of msgspec and of _plain_amount; the second for what is nested very deeply
        return Transaction.from_json(value)
    return transaction


def strict(model: type[BaseModel]) -> type[msgspec.Struct]:
    """The model as a msgspec struct with exactly its fields: models, amounts, and strings with their limits.

    An amount stays as written until it is checked. Raises TypeError for any other type or limit.
    """
    kinds, schemas = get_type_hints(model, include_extras=True), model.model_json_schema()["properties"]
    fields = []
    for name, field in model.model_fields.items():
        kind = kinds[name]
        if kind == Amount:
            same = msgspec.Raw
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            same = strict(kind)
        else:
            texts = (_text_or_null(f"{model.__name__}.{name}", one) for one in _alternatives(schemas[name]))
            same = reduce(or_, texts)
        fields.append((name, same) if field.is_required() else (name, same, field.default))
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
            raise TypeError(f"{field}: the strict reader cannot hold {schema}, see strict in {__name__}")


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


_read_strictly: Callable[[bytes], Any] = msgspec.json.Decoder(strict(Transaction)).decode
# The JSON of a transaction or of a part of it; pydantic's models are written by their fields.
write: Callable[[Any], bytes] = msgspec.json.Encoder(enc_hook=dict).encode
