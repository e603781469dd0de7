"""`./start.sh --trace`: what became of one transaction, against the records that are on the topics."""

import json
import os
import signal
import time
import uuid
from typing import Any

import pytest
import requests
from confluent_kafka import Producer

from contracts import topics
from contracts.models import UNIDENTIFIED
from tests.support import samples
from tests.support.expectation import SMALL, expectation
from tests.support.stack import Stack, wait_until
from tests.support.topics import Record, read_all

FOUND = expectation(SMALL)
# What a calm machine needs is a second; this one may have other things to do.
PATIENCE = 120


def api(stack: Stack, identity: str) -> dict[str, Any]:
    return requests.get(f"{stack.settings.console_url}/api/transaction/{identity}", timeout=30).json()


def state(stack: Stack) -> dict[str, Any]:
    return requests.get(f"{stack.settings.console_url}/api/state", timeout=30).json()


def await_status(stack: Stack, identity: str, status: str) -> dict[str, Any]:
    traced: dict[str, Any] = {}

    def reached() -> bool:
        traced.update(api(stack, identity))
        return traced.get("status") == status

    wait_until(reached, PATIENCE, f"{identity} is {status}")
    return traced


def stages(traced: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {stage["name"]: stage for stage in traced.get("stages", ())}


def send(stack: Stack, value: bytes, key: str | None = None) -> None:
    producer = Producer({"bootstrap.servers": stack.kafka, "enable.idempotence": True})
    producer.produce(topics.BANK_TRANSACTIONS, value, key)
    assert producer.flush(30) == 0


def on(stack: Stack, topic: str) -> dict[bytes | None, Record]:
    return {record.key: record for record in read_all(stack.kafka, topic)}


@pytest.mark.parametrize("process", ["ksql", "kafka-streams"])
def test_a_fraudulent_transaction(stack: Stack, process: str) -> None:
    row = next(one for one in FOUND.results.values() if process == one.SOURCE_PROCESS)
    identity = row.TRANSACTION_ID
    wait_until(lambda: api(stack, identity).get("status") == "done", PATIENCE, "it is stored")
    answer = stack.start_sh("--trace", identity, "--json")
    assert answer.returncode == 0, answer.stderr
    traced = json.loads(answer.stdout)
    decided = "bank" if process == "ksql" else "validator"
    assert (traced["id"], traced["decided_by"], traced["status"]) == (identity, decided, "done")
    passed = stages(traced)
    source = topics.FRAUDULENT_TRANSACTIONS if process == "ksql" else topics.UNIDENTIFIED_TRANSACTIONS
    for name, topic, key in (
        ("received", topics.BANK_TRANSACTIONS, identity),
        ("routed", source, identity),
        ("result row", topics.FRAUDULENT_TRANSACTIONS_RESULT, identity),
    ):
        record = on(stack, topic)[key.encode()]
        assert passed[name]["position"] == {"topic": topic, "partition": record.partition, "offset": record.offset}
        assert passed[name]["at"] == record.timestamp
    assert ("validated" in passed) == (process == "kafka-streams")
    bank = on(stack, topics.BANK_TRANSACTIONS)[identity.encode()].timestamp
    of_user = {
        (record.partition, record.offset): record.key
        for record in read_all(stack.kafka, topics.USERS)
        if record.headers.get("bank.timestamp") == str(bank).encode()
    }
    for name, user in (("sender row", row.SENDER_ID), ("receiver row", row.RECEIVER_ID)):
        position = passed[name]["position"]
        assert of_user[position["partition"], position["offset"]] == user.encode()
    assert [passed[f"stored in {store}"]["status"] for store in ("MongoDB", "S3")] == ["done", "done"]
    assert all(stage["since"] >= 0 for stage in traced["stages"][1:] if stage["at"] is not None)
    assert FOUND.users[row.SENDER_ID].NAME not in answer.stdout

    shown = stack.start_sh("--trace", identity)
    assert shown.returncode == 0
    assert f"Fraudulent, found by the {decided}" in shown.stdout


def test_an_honest_transaction(stack: Stack) -> None:
    traced = await_status(stack, min(FOUND.honest), "done")
    assert [stage["name"] for stage in traced["stages"]] == ["received", "routed", "validated"]
    assert traced["summary"].startswith("Honest")


def test_a_dead_letter_whatever_key_the_bank_gave_it(stack: Stack) -> None:
    identity = str(uuid.uuid4())
    broken = samples.raw(transaction_id=identity, amount="much")
    send(stack, json.dumps(broken).encode(), "a bank's own key")
    traced = await_status(stack, identity, "dead letter")
    received, dead = traced["stages"]
    assert received["position"]["topic"] == topics.BANK_TRANSACTIONS
    assert dead["position"]["topic"] == topics.BANK_TRANSACTIONS_DLQ
    assert "amount" in dead["detail"]
    assert broken["sender_details"]["ssn"] not in json.dumps(traced)

    assert stack.start_sh("--replay-dlq", topics.BANK_TRANSACTIONS_DLQ).returncode == 0
    wait_until(
        # In between it is on its way to be routed again.
        lambda: "replayed 1 time" in stages(api(stack, identity)).get("dead letter", {}).get("detail", ""),
        PATIENCE,
        "it is refused again",
    )


def test_one_that_waits_for_the_validator(stack: Stack) -> None:
    validator = stack.pid_of("fraud-validator-api")
    identity = str(uuid.uuid4())
    os.kill(validator, signal.SIGSTOP)
    try:
        send(stack, json.dumps(samples.raw(transaction_id=identity, evaluation=UNIDENTIFIED)).encode(), identity)
        wait_until(lambda: "validated" in stages(api(stack, identity)), 30, "it waits for the validator")
        traced = api(stack, identity)
        assert traced["status"] == "waiting"
        assert "in the queue of the validator" in traced["summary"]
        wait_until(lambda: (state(stack)["oldest_waiting"] or 0) > 1, 30, "its age is in the state")
    finally:
        os.kill(validator, signal.SIGCONT)
    await_status(stack, identity, "done")


def test_an_id_that_no_record_has(stack: Stack) -> None:
    identity = str(uuid.uuid4())
    answer = stack.start_sh("--trace", identity)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.startswith(f"error: No transaction {identity} is among the records")
    as_json = stack.start_sh("--trace", identity, "--json")
    assert as_json.returncode == 1
    assert json.loads(as_json.stdout)["id"] == identity


def test_it_takes_a_moment(stack: Stack) -> None:
    identity = min(FOUND.honest)
    await_status(stack, identity, "done")
    took = []
    for _ in range(5):
        started = time.monotonic()
        api(stack, identity)
        took.append(time.monotonic() - started)
    assert min(took) < 1.0
