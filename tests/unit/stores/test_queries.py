"""The queries: Athena's SQL on DuckDB, and the tables' columns."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from contracts.models import TransactionResult, UserRow
from queries import athena_join, mongodb_join


class StubS3:
    """Objects by key, behind the two calls that the query makes."""

    def __init__(self, objects: dict[str, list[dict[str, Any]]]) -> None:
        self._objects = objects

    def get_paginator(self, _operation: str) -> "StubS3":
        return self

    def paginate(self, **call: Any) -> list[dict[str, Any]]:
        keys = [key for key in self._objects if key.startswith(call["Prefix"])]
        return [{"Contents": [{"Key": key}]} for key in keys] or [{}]

    def download_file(self, _bucket: str, key: str, file: str) -> None:
        lines = "".join(json.dumps(row) + "\n" for row in self._objects[key])
        Path(file).write_bytes(gzip.compress(lines.encode()))


def transaction(number: int, sender: str, receiver: str) -> dict[str, Any]:
    row = {name: f"{name}-{number}" for name in TransactionResult.model_fields}
    return row | {"TRANSACTION_ID": str(number), "SENDER_ID": sender, "RECEIVER_ID": receiver, "AMOUNT": number}


def user(id_: str) -> dict[str, Any]:
    return {name: f"{name}-{id_}" for name in UserRow.model_fields} | {"ID": id_}


@pytest.mark.parametrize(("table", "model"), [("transactions", TransactionResult), ("users", UserRow)])
def test_athenas_tables_have_the_contracts_columns(table: str, model: Any) -> None:
    assert list(athena_join.columns(table)) == list(model.model_fields)


def test_the_athena_join_gives_one_row_a_transaction_however_often_a_row_is_there() -> None:
    s3 = StubS3(
        {
            "p/fraudulent-transactions-result/t-0-0.jsonl.gz": [
                transaction(1, "a", "b"),
                transaction(2, "b", "nobody"),
            ],
            "p/fraudulent-transactions-result/t-1-0.jsonl.gz": [transaction(1, "a", "b"), {"$name": "no transaction"}],
            "p/users/u-0-0.jsonl.gz": [user("a"), user("b"), user("a")],
            "p/users/u-1-0.jsonl.gz": [user("b")],
        }
    )
    names, rows = athena_join.join(s3, "bucket", "p")
    found = [dict(zip([name.lower() for name in names], row, strict=True)) for row in rows]
    assert [(row["transaction_id"], row["amount"], row["sender_name"], row["receiver_name"]) for row in found] == [
        ("1", 1.0, "NAME-a", "NAME-b"),
        ("2", 2.0, "NAME-b", None),
    ]


def test_the_athena_join_of_an_empty_bucket_is_empty() -> None:
    assert athena_join.join(StubS3({}), "bucket", "p")[1] == []


def test_both_joins_have_the_same_columns() -> None:
    names, _ = athena_join.join(StubS3({}), "bucket", "p")
    assert [name.upper() for name in names] == mongodb_join.columns()
