"""The routing rule and the loop around it."""

import json
import time
from collections.abc import Sequence
from decimal import Decimal
from itertools import count
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import OFFSET_INVALID, KafkaError, KafkaException, TopicPartition
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bank.poison import KINDS
from contracts import topics
from contracts.dead_letters import MAX_DEAD_LETTER_BYTES, REASON, SOURCE_OFFSET, reason_of
from contracts.models import FRAUDULENT, UNIDENTIFIED, Transaction
from contracts.records import MAX_TRANSACTION_BYTES, Headers, Output
from contracts.timestamps import BANK_TIMESTAMP
from contracts.wire import Invalid
from ingestor.loop import ingest
from ingestor.routing import route
from runtime import hang, transactions
from runtime.transactions import Stopped
from tests.support.messages import Message
from tests.support.metrics import Increase
from tests.support.samples import raw, transaction


@pytest.mark.parametrize(
    ("evaluation", "topic"),
    [("fraudulent", topics.FRAUDULENT_TRANSACTIONS), ("unidentified", topics.UNIDENTIFIED_TRANSACTIONS)],
)
def test_the_evaluation_decides_the_topic(evaluation: str, topic: str) -> None:
    routed = route(json.dumps(raw(evaluation=evaluation)).encode(), [])
    assert isinstance(routed, Output)
    assert (routed.topic, routed.key) == (topic, "t1")
    assert json.loads(routed.value) == transaction(evaluation=evaluation).model_dump()


def test_the_value_has_one_form() -> None:
    routed = route(json.dumps(raw(amount="12.50", extra={"a": 1}, status="naïve")).encode(), [])
    assert isinstance(routed, Output)
    assert json.loads(routed.value) == transaction(amount=12.5, status="naïve").model_dump()
    assert "naïve".encode() in routed.value


@pytest.mark.parametrize("kind", KINDS)
def test_poison_is_refused(kind: str) -> None:
    assert isinstance(route(KINDS[kind](raw()), []), Invalid)


@pytest.mark.parametrize("depth", [300, 1_500, 20_000])
@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize("field", ["amount", "status", "sender_details", "extra"])
def test_deep_nesting_is_refused_wherever_it_is(field: str, opens: str, closes: str, depth: int) -> None:
    deep = opens * depth + "1" + closes * depth
    value = json.dumps(raw(**{field: "here"})).replace('"here"', deep).encode()
    assert field == "extra" or isinstance(route(value, []), Invalid)
    route(value, [])  # an unknown field is dropped or refused; nothing is raised


def test_unknown_evaluation_is_refused_with_the_known_ones() -> None:
    refused = route(json.dumps(raw(evaluation="honest")).encode(), [])
    assert refused == Invalid("evaluation: must be one of fraudulent, unidentified")


def test_a_tombstone_is_refused() -> None:
    assert route(None, []) == Invalid("value: is empty")


def test_value_and_headers_have_one_limit() -> None:
    value = json.dumps(raw()).encode()
    rest = MAX_TRANSACTION_BYTES - len(value) - len("trace") - 2
    assert isinstance(route(value, [("trace", b"x" * rest)]), Output)
    assert route(value, [("trace", b"x" * (rest + 1))]) == Invalid(
        f"value and headers: have {len(value)} and {MAX_TRANSACTION_BYTES + 1 - len(value)} bytes, "
        "more than the 131072 that a transaction may have together"
    )
    assert isinstance(route(b" " * MAX_TRANSACTION_BYTES + value, []), Invalid)


def test_a_header_s_name_that_is_not_utf_8_is_refused() -> None:
    assert route(json.dumps(raw()).encode(), None) == Invalid("headers: a header's name is not UTF-8")


@given(st.binary() | st.text().map(str.encode) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*raw()]) | st.text(), inner),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_any_bytes_are_routed_or_refused(value: bytes) -> None:
    outcome = route(value, [])
    assert isinstance(outcome, Invalid | Output)
    if isinstance(outcome, Invalid):
        assert outcome.reason


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | (st.floats() | st.integers() | st.decimals()).map(str)
    | st.text()
)


@given(
    st.sampled_from([None, "sender_details", "receiver_details"]),
    st.sampled_from([*raw(), *raw()["sender_details"], "unknown"]),
    SCALARS | st.lists(SCALARS) | st.dictionaries(st.text(), SCALARS),
)
def test_the_contract_alone_decides(group: str | None, field: str, content: Any) -> None:
    """Whichever way a value is read, what becomes of it is what the contract's model makes of it."""
    changed = raw()
    (changed if group is None else changed[group])[field] = content
    value = json.dumps(changed).encode()
    outcome = route(value, [])
    try:
        expected = Transaction.from_json(value)
    except ValidationError as error:
        assert outcome == Invalid(reason_of(error))
    else:
        if isinstance(outcome, Output):
            assert json.loads(outcome.value) == expected.model_dump()
        else:
            assert expected.evaluation not in (FRAUDULENT, UNIDENTIFIED)


def with_amount(text: str) -> bytes:
    """A transaction with this JSON as its amount."""
    return json.dumps(raw(amount=0.125)).replace("0.125", text).encode()


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53))
def test_every_finite_amount_passes(amount: float) -> None:
    for text in (repr(amount), f"{amount:.17g}", f'"{amount}"'):
        routed = route(with_amount(text), [])
        assert isinstance(routed, Output)
        assert json.loads(routed.value)["amount"] == amount


@given(st.decimals(allow_nan=False, allow_infinity=False).map(lambda number: f"{number:f}"[:2_000].strip(".")))
def test_an_amount_is_routed_as_it_is_or_refused(text: str) -> None:
    """A number as it is and in quotes are judged alike, and by its digits."""
    for written in (text, f'"{text}"'):
        outcome = route(with_amount(written), [])
        if isinstance(outcome, Output):
            double = json.loads(outcome.value)["amount"]
            digits = max(len(text.strip("-0").replace(".", "").strip("0")), 1)
            assert Decimal(text) in (Decimal(repr(double)), Decimal(f"{double:.{digits - 1}e}"))
        else:
            assert outcome.reason.startswith("amount: ")
            assert Decimal(text) != Decimal(repr(float(text)))


@pytest.mark.parametrize("wrap", ["{}", '"{}"'])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("9007199254740992", 2.0**53),
        ("9007199254740993", None),
        ("-9007199254740993", None),
        ("18446744073709551615", None),
        ("18446744073709551616", 2.0**64),
        ("123456789012345678901234567890", None),
        ("100000000000000000000000000000", 1e29),
        ("90071992547409.93", None),
        ("0.1000000000000000000001", None),
        ("0.10000000000000001", 0.1),
        ("100.100000000000000000000000", 100.1),
        ("1e-400", None),
        ("1e400", None),
        ("12.50", 12.5),
        ("1E5", 1e5),
    ],
)
def test_an_amount_that_a_double_cannot_hold_is_refused(wrap: str, text: str, expected: float | None) -> None:
    outcome = route(with_amount(wrap.format(text)), [])
    if expected is None:
        assert isinstance(outcome, Invalid)
        assert outcome.reason.startswith("amount: Input should be a ")
        assert text not in outcome.reason
    else:
        assert isinstance(outcome, Output)
        assert json.loads(outcome.value)["amount"] == expected


@pytest.mark.parametrize(
    "text", ["1e99999999999999999999", "1e-99999999999999999999", "9" * 4_300, "9" * 4_301, "9" * 9_000]
)
def test_a_number_beyond_all_others_ends_nothing(text: str) -> None:
    """Neither as an amount nor in a field that nobody knows, where it may be left out or refused with the whole."""
    for value in (with_amount(text), with_amount(f'"{text}"')):
        assert isinstance(route(value, []), Invalid)
    unknown = json.dumps(raw(unknown=0.125, amount="1")).replace("0.125", text).encode()
    assert isinstance(route(unknown, []), Invalid | Output)


@pytest.mark.parametrize("text", ["true", "false", '"1_000"', '"Infinity"', '"-inf"', '"NaN"', '"0x10"', "NaN", "[1]"])
def test_what_is_no_number_is_no_amount(text: str) -> None:
    outcome = route(with_amount(text), [])
    assert isinstance(outcome, Invalid)
    assert outcome.reason.startswith("amount: ")


@pytest.mark.parametrize("half", ["\\ud800", "\\udc00", "\\ud800\\u0041", "\\ud800\\ud800", "x\\udfff"])
@pytest.mark.parametrize("field", ["status", "transaction_id", "unknown"])
def test_half_a_surrogate_pair_is_refused(field: str, half: str) -> None:
    value = json.dumps(raw(**{field: "HALF"})).replace("HALF", half).encode()
    assert isinstance(route(value, []), Invalid)
    assert isinstance(route(value.replace(half.encode(), b"\\ud83d\\udcb8"), []), Output)


@pytest.mark.parametrize("more", [b"{}", b" {}", b"\n", b",", b"0", b"x"])
def test_a_value_is_one_json_text(more: bytes) -> None:
    value = json.dumps(raw()).encode()
    for first in (value, json.dumps(raw(more=1)).encode()):
        assert isinstance(route(first + more, []), Invalid if more.strip() else Output)
        assert isinstance(route(first + value, []), Invalid)


def a_message(offset: int, value: bytes | None, **more: Any) -> Message:
    usual = {"headers": [("trace", b"1")], "timestamp": (1, 1700000000000)}
    return Message(topics.BANK_TRANSACTIONS, offset, value, key=b"key", **usual | more)


class FakeConsumer:
    """Gives its batches, then asks the loop to stop."""

    def __init__(self, batches: Sequence[list[Message]], stopping: Event) -> None:
        self._batches, self._stopping = list(batches), stopping
        self.sought: list[tuple[int, int]] = []
        self._given = False

    def subscribe(self, _: list[str], on_assign: Any, **__: Any) -> None:
        on_assign(self, self.assignment())

    def assign(self, partitions: list[TopicPartition]) -> None: ...
    def consume(self, _count: int, seconds: float) -> list[Message]:
        """A batch, and nothing more for the rest of its time."""
        if not seconds:
            return []
        if self._given:
            self._given = False
            time.sleep(seconds)
            return []
        self._given = True
        if len(self._batches) == 1:
            self._stopping.set()
        return self._batches.pop(0)

    def consumer_group_metadata(self) -> str:
        return "group"

    def assignment(self) -> list[TopicPartition]:
        return [TopicPartition(topics.BANK_TRANSACTIONS, partition) for partition in (0, 1)]

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        """Nothing of partition 1."""
        offsets = {0: 5, 1: OFFSET_INVALID}
        return [TopicPartition(one.topic, one.partition, offsets[one.partition]) for one in partitions]

    def seek(self, position: TopicPartition) -> None:
        self.sought.append((position.partition, position.offset))


class FakeProducer:
    """Keeps what a commit would make visible; fails the first commit with an error if it is given one."""

    def __init__(self, error: KafkaError | None = None) -> None:
        self.committed: list[tuple[Any, ...]] = []
        self.offsets: list[int] = []
        self.aborted = 0
        self._open: list[tuple[Any, ...]] = []
        self._positions: list[int] = []
        self._error = error

    def poll(self, _seconds: float) -> None: ...
    def list_topics(self, timeout: float) -> None: ...
    def init_transactions(self, _seconds: float) -> None:
        """Whatever an earlier producer with this id has left open is aborted."""
        self.aborted += bool(self._open)

    def begin_transaction(self) -> None:
        self._open, self._positions = [], []

    def produce(self, topic: str, value: Any, key: Any, headers: Any) -> None:
        self._open.append((topic, key, value, headers))

    def send_offsets_to_transaction(self, positions: list[Any], _group: Any, _seconds: float) -> None:
        self._positions = [position.offset for position in positions]

    def commit_transaction(self, _seconds: float) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise KafkaException(error)
        self.committed += self._open
        self.offsets += self._positions

    def abort_transaction(self, _seconds: float) -> None:
        assert not self._open, "a producer whose records are aborted is not used again"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "IDLE_SECONDS", 0.01)


def run(producer: FakeProducer, *batches: list[Message]) -> FakeConsumer:
    stopping = Event()
    consumer = FakeConsumer(batches, stopping)
    ingest(consumer, lambda: producer, stopping)  # type: ignore[arg-type]
    return consumer


GOOD, BAD = a_message(5, json.dumps(raw()).encode()), a_message(6, b"not json")


def test_a_batch_and_its_offsets_are_one_transaction() -> None:
    producer = FakeProducer()
    run(producer, [GOOD, BAD], [])
    assert [record[0] for record in producer.committed] == [
        topics.FRAUDULENT_TRANSACTIONS,
        topics.BANK_TRANSACTIONS_DLQ,
    ]
    assert producer.committed[0][1:] == (
        "t1", transaction().model_dump_json().encode(), [("trace", b"1"), (BANK_TIMESTAMP, b"1700000000000")],
    )  # fmt: skip
    dead_letter = dict(producer.committed[1][3])
    assert (dead_letter["trace"], dead_letter[BANK_TIMESTAMP]) == (b"1", b"1700000000000")
    assert dead_letter[SOURCE_OFFSET] == b"6"
    assert b"JSON" in dead_letter[REASON]
    assert producer.offsets == [7]


def test_a_record_with_headers_that_cannot_be_read_is_a_dead_letter_without_them() -> None:
    producer = FakeProducer()
    run(producer, [a_message(5, json.dumps(raw()).encode(), broken="headers"), GOOD], [])
    dead_letter, good = producer.committed
    assert (dead_letter[:3], good[0]) == (
        (topics.BANK_TRANSACTIONS_DLQ, b"key", json.dumps(raw()).encode()),
        topics.FRAUDULENT_TRANSACTIONS,
    )
    assert dict(dead_letter[3])[REASON] == b"headers: a header's name is not UTF-8"
    assert "trace" not in dict(dead_letter[3])


NOW_MS = round(time.time() * 1000)


@pytest.mark.parametrize(
    ("timestamp", "reason"),
    [
        ((1, -5000), b"timestamp: -5000 is before 1970"),
        ((1, -62135596800000), b"timestamp: -62135596800000 is before 1970"),  # the zero time of the year 1
        ((1, NOW_MS + 2 * 3_600_000), b"in the future"),
        ((1, NOW_MS * 1000), b"in the future"),  # microseconds
    ],
)
def test_an_impossible_timestamp_is_refused(timestamp: tuple[int, int], reason: bytes) -> None:
    producer = FakeProducer()
    run(producer, [a_message(6, json.dumps(raw()).encode(), timestamp=timestamp), GOOD], [])
    dead_letter, good = producer.committed
    assert (dead_letter[0], good[0]) == (topics.BANK_TRANSACTIONS_DLQ, topics.FRAUDULENT_TRANSACTIONS)
    assert reason in dict(dead_letter[3])[REASON]
    assert dict(dead_letter[3])[BANK_TIMESTAMP] == str(timestamp[1]).encode()


@pytest.mark.parametrize(
    ("timestamp", "header"),
    [
        ((0, 0), None),  # no timestamp, in an old format of records
        ((1, -1), None),  # the same in today's
        ((1, 0), b"0"),
        ((1, 1_700_000_000), b"1700000000"),  # seconds for milliseconds: 1970
        ((1, NOW_MS + 60_000), str(NOW_MS + 60_000).encode()),
        ((2, NOW_MS), str(NOW_MS).encode()),
    ],
)
def test_any_other_timestamp_goes_along_in_a_header(timestamp: tuple[int, int], header: bytes | None) -> None:
    """In the place of one that was there, as with a dead letter that was put back."""
    before: Headers = [(BANK_TIMESTAMP, b"17"), ("trace", b"1")]
    producer = FakeProducer()
    run(producer, [a_message(6, json.dumps(raw()).encode(), headers=before, timestamp=timestamp)], [])
    ((topic, *_, headers),) = producer.committed
    assert topic == topics.FRAUDULENT_TRANSACTIONS
    assert headers == [("trace", b"1"), *([] if header is None else [(BANK_TIMESTAMP, header)])]


def test_the_limit_of_a_transaction_counts_the_header() -> None:
    """The processor counts it too, and would refuse what has just been let in."""
    producer = FakeProducer()
    value = json.dumps(raw()).encode()
    rest = MAX_TRANSACTION_BYTES - len(value) - len("trace") - 2
    run(producer, [a_message(6, value, headers=[("trace", b"x" * rest)])], [])
    assert producer.committed[0][0] == topics.BANK_TRANSACTIONS_DLQ


def test_a_record_too_large_for_a_dead_letter_leaves_its_reason_and_place() -> None:
    producer = FakeProducer()
    run(producer, [a_message(6, b"x" * MAX_DEAD_LETTER_BYTES)], [])
    ((topic, key, value, headers),) = producer.committed
    assert (topic, key, value) == (topics.BANK_TRANSACTIONS_DLQ, None, None)
    assert [name for name, _ in headers if not name.startswith("dlq.")] == []
    assert dict(headers)[SOURCE_OFFSET] == b"6"
    assert b"read it at its source" in dict(headers)[REASON]


def test_a_retriable_failure_is_tried_again() -> None:
    producer = FakeProducer(KafkaError(KafkaError._TIMED_OUT, "slow", retriable=True))
    run(producer, [GOOD], [])
    assert (len(producer.committed), producer.aborted) == (1, 0)


class Stuck(FakeProducer):
    """Its transactions get no answer, as those of a producer without its coordinator; it is told whether a broker answers."""

    def __init__(self, *answers: bool) -> None:
        super().__init__()
        self.answers = list(answers)

    def list_topics(self, timeout: float) -> None:
        if not self.answers.pop(0):
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))

    def commit_transaction(self, _seconds: float) -> None:
        if self.answers:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "no coordinator", retriable=True))
        super().commit_transaction(_seconds)


class Ended(BaseException):
    """What the end of the process is here."""


@pytest.fixture
def _seconds_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock on which half the time of a stuck operation passes with each look."""
    passed = count(step=transactions.STUCK_SECONDS / 2)

    def end(reason: str) -> None:
        raise Ended(reason)

    monkeypatch.setattr(transactions, "time", SimpleNamespace(monotonic=lambda: next(passed)))
    monkeypatch.setattr(hang, "end", end)


@pytest.mark.usefixtures("_seconds_pass")
def test_a_producer_that_gets_nowhere_while_the_broker_answers_ends_the_service() -> None:
    with pytest.raises(Ended, match="fails while the broker answers: no coordinator"):
        run(Stuck(*[True] * 9), [GOOD], [])


@pytest.mark.usefixtures("_seconds_pass")
def test_a_broker_that_is_away_is_waited_for_however_long() -> None:
    producer = Stuck(*[False] * 50, True, False, True)
    run(producer, [GOOD], [])
    assert len(producer.committed) == 1


@pytest.mark.parametrize("operation", ["init_transactions", "commit_transaction"])
def test_a_retriable_failure_is_not_tried_again_once_it_is_to_stop(operation: str) -> None:
    producer, stopping = FakeProducer(), Event()

    def fail(_seconds: float) -> None:
        stopping.set()
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "away", retriable=True))

    setattr(producer, operation, fail)
    with pytest.raises(Stopped):
        ingest(FakeConsumer([[GOOD], []], stopping), lambda: producer, stopping)  # type: ignore[arg-type]
    assert producer.committed == []


def test_an_abortable_failure_aborts_and_reads_again() -> None:
    producer = FakeProducer(KafkaError(KafkaError.ILLEGAL_GENERATION, "moved", txn_requires_abort=True))
    consumer = run(producer, [GOOD], [])
    assert (producer.committed, producer.offsets, producer.aborted) == ([], [], 1)
    assert consumer.sought == [(0, 5)]


def test_a_first_batch_that_is_aborted_is_read_again_and_not_the_topic() -> None:
    """A query that begins with the latest records has no committed offset, and no older record is its."""
    producer = FakeProducer(KafkaError(KafkaError.ILLEGAL_GENERATION, "moved", txn_requires_abort=True))
    consumer = run(producer, [a_message(7, GOOD.value(), partition=1), a_message(8, GOOD.value(), partition=1)], [])
    assert consumer.sought == [(0, 5), (1, 7)]


class Watched(Event):
    """Notes how long it is waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        return False


def test_what_is_refused_for_good_is_tried_ever_less_often() -> None:
    outcomes = [True] * 8 + [False, True]  # whether the broker refuses the transaction

    class Refusing(FakeProducer):
        def commit_transaction(self, _seconds: float) -> None:
            if outcomes.pop(0):
                raise KafkaException(KafkaError(KafkaError.INVALID_RECORD, "no key", txn_requires_abort=True))

    stopping = Watched()
    ingest(FakeConsumer([[GOOD]] * len(outcomes) + [[]], stopping), Refusing, stopping)  # type: ignore[arg-type]
    assert stopping.waits == pytest.approx([0, 0.1, 0.3, 0.7, 1.5, 3.1, 5, 5, 0])


def test_a_fatal_failure_ends_the_service() -> None:
    producer = FakeProducer(KafkaError(KafkaError._FENCED, "fenced", fatal=True))
    with pytest.raises(KafkaException):
        run(producer, [GOOD], [])


def test_a_consumer_s_passing_trouble_is_no_record() -> None:
    producer = FakeProducer()
    run(producer, [a_message(0, None, error=KafkaError(KafkaError._TRANSPORT)), GOOD], [])
    assert len(producer.committed) == 1


@pytest.mark.parametrize(
    "error", [KafkaError(KafkaError._FATAL, "fenced"), KafkaError(KafkaError._FENCED, "f", fatal=True)]
)
def test_a_dead_consumer_ends_the_service(error: KafkaError) -> None:
    """A consumer that was fenced while the broker was away says so once, and never gives a record again."""
    with pytest.raises(KafkaException):
        run(FakeProducer(), [a_message(0, None, error=error)], [])


def test_metrics_count_what_is_committed() -> None:
    increase = Increase()
    run(FakeProducer(), [GOOD, BAD, BAD], [])
    assert increase.of("ingestor_records_total", topic=topics.FRAUDULENT_TRANSACTIONS) == 1
    assert increase.of("ingestor_records_total", topic=topics.BANK_TRANSACTIONS_DLQ) == 2
    assert increase.of("ingestor_records_total", topic=topics.UNIDENTIFIED_TRANSACTIONS) == 0
    assert (increase.of("ingestor_batch_records_count"), increase.of("ingestor_batch_records_sum")) == (1, 3)
    assert increase.of("ingestor_transaction_duration_seconds_count") == 1
    assert increase.of("kafka_consumergroup_last_commit_timestamp_seconds", group="transactions-ingestor") > 0


def test_metrics_do_not_count_what_is_aborted() -> None:
    increase = Increase()
    run(FakeProducer(KafkaError(KafkaError.ILLEGAL_GENERATION, "moved", txn_requires_abort=True)), [GOOD], [])
    assert increase.of("ingestor_transactions_aborted_total") == 1
    assert increase.of("ingestor_records_total", topic=topics.FRAUDULENT_TRANSACTIONS) == 0
    assert increase.of("ingestor_batch_records_count") == 0
    assert increase.of("kafka_consumergroup_last_commit_timestamp_seconds", group="transactions-ingestor") == 0
