"""Dead letters go back once, for as long as they live: whatever becomes of consumer offsets, of copies and of the topic."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from contracts import topics
from contracts.dead_letters import REASON, SOURCE_TOPIC, TRIES
from contracts.records import Headers
from local.settings import ROOT
from tests.support.dead import dead_letter_headers
from tests.support.stack import wait_until
from tests.support.topics import read_all

GROUP = "dlq-replay"
DLQ = topics.S3_SINK_DLQ
SECONDS = 30


def run(bootstrap: str, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", f"init.{module}", *arguments],
        cwd=ROOT,
        env={**os.environ, "KAFKA_BOOTSTRAP_SERVER": bootstrap, "TOPIC_PARTITIONS": "3"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def replay(bootstrap: str, *arguments: str) -> str:
    done = run(bootstrap, "replay_dlq", DLQ, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def kafka(kafka_bootstrap: str) -> Iterator[str]:
    """The broker with the stack's topics, all of them new."""
    delete(kafka_bootstrap, [*topics.CREATED])
    made = run(kafka_bootstrap, "init_kafka")
    assert made.returncode == 0, made.stdout + made.stderr
    yield kafka_bootstrap
    delete(kafka_bootstrap, [*topics.CREATED])


def delete(bootstrap: str, names: Sequence[str]) -> None:
    """Those of them that are there."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    there = set(names) & set(admin.list_topics(timeout=10).topics)
    for future in admin.delete_topics(list(there)).values() if there else ():
        future.result(SECONDS)
    wait_until(lambda: not set(names) & set(admin.list_topics(timeout=10).topics), SECONDS, "the topics are gone")


def ours(offset: int, value: str = "") -> tuple[bytes, Headers]:
    """A dead letter of a service of this repository."""
    return value.encode() or f"poison {offset}".encode(), dead_letter_headers(
        [], "no row", topics.USERS, 2, offset, "s3"
    )


def connects(offset: int, stage: str = "VALUE_CONVERTER") -> tuple[bytes, Headers]:
    """A dead letter of a sink connector, which writes the same one again each time that it reads the record again."""
    return f"poison {offset}".encode(), [
        ("__connect.errors.topic", topics.USERS.encode()),
        ("__connect.errors.partition", b"2"),
        ("__connect.errors.offset", str(offset).encode()),
        ("__connect.errors.stage", stage.encode()),
    ]


def write(bootstrap: str, dead_letters: Sequence[tuple[bytes | None, Headers]]) -> None:
    """Over all partitions in turn, as records without a key may be."""
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
    for number, (value, headers) in enumerate(dead_letters):
        producer.produce(DLQ, value, headers=headers, partition=number % 3)
    assert producer.flush(SECONDS) == 0


def went_back(bootstrap: str) -> Counter[bytes]:
    return Counter(record.value or b"" for record in read_all(bootstrap, topics.USERS))


def once(*offsets: int) -> Counter[bytes]:
    return Counter(f"poison {offset}".encode() for offset in offsets)


def test_what_went_back_does_not_go_twice(kafka: str) -> None:
    write(kafka, [ours(1), ours(2), ours(3)])
    assert "3 dead letters replayed" in replay(kafka)
    assert "0 dead letters replayed" in replay(kafka)
    assert went_back(kafka) == once(1, 2, 3)
    write(kafka, [ours(4)])
    assert f"{DLQ}: 1 dead letter would be replayed" in replay(kafka, "--dry-run")
    assert "1 dead letter replayed" in replay(kafka)
    assert went_back(kafka) == once(1, 2, 3, 4)


def test_a_record_that_was_too_large_for_its_dead_letter_is_not_replayed_as_an_empty_one(kafka: str) -> None:
    write(kafka, [(None, ours(1)[1]), ours(2)])
    said = replay(kafka)
    assert "1 not replayed, it has no content: no row" in said
    assert "1 dead letter replayed" in said
    assert went_back(kafka) == once(2)


def test_a_topic_that_was_made_again_is_read_from_its_start(kafka: str) -> None:
    write(kafka, [ours(1), ours(2), ours(3)])
    assert "3 dead letters replayed" in replay(kafka)
    delete(kafka, [DLQ])
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.create_topics([NewTopic(DLQ, 3, 1)])[DLQ].result(SECONDS)
    # As many as before, so that only the topic's id tells the one from the other.
    write(kafka, [ours(4), ours(5), ours(6)])
    assert "3 dead letters replayed" in replay(kafka)
    assert "0 dead letters replayed" in replay(kafka)
    assert went_back(kafka) == once(1, 2, 3, 4, 5, 6)


def test_copies_of_a_dead_letter_go_back_once(kafka: str) -> None:
    write(kafka, [connects(number) for _ in range(13) for number in range(5)])
    assert f"{DLQ}: 5 dead letters would be replayed" in replay(kafka, "--dry-run")
    assert f"{DLQ}: 5 dead letters replayed" in replay(kafka)
    # The outage goes on: the sink reads the same records again.
    write(kafka, [connects(number, stage="TASK_PUT") for _ in range(3) for number in range(5)])
    answer = replay(kafka)
    assert f"{DLQ}: 0 dead letters replayed" in answer
    assert "15 copies" in answer
    # What was refused again is another record: it has an offset of its own.
    write(kafka, [(b"poison 0", [(TRIES, b"1"), *connects(5)[1]])] * 2)
    assert f"{DLQ}: 1 dead letter replayed" in replay(kafka)
    assert went_back(kafka) == once(0, 1, 2, 3, 4) + once(0)


def of_kind(offset: int, reason: str) -> tuple[bytes, Headers]:
    return f"poison {offset}".encode(), dead_letter_headers([], reason, topics.USERS, 2, offset, "s3")


def test_those_of_one_kind_go_back_and_the_others_later(kafka: str) -> None:
    write(kafka, [of_kind(number, f"too large: {number} bytes" if number % 2 else "no row") for number in range(12)])
    wrong = run(kafka, "replay_dlq", DLQ, "--reason", "too small")
    assert wrong.returncode == 1
    assert wrong.stderr == (
        "error: no dead letter to replay has the reason 'too small'; there are\n     6 no row\n     6 too large: N bytes\n"
    )
    kind = "--reason=too large: N bytes"
    dry = replay(kafka, kind, "--limit=2", "--dry-run")
    assert dry.splitlines() == [
        "     2 to users: too large: N bytes",
        f"{DLQ}: 2 dead letters would be replayed, 10 others stay",
    ]
    assert f"{DLQ}: 2 dead letters replayed, 10 others stay" in replay(kafka, kind, "--limit=2")
    assert f"{DLQ}: 4 dead letters replayed, 6 others stay" in replay(kafka, kind)
    assert set(went_back(kafka)) == {f"poison {number}".encode() for number in range(12) if number % 2}
    assert f"{DLQ}: 6 dead letters replayed\n" in replay(kafka)
    assert went_back(kafka) == once(*range(12))
    nothing = run(kafka, "replay_dlq", DLQ, kind)
    assert nothing.returncode == 1
    assert nothing.stderr.endswith("has the reason 'too large: N bytes'; there are none at all\n")


def test_one_that_no_note_can_name_waits_behind_those_that_stay(kafka: str) -> None:
    headers: Headers = [(REASON, b"no row"), (SOURCE_TOPIC, topics.USERS.encode())]
    write(
        kafka, [ours(0), ours(1), ours(2), (b"poison 7", headers)]
    )  # the last one is on the partition of the first one
    assert "2 dead letters replayed, 2 others stay" in replay(kafka, "--limit", "2")
    assert "2 dead letters replayed\n" in replay(kafka)
    assert went_back(kafka) == once(7) + Counter(f"poison {number}".encode() for number in range(3))


@pytest.mark.parametrize("limit", ["0", "many"])
def test_a_limit_that_is_none(limit: str) -> None:
    answer = run("nowhere:1", "replay_dlq", DLQ, f"--limit={limit}")
    assert answer.returncode == 2
    assert f"argument --limit: '{limit}' must be a whole number of at least 1" in answer.stderr


def test_a_cluster_without_the_topic_of_positions_is_told_what_to_do(kafka: str) -> None:
    delete(kafka, [topics.DLQ_REPLAYS])
    try:
        answer = run(kafka, "replay_dlq", DLQ)
        assert answer.returncode == 1
        assert f"error: there is no topic {topics.DLQ_REPLAYS}: start the stack again to create it" in answer.stderr
    finally:
        run(kafka, "init_kafka")
