"""Every list of fields outside of contracts/models.py has the models' fields: whoever adds one is told what was forgotten."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from pydantic import BaseModel, Field, StringConstraints, create_model

from bank.generator import messages
from console import tables
from console.records import Fraud
from contracts.connect_schema import connect_schema, is_number
from contracts.mapping import to_result, to_user_rows, to_validation_request
from contracts.models import FRAUDULENT, ROWS, Id, SourceProcess, Transaction, TransactionResult, User, UserRow
from contracts.wire import read, strict
from init.ksqldb_statements import Statement, created
from queries import athena_join
from runtime.ksqldb import split
from tests.support.samples import raw

ROOT = Path(__file__).parents[2]
SQL = {
    statement.name: statement
    for file in sorted((ROOT / "ksqldb").glob("*.sql"))
    for text in split(file.read_text())
    if (statement := created(text)) is not None
}
SOURCE = SQL["FRAUDULENT_TRANSACTIONS"]


def required(model: type[BaseModel]) -> set[str]:
    return {name for name, field in model.model_fields.items() if field.is_required()}


def column_types(model: type[BaseModel]) -> list[tuple[str, str]]:
    """ksqlDB's column of each field."""
    kinds = []
    for name, field in model.model_fields.items():
        struct = field.annotation if field.annotation is User else None
        kinds.append((name.upper(), "STRUCT" if struct else "DOUBLE" if is_number(field) else "STRING"))
    return kinds


def declared(columns: Iterable[Any]) -> list[tuple[str, str]]:
    return [(name, kind[1]) for _, name, kind, *_ in columns]


def selected(statement: Statement) -> dict[str, Any]:
    """Each item of a SELECT by its name, which is its column's where it has none."""
    (_, *items) = statement.query[1]
    return {alias or expression[1]: expression for _, expression, alias in items}


def test_ksqldb_s_source_has_the_transaction_s_columns() -> None:
    _, *columns = SOURCE.columns
    assert declared(columns) == column_types(Transaction)


@pytest.mark.parametrize("name", ["SENDER_DETAILS", "RECEIVER_DETAILS"])
def test_ksqldb_s_source_has_the_users_fields(name: str) -> None:
    _, *columns = SOURCE.columns
    (kind,) = [kind for _, column, kind, *_ in columns if column == name]
    assert declared(kind[2:]) == column_types(User)


def test_ksqldb_selects_the_result_s_columns() -> None:
    items = selected(SQL["FRAUDULENT_TRANSACTIONS_RESULT"])
    assert items.pop("RECORD_KEY") == ("column_of", "TRANSACTION_ID", None)
    assert list(items) == list(TransactionResult.model_fields)
    for name in set(items) - {"TRANSACTION_ID", "SENDER_ID", "RECEIVER_ID", "SOURCE_PROCESS"}:
        assert items[name] == ("column_of", name, None)


@pytest.mark.parametrize("side", ["SENDER", "RECEIVER"])
def test_ksqldb_selects_the_user_rows_columns(side: str) -> None:
    items = selected(SQL[f"{side}_USERS"])
    details = ("column_of", f"{side}_DETAILS", None)
    assert items.pop("RECORD_KEY") == ("field_of", details, "ID")
    assert list(items) == list(UserRow.model_fields)
    for name in set(items) - {"ID", "SOURCE_PROCESS"}:
        assert items[name] == ("field_of", details, name)


def test_the_processor_s_rows_have_every_field_of_the_transaction() -> None:
    """As ksqlDB's have: a field that is optional and absent is null in both."""
    transaction = Transaction.model_validate(raw())
    read_strictly = read(json.dumps(raw()).encode())
    assert not isinstance(read_strictly, Transaction)
    assert to_result(read_strictly, FRAUDULENT, "ksql") == to_result(transaction, FRAUDULENT, "ksql")
    assert to_user_rows(read_strictly, "ksql") == to_user_rows(transaction, "ksql")
    assert to_validation_request(read_strictly) == to_validation_request(transaction)
    row = to_result(transaction, FRAUDULENT, "kafka-streams").model_dump()
    for name, value in transaction:
        if not isinstance(value, User) and name != "evaluation":
            assert row[name.upper()] == value
    for user, details in zip(
        to_user_rows(transaction, "kafka-streams"),
        (transaction.sender_details, transaction.receiver_details),
        strict=True,
    ):
        assert {name.upper(): value for name, value in details}.items() <= user.model_dump().items()


def test_a_row_has_what_its_event_has() -> None:
    """TransactionResult and UserRow name again what Transaction and User have, and are as strict."""
    details = {"SENDER_DETAILS", "RECEIVER_DETAILS"}
    for model, row, more in (
        (Transaction, TransactionResult, {"SENDER_ID", "RECEIVER_ID"}),
        (User, UserRow, set[str]()),
    ):
        names = {name.upper(): field for name, field in model.model_fields.items() if name.upper() not in details}
        assert set(row.model_fields) == names.keys() | more | {"SOURCE_PROCESS"}
        for name, field in names.items():
            other = row.model_fields[name]
            assert (other.annotation, other.metadata, other.is_required()) == (
                field.annotation,
                field.metadata,
                field.is_required(),
            ), name


_Short = Annotated[str, StringConstraints(max_length=3)]


@pytest.mark.parametrize("kind", [Annotated[str | None, Field(max_length=3)], _Short | None])
def test_the_strict_reader_has_the_model_s_limits(kind: Any) -> None:
    model = create_model("Model", text=(kind, None), id=(Id, ...))
    decoder: Any = msgspec.json.Decoder(strict(model))
    for text in (None, "", "abc"):
        assert decoder.decode(json.dumps({"text": text, "id": "x"}).encode()).text == text
    for refused in ({"text": "abcd", "id": "x"}, {"text": 1, "id": "x"}, {"id": ""}, {"id": "x", "other": "y"}):
        with pytest.raises(msgspec.ValidationError):
            decoder.decode(json.dumps(refused).encode())


@pytest.mark.parametrize("kind", [int, Annotated[str, Field(pattern="a+")], list[str], SourceProcess])
def test_the_strict_reader_refuses_what_it_cannot_hold(kind: Any) -> None:
    with pytest.raises(TypeError, match=r"Model\.field"):
        strict(create_model("Model", field=(kind, ...)))


@pytest.mark.parametrize("model", ROWS.values())
def test_kafka_connect_is_told_which_fields_are_optional(model: type[BaseModel]) -> None:
    optional = {field["field"] for field in connect_schema(model)["fields"] if field.get("optional")}
    assert optional == model.model_fields.keys() - required(model)


@pytest.mark.parametrize(
    ("table", "model"), [("raw_fraudulent_transactions_result", TransactionResult), ("raw_users", UserRow)]
)
def test_athena_s_tables_have_the_rows_columns(table: str, model: type[BaseModel]) -> None:
    types = {name: "DOUBLE" if is_number(field) else "VARCHAR" for name, field in model.model_fields.items()}
    assert [*athena_join.columns(table).items()] == [*types.items()]


def test_the_simulated_bank_sends_the_model_s_fields() -> None:
    event = json.loads(next(messages(1, 3, 1.0, 0.0)).value)
    for fields, model in (
        (event, Transaction),
        (event["sender_details"], User),
        (event["receiver_details"], User),
    ):
        assert required(model) <= fields.keys() <= model.model_fields.keys()


def test_the_console_shows_fields_that_rows_have() -> None:
    read = set(re.findall(r'"([A-Z_]{2,})"', Path(tables.__file__).read_text()))
    assert read
    assert read <= TransactionResult.model_fields.keys() | UserRow.model_fields.keys()
    row = {name: 1.0 if is_number(field) else name for name, field in TransactionResult.model_fields.items()}
    (shown,) = tables.frauds([Fraud(0, json.dumps(row).encode())], lambda user: f"name of {user}")
    assert shown.keys() >= {column["name"] for column in tables.FRAUDS}
    assert tables.NOTHING not in shown.values()
