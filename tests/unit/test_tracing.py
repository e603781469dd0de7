"""W3C trace context in the records' headers, and the spans of a service, against a collector that takes them by OTLP."""

import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from threading import Event
from typing import Any

import pytest
from confluent_kafka import KafkaError
from opentelemetry.trace import get_current_span
from quixstreams.sinks import SinkBackpressureError

from contracts.dead_letters import SOURCE_OFFSET, SOURCE_PARTITION, SOURCE_TOPIC, identity
from contracts.records import Headers, Position, Record
from contracts.traceparent import not_sampled, traceparent, value_of, with_traceparent
from ingestor.loop import ingest
from local.plan import PYTHON_SOURCES
from local.settings import ROOT
from processor.sink import ValidatingSink
from processor.validator import Outage, Refusal
from runtime.errors import UserError
from runtime.spans import CLOSE_SECONDS, Tracer, context_of
from runtime.tracing import Settings, tracer
from tests.support.otlp import Collector, running_collector
from tests.unit import test_ingestor, test_processor

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{SPAN}-01".encode(), f"00-{TRACE}-{SPAN}-00".encode()
PARENT = (int(TRACE, 16), int(SPAN, 16), True)
MALFORMED = [
    None,
    b"",
    b"abc",
    SAMPLED[:-1],
    SAMPLED + b"0",
    SAMPLED + b"-more",  # only a later version may have more
    SAMPLED.upper(),
    SAMPLED.replace(b"00-", b"ff-", 1),
    f"00-{'0' * 32}-{SPAN}-01".encode(),
    f"00-{TRACE}-{'0' * 16}-01".encode(),
    SAMPLED.replace(b"-", b"_"),
    b"\xff\xfe" * 30,
]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with running_collector() as running:
        yield running


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("runtime.spans.CLOSE_SECONDS", 60.0)  # a busy machine needs more to export what has ended


def record(*headers: tuple[str, bytes | None], offset: int = 7) -> Record:
    return Record(b"{}", b"t1", list(headers), (0, 0), "bank-transactions", 2, offset)


def started(monkeypatch: pytest.MonkeyPatch, endpoint: str, share: float = 1.0) -> Tracer:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    return Tracer("a-service", share, endpoint)


def parent_of(value: bytes | None) -> tuple[int, int, bool] | None:
    parent = get_current_span(context_of(value)).get_span_context()
    return (parent.trace_id, parent.span_id, parent.trace_flags.sampled) if parent.is_valid else None


def test_a_parent_is_read() -> None:
    assert parent_of(SAMPLED) == PARENT
    assert parent_of(UNSAMPLED) == (*PARENT[:2], False)
    assert parent_of(SAMPLED[:-1] + b"3") == PARENT, "the second flag: the trace id is random"
    later = b"cc" + SAMPLED[2:]
    assert parent_of(later) == parent_of(later + b"-what-it-may-have") == PARENT
    assert traceparent(*PARENT) == SAMPLED


@pytest.mark.parametrize("value", MALFORMED)
def test_a_malformed_header_counts_as_none(value: bytes | None) -> None:
    assert parent_of(value) is None
    assert not not_sampled(value)


def test_the_last_header_counts_and_is_replaced_by_one() -> None:
    headers: Headers = [("traceparent", b"x"), ("other", b"1"), ("traceparent", SAMPLED)]
    assert value_of(headers) == SAMPLED
    assert with_traceparent(headers, UNSAMPLED) == [("other", b"1"), ("traceparent", UNSAMPLED)]


def test_copies_of_a_dead_letter_are_one_whatever_their_spans() -> None:
    source: Headers = [(SOURCE_TOPIC, b"users"), (SOURCE_PARTITION, b"1"), (SOURCE_OFFSET, b"2")]
    plain = identity(b"v", b"k", source)
    assert identity(b"v", b"k", [("traceparent", SAMPLED), ("tracestate", b"a=b"), *source]) == plain
    assert identity(b"v", b"k", [("other", b""), *source]) != plain


def test_a_sampled_record_gets_a_span_and_hands_it_on(monkeypatch: pytest.MonkeyPatch, collector: Collector) -> None:
    service = started(monkeypatch, collector.endpoint)
    followed = service.follow(record(("traceparent", SAMPLED), ("tracestate", b"vendor=1"), ("bank.timestamp", b"5")))
    service.end(committed=True)
    service.close()
    (span,) = collector.spans
    assert (span.service, span.name) == ("a-service", "process bank-transactions")
    assert (span.trace, span.parent, span.problem) == (TRACE, SPAN, "")
    assert span.attributes["messaging.kafka.message.key"] == "t1"
    assert (span.attributes["messaging.destination.partition.id"], span.attributes["messaging.kafka.offset"]) == (
        "2",
        7,
    )
    assert followed.headers == [
        ("tracestate", b"vendor=1"),
        ("bank.timestamp", b"5"),
        ("traceparent", span.traceparent),
    ]


def test_what_is_not_sampled_passes_as_it_is(monkeypatch: pytest.MonkeyPatch, collector: Collector) -> None:
    service = started(monkeypatch, collector.endpoint)
    unreadable = record()._replace(headers=None)
    for one in (record(("traceparent", UNSAMPLED)), record(("traceparent", b"cc" + UNSAMPLED[2:])), unreadable):
        assert service.follow(one) is one
    service.end(committed=True)
    service.close()
    assert collector.spans == []


@pytest.mark.parametrize("value", MALFORMED)
def test_without_a_parent_a_trace_begins(
    value: bytes | None, monkeypatch: pytest.MonkeyPatch, collector: Collector
) -> None:
    service = started(monkeypatch, collector.endpoint)
    followed = service.follow(record(("traceparent", value)) if value else record())
    service.end(committed=True)
    service.close()
    (span,) = collector.spans
    assert (span.parent, followed.headers) == ("", [("traceparent", span.traceparent)])


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_new_traces_are_sampled_by_their_share(
    share: float, monkeypatch: pytest.MonkeyPatch, collector: Collector
) -> None:
    service, count = started(monkeypatch, collector.endpoint, share), 400
    plain = [record(offset=number) for number in range(count)]
    followed = [service.follow(one) for one in plain]
    service.end(committed=True)
    sent = [parent_of(value_of(service.sending("t", "k", print)[0])) for _ in range(count)]
    service.close()
    sampled = [one for one, before in zip(followed, plain, strict=True) if one is not before]
    assert {span.traceparent for span in collector.spans} == {value_of(one.headers or []) for one in sampled}
    assert len({parent and parent[0] for parent in sent}) == count, "what is sent says whether it is sampled"
    for number in (len(sampled), sum(parent[2] for parent in sent if parent)):
        assert abs(number - share * count) <= (count / 8 if 0 < share < 1 else 0)  # six standard deviations


def test_a_service_can_leave_the_beginning_to_others(monkeypatch: pytest.MonkeyPatch, collector: Collector) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
    with tracer("a-service", begins=False) as service:
        assert service is not None
        assert service.follow(plain := record()) is plain
        assert service.follow(traced := record(("traceparent", SAMPLED))) is not traced
        service.end(committed=True)
    (span,) = collector.spans
    assert (span.service, span.parent) == ("a-service", SPAN)


def test_a_call_is_a_span_of_its_record_s(monkeypatch: pytest.MonkeyPatch, collector: Collector) -> None:
    service = started(monkeypatch, collector.endpoint)
    refused, unsampled, future = (
        record(("traceparent", SAMPLED)),
        record(("traceparent", UNSAMPLED), offset=8),
        Future(),
    )
    for one in (refused, unsampled):
        service.follow(one)
        service.call(one.position, "POST /validate", future, lambda reason: reason)
    future.set_result("HTTP 422")
    service.refused(refused.position, "the validator refused it")
    service.end(committed=True)
    service.close()
    call, span = sorted(collector.spans, key=lambda one: one.name)
    assert (call.name, call.parent, call.trace, call.problem) == ("POST /validate", span.span, TRACE, "HTTP 422")
    assert (span.parent, span.problem) == (SPAN, "the validator refused it")


def test_an_aborted_transaction_is_in_the_trace(monkeypatch: pytest.MonkeyPatch, collector: Collector) -> None:
    service = started(monkeypatch, collector.endpoint)
    for committed in (False, True):
        service.follow(record(("traceparent", SAMPLED)))
        service.end(committed)
    service.close()
    assert sorted(span.problem for span in collector.spans) == [
        "",
        "the transaction was aborted, and the record is read again",
    ]


class Noting:
    """In place of a tracer: notes what it is called with, and marks what follows."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def follow(self, one: Record) -> Record:
        self.calls.append(one.offset)
        return one._replace(headers=with_traceparent(one.headers or [], SAMPLED))

    def call(self, position: Position, name: str, *_: Any) -> None:
        self.calls.append((position.offset, name))

    def refused(self, position: Position, reason: str) -> None:
        self.calls.append((position.offset, reason))

    def end(self, committed: bool) -> None:
        self.calls.append("committed" if committed else "aborted")


def test_the_ingestor_s_spans_end_with_their_transaction() -> None:
    aborts = KafkaError(KafkaError.ILLEGAL_GENERATION, "moved", txn_requires_abort=True)
    noting, stopping, producer = Noting(), Event(), test_ingestor.FakeProducer(aborts)
    good, bad = test_ingestor.GOOD, test_ingestor.BAD
    consumer = test_ingestor.FakeConsumer([[good], [good, bad]], stopping)
    ingest(consumer, lambda: producer, stopping, noting)  # type: ignore[arg-type]
    reason = noting.calls[-2][1]
    assert noting.calls == [5, "aborted", 5, 6, (6, reason), "committed"]
    assert [dict(headers)["traceparent"] for *_, headers in producer.committed] == [SAMPLED, SAMPLED]
    assert dict(producer.committed[1][3])["dlq.reason"].decode() == reason


def test_the_processor_s_spans_end_with_their_checkpoint() -> None:
    noting, validator, producer = Noting(), test_processor.FakeValidator(), test_processor.FakeProducer()
    sink = ValidatingSink(validator, producer, noting)  # type: ignore[arg-type]
    test_processor.add(sink, 1)
    validator.answer("t1", Outage("HTTP 500"))
    with pytest.raises(SinkBackpressureError):
        sink.flush()
    test_processor.add(sink, 1)
    validator.answer("t1", Refusal("HTTP 422"))
    sink.flush()
    sink.committed()
    call = (1, "POST /validate")
    assert noting.calls == [1, call, "aborted", 1, call, (1, "HTTP 422"), "committed"]
    ((_, dead),) = producer.produced
    assert dict(dead["headers"])["traceparent"] == SAMPLED


def test_a_sent_record_s_span_ends_with_its_delivery(monkeypatch: pytest.MonkeyPatch, collector: Collector) -> None:
    reports: list[tuple[object, object]] = []
    service = started(monkeypatch, collector.endpoint)
    headers, report = service.sending("bank-transactions", "t1", lambda *report: reports.append(report))
    report(None, "message")
    service.close()
    (span,) = collector.spans
    assert (span.name, span.parent, headers) == ("send bank-transactions", "", [("traceparent", span.traceparent)])
    assert reports == [(None, "message")]


@pytest.mark.parametrize("answers", [False, True], ids=["refuses", "accepts and is silent"])
def test_a_collector_that_is_gone_holds_nothing_up(
    answers: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    monkeypatch.setattr("runtime.spans.CLOSE_SECONDS", CLOSE_SECONDS)
    with socket.create_server(("127.0.0.1", 0)) as server, caplog.at_level(logging.INFO):
        port = server.getsockname()[1]
        if not answers:
            server.close()
        service = started(monkeypatch, f"http://user:secret@127.0.0.1:{port}")
        began = time.monotonic()
        for number in range(5_000):  # more than the queue takes
            service.follow(record(("traceparent", SAMPLED), offset=number))
        service.end(committed=True)
        assert time.monotonic() - began < 5
        deadline = time.monotonic() + 5
        while not caplog.messages and time.monotonic() < deadline:
            time.sleep(0.05)
        began = time.monotonic()
        service.close()
        assert time.monotonic() - began < CLOSE_SECONDS + 0.5
    assert caplog.messages == [f"spans are dropped: the collector 127.0.0.1:{port} does not take them"]


def test_invalid_settings_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "jaeger 4318",
        "OTEL_TRACES_SAMPLER": "traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "2",
    }.items():
        monkeypatch.setenv(name, value)
        with pytest.raises(UserError, match=f"^{name}='{value}' must be "), tracer("a-service"):
            pass
        monkeypatch.delenv(name)


def test_the_sampler_gives_the_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.25")
    shares = {"parentbased_always_on": 1, "parentbased_always_off": 0, "parentbased_traceidratio": 0.25}
    for name, share in shares.items():
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", name)
        assert Settings().share == share


def test_off_is_the_default_and_can_be_said() -> None:
    """And then nothing of OpenTelemetry is imported, by none of the three services."""
    script = (
        "import sys, bank.__main__, ingestor.__main__, processor.__main__\n"
        "from runtime.tracing import tracer\n"
        "with tracer('a-service') as tracing: assert tracing is None\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    for variables in ({}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_SDK_DISABLED": "true"}):
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONPATH": os.pathsep.join(map(str, PYTHON_SOURCES)), **variables},
            cwd=ROOT,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert done.stdout == "[]\n"
