"""A service's spans by the OpenTelemetry SDK: one for each sampled record, exported in the background by OTLP over HTTP.

Nothing here can block or fail the service: spans are dropped when the collector does not take them.
"""

import logging
import math
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Thread
from typing import Any, TypeVar
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Span, SpanKind, StatusCode, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from contracts.records import Headers, Position, Record
from contracts.traceparent import (
    TRACEPARENT,
    new_traceparent,
    not_sampled,
    traceparent,
    value_of,
    with_traceparent,
)

logger = logging.getLogger(__name__)

# Seconds for the last spans to be exported when a service stops.
CLOSE_SECONDS = 1.5
LOG_SECONDS = 60.0
# A key is an id of some dozen characters, unless whoever wrote it meant harm.
MAX_KEY = 128  # bytes

_PROPAGATOR = TraceContextTextMapPropagator()

Outcome = TypeVar("Outcome")
Report = Callable[[Any, Any], None]


class _Exporter(OTLPSpanExporter):
    """Reads the endpoint and its other settings from the environment; its failures are logged at most once per minute."""

    def __init__(self, endpoint: str) -> None:
        super().__init__()
        self._collector = urlsplit(endpoint).netloc.rpartition("@")[2]
        self._logged_at = -math.inf

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = super().export(spans)
        except Exception:
            result = SpanExportResult.FAILURE
        if result is not SpanExportResult.SUCCESS and time.monotonic() - self._logged_at >= LOG_SECONDS:
            self._logged_at = time.monotonic()
            logger.warning("spans are dropped: the collector %s does not take them", self._collector)
        return result


class Tracer:
    """The spans of one service. `share` is that of the new traces which are sampled, from 0 to 1.

    A record with a valid `traceparent` is sampled if its flags say so. With any other a trace may begin here.
    """

    def __init__(self, service: str, share: float, endpoint: str) -> None:
        self._share = share
        # Whether a record is sampled is known before it gets a span: the others cost nothing but that.
        self._provider = TracerProvider(ALWAYS_ON, Resource.create({SERVICE_NAME: service}), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(_Exporter(endpoint)))
        self._tracer = self._provider.get_tracer("realtime-fraud-detection")
        self._open: dict[Position, Span] = {}
        # The SDK logs each failed export and each span that a full queue drops; the exporter above is enough.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)

    def sending(self, topic: str, key: str, report: Report) -> tuple[Headers, Report]:
        """The headers of a new record, and the delivery report that ends its span, and then calls `report`.

        A record that is not sampled has a header as well: so no trace begins where it is read.
        """
        if random.random() >= self._share:
            return [(TRACEPARENT, new_traceparent(sampled=False))], report
        span = self._start("send", SpanKind.PRODUCER, topic, key, Context())

        def reported(error: Any, message: Any) -> None:
            if error is not None:
                _fail(span, str(error))
            span.end()
            report(error, message)

        return [(TRACEPARENT, _value(span))], reported

    def follow(self, record: Record) -> Record:
        """A sampled record, with the `traceparent` for what is written because of it; its span begins. Any other as it is."""
        if record.headers is None:
            return record
        value = value_of(record.headers)
        if not_sampled(value):
            return record
        context = context_of(value)
        parent = get_current_span(context).get_span_context()
        if parent.is_valid:
            if not parent.trace_flags.sampled:
                return record
        elif random.random() >= self._share:
            return record
        span = self._start("process", SpanKind.CONSUMER, record.topic, record.key, context)
        span.set_attribute("messaging.destination.partition.id", str(record.partition))
        span.set_attribute("messaging.kafka.offset", record.offset)
        self._open[record.position] = span
        return record._replace(headers=with_traceparent(record.headers, _value(span)))

    def call(
        self, position: Position, name: str, future: "Future[Outcome]", problem: Callable[[Outcome], str | None]
    ) -> None:
        """A child of the record's span, until the future is done. `problem`: why the outcome is an error, or None."""
        parent = self._open.get(position)
        if parent is None:
            return
        span = self._tracer.start_span(name, set_span_in_context(parent, Context()), SpanKind.CLIENT)

        def done(future: "Future[Outcome]") -> None:
            _fail(span, problem(future.result()))
            span.end()

        future.add_done_callback(done)

    def refused(self, position: Position, reason: str) -> None:
        """The record at this position has become a dead letter."""
        if (span := self._open.get(position)) is not None:
            _fail(span, reason)

    def end(self, committed: bool) -> None:
        """End the open spans: their transaction was committed, or aborted, so that their records are read again."""
        for span in self._open.values():
            if not committed:
                _fail(span, "the transaction was aborted, and the record is read again")
            span.end()
        self._open.clear()

    def close(self) -> None:
        """Export what has ended, for a second or two at the most."""
        # The SDK waits up to half a minute for a collector that does not answer; as a daemon the thread keeps no process.
        thread = Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        thread.start()
        thread.join(CLOSE_SECONDS)

    def _start(self, operation: str, kind: SpanKind, topic: str, key: str | bytes | None, context: Context) -> Span:
        """A span by OpenTelemetry's conventions for messaging. The key is the transaction's id."""
        attributes = {
            "messaging.system": "kafka",
            "messaging.operation.type": operation,
            "messaging.operation.name": operation,
            "messaging.destination.name": topic,
        }
        if key is not None:
            text = key if isinstance(key, str) else key[:MAX_KEY].decode(errors="replace")
            attributes["messaging.kafka.message.key"] = text
        return self._tracer.start_span(f"{operation} {topic}", context, kind, attributes)


def context_of(value: bytes | None) -> Context:
    """With the span in a header's value as the current one; empty when there is none, or a malformed one."""
    return _PROPAGATOR.extract({TRACEPARENT: value.decode(errors="replace")} if value else {}, Context())


def _value(span: Span) -> bytes:
    context = span.get_span_context()
    return traceparent(context.trace_id, context.span_id, sampled=True)


def _fail(span: Span, reason: str | None) -> None:
    if reason is not None:
        span.set_status(StatusCode.ERROR, reason)
