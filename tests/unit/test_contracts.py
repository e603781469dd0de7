"""The mapping rules and the models' gate."""

import json
import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts import topics
from contracts.dead_letters import (
    REASON,
    SERVICE,
    SOURCE_OFFSET,
    SOURCE_PARTITION,
    SOURCE_TOPIC,
    TRIES,
    Headers,
    identity,
    reason_in,
    reason_of,
    replay,
    source_of,
)
from contracts.mapping import to_result, to_user_rows, to_validation_request
from contracts.models import Transaction, TransactionResult, User, UserRow
from contracts.timestamps import utc
from runtime.errors import UserError
from runtime.health import ConsumerHealth
from runtime.kafka import bootstrap_server, client_config
from runtime.service import replica_name
from tests.support.dead import dead_letter_headers
from tests.support.samples import raw, transaction


def test_result_row() -> None:
    row = to_result(transaction(evaluation="unidentified"), "fraudulent", "kafka-streams")
    assert json.loads(row.model_dump_json()) == {
        "TRANSACTION_ID": "t1",
        "SENDER_BANK_ACCOUNT": "GB01",
        "SENDER_ID": "u1",
        "RECEIVER_BANK_ACCOUNT": "GB02",
        "RECEIVER_ID": "u2",
        "AMOUNT": 100.5,
        "STATUS": "completed",
        "EVALUATION": "fraudulent",
        "TRANSFER_DATE": "2026-11-24T05:00:00",
        "SENDER_BANK": "Bank A",
        "SOURCE_PROCESS": "kafka-streams",
    } | {name: field.default for name, field in TransactionResult.model_fields.items() if not field.is_required()}


@pytest.mark.parametrize(("amount", "expected"), [(0, 0.0), (42, 42.0), ("12.50", 12.5), (-5.25, -5.25), (1e7, 1e7)])
def test_amounts(amount: object, expected: float) -> None:
    row = to_result(transaction(amount=amount), "fraudulent", "ksql")
    assert expected == row.AMOUNT
    assert isinstance(row.AMOUNT, float)


def test_user_rows_are_the_sender_and_the_receiver() -> None:
    sender, receiver = to_user_rows(transaction(), "ksql")
    assert (sender.ID, receiver.ID) == ("u1", "u2")
    assert sender.SSN == "123-45-6781"
    assert {row.SOURCE_PROCESS for row in (sender, receiver)} == {"ksql"}


def test_a_user_row_has_the_user_s_fields_in_upper_case() -> None:
    assert set(UserRow.model_fields) == {name.upper() for name in User.model_fields} | {"SOURCE_PROCESS"}


def test_validation_request_carries_the_receiver_as_a_json_string() -> None:
    request = to_validation_request(transaction())
    assert json.loads(request.receiver_details) == raw()["receiver_details"]
    assert set(request.model_dump()) == {
        "transaction_id", "sender_bank_account", "receiver_details", "sender_bank", "amount",
    }  # fmt: skip


@given(
    st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.dictionaries(st.text(), inner))
)
def test_unknown_fields_are_dropped(extra: object) -> None:
    assert Transaction.model_validate(raw(extra=extra)) == transaction()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"transaction_id": ""}, "transaction_id"),
        ({"sender_details": {**raw()["sender_details"], "id": ""}}, "sender_details.id"),
        ({"amount": float("inf")}, "amount"),
        ({"status": None}, "status"),
    ],
)
def test_what_is_refused_is_named_without_its_value(changes: dict[str, object], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        transaction(**changes)
    reason = reason_of(caught.value)
    assert reason.startswith(f"{field}: ")
    assert "Name 1" not in reason


def test_a_dead_letter_that_dies_again_carries_the_newest_reason_once() -> None:
    first = dead_letter_headers([("trace", b"x"), ("trace", None)], "no", "topic", 1, 2, "service")
    second = dead_letter_headers(first, "still no", "topic", 1, 7, "service")
    assert second[:2] == [("trace", b"x"), ("trace", None)]
    assert [value for name, value in second if name == REASON] == [b"still no"]
    assert [value for name, value in second if name == SOURCE_OFFSET] == [b"7"]


def test_missing_bootstrap_server_is_named() -> None:
    with pytest.raises(UserError, match="KAFKA_BOOTSTRAP_SERVER is not set"):
        bootstrap_server({})


def test_security_settings_reach_the_clients() -> None:
    environ = {"KAFKA_BOOTSTRAP_SERVER": "b:9092", "KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CA_LOCATION": "/ca.pem"}
    assert client_config(environ) == {
        "bootstrap.servers": "b:9092",
        "security.protocol": "SSL",
        "ssl.ca.location": "/ca.pem",
    }


def statistics(join_state: str) -> dict[str, dict[str, str]]:
    return {"cgrp": {"state": "up", "join_state": join_state}}


def test_health_follows_the_consumer(monkeypatch: pytest.MonkeyPatch) -> None:
    health = ConsumerHealth()
    assert health.problem() == "the consumer is not polled"
    health.on_statistics(statistics("wait-join"))
    assert health.problem() == "the consumer group's state is up, wait-join"
    health.on_statistics(statistics("steady"))
    assert health.problem() is None
    now = time.monotonic()
    monkeypatch.setattr("runtime.health.time.monotonic", lambda: now + 60)
    assert health.problem() == "the consumer is not polled"


def test_replica_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICA_ID", "7")
    assert replica_name("service") == "service-7"
    monkeypatch.delenv("REPLICA_ID")
    assert replica_name("service") == f"service-{socket.gethostname()}"
    addresses = {"project-service-1": "172.18.0.4", "project-service-3": "172.18.0.5"}

    def resolve(name: str) -> str:
        if name not in addresses:
            raise OSError
        return addresses[name]

    monkeypatch.setenv("REPLICA_NAMES", "project-service-")
    monkeypatch.setattr("socket.getaddrinfo", lambda *_: [(0, 0, 0, "", ("172.18.0.5", 0))])
    monkeypatch.setattr("socket.gethostbyname", resolve)
    assert replica_name("service") == "service-3"


def test_a_dead_letter_goes_back_with_its_own_headers_and_a_count() -> None:
    dead_letter = dead_letter_headers([("trace", b"1")], "value: is empty", topics.BANK_TRANSACTIONS, 3, 7, "ingestor")
    back = replay(dead_letter)
    assert (back.topic, back.reason, back.tries) == (topics.BANK_TRANSACTIONS, "value: is empty", 0)
    assert back.headers == [("trace", b"1"), (TRIES, b"1")]
    again = replay(dead_letter_headers(back.headers, "value: is empty", topics.BANK_TRANSACTIONS, 3, 9, "ingestor"))
    assert (again.tries, again.headers) == (1, [("trace", b"1"), (TRIES, b"2")])


def test_a_dead_letter_of_a_sink_goes_back_without_its_stack_trace() -> None:
    connect: Headers = [
        ("__connect.errors.topic", b"users"),
        ("__connect.errors.exception.class.name", b"org.apache.kafka.connect.errors.DataException"),
        ("__connect.errors.exception.stacktrace", b"..."),
    ]
    back = replay([*connect, ("trace", None)])
    assert (back.topic, back.reason) == (topics.USERS, "DataException")
    assert back.headers == [("trace", None), (TRIES, b"1")]


def sinks(offset: bytes = b"7", stage: bytes = b"TASK_PUT") -> Headers:
    """Of a sink connector's dead letter."""
    return [
        ("__connect.errors.topic", b"users"),
        ("__connect.errors.partition", b"3"),
        ("__connect.errors.offset", offset),
        ("__connect.errors.stage", stage),
    ]


def test_copies_of_a_dead_letter_are_known_by_where_the_record_was() -> None:
    ours = dead_letter_headers([("trace", b"1")], "no row", topics.USERS, 3, 7, "archiver")
    assert source_of(ours) == source_of(sinks()) == (topics.USERS, 3, 7)
    first = identity(b"{", None, sinks())
    assert first is not None
    assert identity(b"{", None, sinks(stage=b"VALUE_CONVERTER")) == first
    others = [
        identity(b"{", None, sinks(b"8")),
        identity(
            b"{", b"", sinks()
        ),  # the record of a topic that was deleted and created: the same place, another record
        identity(b"{}", None, sinks()),
        identity(None, b"{", sinks()),
        identity(b"{", None, [(TRIES, b"1"), *sinks()]),
    ]
    assert len({first, *others}) == 1 + len(others)


@pytest.mark.parametrize("offset", [None, b"", b"-1", b"1_000", b"one", b"1" * 5_000, "\u0663".encode()])
def test_a_dead_letter_whose_source_is_unknown_has_no_copies(offset: bytes | None) -> None:
    headers = [(name, offset if name.endswith("offset") else value) for name, value in sinks()]
    assert source_of(headers) is None
    assert identity(b"{", None, headers) is None
    assert identity(b"{", None, None) is None


def test_a_reason_has_an_end() -> None:
    assert len(reason_in([(REASON, b"x" * 5_000_000)])) == 1_000


@pytest.mark.parametrize("milliseconds", [-(10**14), -1, 0, 253_402_300_800_000, 2**63 - 1])
def test_every_timestamp_is_a_time(milliseconds: int) -> None:
    assert 1970 <= utc(milliseconds).year <= 9999


@pytest.mark.parametrize("tries", [b"-1", b"1_000", b"1" * 5_000, b"9" * 4_300])
def test_a_count_that_is_none_begins_again(tries: bytes) -> None:
    assert replay([(TRIES, tries)]).headers == [(TRIES, b"1")]


@pytest.mark.parametrize(
    "headers",
    [
        None,
        [],
        [(SOURCE_TOPIC, b"")],
        [(SOURCE_TOPIC, b"of-another-product")],
        [(SOURCE_TOPIC, topics.BANK_TRANSACTIONS_DLQ.encode())],
        [(SOURCE_TOPIC, b"\xff"), (TRIES, b"many"), (SOURCE_PARTITION, None), (SERVICE, None)],
    ],
)
def test_a_dead_letter_without_a_source_goes_nowhere(headers: Headers | None) -> None:
    assert replay(headers).topic is None
    assert replay(headers).headers == [(TRIES, b"1")]
