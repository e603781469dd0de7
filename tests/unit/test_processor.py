"""The processor's rules, its sink, and its validator client against a real HTTP server."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psutil
import pytest
from confluent_kafka import TopicPartition
from quixstreams.models import Row, Topic, TopicType
from quixstreams.models.serializers import IgnoreMessage
from quixstreams.sinks import SinkBackpressureError

from contracts import topics
from contracts.dead_letters import MAX_DEAD_LETTER_BYTES, REASON, SOURCE_OFFSET
from contracts.mapping import to_validation_request
from contracts.records import MAX_TRANSACTION_BYTES, Headers, Position
from contracts.wire import Invalid, parse
from processor.rules import outputs
from processor.sink import RETRY_AFTER_SECONDS, ValidatingSink
from processor.validator import INSIST_CALLS, Outage, Outcome, Refusal, ValidatorClient, Verdict, judge
from runtime.quix import (
    CHECKPOINT_BYTES,
    RecordSink,
    commit_when_drained,
    commit_when_full,
    hold,
    readable,
    survive_rebalances,
)
from tests.support.messages import Message
from tests.support.metrics import Increase
from tests.support.samples import raw, transaction
from tests.support.stack import wait_until


def test_honest_transactions_yield_nothing() -> None:
    assert outputs(transaction(), Verdict(False)) == []


def test_fraudulent_transactions_yield_a_row_and_two_users() -> None:
    rows = outputs(transaction(evaluation="unidentified"), Verdict(True))
    assert [(row.topic, row.key) for row in rows] == [
        (topics.FRAUDULENT_TRANSACTIONS_RESULT, "t1"),
        (topics.USERS, "u1"),
        (topics.USERS, "u2"),
    ]
    value = json.loads(rows[0].value)
    assert (value["EVALUATION"], value["SOURCE_PROCESS"]) == ("fraudulent", "kafka-streams")


@pytest.mark.parametrize("value", [None, b"", b"[]", b"{", b'{"transaction_id": "t1"}'])
def test_what_is_no_transaction_is_unreadable(value: bytes | None) -> None:
    assert isinstance(parse(value, []), Invalid)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b'{"is_fraudulent_transaction": true}', Verdict),
        (200, b'{"is_fraudulent_transaction": false, "more": 1}', Verdict),
        (200, b"<html>", Outage),
        (200, b"{}", Outage),
        (200, b'{"is_fraudulent_transaction": "perhaps"}', Outage),
        (400, b"", Refusal),
        (413, b"", Refusal),
        (422, b"", Refusal),
        (302, b"", Outage),
        (401, b"", Outage),
        (404, b"", Outage),
        (408, b"", Outage),
        (429, b"", Outage),
        (500, b"", Outage),
        (503, b"", Outage),
    ],
)
def test_what_an_answer_means(status: int, body: bytes, kind: type) -> None:
    assert isinstance(judge(status, body), kind)


class FakeValidator:
    """Answers by transaction id, once `answer` is called."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.insisted: list[str] = []
        self._open: dict[str, Future[Outcome]] = {}

    def submit(self, body: bytes) -> "Future[Outcome]":
        return self._ask(body, self.asked)

    def insist(self, body: bytes) -> "Future[Outcome]":
        return self._ask(body, self.insisted)

    def _ask(self, body: bytes, calls: list[str]) -> "Future[Outcome]":
        transaction_id = json.loads(body)["transaction_id"]
        calls.append(transaction_id)
        return self._open.setdefault(transaction_id, Future())

    def cancelled(self, transaction_id: str) -> bool:
        return self._open[transaction_id].cancelled()

    def answer(self, transaction_id: str, outcome: Outcome) -> None:
        self._open.pop(transaction_id).set_result(outcome)


class FakeProducer:
    def __init__(self) -> None:
        self.produced: list[tuple[str, dict[str, Any]]] = []

    def produce(self, topic: str, **record: Any) -> None:
        self.produced.append((topic, record))


def place(offset: int) -> Position:
    return Position(topics.UNIDENTIFIED_TRANSACTIONS, 0, offset)


def add(sink: ValidatingSink, offset: int, value: bytes | None = None) -> None:
    body = value or json.dumps(raw(transaction_id=f"t{offset}", evaluation="unidentified")).encode()
    sink.add(body, b"key", 1700000000000, [("trace", b"1")], topics.UNIDENTIFIED_TRANSACTIONS, 0, offset)


@pytest.fixture
def parts() -> tuple[ValidatingSink, FakeValidator, FakeProducer]:
    validator, producer = FakeValidator(), FakeProducer()
    return ValidatingSink(validator, producer), validator, producer


Parts = tuple[ValidatingSink, FakeValidator, FakeProducer]


def test_calls_start_at_once_and_results_keep_the_order(parts: Parts) -> None:
    sink, validator, producer = parts
    for offset in (1, 2, 3):
        add(sink, offset)
    assert validator.asked == ["t1", "t2", "t3"]
    assert producer.produced == []
    validator.answer("t3", Verdict(True))
    validator.answer("t2", Verdict(False))
    validator.answer("t1", Verdict(True))
    sink.flush()
    results = [record["key"] for topic, record in producer.produced if topic == topics.FRAUDULENT_TRANSACTIONS_RESULT]
    assert results == ["t1", "t3"]
    assert all("timestamp" not in record for _, record in producer.produced)  # they count from when they are written
    assert all(record["headers"] == [("trace", b"1")] for _, record in producer.produced)


def test_a_refusal_and_an_unreadable_value_are_dead_letters(parts: Parts) -> None:
    sink, validator, producer = parts
    add(sink, 1)
    add(sink, 2, b"not json")
    validator.answer("t1", Refusal("HTTP 422"))
    sink.flush()
    assert [topic for topic, _ in producer.produced] == [topics.UNIDENTIFIED_TRANSACTIONS_DLQ] * 2
    headers = [dict(record["headers"]) for _, record in producer.produced]
    assert headers[0][REASON] == b"HTTP 422"
    assert headers[1][SOURCE_OFFSET] == b"2"
    assert producer.produced[1][1]["value"] == b"not json"


def test_what_no_stage_could_carry_is_a_dead_letter_and_not_asked_about(parts: Parts) -> None:
    """More than the ingestor may write to its topic."""
    sink, validator, producer = parts
    value = json.dumps(raw()).encode()
    records: list[tuple[bytes, Headers | None]] = [
        (value, None),
        (json.dumps(raw(status="x" * MAX_TRANSACTION_BYTES)).encode(), []),
        (value, [("trace", b"x" * MAX_TRANSACTION_BYTES)]),
        (b"x" * MAX_DEAD_LETTER_BYTES, []),
    ]
    for offset, (body, headers) in enumerate(records):
        sink.add(body, b"key", 1700000000000, headers, topics.UNIDENTIFIED_TRANSACTIONS, 0, offset)
    assert validator.asked == []
    sink.flush()
    assert {topic for topic, _ in producer.produced} == {topics.UNIDENTIFIED_TRANSACTIONS_DLQ}
    assert [record["value"] for _, record in producer.produced] == [*(body for body, _ in records[:3]), None]
    reasons = [dict(record["headers"])[REASON] for _, record in producer.produced]
    assert b"not UTF-8" in reasons[0]
    assert all(b"bytes" in reason for reason in reasons[1:])


def test_headers_that_quix_fails_at_are_none() -> None:
    topic = Topic("t", TopicType.REGULAR, value_deserializer="bytes")
    readable(topic)
    messages = Message(headers=[]), Message(headers=[], broken="headers")
    read = [topic.row_deserialize(message) for message in messages]  # pyright: ignore[reportArgumentType]
    assert [(row.value, row.headers) for row in read if isinstance(row, Row)] == [(b"{}", []), (b"{}", None)]


def test_an_outage_writes_nothing_and_asks_for_the_records_again(parts: Parts) -> None:
    sink, validator, producer = parts
    add(sink, 1)
    validator.answer("t1", Outage("down"))
    add(sink, 2)
    assert validator.asked == ["t1"]  # a validator that is down is not asked on
    with pytest.raises(SinkBackpressureError) as caught:
        sink.flush()
    assert caught.value.retry_after == RETRY_AFTER_SECONDS
    assert (producer.produced, validator.insisted) == ([], [])
    for offset in (1, 2, 3):
        assert not sink.waits(place(offset))
        add(sink, offset)
        validator.answer(f"t{offset}", Verdict(True))
    sink.flush()
    assert len(producer.produced) == 9


def test_one_that_was_given_up_is_no_sign_that_the_validator_answers(parts: Parts) -> None:
    """Else each would be the reason to give up the next ones, in an outage in which it answers what it has seen before."""
    sink, validator, _ = parts
    add(sink, 1)
    validator.answer("t1", Refusal("no answer in 15 calls", given_up=True))
    add(sink, 2)
    validator.answer("t2", Outage("HTTP 500"))
    with pytest.raises(SinkBackpressureError) as caught:
        sink.flush()
    assert (caught.value.retry_after, validator.insisted) == (RETRY_AFTER_SECONDS, [])


def with_one_unanswered(sink: ValidatingSink, validator: FakeValidator) -> SinkBackpressureError:
    """A checkpoint of three transactions, of which the second gets no answer; returns what it is refused with."""
    for offset in (1, 2, 3):
        add(sink, offset)
    for offset, outcome in ((1, Verdict(True)), (2, Outage("HTTP 500")), (3, Verdict(True))):
        validator.answer(f"t{offset}", outcome)
    with pytest.raises(SinkBackpressureError) as caught:
        sink.flush()
    return caught.value


def test_one_that_gets_no_answer_waits_alone(parts: Parts) -> None:
    """The others are not asked about again; those behind it in its partition are held there by the consumer."""
    sink, validator, producer = parts
    refused = with_one_unanswered(sink, validator)
    assert (refused.retry_after, producer.produced, validator.insisted) == (0, [], ["t2"])
    assert [sink.waits(place(offset)) for offset in (1, 2, 3)] == [False, True, False]
    add(sink, 1)
    sink.flush()
    sink.committed()
    assert [record["key"] for _, record in producer.produced] == ["t1", "u1", "u2"]
    validator.answer("t2", Refusal("HTTP 500, while it answered others"))
    assert not sink.waits(place(2))
    add(sink, 2)
    add(sink, 3)
    sink.flush()
    sink.committed()
    assert [topic for topic, _ in producer.produced[3:]] == [
        topics.UNIDENTIFIED_TRANSACTIONS_DLQ,
        topics.FRAUDULENT_TRANSACTIONS_RESULT,
        topics.USERS,
        topics.USERS,
    ]
    dead_letter = dict(producer.produced[3][1]["headers"])
    assert (dead_letter[REASON], dead_letter[SOURCE_OFFSET]) == (b"HTTP 500, while it answered others", b"2")
    assert validator.asked == ["t1", "t2", "t3"]
    add(sink, 1)  # answers are forgotten with the commit
    assert validator.asked == ["t1", "t2", "t3", "t1"]


def test_a_partition_that_is_taken_away_takes_its_answers_along(parts: Parts) -> None:
    """Its next record at that offset may be another one: topics are deleted and created again."""
    sink, validator, _ = parts
    with_one_unanswered(sink, validator)
    sink.revoked([TopicPartition(topics.UNIDENTIFIED_TRANSACTIONS, 1)])
    assert sink.waits(place(2))
    sink.revoked([TopicPartition(topics.UNIDENTIFIED_TRANSACTIONS, 0)])
    assert not sink.waits(place(2))
    assert validator.cancelled("t2")
    add(sink, 1)
    assert validator.asked == ["t1", "t2", "t3", "t1"]


def test_a_checkpoint_ends_when_it_is_full(parts: Parts) -> None:
    sink, _, producer = parts
    context = FakeContext([])
    commit_when_full(context, sink)
    large = b"x" * (CHECKPOINT_BYTES // 2)
    add(sink, 1, large)
    context.commit_checkpoint()
    assert context.committed == []
    sink.add(b"", b"key", 1700000000000, [("large", large)], topics.UNIDENTIFIED_TRANSACTIONS, 0, 2)
    context.commit_checkpoint()
    assert context.committed == [0]
    sink.flush()
    assert not sink.full
    assert not sink.waits(place(3))
    assert len(producer.produced) == 2


class FakeConsumer:
    """Keeps what is paused and where it was put back to."""

    def __init__(self) -> None:
        self.paused: set[int] = set()
        self.sought: list[tuple[int, int]] = []
        self.assigned = {0, 1}
        self.resumed_backpressured = 0

    def pause(self, partitions: list[TopicPartition]) -> None:
        self.paused.update(one.partition for one in partitions)

    def seek(self, partition: TopicPartition) -> None:
        self.sought.append((partition.partition, partition.offset))

    def resume(self, partitions: list[TopicPartition]) -> None:
        self.paused.difference_update(one.partition for one in partitions)

    def assignment(self) -> list[TopicPartition]:
        return [TopicPartition("t", partition) for partition in self.assigned]

    def resume_backpressured(self) -> None:
        self.resumed_backpressured += 1


def test_a_partition_is_held_at_a_record_that_waits() -> None:
    topic, consumer, waiting = Topic("t", TopicType.REGULAR, value_deserializer="bytes"), FakeConsumer(), {7}
    hold(readable(topic), consumer, lambda at: at.offset in waiting)
    with pytest.raises(IgnoreMessage):
        topic.row_deserialize(Message("t", 7))  # pyright: ignore[reportArgumentType]
    consumer.resume_backpressured()
    assert (consumer.paused, consumer.sought, consumer.resumed_backpressured) == ({0}, [(0, 7)], 1)
    waiting.clear()
    consumer.assigned.remove(0)  # another replica has it by now
    consumer.resume_backpressured()
    assert consumer.paused == {0}
    waiting.add(7)
    with pytest.raises(IgnoreMessage):
        topic.row_deserialize(Message("t", 7))  # pyright: ignore[reportArgumentType]
    waiting.clear()
    consumer.assigned.add(0)
    consumer.resume_backpressured()
    assert consumer.paused == set()
    row = topic.row_deserialize(Message("t", 7))  # pyright: ignore[reportArgumentType]
    assert isinstance(row, Row)
    assert row.value == b"{}"


def test_a_record_that_was_not_asked_about_is_never_committed(parts: Parts) -> None:
    """Even when the outage is only noted after its checkpoint was given up."""
    sink, _, producer = parts
    sink._outage = Outage("noted late")
    add(sink, 1)
    with pytest.raises(SinkBackpressureError):
        sink.flush()
    assert producer.produced == []


def test_metrics_count_a_checkpoint_once_it_is_committed(parts: Parts) -> None:
    sink, validator, _ = parts
    increase = Increase()
    for offset, fraudulent in ((1, True), (2, False), (3, False)):
        add(sink, offset)
        validator.answer(f"t{offset}", Verdict(fraudulent))
    add(sink, 4, b"not json")
    sink.flush()
    assert increase.of("processor_transactions_total", outcome="honest") == 0
    sink.committed()
    outcomes = ("fraudulent", "honest", "dead_letters")
    assert [increase.of("processor_transactions_total", outcome=outcome) for outcome in outcomes] == [1, 2, 1]
    assert (increase.of("processor_checkpoint_records_count"), increase.of("processor_checkpoint_records_sum")) == (
        1,
        4,
    )
    group = "unidentified-transactions-processor"
    assert increase.of("kafka_consumergroup_last_commit_timestamp_seconds", group=group) > 0


def test_metrics_count_a_checkpoint_that_is_given_up(parts: Parts) -> None:
    sink, validator, _ = parts
    increase = Increase()
    add(sink, 1)
    validator.answer("t1", Outage("down"))
    with pytest.raises(SinkBackpressureError):
        sink.flush()
    assert increase.of("processor_checkpoints_aborted_total") == 1


class Server(ThreadingHTTPServer):
    """Answers each call with the next of `answers`, the last one for ever; keeps how many calls were open at once."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, bytes]] = []
        self.failed_ids: set[str] = set()
        self.calls = self.open = self.most_open = 0
        self.lock, self.go_on = threading.Lock(), threading.Event()
        self.go_on.set()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["transaction_id"]
        with self.server.lock:
            self.server.calls += 1
            self.server.open += 1
            self.server.most_open = max(self.server.most_open, self.server.open)
            status, body = self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0]
            if asked in self.server.failed_ids:
                status = 500
        self.server.go_on.wait(60)
        with self.server.lock:
            self.server.open -= 1
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


BODY = to_validation_request(transaction()).model_dump_json().encode()
YES = (200, b'{"is_fraudulent_transaction": true}')


def client(server: Server, max_in_flight: int = 8, timeout: float = 60.0) -> ValidatorClient:
    return ValidatorClient(f"http://127.0.0.1:{server.server_port}", max_in_flight, timeout)


def test_client_gets_a_verdict(server: Server) -> None:
    server.answers = [YES]
    validator = client(server)
    assert validator.submit(BODY).result(5) == Verdict(True)
    validator.close()


def test_client_tries_again(server: Server) -> None:
    server.answers = [(500, b""), (200, b"malformed"), YES]
    assert client(server).submit(BODY).result(10) == Verdict(True)
    assert server.calls == 3


def test_client_gives_up_after_its_tries(server: Server) -> None:
    server.answers = [(500, b"")]
    assert isinstance(client(server).submit(BODY).result(10), Outage)
    assert server.calls == 3


def test_no_more_of_an_answer_is_read_than_an_answer_has(server: Server) -> None:
    server.answers = [(200, b" " * 50_000_000 + YES[1])]
    validator = client(server)
    before = psutil.Process().memory_info().rss
    outcome = validator.submit(BODY).result(30)
    assert isinstance(outcome, Outage)
    assert psutil.Process().memory_info().rss - before < 20_000_000
    validator.close()


@pytest.mark.parametrize("said", ["no", "false", 0, 1, 1.0, None])
def test_a_verdict_is_a_boolean(said: object) -> None:
    assert isinstance(judge(200, json.dumps({"is_fraudulent_transaction": said}).encode()), Outage)


def test_a_password_of_the_address_is_in_no_reason() -> None:
    validator = ValidatorClient("http://me:secret@127.0.0.1:1", 1, 2.0)
    outcome = validator.submit(BODY).result(10)
    assert outcome == Outage("ConnectError from http://***@127.0.0.1:1/validate")
    validator.close()


def test_client_does_not_repeat_a_refused_call(server: Server) -> None:
    server.answers = [(422, b"")]
    assert isinstance(client(server).submit(BODY).result(5), Refusal)
    assert server.calls == 1


def test_client_calls_are_concurrent_and_bounded(server: Server) -> None:
    server.answers = [YES]
    server.go_on.clear()
    validator = client(server, max_in_flight=3)
    done: list[Future[Outcome]] = []
    submitting = threading.Thread(target=lambda: done.extend(validator.submit(BODY) for _ in range(9)))
    submitting.start()
    wait_until(lambda: server.open == 3, 30, "three calls are open")
    submitting.join(0.5)
    assert submitting.is_alive()  # the fourth call waits for a place
    server.go_on.set()
    submitting.join(5)
    assert [future.result(5) for future in done] == [Verdict(True)] * 9
    assert server.most_open == 3


@pytest.mark.parametrize(
    ("status", "outcome", "requests"), [(200, "verdict", 1), (422, "refusal", 1), (500, "outage", 3)]
)
def test_client_observes_each_request_by_its_outcome(server: Server, status: int, outcome: str, requests: int) -> None:
    server.answers = [(status, YES[1])]
    increase = Increase()
    client(server).submit(BODY).result(10)
    assert increase.of("processor_validator_request_duration_seconds_count", outcome=outcome) == requests
    assert increase.of("processor_validator_request_duration_seconds_sum", outcome=outcome) > 0


def test_client_tells_how_many_calls_are_open(server: Server) -> None:
    server.answers = [YES]
    server.go_on.clear()
    validator = client(server)
    calls = [validator.submit(BODY) for _ in range(3)]
    assert validator.in_flight == 3
    server.go_on.set()
    assert [call.result(5) for call in calls] == [Verdict(True)] * 3
    wait_until(lambda: validator.in_flight == 0, 5, "each place is given back, just after its outcome")


def test_client_reports_a_server_that_is_not_there() -> None:
    validator = ValidatorClient("http://127.0.0.1:9", 1, 0.2)
    assert isinstance(validator.submit(BODY).result(10), Outage)


def test_client_reports_a_server_that_hangs(server: Server) -> None:
    server.answers = [YES]
    server.go_on.clear()
    assert isinstance(client(server, timeout=0.2).submit(BODY).result(10), Outage)
    server.go_on.set()
    wait_until(lambda: server.calls == 1, 30, "the call has come in, once")


def test_client_turns_an_error_of_its_own_into_an_outage(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A future without an outcome would hold its checkpoint, and a place that is not given back all later calls."""

    def fail(*_: object) -> Outcome:
        raise ValueError("a defect")

    monkeypatch.setattr("processor.validator.judge", fail)
    server.answers = [YES]
    validator = client(server, max_in_flight=1)
    for _ in range(2):
        assert validator.submit(BODY).result(5) == Outage("ValueError in the validator's client")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that insists as long as another does, in its own time."""
    for name, value in (("INSIST_PAUSE_SECONDS", 0.01), ("PAUSE_SECONDS", 0.0), ("INSIST_SECONDS", 0.5)):
        monkeypatch.setattr(f"processor.validator.{name}", value)


def test_insisting_gets_an_answer_after_all(server: Server, impatient: None) -> None:
    server.answers = [*[(500, b"")] * 60, YES]
    assert client(server).insist(BODY).result(10) == Verdict(True)
    assert server.calls == 61


def test_insisting_ends_when_others_are_answered(server: Server, impatient: None) -> None:
    server.answers, server.failed_ids = [YES], {"t1"}
    validator = client(server)
    assert validator.submit(BODY.replace(b"t1", b"t2")).result(5) == Verdict(True)
    started = time.monotonic()
    outcome = validator.insist(BODY).result(10)
    assert isinstance(outcome, Refusal)
    assert "HTTP 500" in outcome.reason
    assert "while it answered others" in outcome.reason
    assert time.monotonic() - started >= 0.5
    assert server.calls >= 1 + (INSIST_CALLS - 1) * 4  # three requests about it and one about another


@pytest.mark.parametrize("before", [False, True])
def test_insisting_outlasts_an_outage(server: Server, impatient: None, before: bool) -> None:
    """Also one that begins after others were answered."""
    validator = client(server)
    if before:
        server.answers = [YES]
        assert validator.submit(BODY.replace(b"t1", b"t2")).result(5) == Verdict(True)
    server.answers = [(503, b"")]
    future = validator.insist(BODY)
    wait_until(lambda: server.calls > INSIST_CALLS * 6, 20, "it was asked many times")
    assert not future.done()
    server.answers = [YES]
    assert future.result(5) == Verdict(True)


def test_a_cancelled_question_is_asked_no_more(server: Server, impatient: None) -> None:
    server.answers = [(500, b"")]
    validator = client(server)
    future = validator.insist(BODY)
    wait_until(lambda: server.calls > 0, 5, "it is asked")
    assert future.cancel()
    wait_until(lambda: not validator._insisting, 5, "it ended")


def test_a_client_closes_while_it_insists(server: Server) -> None:
    server.answers = [(500, b"")]
    validator = client(server)
    futures = [validator.insist(BODY) for _ in range(20)]
    wait_until(lambda: server.calls > 0, 5, "it is asked")
    validator.close()
    assert not any(future.done() for future in futures)


class FakeCheckpoint:
    def __init__(self) -> None:
        self.records = 0

    def empty(self) -> bool:
        return self.records == 0

    def expired(self) -> bool:
        return False


class FakeContext:
    """What is used of Quix's processing context, with a clock of its own: `poll_row` takes time when there is no row."""

    def __init__(self, rows: list[str | None]) -> None:
        self.consumer, self.checkpoint = self, FakeCheckpoint()
        self.rows = rows
        self.now = 0.0
        self.committed: list[int] = []

    def poll_row(self, timeout: float) -> str | None:
        row = self.rows.pop(0) if self.rows else None
        if row is None:
            self.now += timeout
        else:
            self.checkpoint.records += 1
        return row

    def monotonic(self) -> float:
        return self.now

    def commit_checkpoint(self, force: bool = False) -> None:
        if force or self.checkpoint.expired():
            self.committed.append(self.checkpoint.records)
            self.checkpoint = FakeCheckpoint()


class FakeSubscription:
    """What `survive_rebalances` uses of Quix's consumer and context."""

    def __init__(self, sink: RecordSink) -> None:
        self.consumer = self.sink_manager = self
        self.sinks = [sink]
        self.checkpoint = self
        self.current: list[TopicPartition] = []
        self.happened: list[str] = []
        self.assign: Callable[[Any, list[TopicPartition]], None] = lambda *_: None
        self.revoke: Callable[[Any, list[TopicPartition]], None] = lambda *_: None

    def subscribe(self, *, on_assign: Any, on_revoke: Any, on_lost: Any) -> None:
        del on_lost
        self.assign, self.revoke = on_assign, on_revoke

    def assignment(self) -> list[TopicPartition]:
        return self.current

    def consumer_group_metadata(self) -> str:
        return "the generation of now"

    def close(self) -> None:
        self.happened.append("the checkpoint is dropped")

    def init_checkpoint(self) -> None: ...

    def resume(self, partitions: list[TopicPartition]) -> None: ...


def test_a_checkpoint_that_is_still_being_written_after_a_revoke_ends_the_process(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Quix gives it a minute, and goes on while a thread of its own still writes."""
    sink, _, _ = parts
    ended: list[str] = []
    monkeypatch.setattr("runtime.quix.end", ended.append)
    context = FakeSubscription(sink)
    survive_rebalances(context)
    context.consumer.subscribe(on_assign=None, on_revoke=lambda *_: None, on_lost=None)
    writing, release = threading.Event(), threading.Event()
    monkeypatch.setattr(sink, "write", lambda: (writing.set(), release.wait(30)))
    context.revoke(None, [])
    assert ended == []
    thread = threading.Thread(target=sink.flush)
    thread.start()
    assert writing.wait(30)
    context.revoke(None, [])
    release.set()
    thread.join()
    assert ended == ["a checkpoint was not written when its partitions had to be given back"]
    context.revoke(None, [])
    assert len(ended) == 1


def test_a_checkpoint_is_dropped_when_others_are_assigned_in_place_of_its_partitions(parts: Parts) -> None:
    """They are not always revoked first: not when the topic's partitions change while an assignment is under way."""
    context = FakeSubscription(parts[0])
    happened = context.happened
    survive_rebalances(context)
    context.consumer.subscribe(
        on_assign=lambda *_: happened.append("assigned"), on_revoke=None, on_lost=lambda *_: happened.append("lost")
    )
    context.assign(context, [])
    assert happened == ["assigned"]
    context.consumer_group_metadata = lambda: "a later one"  # type: ignore[method-assign]
    context.current = [TopicPartition("bank", 1)]
    context.assign(context, [])
    assert happened == ["assigned", "lost", "the checkpoint is dropped", "assigned"]
    assert context.consumer.consumer_group_metadata() == "a later one"

    def closing() -> str:
        raise RuntimeError("Consumer group metadata not available")

    context.consumer_group_metadata = closing  # type: ignore[method-assign]
    context.current = []
    context.assign(context, [])
    assert happened[-2:] == ["the checkpoint is dropped", "assigned"]


def test_a_checkpoint_is_committed_once_its_input_is_drained(monkeypatch: pytest.MonkeyPatch) -> None:
    context = FakeContext(["a", "b", None, None, "c", None, "d"])
    monkeypatch.setattr("runtime.quix.time", context)
    commit_when_drained(context, 0.2)

    def step() -> None:
        context.consumer.poll_row(timeout=0.05)
        context.commit_checkpoint()

    for _ in range(4):
        step()
    assert context.committed == [2]  # and an empty one is not one of its business
    while len(context.committed) < 2:
        step()
    assert context.committed == [2, 2]
    assert context.now >= 0.2
