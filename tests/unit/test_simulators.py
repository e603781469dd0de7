"""The simulators: the same seed gives the same transactions, and a test can compute the verdict of the validator."""

import itertools
import json
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import pytest
from confluent_kafka import KafkaError
from fastapi.testclient import TestClient

from bank import health
from bank.generator import customers, messages
from contracts.models import Transaction
from runtime.errors import UserError
from simulators.send import key_of, send
from tests.support.samples import raw
from validator.app import create_app
from validator.verdict import is_fraudulent


def test_the_same_seed_gives_the_same_set() -> None:
    first, second = (
        [(m.key, m.evaluation) for m in itertools.islice(messages(7, 20, 0.3, 0.1), 500)] for _ in range(2)
    )
    assert first == second
    assert first != [(m.key, m.evaluation) for m in itertools.islice(messages(8, 20, 0.3, 0.1), 500)]


def test_the_people_are_the_same_on_another_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bank that is restarted after midnight, and a test that began before, have the same people."""

    class Tomorrow(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.now(tz) + timedelta(days=1)

    today = customers(7, 20)
    monkeypatch.setattr("faker.providers.date_time.datetime", Tomorrow)
    assert customers(7, 20) == today


def test_messages_pass_the_contract_and_users_recur() -> None:
    sent = [json.loads(message.value) for message in itertools.islice(messages(1, 20, 0.5, 0.0), 200)]
    users = {Transaction.model_validate(value).sender_details.id for value in sent}
    assert len(users) <= 20
    assert len({value["transaction_id"] for value in sent}) == 200


def test_the_shares_are_what_was_asked_for() -> None:
    evaluations = [message.evaluation for message in itertools.islice(messages(1, 20, 0.2, 0.1), 5_000)]
    assert evaluations.count(None) == pytest.approx(500, rel=0.2)
    assert evaluations.count("fraudulent") == pytest.approx(900, rel=0.2)


def test_verdicts_are_about_the_share_and_never_change() -> None:
    verdicts = [is_fraudulent(str(number), 0.3) for number in range(10_000)]
    assert sum(verdicts) == pytest.approx(3_000, rel=0.1)
    assert verdicts == [is_fraudulent(str(number), 0.3) for number in range(10_000)]
    assert not any(is_fraudulent(str(number), 0.0) for number in range(100))
    assert all(is_fraudulent(str(number), 1.0) for number in range(100))


REQUEST = {
    "transaction_id": "t1",
    "sender_bank_account": "GB01",
    "receiver_details": json.dumps(raw()["receiver_details"]),
    "sender_bank": "Bank A",
    "amount": 1,
}


def test_validator_serves_the_contract() -> None:
    client = TestClient(create_app())
    answer = client.post("/validate", json=REQUEST)
    assert answer.json() == {"is_fraudulent_transaction": is_fraudulent("t1", 0.3)}
    assert client.post("/validate", json={"transaction_id": "t1"}).status_code == 422
    assert client.get("/health").status_code == 200
    assert client.get("/docs").status_code == 200


def test_validator_can_be_made_to_fail() -> None:
    client = TestClient(create_app())
    client.put("/simulation", json={"failure_share": 1})
    assert client.post("/validate", json=REQUEST).status_code == 500
    client.put("/simulation", json={"refused_ids": ["t1"]})
    assert client.post("/validate", json=REQUEST).status_code == 422
    client.put("/simulation", json={"failed_ids": ["t1"]})
    assert client.post("/validate", json=REQUEST).status_code == 500
    assert client.post("/validate", json={**REQUEST, "transaction_id": "t2"}).status_code == 200
    client.put("/simulation", json={"fraudulent_share": 1})
    assert client.post("/validate", json=REQUEST).json() == {"is_fraudulent_transaction": True}


def test_a_busy_bank_is_healthy_while_something_is_delivered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beat = tmp_path / "beat"
    monkeypatch.setattr(health, "HEARTBEAT", beat)
    heartbeat = health.Heartbeat()
    heartbeat.on_pause(["a message that waits"])  # pyright: ignore[reportArgumentType]
    heartbeat.on_delivery(KafkaError(KafkaError._MSG_TIMED_OUT), None)  # pyright: ignore[reportArgumentType]
    heartbeat.on_pause([])  # pyright: ignore[reportArgumentType]
    assert not beat.exists(), "nothing waits, since all was refused"
    heartbeat.on_delivery(None, None)  # pyright: ignore[reportArgumentType]
    assert beat.exists()


def test_a_transaction_of_one_s_own_is_sent_under_its_id() -> None:
    assert key_of(b'{"transaction_id": "t1"}') == "t1"
    broken = (
        b"not json",
        b"[]",
        b"{}",
        b"\xff",
        b"",
        b"[" * 100_000,
        b'{"transaction_id":"\\ud800"}',
        b'{"transaction_id":null}',
    )
    assert [key_of(value) for value in broken] == [None] * len(broken)


def test_what_cannot_be_sent_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVER", "127.0.0.1:1")
    monkeypatch.setattr("simulators.send.SECONDS", 0.1)
    with pytest.raises(UserError, match=r"missing\.json cannot be read: No such file"):
        send([str(tmp_path / "missing.json")])
    (tmp_path / "there.json").write_text("{}")
    with pytest.raises(UserError, match=r"the broker at 127\.0\.0\.1:1 does not answer"):
        send([str(tmp_path / "there.json")])
