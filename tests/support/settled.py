"""Compares every end of the running stack with what the seed makes, by business key."""

import gzip
import json
from collections import Counter

import boto3
from pymongo import MongoClient

from contracts import topics
from local.plan import DATABASE
from queries.athena_join import keys_in
from tests.support.expectation import Expectation
from tests.support.stack import Stack, wait_until
from tests.support.topics import Record, read_all


def objects(stack: Stack, topic: str) -> list[bytes]:
    """Every line of every object of a topic's folder."""
    client = boto3.client(
        "s3",
        endpoint_url=stack.s3_endpoint,
        aws_access_key_id=stack.s3_access_key,
        aws_secret_access_key=stack.s3_secret_key,
        region_name="us-east-1",
    )
    bucket, lines = stack.settings.s3.bucket, []
    for key in keys_in(client, bucket, f"{stack.settings.s3.prefix}/{topic}"):
        lines += gzip.decompress(client.get_object(Bucket=bucket, Key=key)["Body"].read()).splitlines()
    return lines


def ids(records: list[Record]) -> Counter[str]:
    """How often each key is there."""
    return Counter((record.key or b"").decode() for record in records)


def _user_rows(expected: Expectation) -> Counter[str]:
    """How often each user has a row: once as the sender or the receiver of each result."""
    results = expected.results.values()
    return Counter(identity for result in results for identity in (result.SENDER_ID, result.RECEIVER_ID))


def await_everything(stack: Stack, expected: Expectation, seconds: float) -> None:
    """Wait until as much as the seed makes has arrived at the end of every leg."""
    with MongoClient(stack.mongodb_uri) as client:
        collection = client[DATABASE]["transactions"]
        wait_until(lambda: collection.count_documents({}) >= len(expected.results), seconds, "all documents")
    for topic, rows in (
        (topics.USERS, 2 * len(expected.results)),
        (topics.FRAUDULENT_TRANSACTIONS_RESULT, len(expected.results)),
    ):
        wait_until(
            lambda topic=topic, rows=rows: len(objects(stack, topic)) >= rows, seconds, f"all rows of {topic} in S3"
        )


def nothing_lost_nothing_repeated(stack: Stack, expected: Expectation) -> None:
    """Every topic under read_committed, MongoDB and S3 hold exactly what the seed makes."""
    assert ids(read_all(stack.kafka, topics.FRAUDULENT_TRANSACTIONS)) == Counter(list(expected.fraudulent))
    assert ids(read_all(stack.kafka, topics.UNIDENTIFIED_TRANSACTIONS)) == Counter(list(expected.unidentified))
    assert ids(read_all(stack.kafka, topics.FRAUDULENT_TRANSACTIONS_RESULT)) == Counter(list(expected.results))
    assert len(read_all(stack.kafka, topics.BANK_TRANSACTIONS_DLQ)) == expected.poisoned
    assert ids(read_all(stack.kafka, topics.USERS)) == _user_rows(expected)
    for topic in (topics.UNIDENTIFIED_TRANSACTIONS_DLQ, topics.MONGODB_SINK_DLQ, topics.S3_SINK_DLQ):
        assert read_all(stack.kafka, topic) == [], topic
    stores_have_it_once(stack, expected)


def stores_have_it_once(stack: Stack, expected: Expectation) -> None:
    """MongoDB and S3 hold exactly what the seed makes."""
    with MongoClient(stack.mongodb_uri) as client:
        # But for the clock's date, and the process that wrote a user last.
        for name, rows, other in (
            ("transactions", expected.results, "TRANSFER_DATE"),
            ("users", expected.users, "SOURCE_PROCESS"),
        ):
            documents = {document.pop("_id"): document for document in client[DATABASE][name].find({}, {other: 0})}
            assert documents == {identity: row.model_dump(exclude={other}) for identity, row in rows.items()}, name
    for topic, identity, rows in (
        (topics.FRAUDULENT_TRANSACTIONS_RESULT, "TRANSACTION_ID", Counter(list(expected.results))),
        (topics.USERS, "ID", _user_rows(expected)),
    ):
        assert Counter(json.loads(line)[identity] for line in objects(stack, topic)) == rows, topic
