"""Runs athena_join.sql without Athena, on DuckDB over the same S3 objects, and prints its rows as CSV.

    S3_ENDPOINT=http://127.0.0.1:9000 AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=... python queries/athena_join.py --limit 10

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
TOPICS = {"transactions": "fraudulent-transactions-result", "users": "users"}
DUCKDB_TYPES = {"string": "VARCHAR", "double": "DOUBLE"}
PARALLEL_DOWNLOADS = 16


def columns(table: str) -> dict[str, str]:
    """The columns of a table of athena_tables.sql: their names as in the objects, and their types in DuckDB's words."""
    match = re.search(rf"EXISTS {table} \((.*?)\n\)", (HERE / "athena_tables.sql").read_text(), re.DOTALL)
    assert match, f"no table {table} in athena_tables.sql"
    pairs = (line.strip().rstrip(",").split() for line in match[1].strip().splitlines())
    return {name.upper(): DUCKDB_TYPES[kind] for name, kind in pairs}


def fetch(s3: Any, bucket: str, folder: str, target: Path) -> list[str]:
    """Download a table's objects; returns the paths of the files."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{folder}/")
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    files = [str(target / key.rsplit("/", 1)[1]) for key in keys]
    with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as executor:
        for _ in executor.map(lambda key, file: s3.download_file(bucket, key, file), keys, files):
            pass
    return files


def join(s3: Any, bucket: str, prefix: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The names of the join's columns, and its rows."""
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as database:
        for table, topic in TOPICS.items():
            names = columns(table)
            database.execute(f"CREATE TABLE {table} ({', '.join(map(' '.join, names.items()))})")
            if files := fetch(s3, bucket, f"{prefix}/{topic}", Path(folder)):
                database.execute(
                    f"INSERT INTO {table} SELECT * FROM read_json(?, format = 'newline_delimited', columns = ?)",
                    [files, names],
                )
        result = database.execute((HERE / "athena_join.sql").read_text())
        return [name for name, *_ in result.description or []], result.fetchall()


def main() -> None:
    parser = argparse.ArgumentParser(description="Fraudulent transactions with sender and receiver by name, from S3.")
    parser.add_argument("--limit", type=int, metavar="N", help="show the first N transactions only")
    limit = parser.parse_args().limit
    s3 = boto3.client(
        "s3", endpoint_url=os.environ.get("S3_ENDPOINT") or None, region_name=os.environ.get("AWS_REGION", "us-east-1")
    )
    bucket = os.environ.get("S3_BUCKET", "test0001-fraudulent-transactions-raw")
    try:
        names, found = join(s3, bucket, os.environ.get("S3_PREFIX", "fraudulent-transactions"))
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"S3 at {os.environ.get('S3_ENDPOINT') or 'AWS'}: {error}")
    writer = csv.writer(sys.stdout)
    writer.writerow(names)
    writer.writerows(found[:limit])


if __name__ == "__main__":
    main()
