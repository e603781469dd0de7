"""Runs athena_join_one_row.sql without Athena, on DuckDB over the same S3 objects, and prints its rows as CSV.

    S3_ENDPOINT=http://127.0.0.1:9000 AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=... python queries/athena_join.py --limit 10

With --every-row it runs athena_join.sql.

Environment: S3_ENDPOINT (unset: AWS), S3_BUCKET, S3_PREFIX, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION.
The tables' columns come from athena_tables.sql, so that what runs here is what Athena is told.
"""

import argparse
import csv
import os
import re
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import duckdb
from botocore.exceptions import BotoCoreError, ClientError

HERE = Path(__file__).parent
TOPICS = {"raw_fraudulent_transactions_result": "fraudulent-transactions-result", "raw_users": "users"}
DUCKDB_TYPES = {"string": "VARCHAR", "double": "DOUBLE"}
PARALLEL_DOWNLOADS = 16
ONE_ROW, EVERY_ROW = "athena_join_one_row.sql", "athena_join.sql"


def columns(table: str) -> dict[str, str]:
    """The columns of a table of athena_tables.sql: their names as in the objects, and their types in DuckDB's words."""
    match = re.search(rf"EXISTS {table} \((.*?)\n\)", (HERE / "athena_tables.sql").read_text(), re.DOTALL)
    assert match, f"no table {table} in athena_tables.sql"
    pairs = (line.strip().rstrip(",").split() for line in match[1].strip().splitlines())
    return {name.upper(): DUCKDB_TYPES[kind] for name, kind in pairs}


def keys_in(s3: Any, bucket: str, folder: str) -> list[str]:
    """The keys of a table's objects. The embedded S3 server lists what is still being written too, with more behind its name."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{folder}/")
    keys = (item["Key"] for page in pages for item in page.get("Contents", []))
    return [key for key in keys if key.endswith(".jsonl.gz")]


def fetch(s3: Any, bucket: str, folder: str, target: Path) -> list[str]:
    """Download a table's objects; returns the paths of the files. Objects of two days may have the same last name."""
    target.mkdir(exist_ok=True)
    keys = keys_in(s3, bucket, folder)
    files = [str(target / f"{number}.jsonl.gz") for number in range(len(keys))]
    with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as executor:
        list(executor.map(lambda key, file: s3.download_file(bucket, key, file), keys, files))  # raises what one raised
    return files


def join(s3: Any, bucket: str, prefix: str, query: str = ONE_ROW) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The names of the join's columns, and its rows. What cannot be read as a row of the table is skipped, as in Athena."""
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as database:
        for table, topic in TOPICS.items():
            names = columns(table)
            database.execute(f"CREATE TABLE {table} ({', '.join(map(' '.join, names.items()))})")
            if files := fetch(s3, bucket, f"{prefix}/{topic}", Path(folder, table)):
                database.execute(
                    f"INSERT INTO {table} SELECT * FROM read_json(?, format = 'newline_delimited', columns = ?, "
                    "ignore_errors = true, hive_partitioning = false)",
                    [files, names],
                )
        result = database.execute((HERE / query).read_text())
        return [name for name, *_ in result.description or []], result.fetchall()


def main() -> None:
    parser = argparse.ArgumentParser(description="Fraudulent transactions with their senders and receivers, from S3.")
    parser.add_argument("--limit", type=int, metavar="N", help="show the first N rows only")
    parser.add_argument("--every-row", action="store_true", help="each stored row, not one per transaction")
    arguments = parser.parse_args()
    query = EVERY_ROW if arguments.every_row else ONE_ROW
    s3 = boto3.client(
        "s3", endpoint_url=os.environ.get("S3_ENDPOINT") or None, region_name=os.environ.get("AWS_REGION", "us-east-1")
    )
    bucket = os.environ.get("S3_BUCKET", "test0001-fraudulent-transactions-raw")
    try:
        names, found = join(s3, bucket, os.environ.get("S3_PREFIX", "fraudulent-transactions"), query)
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"S3 at {os.environ.get('S3_ENDPOINT') or 'AWS'}: {error}")
    writer = csv.writer(sys.stdout)
    writer.writerow(names)
    writer.writerows(found[: arguments.limit])


if __name__ == "__main__":
    main()
