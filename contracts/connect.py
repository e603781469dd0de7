"""A row as Kafka Connect's JsonConverter is told of it, which then refuses what the row's model refuses."""

from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

# A number and nothing else. Of a field of the type double the converter would make 0.0 of a text or a boolean. A decimal
# without a scale, which only a decimal that is written as text needs, is refused unless it is a number.
_NUMBER = {"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal"}
_TEXT = {"type": "string"}


def connect_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a row for the converter's `schema.content`. Every field is required; unknown ones are left out."""
    fields = [{"field": name, **_kind(field)} for name, field in model.model_fields.items()]
    return {"type": "struct", "fields": fields}


def _kind(field: FieldInfo) -> dict[str, str]:
    return _NUMBER if field.annotation is float else _TEXT
