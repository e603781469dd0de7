"""The seeded set of transactions went through every stage exactly once, and only where it belongs."""

import csv
import io
import json
import subprocess
from collections import Counter

import pytest
import requests
from pymongo import MongoClient

from contracts import topics
from contracts.dead_letters import REASON, SOURCE_OFFSET, SOURCE_PARTITION, SOURCE_TOPIC
from contracts.models import TransactionResult, UserRow
from local.plan import DATABASE
from local.settings import HOST, ROOT
from tests.support.expectation import SMALL, expectation
from tests.support.metrics import Series, scrape, series
from tests.support.settled import await_everything, ids, objects
from tests.support.stack import Stack
from tests.support.topics import read_all

SECONDS = 180
LAST_COMMIT = "kafka_consumergroup_last_commit_timestamp_seconds"


@pytest.fixture(scope="module")
def settled(stack: Stack) -> Stack:
    """The stack once everything that the seed makes has arrived at the end of every leg."""
    await_everything(stack, expectation(), SECONDS)
    return stack


def test_every_message_is_routed_once(settled: Stack) -> None:
    expected = expectation()
    assert len(read_all(settled.kafka, topics.BANK_TRANSACTIONS)) == SMALL.count
    assert ids(read_all(settled.kafka, topics.FRAUDULENT_TRANSACTIONS)) == Counter(list(expected.fraudulent))
    assert ids(read_all(settled.kafka, topics.UNIDENTIFIED_TRANSACTIONS)) == Counter(list(expected.unidentified))


def test_poison_is_a_dead_letter_with_its_reason_and_place(settled: Stack) -> None:
    source = {(record.partition, record.offset): record for record in read_all(settled.kafka, topics.BANK_TRANSACTIONS)}
    dead_letters = read_all(settled.kafka, topics.BANK_TRANSACTIONS_DLQ)
    places = set()
    for dead_letter in dead_letters:
        assert dead_letter.headers[REASON]
        assert dead_letter.headers[SOURCE_TOPIC] == topics.BANK_TRANSACTIONS.encode()
        place = int(dead_letter.headers[SOURCE_PARTITION] or b""), int(dead_letter.headers[SOURCE_OFFSET] or b"")
        assert dead_letter.value == source[place].value
        places.add(place)
    assert len(places) == len(dead_letters) == expectation().poisoned
    assert read_all(settled.kafka, topics.UNIDENTIFIED_TRANSACTIONS_DLQ) == []
    assert read_all(settled.kafka, topics.MONGODB_SINK_DLQ) == []
    assert read_all(settled.kafka, topics.S3_SINK_DLQ) == []


def test_every_fraudulent_transaction_is_once_on_the_result_topic(settled: Stack) -> None:
    expected = expectation()
    records = read_all(settled.kafka, topics.FRAUDULENT_TRANSACTIONS_RESULT)
    assert ids(records) == Counter(list(expected.results))
    for record in records:
        row = TransactionResult.model_validate_json(record.value or b"")
        assert row.model_copy(update={"TRANSFER_DATE": ""}) == expected.results[row.TRANSACTION_ID].model_copy(
            update={"TRANSFER_DATE": ""}
        )


def test_both_users_of_each_fraud_are_on_the_users_topic(settled: Stack) -> None:
    expected = expectation()
    records = read_all(settled.kafka, topics.USERS)
    wanted: Counter[str] = Counter()
    for result in expected.results.values():
        wanted.update([result.SENDER_ID, result.RECEIVER_ID])
    assert ids(records) == wanted
    for record in records:
        row = UserRow.model_validate_json(record.value or b"")
        assert same_person(row, expected.users[row.ID])


def same_person(one: UserRow, other: UserRow) -> bool:
    """Equal but for the process that saw the person, since both may have."""
    return one.model_dump(exclude={"SOURCE_PROCESS"}) == other.model_dump(exclude={"SOURCE_PROCESS"})


def test_mongodb_holds_one_document_an_id(settled: Stack) -> None:
    expected = expectation()
    with MongoClient(settled.mongodb_uri) as client:
        transactions = list(client[DATABASE]["transactions"].find())
        users = list(client[DATABASE]["users"].find())
    assert Counter(document["_id"] for document in transactions) == Counter(list(expected.results))
    assert Counter(document["_id"] for document in users) == Counter(list(expected.users))
    for document in transactions:
        row = TransactionResult.model_validate(document)
        assert row.AMOUNT == expected.results[document["_id"]].AMOUNT
    for document in users:
        assert same_person(UserRow.model_validate(document), expected.users[document["_id"]])


def test_s3_holds_each_row_once(settled: Stack) -> None:
    expected = expectation()
    lines = objects(settled, topics.FRAUDULENT_TRANSACTIONS_RESULT)
    assert Counter(json.loads(line)["TRANSACTION_ID"] for line in lines) == Counter(list(expected.results))
    users = Counter(objects(settled, topics.USERS))
    assert users == Counter(record.value for record in read_all(settled.kafka, topics.USERS))


def test_metrics_count_what_is_on_the_topics(settled: Stack) -> None:
    def count(topic: str) -> int:
        return len(read_all(settled.kafka, topic))

    def metrics(port: int) -> dict[Series, float]:
        url = f"http://{HOST}:{port}"
        assert requests.get(f"{url}/healthz", timeout=10).text == "ok"
        return scrape(url)

    ports, expected = settled.settings.ports, expectation()
    ingestor = metrics(ports.ingestor_metrics_port)
    for topic in (*topics.ROUTED, topics.BANK_TRANSACTIONS_DLQ):
        assert ingestor[series("ingestor_records_total", topic=topic)] == count(topic)
    assert ingestor[series("ingestor_batch_records_sum")] == count(topics.BANK_TRANSACTIONS)

    processor = metrics(ports.processor_metrics_port)
    outcomes = {"fraudulent": 0, "honest": len(expected.honest), "dead_letters": 0}
    outcomes["fraudulent"] = count(topics.UNIDENTIFIED_TRANSACTIONS) - outcomes["honest"]
    for outcome, number in outcomes.items():
        assert processor[series("processor_transactions_total", outcome=outcome)] == number
    verdicts = processor[series("processor_validator_request_duration_seconds_count", outcome="verdict")]
    assert verdicts >= count(topics.UNIDENTIFIED_TRANSACTIONS)  # more when a checkpoint was given up
    assert processor[series("processor_validator_calls_in_flight")] == 0

    ksqldb = metrics(ports.ksqldb_metrics_port)
    queries = {dict(labels)["query"] for name, labels in ksqldb if name == "ksqldb_query_running"}
    assert len(queries) == 3
    for query in queries:
        assert ksqldb[series("ksqldb_query_running", query=query)] == 1
        assert ksqldb[series("ksqldb_query_records_total", query=query)] == count(topics.FRAUDULENT_TRANSACTIONS)
        assert ksqldb[series("ksqldb_query_rows_total", query=query)] == count(topics.FRAUDULENT_TRANSACTIONS)
        assert ksqldb[series("ksqldb_query_skipped_records_total", query=query)] == 0

    archiver = metrics(ports.archiver_metrics_port)
    rows = count(topics.FRAUDULENT_TRANSACTIONS_RESULT) + count(topics.USERS)
    assert archiver[series("archiver_rows_total")] == rows

    committing = ingestor | processor | ksqldb | archiver
    last = {dict(labels)["group"]: value for (name, labels), value in committing.items() if name == LAST_COMMIT}
    assert len(last) == 6
    assert all(value > ingestor[series("process_start_time_seconds")] for value in last.values())


def test_honest_transactions_are_nowhere(settled: Stack) -> None:
    honest = expectation().honest
    assert honest
    with MongoClient(settled.mongodb_uri) as client:
        assert client[DATABASE]["transactions"].count_documents({"_id": {"$in": list(honest)}}) == 0
    assert not honest & set(ids(read_all(settled.kafka, topics.FRAUDULENT_TRANSACTIONS_RESULT)))


def test_connectors_run_and_show_no_credential(settled: Stack) -> None:
    connectors = requests.get(f"{settled.connect_url}/connectors?expand=status&expand=info", timeout=10)
    for connector in connectors.json().values():
        states = [connector["status"]["connector"]["state"], *(task["state"] for task in connector["status"]["tasks"])]
        assert set(states) == {"RUNNING"}
    assert settled.s3_secret_key not in connectors.text
    assert settled.mongodb_uri not in connectors.text


@pytest.mark.parametrize("query", ["mongodb_join.py", "athena_join.py"])
def test_each_join_has_one_row_a_transaction(settled: Stack, query: str) -> None:
    """Run as the README says, with the local mode's own Python, which knows where the stores are."""
    command = [str(settled.settings.folders.base / "python"), f"queries/{query}"]
    answer = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    rows = list(csv.reader(io.StringIO(answer.stdout)))
    header, body = [name.upper() for name in rows[0]], rows[1:]
    expected = expectation().results
    ids = Counter(row[header.index("TRANSACTION_ID")] for row in body)
    assert ids == Counter(list(expected))
    names = {row[header.index("TRANSACTION_ID")]: row[header.index("SENDER_NAME")] for row in body}
    users = expectation().users
    assert all(names[key] == users[row.SENDER_ID].NAME for key, row in expected.items())
