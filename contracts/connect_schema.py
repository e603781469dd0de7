"""The schema that makes Kafka Connect's JsonConverter refuse the rows that the row's model refuses."""

from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

# A number and nothing else: in a field of type double the converter would turn text or a boolean into 0.0. A Decimal without a
# scale, which only decimals written as text need, accepts nothing but a number.
_NUMBER = {"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal"}
_TEXT = {"type": "string"}


def connect_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a row for the converter's `schema.content`. A field is optional where the model's is; unknown fields
    of a value are dropped.
    """
    fields = [
        {"field": name, **_kind(field), **({} if field.is_required() else {"optional": True})}
        for name, field in model.model_fields.items()
    ]
    return {"type": "struct", "fields": fields}


def is_number(field: FieldInfo) -> bool:
    """Whether a row's field is a number; all others are strings."""
    return float in (field.annotation, *get_args(field.annotation))


def _kind(field: FieldInfo) -> dict[str, str]:
    return _NUMBER if is_number(field) else _TEXT
