"""The queries: Athena's SQL on DuckDB, and the tables' columns."""

import gzip
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from contracts.models import TransactionResult, UserRow
from queries import athena_join, mongodb_join


class StubS3:
    """Objects by key, behind the two calls that the query makes."""

    def __init__(self, objects: dict[str, list[dict[str, Any] | str]]) -> None:
        self._objects = objects

    def get_paginator(self, _operation: str) -> "StubS3":
        return self

    def paginate(self, **call: Any) -> list[dict[str, Any]]:
        keys = [key for key in self._objects if key.startswith(call["Prefix"])]
        return [{"Contents": [{"Key": key}]} for key in keys] or [{}]

    def download_file(self, _bucket: str, key: str, file: str) -> None:
        lines = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in self._objects[key])
        Path(file).write_bytes(gzip.compress(lines.encode()))


def transaction(number: int, sender: str, receiver: str) -> dict[str, Any]:
    row = {name: f"{name}-{number}" for name in TransactionResult.model_fields}
    return row | {"TRANSACTION_ID": str(number), "SENDER_ID": sender, "RECEIVER_ID": receiver, "AMOUNT": number}


def user(id_: str) -> dict[str, Any]:
    return {name: f"{name}-{id_}" for name in UserRow.model_fields} | {"ID": id_}


COLUMNS = [
    *(name for name in TransactionResult.model_fields if name not in ("SENDER_ID", "RECEIVER_ID")),
    *("SENDER_NAME", "SENDER_ADDRESS", "SENDER_EMAIL", "RECEIVER_NAME", "RECEIVER_ADDRESS", "RECEIVER_EMAIL"),
]
TABLES = [("raw_fraudulent_transactions_result", TransactionResult), ("raw_users", UserRow)]
# A Glue crawler names a table by its prefix and the folder, with _ in the place of what SQL does not take.
FOLDERS = {table: table.removeprefix("raw_").replace("_", "-") for table, _ in TABLES}


def test_athenas_tables_are_over_the_folders_by_day() -> None:
    assert FOLDERS == athena_join.TOPICS
    statements = (athena_join.HERE / "athena_tables.sql").read_text().split("CREATE ")[1:]
    assert len(statements) == len(TABLES)
    for statement, (table, model) in zip(statements, TABLES, strict=True):
        location = f"s3://test0001-fraudulent-transactions-raw/fraudulent-transactions/{FOLDERS[table]}/"
        properties = dict(re.findall(r"'([a-z.]+)' = '([^']*)'", statement))
        assert f"EXISTS {table} (" in statement
        assert f"LOCATION '{location}'" in statement
        assert "PARTITIONED BY (dt string)" in statement
        assert "DT" not in model.model_fields
        assert properties["ignore.malformed.json"] == "true"
        assert properties["projection.enabled"] == "true"
        assert (properties["projection.dt.type"], properties["projection.dt.format"]) == ("date", "yyyy-MM-dd")
        assert properties["projection.dt.range"].endswith(",NOW")
        assert properties["storage.location.template"] == location + "dt=${dt}/"


def found(s3: StubS3, query: str = athena_join.ONE_ROW) -> list[dict[str, Any]]:
    names, rows = athena_join.join(s3, "bucket", "p", query)
    return [dict(zip([name.upper() for name in names], row, strict=True)) for row in rows]


def test_the_athena_join_gives_one_row_a_transaction_however_often_a_row_is_there() -> None:
    s3 = StubS3(
        {
            # The last part of a name is not its own: an incarnation's first object of each day may have the same.
            "p/fraudulent-transactions-result/dt=2026-01-01/t-0-0.jsonl.gz": [
                transaction(1, "a", "b"),
                transaction(2, "b", "nobody"),
            ],
            "p/fraudulent-transactions-result/dt=2026-01-02/t-0-0.jsonl.gz": [
                transaction(1, "a", "b"),
                {"$name": "no transaction"},
            ],
            "p/users/dt=2026-01-01/u-0-0.jsonl.gz": [user("a"), user("b"), user("a")],
            "p/users/dt=2026-01-02/u-0-0.jsonl.gz": [user("b")],
        }
    )
    rows = found(s3)
    assert [(row["TRANSACTION_ID"], row["AMOUNT"], row["SENDER_NAME"], row["RECEIVER_NAME"]) for row in rows] == [
        ("1", 1.0, "NAME-a", "NAME-b"),
        ("2", 2.0, "NAME-b", None),
    ]
    assert list(rows[0]) == COLUMNS
    assert (rows[0]["SENDER_ADDRESS"], rows[0]["RECEIVER_EMAIL"]) == ("ADDRESS-a", "EMAIL-b")


def test_the_documented_athena_join_has_a_row_for_each_stored_row() -> None:
    s3 = StubS3(
        {
            "p/fraudulent-transactions-result/dt=2026-01-01/t.jsonl.gz": [transaction(1, "a", "b")] * 2,
            "p/users/dt=2026-01-01/u.jsonl.gz": [user("a")],
            "p/users/dt=2026-01-01/v.jsonl.gz-0a1b2c3d-still-being-written": [user("b")],
        }
    )
    rows = found(s3, athena_join.EVERY_ROW)
    assert [(row["TRANSACTION_ID"], row["SENDER_NAME"], row["RECEIVER_NAME"]) for row in rows] == [
        ("1", "NAME-a", None)
    ] * 2
    assert list(rows[0]) == COLUMNS


@pytest.mark.parametrize(
    "line",
    ["", "text", "{", "[]", "[1]", "5", "null", '{"a": NaN}', '{"TRANSACTION_ID": "\\ud800"}']
    + [json.dumps(transaction(3, "a", "b")).replace('"AMOUNT": 3', f'"AMOUNT": {amount}') for amount in
       ('"much"', "{}", "[1]", '"Infinity"', "1e400", "true", "NaN")]
    + [json.dumps(transaction(3, "a", "b")).replace('"STATUS-3"', r'"\ud800"')],
)  # fmt: skip
def test_what_is_no_row_is_skipped(line: str) -> None:
    s3 = StubS3(
        {
            "p/fraudulent-transactions-result/dt=2026-01-01/t.jsonl.gz": [
                transaction(1, "a", "b"),
                line,
                transaction(2, "a", "b"),
            ],
            "p/users/dt=2026-01-01/u.jsonl.gz": [
                user("a"),
                line,
                json.dumps(user("b")).replace('"NAME-b"', '{"first": [1]}'),
                json.dumps(user("a")).replace('"EMAIL-a"', r'"\ud800"'),
            ],
        }
    )
    rows = {row["TRANSACTION_ID"]: row for row in found(s3)}
    assert {"1", "2"} <= set(rows) <= {"1", "2", "3"}
    for row in rows.values():
        assert row["SENDER_NAME"] == "NAME-a"
        assert row["AMOUNT"] in (1.0, 2.0)
    assert athena_join.join(s3, "bucket", "p", athena_join.EVERY_ROW)[1]


def test_the_athena_join_of_an_empty_bucket_is_empty() -> None:
    assert found(StubS3({})) == []


def test_rows_from_before_and_after_a_field_was_added_are_one_table() -> None:
    written = io.StringIO()
    mongodb_join.write([{"TRANSACTION_ID": "t1"}, {"TRANSACTION_ID": "t2", "CHANNEL": "app"}], written)
    first, *rest = written.getvalue().splitlines()
    names = first.split(",")
    assert [dict(zip(names, line.split(","), strict=True))["CHANNEL"] for line in rest] == ["", "app"]


def test_both_joins_have_the_same_columns() -> None:
    assert mongodb_join.columns(TransactionResult.model_fields) == COLUMNS
    for query in (athena_join.ONE_ROW, athena_join.EVERY_ROW):
        names, _ = athena_join.join(StubS3({}), "bucket", "p", query)
        assert [name.upper() for name in names] == COLUMNS
