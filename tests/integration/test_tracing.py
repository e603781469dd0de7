"""One trace from the bank to the result and the worker: the local stack, and a collector that takes its spans by OTLP."""

import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from contracts import topics
from contracts.dead_letters import REASON
from contracts.traceparent import TRACEPARENT
from local.plan import PYTHON_SOURCES
from local.settings import ROOT
from runtime.services import BANK, INGESTOR, KAFKA_CONNECT, PROCESSOR
from tests.support.otlp import Collector, Exported, running_collector
from tests.support.stack import Stack, running_stack, wait_until
from tests.support.topics import Record, read_all

pytestmark = pytest.mark.long
SENT, SENT_OFF = 30, 5
BANK_SETTINGS = {"BANK_RATE": "0", "BANK_CUSTOMERS": "10", "BANK_FRAUDULENT_SHARE": "0.5"}
SECONDS = 60
SPANS = ("send bank-transactions", "process bank-transactions", "process unidentified-transactions")
TOPICS = (
    topics.BANK_TRANSACTIONS,
    topics.FRAUDULENT_TRANSACTIONS_RESULT,
    topics.BANK_TRANSACTIONS_DLQ,
    topics.USERS,
)


def sent_without_tracing(stack: Stack) -> None:
    """Have another bank send a few transactions, which is not traced, and wait until they are there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bank"],
        cwd=ROOT,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("OTEL_")},
            **BANK_SETTINGS,
            "BANK_COUNT": str(SENT_OFF),
            "BANK_SEED": "1",
            "PYTHONPATH": os.pathsep.join(map(str, PYTHON_SOURCES)),
            "KAFKA_BOOTSTRAP_SERVERS": stack.kafka,
        },
    )
    try:
        wait_until(lambda: len(read_all(stack.kafka, topics.BANK_TRANSACTIONS)) == SENT + SENT_OFF, SECONDS, "sent")
    finally:
        process.terminate()
        assert process.wait(SECONDS) == 0


def run(folder: Path, collector: Collector) -> list[list[Record]]:
    """Send transactions through a stack that is traced; the records of its topics. Its end exports the last spans."""
    environment = {
        **BANK_SETTINGS,
        "BANK_COUNT": str(SENT),
        "BANK_SEED": "2",
        "BANK_POISON_SHARE": "0.3",
        "VALIDATOR_FRAUDULENT_SHARE": "1",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_TRACES_SAMPLER_ARG": "1",
    }
    with running_stack(folder, environment) as stack:
        sent_without_tracing(stack)

        def done() -> bool:
            rows, dead, users = (read_all(stack.kafka, topic) for topic in TOPICS[1:])
            return len(rows) + len(dead) == SENT + SENT_OFF and len(users) == 2 * len(rows)

        wait_until(done, SECONDS, "every transaction has its rows or its dead letter")
        found = [read_all(stack.kafka, topic) for topic in TOPICS]
        rows = len(found[1]) + len(found[3])
        wait_until(lambda: len(stored(collector)) == rows, SECONDS, "the worker has sent a span for each row")
    return found


def stored(collector: Collector) -> list[Exported]:
    """The worker's spans of rows."""
    names = {f"{topic} process" for topic in (topics.FRAUDULENT_TRANSACTIONS_RESULT, topics.USERS)}
    return [span for span in collector.spans if span.service == KAFKA_CONNECT and span.name in names]


def test_one_trace_spans_the_stack(tmp_path: Path) -> None:
    with running_collector() as collector:
        sent, rows, dead, users = run(tmp_path / "local", collector)
    spans = {(span.service, key_of(span)): span for span in collector.spans if span.name in SPANS}
    calls = {span.parent: span for span in collector.spans if span.name == "POST /validate"}
    roots = {key for service, key in spans if service == BANK}
    assert len(roots) == SENT
    assert [record.headers for record in sent if text(record) not in roots] == [{}] * SENT_OFF, "off: no header"

    for record in sent:
        key = text(record)
        received = spans[INGESTOR, key]
        if key in roots:
            bank = spans[BANK, key]
            assert (bank.parent, record.headers) == ("", {TRACEPARENT: bank.traceparent})
            assert (received.trace, received.parent) == (bank.trace, bank.span)
        else:
            assert received.parent == "", "a record without a trace begins one at the ingestor"
    for record in dead:
        received = spans[INGESTOR, text(record)]
        assert record.headers[TRACEPARENT] == received.traceparent
        assert received.problem.encode() == record.headers[REASON]

    found_by: dict[str, int] = defaultdict(int)
    for row in rows:
        source, received = json.loads(row.value or b"")["SOURCE_PROCESS"], spans[INGESTOR, text(row)]
        found_by[source] += 1
        if source == "ksql":  # the emulator hands the headers on, as the real server does
            assert row.headers[TRACEPARENT] == received.traceparent
            continue
        judged = spans[PROCESSOR, text(row)]
        assert (judged.trace, judged.parent) == (received.trace, received.span)
        assert row.headers[TRACEPARENT] == judged.traceparent
        call = calls.pop(judged.span)
        assert (call.service, call.trace, call.problem) == (PROCESSOR, judged.trace, "")
        assert judged.start <= call.start <= call.end <= judged.end
    assert not calls
    assert min(len(dead), found_by["ksql"], found_by["kafka-streams"]) > 0, "every way was taken"
    written = Counter((record.headers[TRACEPARENT] or b"")[3:-3].decode() for record in (*rows, *users))
    assert Counter(f"{span.trace}-{span.parent}" for span in stored(collector)) == written


def key_of(span: Exported) -> str:
    return span.attributes["messaging.kafka.message.key"]


def text(record: Record) -> str:
    return (record.key or b"").decode()
