"""The archiver's pure parts, and its sink with a stub in the place of S3."""

import gzip
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from quixstreams.sinks import SinkBackpressureError

from contracts import topics
from contracts.dead_letters import REASON, SERVICE, SOURCE_OFFSET, SOURCE_PARTITION, SOURCE_TOPIC
from local.s3_archiver.rows import object_name, refusal, to_object
from local.s3_archiver.settings import Settings
from local.s3_archiver.sink import ArchiveSink
from tests.support.metrics import Increase

SECRET = "not-for-the-log"


@pytest.mark.parametrize("value", [b"{}", b'{"ID": "1"}', b' {"a": {"b": [1, null]}}\n', '{"NAME": "Zoë"}'.encode()])
def test_an_object_is_a_row(value: bytes) -> None:
    assert refusal(value) is None


@pytest.mark.parametrize(
    "value",
    [None, b"", b"not json", b"[1]", b'"text"', b"1", b"null", b"NaN", b'{"a": NaN}', b"\xff{}", b'{"a":' * 5000],
)
def test_anything_else_is_refused_with_a_reason(value: bytes | None) -> None:
    assert refusal(value)


def test_a_reason_does_not_quote_the_value() -> None:
    assert "123-45-6789" not in str(refusal(b"123-45-6789"))


def test_an_object_holds_the_bare_values_one_a_line() -> None:
    values = [b'{"AMOUNT":1.0E7,"B":"x"}', '{"NAME":"Zoë\\n"}'.encode(), b'{\r\n "ID": "1"\n}']
    lines = gzip.decompress(to_object(values)).split(b"\n")
    assert lines[:2] == values[:2]
    assert json.loads(lines[2]) == {"ID": "1"}
    assert lines[3:] == [b""]


def test_the_same_values_give_the_same_bytes() -> None:
    assert to_object([b"{}"]) == to_object([b"{}"])


def test_the_name_says_topic_partition_and_start_offset() -> None:
    assert object_name("p/q", "users", 3, 42) == "p/q/users/users-3-00000000000000000042.jsonl.gz"


class StubS3:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.error: Exception | None = None

    def put_object(self, **call: Any) -> None:
        if self.error:
            raise self.error
        assert call["Bucket"] == "bucket"
        self.objects[call["Key"]] = gzip.decompress(call["Body"])


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
def sink(s3: StubS3, producer: StubProducer) -> ArchiveSink:
    settings = Settings.model_validate(
        {
            "s3_bucket": "bucket",
            "s3_prefix": "prefix",
            "aws_access_key_id": "key",
            "aws_secret_access_key": SECRET,
            "aws_region": "us-east-1",
        }
    )
    sink = ArchiveSink(settings, producer)
    sink._client = s3  # pyright: ignore[reportAttributeAccessIssue]
    return sink


def add(sink: ArchiveSink, value: bytes | None, offset: int, topic: str = topics.USERS) -> None:
    sink.add(value, b"key", 1000, [("h", b"v")], topic, 2, offset)


def test_a_checkpoint_is_one_object_per_topic_and_partition(sink: ArchiveSink, s3: StubS3) -> None:
    for offset in (7, 8):
        add(sink, b'{"ID":"%d"}' % offset, offset)
    add(sink, b"{}", 3, topics.FRAUDULENT_TRANSACTIONS_RESULT)
    sink.flush()
    assert s3.objects == {
        "prefix/users/users-2-00000000000000000007.jsonl.gz": b'{"ID":"7"}\n{"ID":"8"}\n',
        "prefix/fraudulent-transactions-result/fraudulent-transactions-result-2-00000000000000000003.jsonl.gz": b"{}\n",
    }


def test_what_is_not_a_row_is_a_dead_letter_with_its_place(
    sink: ArchiveSink, s3: StubS3, producer: StubProducer
) -> None:
    add(sink, None, 7)
    add(sink, b"{}", 8)
    sink.flush()
    assert list(s3.objects) == ["prefix/users/users-2-00000000000000000008.jsonl.gz"]
    ((topic, letter),) = producer.produced
    assert topic == topics.S3_SINK_DLQ
    assert (letter["value"], letter["key"]) == (None, b"key")
    assert letter["headers"] == {
        "h": b"v",
        REASON: b"value is null",
        SOURCE_TOPIC: b"users",
        SOURCE_PARTITION: b"2",
        SOURCE_OFFSET: b"7",
        SERVICE: b"s3-archiver",
    }


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="http://s3"),
        ClientError({"Error": {"Code": "NoSuchBucket", "Message": "no such bucket"}}, "PutObject"),
    ],
)
def test_while_s3_is_down_nothing_is_kept_and_no_letter_is_sent(
    sink: ArchiveSink, s3: StubS3, producer: StubProducer, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    s3.error = error
    add(sink, b'{"SSN":"123-45-6789"}', 7)
    add(sink, b"[]", 8)
    with pytest.raises(SinkBackpressureError):
        sink.flush()
    sink.on_paused()
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
    for offset, value in enumerate((b"{}", b"{}", b"[]")):
        add(sink, value, offset)
    sink.flush()
    assert increase.of("archiver_rows_total") == 0
    sink.committed()
    counted = [increase.of(f"archiver_{what}_total") for what in ("rows", "objects", "dead_letters")]
    assert counted == [2, 1, 1]
    assert increase.of("kafka_consumergroup_last_commit_timestamp_seconds", group="s3-archiver") > 0
