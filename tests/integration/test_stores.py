"""What the stores do with rows that no service of this stack would write, with replays, and with credentials.

Runs after test_pipeline.py, which expects topics without dead letters.
"""

import gzip
import json
import os
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from confluent_kafka import Producer
from pymongo import MongoClient
from pymongo.database import Database

from contracts import topics
from contracts.dead_letters import REASON, SOURCE_OFFSET, SOURCE_PARTITION, SOURCE_TOPIC
from contracts.models import TransactionResult, UserRow
from local.connect import MONGODB_SINK
from local.settings import ROOT
from queries.athena_join import fetch
from tests.support.stack import Stack, wait_until
from tests.support.topics import Record, read_all

SECONDS = 60
# Poison carries this where a social security number would be: it may be in topics and stores, and nowhere else.
SSN = "987-65-4321"

USERS = (topics.USERS, "users", UserRow)
RESULTS = (topics.FRAUDULENT_TRANSACTIONS_RESULT, "transactions", TransactionResult)
both = pytest.mark.parametrize(("topic", "collection", "model"), [USERS, RESULTS], ids=["users", "transactions"])


@pytest.fixture(scope="module")
def database(stack: Stack) -> Iterator[Database]:
    with MongoClient(stack.mongodb_uri) as client:
        yield client["fraudulent_transactions_db"]


@pytest.fixture
def run() -> str:
    """What the ids of a test start with."""
    return uuid.uuid4().hex


def row(model: Any, id_: str, **other: Any) -> dict[str, Any]:
    """A good row of a topic."""
    fields = {name: f"{name} of {id_}" for name in model.model_fields}
    fields |= {next(iter(model.model_fields)): id_, "SOURCE_PROCESS": "ksql"}
    return fields | ({"AMOUNT": 12.5} if model is TransactionResult else {"SSN": SSN}) | other


def send(stack: Stack, topic: str, records: list[tuple[str | None, Any]]) -> None:
    """Write records to one partition, in this order: bytes and None as they are, anything else as JSON."""
    producer = Producer({"bootstrap.servers": stack.kafka, "enable.idempotence": True})
    for key, value in records:
        raw = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
        producer.produce(topic, key=key, value=raw, partition=0)
    assert producer.flush(30) == 0


def lines(stack: Stack, topic: str, folder: Path) -> Counter[str]:
    """How often each row is in the objects of a topic's folder, as JSON."""
    folder.mkdir(exist_ok=True)
    files = fetch(s3_client(stack), stack.settings.s3.bucket, f"{stack.settings.s3.prefix}/{topic}", folder)
    read = (line for file in files for line in gzip.decompress(Path(file).read_bytes()).splitlines())
    return Counter(json.dumps(json.loads(line)) for line in read)


def s3_client(stack: Stack, **other: Any) -> Any:
    credentials: dict[str, Any] = {
        "aws_access_key_id": stack.s3_access_key,
        "aws_secret_access_key": stack.s3_secret_key,
    }
    return boto3.client("s3", endpoint_url=stack.s3_endpoint, region_name="us-east-1", **(credentials | other))


def dead_letters_of(stack: Stack, topic: str, run: str) -> dict[str, Record]:
    """The dead letters of a test by their keys, or by what is in the value when there is no key."""
    found = {}
    for record in read_all(stack.kafka, topic):
        if run.encode() in (record.key or record.value or b""):
            name = record.key.decode().removeprefix(run) if record.key else "no key"
            assert name not in found, f"{name} is there twice"
            found[name] = record
    return found


def await_dead_letters(stack: Stack, topic: str, run: str, names: set[str]) -> dict[str, Record]:
    """They are committed after the rows around them are in the store."""
    wait_until(lambda: names <= set(dead_letters_of(stack, topic, run)), SECONDS, f"{names} are on {topic}")
    found = dead_letters_of(stack, topic, run)
    assert set(found) == names
    return found


@both
def test_poison_is_refused_or_stripped_and_touches_nothing_else(
    stack: Stack, database: Database, run: str, tmp_path: Path, topic: str, collection: str, model: Any
) -> None:
    first, last = f"{run}-first", f"{run}-last"
    name = list(model.model_fields)[1]
    refused_by_both: dict[str, Any] = {
        "array": [row(model, "x")],
        "string": "text",
        "not json": f"not json {SSN}".encode(),
        "not utf-8": b"\xff{}",
        "empty": b"",
        "tombstone": None,
        "nested": row(model, "x", **{name: {"$set": {"a\0b": 1}}}),
        "list": row(model, "x", **{name: [1]}),
        "number": row(model, "x", **{name: 1}),
        "null field": row(model, "x", **{name: None}),
        "empty object": {},
        "dollar name": {"$name": SSN},
        "nul name": {"a\0b": SSN},
    }
    if model is TransactionResult:
        refused_by_both |= {
            f"amount {unusual}": row(model, "x", AMOUNT=unusual) for unusual in (True, "12.5", None, [1])
        }
    # By what they are sent with on top of a row.
    stripped = {"own _id": {"_id": first}, "own unknown": {"a.b": 1, "UNKNOWN": 1, "amount": 2, "$name": {"a\0b": SSN}}}
    keyed = {**refused_by_both, **{key: row(model, run + key, **more) for key, more in stripped.items()}}
    no_key = row(model, run)
    good = row(model, first)
    send(stack, topic, [(first, good)])
    wait_until(lambda: database[collection].find_one({"_id": first}) is not None, SECONDS, "the first row")

    poison: list[tuple[str | None, Any]] = [(run + key, value) for key, value in keyed.items()]
    send(stack, topic, [*poison, (None, no_key), (last, row(model, last))])
    wait_until(lambda: database[collection].find_one({"_id": last}) is not None, SECONDS, "the row after the poison")

    assert database[collection].find_one({"_id": first}) == {"_id": first, **good}
    mine = {document["_id"]: document for document in database[collection].find({"_id": {"$regex": f"^{run}"}})}
    assert set(mine) == {first, last, *(run + key for key in stripped)}
    for key in stripped:
        assert mine[run + key] == {"_id": run + key, **row(model, run + key)}

    dead_letters = await_dead_letters(stack, topics.MONGODB_SINK_DLQ, run, {*refused_by_both, "no key"})
    for dead_letter in dead_letters.values():
        assert dead_letter.headers["__connect.errors.topic"] == topic.encode()
        assert dead_letter.headers["__connect.errors.partition"] == b"0"
        assert dead_letter.headers["__connect.errors.offset"]
        assert dead_letter.headers["__connect.errors.exception.message"]
    assert dead_letters["not json"].value == refused_by_both["not json"]

    wait_until(
        lambda: lines(stack, topic, tmp_path / uuid.uuid4().hex)[json.dumps(row(model, last))] == 1,
        SECONDS,
        "the last row in S3",
    )
    kept = [good, *(row(model, run + key) for key in stripped), no_key, row(model, last)]
    found = lines(stack, topic, tmp_path / "objects")
    assert {line: count for line, count in found.items() if run in line} == {json.dumps(one): 1 for one in kept}
    archive_dead_letters = await_dead_letters(stack, topics.S3_SINK_DLQ, run, set(refused_by_both))
    for dead_letter in archive_dead_letters.values():
        assert dead_letter.headers[REASON]
        assert dead_letter.headers[SOURCE_TOPIC] == topic.encode()
        assert dead_letter.headers[SOURCE_PARTITION] == b"0"
        assert dead_letter.headers[SOURCE_OFFSET]

    for status in statuses(stack):
        assert {part["state"] for part in (status["connector"], *status["tasks"])} == {"RUNNING"}


def statuses(stack: Stack) -> list[dict[str, Any]]:
    answer = requests.get(f"{stack.connect_url}/connectors?expand=status", timeout=10).json()
    return [connector["status"] for connector in answer.values()]


@both
def test_replays_keep_one_document_and_the_newest_row(
    stack: Stack, database: Database, run: str, tmp_path: Path, topic: str, collection: str, model: Any
) -> None:
    name = list(model.model_fields)[1]
    versions = [row(model, run, **{name: f"version {number}"}) for number in range(5)]
    send(stack, topic, [(run, version) for version in versions for _ in range(2)])

    def newest() -> bool:
        document = database[collection].find_one({"_id": run})
        return document is not None and document[name] == "version 4"

    wait_until(newest, SECONDS, "the newest version")
    assert database[collection].count_documents({"_id": run}) == 1
    # S3 keeps what was written, each of it once.
    expected = {json.dumps(version): 2 for version in versions}

    def written() -> bool:
        found = lines(stack, topic, tmp_path / uuid.uuid4().hex)
        return {line: found[line] for line in expected} == expected

    wait_until(written, SECONDS, "every row in S3 as often as it was sent")


@both
def test_rows_of_an_aborted_transaction_reach_no_store(
    stack: Stack, database: Database, run: str, tmp_path: Path, topic: str, collection: str, model: Any
) -> None:
    producer = Producer({"bootstrap.servers": stack.kafka, "transactional.id": run})
    producer.init_transactions(SECONDS)
    rows = {name: row(model, f"{run}-{name}") for name in ("aborted", "committed")}
    for name, end in (("aborted", producer.abort_transaction), ("committed", producer.commit_transaction)):
        producer.begin_transaction()
        producer.produce(topic, key=f"{run}-{name}", value=json.dumps(rows[name]), partition=0)
        assert producer.flush(SECONDS) == 0  # an abort would take back what has not been sent yet
        end(SECONDS)

    wait_until(
        lambda: database[collection].find_one({"_id": f"{run}-committed"}) is not None, SECONDS, "the committed row"
    )
    assert database[collection].find_one({"_id": f"{run}-aborted"}) is None
    committed, aborted = json.dumps(rows["committed"]), json.dumps(rows["aborted"])
    wait_until(lambda: lines(stack, topic, tmp_path / uuid.uuid4().hex)[committed] == 1, SECONDS, "the same in S3")
    assert lines(stack, topic, tmp_path / "objects")[aborted] == 0


def test_connect_shows_no_credential(stack: Stack) -> None:
    def get(path: str) -> Any:
        answer = requests.get(f"{stack.connect_url}{path}", timeout=10)
        answers.append(answer.text)
        return answer.json()

    answers: list[str] = []
    names = get("/connectors")
    assert {"mongodb-transactions", "mongodb-users"} <= set(names)
    get("/connectors?expand=info&expand=status")
    for name in names:
        for path in ("", "/config", "/status", "/tasks"):
            get(f"/connectors/{name}{path}")
    config = get("/connectors/mongodb-users/config")
    assert config["connection.uri"] == "${env:MONGODB_URI}"
    validated = requests.put(
        f"{stack.connect_url}/connector-plugins/{MONGODB_SINK}/config/validate", json=config, timeout=30
    )
    assert validated.json()["error_count"] == 0
    for text in (*answers, validated.text):
        assert stack.mongodb_uri not in text
        assert stack.s3_secret_key not in text


def test_no_log_has_a_credential_or_personal_data(stack: Stack) -> None:
    logs = [path for path in stack.settings.folders.logs.rglob("*") if path.is_file()]
    assert logs
    for path in logs:
        text = path.read_text(errors="replace")
        assert stack.s3_secret_key not in text, path.name
        assert SSN not in text, path.name


@pytest.mark.parametrize(
    "other",
    [
        {"aws_secret_access_key": "wrong"},
        {"aws_access_key_id": "nobody"},
        {"config": Config(signature_version=UNSIGNED)},
    ],
    ids=["wrong secret", "wrong key", "anonymous"],
)
def test_s3_refuses_whoever_has_no_credentials(stack: Stack, other: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match=r"AccessDenied|SignatureDoesNotMatch|InvalidAccessKeyId"):
        s3_client(stack, **other).list_objects_v2(Bucket=stack.settings.s3.bucket)


@pytest.mark.parametrize("command", [["bash", "init/init_kconnect.sh"], [sys.executable, "-m", "init.init_mongodb"]])
def test_the_init_steps_can_run_again(stack: Stack, command: list[str]) -> None:
    environment = {"PYTHON": sys.executable, "KCONNECT_URL": stack.connect_url, "MONGODB_URI": stack.mongodb_uri}
    result = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_indexes_are_there(stack: Stack, database: Database) -> None:
    assert "ID_1" in database["users"].index_information()
    assert {"TRANSACTION_ID_1", "SENDER_ID_1", "RECEIVER_ID_1"} <= set(database["transactions"].index_information())
