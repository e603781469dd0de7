"""What the records of one transaction say, without a broker."""

import json
from typing import Any

import pytest

from console.records import Place
from console.stages import Found, Trace, trace
from contracts import dead_letters, topics
from contracts.records import Headers, Record
from contracts.timestamps import BANK_TIMESTAMP
from runtime import services
from tests.support import samples

SENT = 1_800_000_000_000
NOW = SENT / 1000 + 10
SINKS = (*services.CONNECTORS, *services.S3_CONNECTORS)


def record(topic: str, after: int, offset: int = 5, value: Any = None, headers: Headers | None = None) -> Record:
    """One that was written so many milliseconds after the bank sent the transaction."""
    content = json.dumps(samples.raw() if value is None else value).encode()
    own: Headers = [(BANK_TIMESTAMP, str(SENT).encode()), *(headers or [])]
    return Record(content, b"t1", own, (1, SENT + after), topic, 3, offset)


def dead(topic: str, after: int, source: Record, reason: str = "amount: is no number", tries: int = 0) -> Record:
    headers: Headers = [(dead_letters.TRIES, str(tries).encode())] if tries else []
    made = dead_letters.dead_letter(source._replace(headers=[*(source.headers or []), *headers]), reason, "a service")
    return record(topic, after)._replace(headers=made.headers)


RECEIVED = record(topics.BANK_TRANSACTIONS, 0)
TO_VALIDATE = record(topics.UNIDENTIFIED_TRANSACTIONS, 200)
TO_KSQLDB = record(topics.FRAUDULENT_TRANSACTIONS, 200)
ROW = record(topics.FRAUDULENT_TRANSACTIONS_RESULT, 700)
USERS = (record(topics.USERS, 700, 8), record(topics.USERS, 700, 9))


def committed(*groups: str, offset: int = 10, topic: str = "") -> dict[str, dict[Place, int]]:
    names = (topic,) if topic else topics.ALL
    return {group: {(name, 3): offset for name in names} for group in groups}


EVERYONE = committed(services.INGESTOR, services.PROCESSOR, "a query", *map(services.connector_group, SINKS))


def traced(found: Found) -> Trace:
    made = trace(found, NOW)
    assert made is not None
    return made


def names(made: Trace) -> list[tuple[str, str]]:
    return [(stage.name, stage.status) for stage in made.stages]


ROWS_STORED = [
    ("result row", "done"),
    ("sender row", "done"),
    ("receiver row", "done"),
    ("stored in MongoDB", "done"),
    ("stored in S3", "done"),
]


def test_the_way_of_one_that_the_bank_found() -> None:
    made = traced(Found("t1", RECEIVED, TO_KSQLDB, ROW, USERS, committed=EVERYONE))
    assert names(made) == [("received", "done"), ("routed", "done"), *ROWS_STORED]
    assert (made.status, made.decided_by) == ("done", "bank")
    assert made.summary == (
        "Fraudulent, found by the bank, its row written 0.70 s after it came; stored in MongoDB and S3"
    )
    assert [stage.since for stage in made.stages] == [None, 0.2, 0.5, 0.0, 0.0, None, None]
    assert [stage.position for stage in made.stages[:3]] == [one.position for one in (RECEIVED, TO_KSQLDB, ROW)]


def test_the_way_of_one_that_the_validator_found() -> None:
    made = traced(Found("t1", RECEIVED, TO_VALIDATE, ROW, USERS, committed=EVERYONE))
    assert names(made) == [("received", "done"), ("routed", "done"), ("validated", "done"), *ROWS_STORED]
    assert made.decided_by == "validator"
    assert made.stages[3].since == 0.5  # asked, answered and written


def test_nothing_personal_is_in_it() -> None:
    text = json.dumps(traced(Found("t1", RECEIVED, TO_KSQLDB, ROW, USERS, committed=EVERYONE)).to_json())
    person = samples.user()
    for field in ("name", "address", "email", "ssn", "phone_number", "birthdate"):
        assert json.dumps(person[field])[1:-1] not in text


def test_an_honest_one() -> None:
    made = traced(Found("t1", RECEIVED, TO_VALIDATE, committed=EVERYONE))
    assert names(made) == [("received", "done"), ("routed", "done"), ("validated", "done")]
    assert made.summary.startswith("Honest")


@pytest.mark.parametrize("offset", [-1001, 0, 5])
def test_one_that_the_processor_has_not_committed_waits(offset: int) -> None:
    made = traced(Found("t1", RECEIVED, TO_VALIDATE, committed=committed(services.PROCESSOR, offset=offset)))
    assert (made.status, made.summary) == ("waiting", "Not validated yet: in the queue of the validator, 10 s")


@pytest.mark.parametrize(
    ("routed", "users"), [(TO_VALIDATE, (None, None)), (TO_KSQLDB, (None, None)), (TO_KSQLDB, (None, USERS[1]))]
)
def test_what_there_was_no_time_to_look_for_is_neither_missing_nor_waiting(routed: Record, users: Any) -> None:
    row = ROW if any(users) else None
    made = traced(Found("t1", RECEIVED, routed, row, users, committed=EVERYONE, complete=False))
    assert made.status == "unknown"
    assert "there was no time to look through all records" in made.summary


def test_without_time_for_all_records_nothing_is_stored_and_a_dead_letter_may_have_been_replayed() -> None:
    stored = traced(Found("t1", RECEIVED, TO_KSQLDB, ROW, USERS, committed=EVERYONE, complete=False))
    assert names(stored)[-2:] == [("stored in MongoDB", "unknown"), ("stored in S3", "unknown")]
    refused = dead(topics.BANK_TRANSACTIONS_DLQ, 300, RECEIVED)
    made = traced(Found("t1", RECEIVED, dead_letters=[refused], committed=EVERYONE, complete=False))
    assert made.summary.endswith("there was no time to look through all records")


def test_one_that_waits_for_ksqldb() -> None:
    queue = committed("query 1", topic=topics.FRAUDULENT_TRANSACTIONS) | committed(
        "query 2", topic=topics.FRAUDULENT_TRANSACTIONS, offset=5
    )
    made = traced(Found("t1", RECEIVED, TO_KSQLDB, committed=queue))
    assert (made.status, made.stages[-1].name) == ("waiting", "result row")


def test_one_that_waits_for_the_ingestor() -> None:
    made = traced(Found("t1", RECEIVED, committed={}))
    assert names(made) == [("received", "done"), ("routed", "waiting")]
    assert made.decided_by == ""


@pytest.mark.parametrize("late", ["mongodb-users", "s3-transactions"])
def test_rows_are_stored_when_every_sink_of_a_store_has_committed_them(late: str) -> None:
    behind = EVERYONE | committed(services.connector_group(late), offset=5)
    made = traced(Found("t1", RECEIVED, TO_KSQLDB, ROW, USERS, committed=only_their_own(behind)))
    store = "MongoDB" if late.startswith("mongodb") else "S3"
    assert {name: status for name, status in names(made) if status != "done"} == {f"stored in {store}": "waiting"}
    assert made.status == "waiting"


def only_their_own(groups: dict[str, dict[Place, int]]) -> dict[str, dict[Place, int]]:
    """A sink reads one topic."""
    own = {"transactions": topics.FRAUDULENT_TRANSACTIONS_RESULT, "users": topics.USERS}
    return {
        group: {
            place: offset for place, offset in places.items() if own.get(group.split("-")[-1], place[0]) == place[0]
        }
        for group, places in groups.items()
    }


def test_the_archiver_stores_in_s3_as_well() -> None:
    groups = committed(services.ARCHIVER, *map(services.connector_group, services.CONNECTORS))
    assert traced(Found("t1", RECEIVED, TO_KSQLDB, ROW, USERS, committed=groups)).status == "done"


@pytest.mark.parametrize("sink", [services.ARCHIVER, "connect-mongodb-transactions"])
def test_a_sink_that_has_committed_nothing_in_a_partition_yet_has_its_rows_to_store(sink: str) -> None:
    groups = committed(services.ARCHIVER, *map(services.connector_group, services.CONNECTORS))
    groups = only_their_own(groups | committed(sink, offset=-1001))
    made = traced(Found("t1", RECEIVED, TO_KSQLDB, ROW, USERS, committed=groups))
    assert made.status == "waiting"


def test_a_query_that_has_committed_nothing_in_a_partition_yet_has_not_passed_it() -> None:
    queue = committed("query 1", topic=topics.FRAUDULENT_TRANSACTIONS) | committed(
        "query 2", topic=topics.FRAUDULENT_TRANSACTIONS, offset=-1001
    )
    made = traced(Found("t1", RECEIVED, TO_KSQLDB, ROW, (None, USERS[1]), committed=queue))
    assert dict(names(made))["sender row"] == "waiting"


def test_of_a_store_without_sinks_nothing_is_known() -> None:
    groups = committed(*map(services.connector_group, services.CONNECTORS))
    made = traced(Found("t1", RECEIVED, TO_KSQLDB, ROW, USERS, committed=groups))
    assert (made.stages[-1].name, made.status) == ("stored in S3", "unknown")


def test_a_dead_letter_of_the_ingestor() -> None:
    refused = dead(topics.BANK_TRANSACTIONS_DLQ, 300, RECEIVED, tries=2)
    made = traced(Found("t1", RECEIVED, dead_letters=[refused], committed=EVERYONE))
    assert names(made) == [("received", "done"), ("dead letter", "dead letter")]
    assert made.summary == "Dead letter on bank-transactions-dlq: amount: is no number; replayed 2 times"


def test_a_dead_letter_of_the_processor() -> None:
    failed = dead(topics.UNIDENTIFIED_TRANSACTIONS_DLQ, 900, TO_VALIDATE, "the validator refuses it")
    made = traced(Found("t1", RECEIVED, TO_VALIDATE, dead_letters=[failed], committed=EVERYONE))
    assert names(made)[-1] == ("dead letter", "dead letter")
    assert made.stages[-1].since == 0.7


def test_a_dead_letter_of_a_sink() -> None:
    refused = dead(topics.S3_SINK_DLQ, 900, ROW, "it refuses it")
    made = traced(Found("t1", RECEIVED, TO_KSQLDB, ROW, USERS, [refused], EVERYONE))
    assert (made.status, made.stages[-1].name) == ("dead letter", "stored in S3")


def test_one_that_was_put_back_and_went_its_way() -> None:
    refused = dead(topics.BANK_TRANSACTIONS_DLQ, 100, RECEIVED)
    again = record(topics.FRAUDULENT_TRANSACTIONS, 200, headers=[(dead_letters.TRIES, b"1")])
    made = traced(Found("t1", RECEIVED, again, ROW, USERS, [refused], EVERYONE))
    assert names(made)[:3] == [("received", "done"), ("dead letter", "done"), ("routed", "done")]
    assert "replayed 1 time" in made.stages[2].detail
    assert made.status == "done"


def test_one_that_the_bank_sent_again_broken_ends_as_that() -> None:
    again = dead(topics.BANK_TRANSACTIONS_DLQ, 5_000, RECEIVED)
    found = Found("t1", RECEIVED, TO_KSQLDB, ROW, USERS, [again], EVERYONE)
    made = traced(found)
    assert made.status == "dead letter"
    assert names(made)[-1] == ("dead letter", "dead letter")
    assert "replayed" not in made.summary


def test_what_is_not_there_any_more_proves_nothing() -> None:
    """Retention removes whole segments: a dead letter, or a row, may be gone a day before the record that it came from."""
    week = topics.RETENTION_SECONDS
    honest, stored = (
        Found("t1", RECEIVED, TO_VALIDATE, committed=EVERYONE),
        Found("t1", RECEIVED, TO_KSQLDB, ROW, USERS, committed=EVERYONE),
    )
    for found in (honest, stored):
        before, after = (trace(found, SENT / 1000 + week + seconds) for seconds in (-60, 60))
        assert before and after
        assert (before.status, after.status) == ("done", "unknown")
        assert "what became of it may have expired" in after.summary


def test_one_that_was_put_back_and_waits_for_the_ingestor() -> None:
    refused = dead(topics.BANK_TRANSACTIONS_DLQ, 100, RECEIVED)
    again = record(topics.BANK_TRANSACTIONS, 5_000, 6, headers=[(dead_letters.TRIES, b"1")])
    assert traced(Found("t1", again, dead_letters=[refused], committed=EVERYONE)).status == "waiting"


@pytest.mark.parametrize(("offset", "status"), [(5, "waiting"), (6, "unknown")])
def test_a_user_row_that_is_not_there_yet(offset: int, status: str) -> None:
    queue = committed("query", topic=topics.FRAUDULENT_TRANSACTIONS, offset=offset)
    made = traced(Found("t1", RECEIVED, TO_KSQLDB, ROW, (None, USERS[1]), committed=queue))
    assert dict(names(made))["sender row"] == status


def test_one_whose_first_record_retention_has_removed() -> None:
    made = traced(Found("t1", None, TO_KSQLDB, ROW, USERS, committed=EVERYONE))
    assert (made.stages[0].at, made.stages[0].position, made.stages[1].since) == (SENT, None, 0.2)


def test_without_records_there_is_no_way() -> None:
    assert trace(Found("t1"), NOW) is None
