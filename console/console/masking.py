"""Records for the eyes of an operator: what one is made of, without the personal data in it. No I/O.

What is not known to be harmless is masked: in a record that breaks the contract a name may stand anywhere.
"""

import json
import re
from functools import lru_cache
from typing import Any, get_args

import orjson

from contracts.dead_letters import (
    CONNECT,
    MASK,
    REASON,
    SERVICE,
    SOURCE_OFFSET,
    SOURCE_PARTITION,
    SOURCE_TOPIC,
    TRIES,
    masked_reason,
)
from contracts.models import FRAUDULENT, UNIDENTIFIED, SourceProcess, Transaction, TransactionResult, User, UserRow
from contracts.timestamps import BANK_TIMESTAMP

SHOWN_CHARACTERS = 2_000
# A longer record is masked without being understood.
PARSED_BYTES = 16 * 1024

_FIELDS = {name for model in (Transaction, TransactionResult, User, UserRow) for name in model.model_fields}
# What these hold says nothing about a person, when it cannot be what another field should hold: no name is a UUID or one of
# these words, no number of an account, a phone or a person is as short as such an amount, no birthdate has a time.
_HARMLESS = {
    "transaction_id": re.compile(r"[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}", re.ASCII | re.IGNORECASE),
    "amount": re.compile(r"-?\d{1,6}(\.\d{1,6})?", re.ASCII),
    "status": re.compile("completed"),
    "evaluation": re.compile(f"{FRAUDULENT}|{UNIDENTIFIED}"),
    "transfer_date": re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?", re.ASCII),
    "source_process": re.compile("|".join(get_args(SourceProcess))),
}
# The headers that the stack's services and Connect write, and no library's words among them.
_HARMLESS_HEADERS = {
    BANK_TIMESTAMP,
    *(REASON, SOURCE_TOPIC, SOURCE_PARTITION, SOURCE_OFFSET, SERVICE, TRIES),
    *(CONNECT + name for name in ("topic", "partition", "offset", "connector.name", "task.id", "stage")),
    *(CONNECT + name for name in ("class.name", "exception.class.name")),
}
# In text that is no JSON: the contract's names, each in quotes before a colon, and the marks of JSON stay.
_NAME_OR_WORD = re.compile(
    '("(?:' + "|".join(sorted(_FIELDS, key=len, reverse=True)) + r')"\s*:)|[^\s{}\[\]:,"]+', re.ASCII
)
_ID = re.compile(
    rb'"transaction_id"\s*:\s*"(%s)"' % _HARMLESS["transaction_id"].pattern.encode(), re.ASCII | re.IGNORECASE
)


def masked(value: bytes) -> str:
    """The record as text, at most SHOWN_CHARACTERS of it."""
    return _masked_beginning(value[:PARSED_BYTES])  # of a longer one, no more is looked at, or kept in the cache


@lru_cache(maxsize=256)
def _masked_beginning(value: bytes) -> str:
    if len(value) < PARSED_BYTES:
        try:
            text = json.dumps(_masked(orjson.loads(value)), ensure_ascii=False)
        except (ValueError, RecursionError):
            text = _masked_text(value)
    else:
        text = _masked_text(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + " …"


def masked_key(key: bytes) -> str:
    """A record's key: a transaction's or a user's id, when it cannot be anything else."""
    text = key.decode("utf-8", "replace")
    return text if _HARMLESS["transaction_id"].fullmatch(text) else MASK


def masked_header(name: str, value: bytes) -> str:
    """A record's header: as it is when it is one of the stack's own, else without what may quote the record."""
    text = value.decode("utf-8", "replace")
    if name in _HARMLESS_HEADERS:
        return text
    return masked_reason(text) if name == CONNECT + "exception.message" else MASK


def transaction_id(value: bytes) -> str:
    """The id in a record, whatever else is in it; empty when there is none that is safe to show."""
    found = _ID.search(value)
    return found[1].decode() if found else ""


def _masked(value: Any, field: str = "") -> Any:
    match value:
        case dict():
            return {
                (name if name in _FIELDS else MASK): _masked(content, name.lower()) for name, content in value.items()
            }
        case list():
            return [_masked(item) for item in value]
        case None | bool():
            return value
        case _:
            harmless = _HARMLESS.get(field)
            return value if harmless and harmless.fullmatch(str(value)) else MASK


def _masked_text(value: bytes) -> str:
    text = value[:SHOWN_CHARACTERS].decode("utf-8", "replace")
    return _NAME_OR_WORD.sub(lambda found: found[1] or MASK, text)
