"""The archiver's pure parts, and its sink with a stub in the place of S3."""

import gzip
import json
from collections import Counter
from itertools import accumulate
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from confluent_kafka import KafkaError, KafkaException
from hypothesis import given, settings
from hypothesis import strategies as st
from quixstreams.sinks import SinkBackpressureError

from contracts import topics
from contracts.dead_letters import REASON, SERVICE, SOURCE_OFFSET, SOURCE_PARTITION, SOURCE_TOPIC
from contracts.models import TransactionResult, UserRow
from local.s3_archiver.rules import NotARow, Row, object_name, objects, row_line
from local.s3_archiver.settings import Settings
from local.s3_archiver.sink import ArchiveSink, TopicRecreated
from runtime.incarnations import token
from tests.support.metrics import Increase

SECRET = "not-for-the-log"
DAY = 24 * 3600 * 1000  # milliseconds
USER: dict[str, Any] = {name: name.lower() for name in UserRow.model_fields} | {"SOURCE_PROCESS": "ksql"}
RESULT: dict[str, Any] = {name: name.lower() for name in TransactionResult.model_fields} | {
    "AMOUNT": 12.5,
    "SOURCE_PROCESS": "kafka-streams",
}


def encoded(row: dict[str, Any], **changes: Any) -> bytes:
    return json.dumps(row | changes).encode()


@pytest.mark.parametrize(
    ("topic", "row"), [(topics.USERS, USER), (topics.FRAUDULENT_TRANSACTIONS_RESULT, RESULT)], ids=["user", "result"]
)
def test_a_row_is_a_line_of_the_contracts_fields(topic: str, row: dict[str, Any]) -> None:
    value = json.dumps(row | {"UNKNOWN": {"$a": [1]}, "amount": 1}, indent=1).encode()
    line = row_line(topic, value)
    assert json.loads(line) == row
    assert b"\n" not in line
    assert row_line(topic, json.dumps(row, ensure_ascii=False).encode()) == line


@pytest.mark.parametrize(
    "value",
    [None, b"", b"not json", b"[1]", b'"text"', b"1", b"null", b"NaN", b"{}", b"\xff{}", b'{"a":' * 5000]
    + [encoded(USER) + encoded(USER), encoded(USER) + b"x", encoded(USER).replace(b'"name"', b'"\\ud800"')]
    + [encoded(USER, NAME=value) for value in (1, 1.5, True, None, {}, [])]
    + [encoded({key: value for key, value in USER.items() if key != "SSN"}), encoded(USER, ID="")],
)
def test_what_is_no_user_is_refused_with_a_reason(value: bytes | None) -> None:
    with pytest.raises(NotARow, match=r"\S"):
        row_line(topics.USERS, value)


@pytest.mark.parametrize(
    "amount", ["true", '"12.5"', '"1_000"', "1e400", "-1e400", "NaN", "Infinity", "null", "{}", "[1]", '"NaN"', "01"]
)
def test_an_amount_is_a_finite_number(amount: str) -> None:
    value = encoded(RESULT).replace(b"12.5", amount.encode())
    with pytest.raises(NotARow):
        row_line(topics.FRAUDULENT_TRANSACTIONS_RESULT, value)


@pytest.mark.parametrize("amount", ["0", "12", "-3.5", "1.0E7", "0.1", "1e300"])
def test_a_number_keeps_its_value(amount: str) -> None:
    line = row_line(topics.FRAUDULENT_TRANSACTIONS_RESULT, encoded(RESULT).replace(b"12.5", amount.encode()))
    assert json.loads(line)["AMOUNT"] == float(amount)


def test_a_reason_does_not_quote_the_value() -> None:
    with pytest.raises(NotARow) as refused:
        row_line(topics.USERS, encoded(USER, SSN=["123-45-6789"], NAME=1))
    assert "123-45-6789" not in str(refused.value)
    assert "SSN" in str(refused.value)
    assert "NAME" in str(refused.value)


def test_the_name_says_topic_day_incarnation_partition_and_start_offset() -> None:
    name = object_name("p/q", "users", "2026-11-25", "0a1b2c3d", 3, 42)
    assert name == "p/q/users/dt=2026-11-25/users-0a1b2c3d-3-00000000000000000042.jsonl.gz"


def test_an_incarnation_is_short_and_another_for_each_id() -> None:
    first, second = token("tVp3Kj0bQSe-_x1yq7FvDA"), token("tVp3Kj0bQSe-_x1yq7FvDB")
    assert first != second
    assert first.isalnum()
    assert len(first) == 8


def test_a_days_rows_are_one_object() -> None:
    midnight = 20_000 * DAY
    rows = [Row(7, midnight - 1, b"a"), Row(8, midnight, b"b"), Row(9, midnight - 1, b"c")]
    found = {name: gzip.decompress(content) for name, content in objects("p", "users", "i", 0, rows).items()}
    assert found == {
        "p/users/dt=2024-10-03/users-i-0-00000000000000000007.jsonl.gz": b"a\nc\n",
        "p/users/dt=2024-10-04/users-i-0-00000000000000000008.jsonl.gz": b"b\n",
    }
    assert objects("p", "users", "i", 0, rows) == objects("p", "users", "i", 0, rows)


@pytest.mark.parametrize(("timestamp", "day"), [(-1, "1970-01-01"), (0, "1970-01-01"), (10**18, "9999-12-31")])
def test_every_timestamp_has_a_day(timestamp: int, day: str) -> None:
    (name,) = objects("p", "users", "i", 0, [Row(0, timestamp, b"a")])
    assert f"/dt={day}/" in name


@settings(max_examples=500)
@given(
    rows=st.lists(st.tuples(st.integers(1, 2), st.integers(0, 2)), min_size=1, max_size=10),
    tries=st.lists(st.tuples(st.integers(1, 5), st.none() | st.integers(0, 3)), max_size=10),
)
def test_no_line_is_lost_or_there_twice_wherever_checkpoints_are_cut(
    rows: list[tuple[int, int]], tries: list[tuple[int, int | None]]
) -> None:
    """Also when clocks go back over midnight, when offsets have gaps, and when tries fail in the middle of their objects.

    `rows` are gap and day of each, `tries` the length of each checkpoint and after how many objects it fails, if it does.
    """
    offsets = accumulate(gap for gap, _ in rows)
    archived = [
        Row(offset, day * DAY, b"%d" % at) for at, (offset, (_, day)) in enumerate(zip(offsets, rows, strict=True))
    ]
    bucket: dict[str, bytes] = {}
    start = 0
    for length, fails_after in [*tries, (len(archived), None)]:
        checkpoint = archived[start : start + length]
        written = list(objects("p", "users", "i", 0, checkpoint).items())
        bucket.update(written[:fails_after])
        start += len(checkpoint) if fails_after is None else 0
    lines = Counter(line for content in bucket.values() for line in gzip.decompress(content).splitlines())
    assert lines == Counter(row.line for row in archived)


class StubS3:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.error: Exception | None = None

    def put_object(self, **call: Any) -> None:
        if self.error:
            raise self.error
        assert call["Bucket"] == "bucket"
        self.objects[call["Key"]] = gzip.decompress(call["Body"])


class StubBroker:
    def __init__(self) -> None:
        self.incarnations: dict[str, str] = dict.fromkeys((topics.USERS, topics.FRAUDULENT_TRANSACTIONS_RESULT), "i")
        self.error: Exception | None = None

    def __call__(self) -> dict[str, str]:
        if self.error:
            raise self.error
        return dict(self.incarnations)


class StubProducer:
    def __init__(self) -> None:
        self.produced: list[tuple[str, Any]] = []

    def produce(self, topic: str, *, value: Any, key: Any, headers: Any) -> None:
        self.produced.append((topic, {"value": value, "key": key, "headers": dict(headers)}))


@pytest.fixture
def s3() -> StubS3:
    return StubS3()


@pytest.fixture
def producer() -> StubProducer:
    return StubProducer()


@pytest.fixture
def broker() -> StubBroker:
    return StubBroker()


@pytest.fixture
def sink(s3: StubS3, producer: StubProducer, broker: StubBroker) -> ArchiveSink:
    archiver = Settings.model_validate(
        {
            "s3_bucket": "bucket",
            "s3_prefix": "prefix",
            "aws_access_key_id": "key",
            "aws_secret_access_key": SECRET,
            "aws_region": "us-east-1",
        }
    )
    sink = ArchiveSink(archiver, producer, broker)
    sink._client = s3
    return sink


def add(sink: ArchiveSink, value: bytes | None, offset: int, topic: str = topics.USERS) -> None:
    sink.add(value, b"key", 1000, [("h", b"v")], topic, 2, offset)


def test_a_checkpoint_is_one_object_per_topic_and_partition(sink: ArchiveSink, s3: StubS3) -> None:
    rows = {offset: USER | {"ID": str(offset)} for offset in (7, 8)}
    for offset, row in rows.items():
        add(sink, encoded(row), offset)
    add(sink, encoded(RESULT), 3, topics.FRAUDULENT_TRANSACTIONS_RESULT)
    sink.flush()
    found = {name: [json.loads(line) for line in content.splitlines()] for name, content in s3.objects.items()}
    results = "prefix/fraudulent-transactions-result/dt=1970-01-01/fraudulent-transactions-result"
    assert found == {
        "prefix/users/dt=1970-01-01/users-i-2-00000000000000000007.jsonl.gz": list(rows.values()),
        f"{results}-i-2-00000000000000000003.jsonl.gz": [RESULT],
    }


def test_each_object_is_a_sign_of_life(sink: ArchiveSink, s3: StubS3, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many partitions, or an S3 that is slow, take longer than the client may be silent."""
    heard: list[int] = []
    monkeypatch.setattr("local.s3_archiver.sink.alive", lambda _: heard.append(len(s3.objects)))
    add(sink, encoded(USER), 7)
    add(sink, encoded(RESULT), 3, topics.FRAUDULENT_TRANSACTIONS_RESULT)
    sink.flush()
    assert heard == [1, 2]


def test_what_is_not_a_row_is_a_dead_letter_with_its_place(
    sink: ArchiveSink, s3: StubS3, producer: StubProducer
) -> None:
    add(sink, None, 7)
    add(sink, encoded(USER), 8)
    sink.flush()
    assert list(s3.objects) == ["prefix/users/dt=1970-01-01/users-i-2-00000000000000000008.jsonl.gz"]
    ((topic, dead_letter),) = producer.produced
    assert topic == topics.S3_SINK_DLQ
    assert (dead_letter["value"], dead_letter["key"]) == (None, b"key")
    assert dead_letter["headers"] == {
        "h": b"v",
        REASON: b"value is null",
        SOURCE_TOPIC: b"users",
        SOURCE_PARTITION: b"2",
        SOURCE_OFFSET: b"7",
        SERVICE: b"s3-archiver",
    }


def test_a_topic_that_was_created_again_ends_the_sink_before_it_writes(
    sink: ArchiveSink, s3: StubS3, broker: StubBroker
) -> None:
    add(sink, encoded(USER), 7)
    broker.incarnations[topics.USERS] = "another"
    with pytest.raises(TopicRecreated, match="users"):
        sink.flush()
    assert not s3.objects


def test_nothing_is_written_while_the_broker_does_not_name_the_topics(
    sink: ArchiveSink, s3: StubS3, broker: StubBroker
) -> None:
    add(sink, encoded(USER), 7)
    broker.error = KafkaException(KafkaError(KafkaError._TIMED_OUT))
    with pytest.raises(SinkBackpressureError):
        sink.flush()
    assert not s3.objects
    broker.error = None
    sink.flush()
    assert not s3.objects  # Quix reads the records again: here they have not come yet


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="http://s3"),
        ClientError({"Error": {"Code": "NoSuchBucket", "Message": "no such bucket"}}, "PutObject"),
    ],
)
def test_while_s3_is_down_nothing_is_kept_and_no_dead_letter_is_sent(
    sink: ArchiveSink, s3: StubS3, producer: StubProducer, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    s3.error = error
    add(sink, encoded(USER, SSN="123-45-6789"), 7)
    add(sink, b"[]", 8)
    with pytest.raises(SinkBackpressureError):
        sink.flush()
    assert not producer.produced
    assert "123-45-6789" not in caplog.text
    assert SECRET not in caplog.text

    s3.error = None
    sink.flush()
    assert not s3.objects  # Quix reads the records again: here they have not come yet
    add(sink, b"[]", 8)
    sink.flush()
    assert len(producer.produced) == 1


def test_metrics_count_a_checkpoint_once_it_is_committed(sink: ArchiveSink) -> None:
    increase = Increase()
    for offset, value in enumerate((encoded(USER), encoded(USER), b"[]")):
        add(sink, value, offset)
    sink.flush()
    assert increase.of("archiver_rows_total") == 0
    sink.committed()
    counted = [increase.of(f"archiver_{what}_total") for what in ("rows", "objects", "dead_letters")]
    assert counted == [2, 1, 1]
    assert increase.of("kafka_consumergroup_last_commit_timestamp_seconds", group="s3-archiver") > 0
