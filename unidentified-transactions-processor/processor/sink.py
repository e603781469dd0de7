"""A streaming Quix sink: each record's call starts when the record arrives; the checkpoint collects the outcomes in order."""

import logging
from collections import Counter
from concurrent.futures import Future
from typing import TYPE_CHECKING, NamedTuple, Protocol

from confluent_kafka import TopicPartition
from quixstreams.sinks import SinkBackpressureError

from contracts import topics
from contracts.dead_letters import dead_letter
from contracts.mapping import to_validation_request
from contracts.models import Transaction
from contracts.records import Position, Record
from contracts.wire import Invalid, parse
from processor import metrics
from processor.rules import outputs
from processor.settings import SERVICE
from processor.validator import Outage, Outcome, Refusal, Verdict
from runtime.metrics import LAST_COMMIT
from runtime.quix import Producer, RecordSink
from runtime.service import Totals

if TYPE_CHECKING:
    from runtime.spans import Tracer

logger = logging.getLogger(__name__)

# Seconds to leave the validator alone after a checkpoint that got no answer from it.
RETRY_AFTER_SECONDS = 1.0
SPAN = "POST /validate"


class Validator(Protocol):
    """The part of the validator's client that the sink needs."""

    def submit(self, body: bytes) -> "Future[Outcome]": ...
    def insist(self, body: bytes) -> "Future[Outcome]": ...


class Pending(NamedTuple):
    """A record of the open checkpoint, with its call to the validator, or with its outcome when there is no call."""

    record: Record
    transaction: Transaction | None
    outcome: "Future[Outcome] | Outage | Invalid"


class ValidatingSink(RecordSink):
    """Keeps the order of each partition, since outcomes are collected in the order of arrival."""

    def __init__(self, validator: Validator, producer: Producer, tracer: "Tracer | None" = None) -> None:
        super().__init__()
        self._tracer = tracer
        self._validator = validator
        self._producer = producer
        self._pending: list[Pending] = []
        self._outage: Outage | None = None
        # For records that will be read again: the validator's answer, or the call that will get one.
        self._answers: dict[Position, Future[Outcome]] = {}
        self._committing: list[Position] = []
        self._counts: Counter[str] = Counter()
        self._totals = Totals(logger, metrics.TRANSACTIONS)
        self._last_commit = LAST_COMMIT.labels(SERVICE)

    def take(self, record: Record) -> None:
        """Start the record's call. Blocks while the maximum number of calls is open, which bounds a checkpoint's size."""
        transaction: Transaction | None = None
        outcome: Future[Outcome] | Outage | Invalid
        if self._tracer is not None:
            record = self._tracer.follow(record)
        parsed = parse(record.value, record.headers)  # the ingestor may not be the only writer
        if isinstance(parsed, Invalid):
            outcome = parsed
        elif record.position in self._answers:
            transaction, outcome = parsed, self._answers[record.position]
        elif self._outage is not None:
            # This checkpoint will be aborted and its records read again: a call now would only burden the validator.
            outcome = self._outage
        else:
            transaction = parsed
            outcome = self._validator.submit(_question(parsed))
            outcome.add_done_callback(self._note_outage)
            if self._tracer is not None:
                self._tracer.call(record.position, SPAN, outcome, _problem)
        self._pending.append(Pending(record, transaction, outcome))

    def waits(self, position: Position) -> bool:
        """Whether a record has to wait for its answer, which is still being fetched in the background: a checkpoint that waited
        for it would hold up all other records.
        """
        answer = self._answers.get(position)
        return answer is not None and not answer.done()

    def write(self) -> None:
        """Produce the rows and dead letters for the outcomes, inside the checkpoint's transaction.

        Raises SinkBackpressureError when the validator gave no usable answer for a record: Quix then aborts the
        transaction and reads the checkpoint's records again, so nothing is lost and nothing is written twice. In an outage
        Quix pauses first. If other records were answered, their answers are kept and the unanswered ones are retried in the
        background: `waits` keeps each of those out of a checkpoint until its answer is there.
        """
        pending = self._pending
        outcomes = [item.outcome.result() if isinstance(item.outcome, Future) else item.outcome for item in pending]
        self._outage = None
        unanswered = [outcome for outcome in outcomes if isinstance(outcome, Outage)]
        if unanswered:
            metrics.ABORTED.inc()
            logger.warning("%s; %d transactions wait", unanswered[0].reason, len(pending))
            answered = any(map(_is_answer, outcomes))
            if answered:
                self._keep_answers(pending)
            if self._tracer is not None:
                self._tracer.end(committed=False)
            raise SinkBackpressureError(retry_after=0 if answered else RETRY_AFTER_SECONDS)
        self._counts = Counter(self._produce(item, outcome) for item, outcome in zip(pending, outcomes, strict=True))
        self._committing = [item.record.position for item in pending]

    def _keep_answers(self, pending: list[Pending]) -> None:
        for item in pending:
            if item.transaction is not None and isinstance(item.outcome, Future):  # those with a call
                failed = isinstance(item.outcome.result(), Outage)
                answer = self._validator.insist(_question(item.transaction)) if failed else item.outcome
                self._answers[item.record.position] = answer

    def committed(self) -> None:
        """Count what the committed checkpoint wrote."""
        if self._tracer is not None:
            self._tracer.end(committed=True)
        for position in self._committing if self._answers else ():
            self._answers.pop(position, None)
        self._last_commit.set_to_current_time()
        metrics.CHECKPOINT_RECORDS.observe(self._counts.total())
        self._totals.add(self._counts)

    def on_paused(self) -> None:
        if self._tracer is not None:
            self._tracer.end(committed=False)
        super().on_paused()

    def forget(self) -> None:
        super().forget()
        self._pending.clear()

    def revoked(self, partitions: list[TopicPartition]) -> None:
        taken = {(one.topic, one.partition) for one in partitions}
        for position in [one for one in self._answers if one[:2] in taken]:
            self._answers.pop(position).cancel()

    def _produce(self, item: Pending, outcome: Outcome | Invalid) -> str:
        if isinstance(outcome, Verdict):
            assert item.transaction is not None  # only a transaction gets a call
            rows = outputs(item.transaction, outcome)
            for topic, key, value in rows:
                self._producer.produce(topic, value=value, key=key, headers=item.record.headers)
            return "fraudulent" if rows else "honest"
        if self._tracer is not None:
            self._tracer.refused(item.record.position, outcome.reason)
        dead = dead_letter(item.record, outcome.reason, SERVICE)
        self._producer.produce(topics.UNIDENTIFIED_TRANSACTIONS_DLQ, **dead._asdict())
        return "dead_letters"

    def _note_outage(self, future: "Future[Outcome]") -> None:
        outcome = future.result()
        if isinstance(outcome, Outage):
            self._outage = outcome


def _is_answer(outcome: "Outcome | Invalid") -> bool:
    """Whether the validator gave it: that one transaction was given up says nothing about others."""
    return isinstance(outcome, Verdict) or (isinstance(outcome, Refusal) and not outcome.given_up)


def _question(transaction: Transaction) -> bytes:
    return to_validation_request(transaction).model_dump_json().encode()


def _problem(outcome: Outcome) -> str | None:
    return None if isinstance(outcome, Verdict) else outcome.reason
