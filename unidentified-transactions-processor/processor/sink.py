"""A streaming Quix sink: a call starts when its record arrives; the checkpoint collects the outcomes in order."""

import logging
from collections import Counter
from concurrent.futures import Future
from typing import Any, NamedTuple, Protocol

from quixstreams.sinks import BaseSink, SinkBackpressureError

from contracts import topics
from contracts.dead_letters import dead_letter
from contracts.mapping import to_validation_request
from contracts.metrics import LAST_COMMIT
from contracts.models import Transaction
from contracts.quix import Place
from contracts.records import Headers, headers_size
from contracts.service import Totals
from processor import metrics
from processor.rules import Unreadable, outputs, parse
from processor.settings import SERVICE
from processor.validator import Outage, Outcome, Refusal, Verdict

logger = logging.getLogger(__name__)

# Bounds the memory of a checkpoint, whatever others than the ingestor write to the topic.
CHECKPOINT_BYTES = 8 * 1024 * 1024
# Seconds to leave the validator alone after a checkpoint that could not be judged.
RETRY_AFTER_SECONDS = 1.0


class Validator(Protocol):
    """What the sink needs of the validator's client."""

    def submit(self, body: bytes) -> "Future[Outcome]": ...
    def insist(self, body: bytes) -> "Future[Outcome]": ...


class Producer(Protocol):
    """What the sink needs of the application's own producer, whose transaction also carries the input offsets."""

    def produce(self, topic: str, *, value: Any, key: Any, headers: Any) -> Any: ...


class Pending(NamedTuple):
    """A record of the open checkpoint, and the call or the verdict on its form that it waits for."""

    value: bytes | None
    key: bytes | None
    headers: Headers | None
    place: Place
    transaction: Transaction | None
    outcome: "Future[Outcome] | Outage | Unreadable"


class ValidatingSink(BaseSink):
    """Keeps the order of each partition, since outcomes are collected in the order of arrival."""

    def __init__(self, validator: Validator, producer: Producer) -> None:
        super().__init__()
        self._validator = validator
        self._producer = producer
        self._pending: list[Pending] = []
        self._size = 0
        self._outage: Outage | None = None
        # Of records that will be read again: what the validator has answered, or will answer in the end.
        self._answers: dict[Place, Future[Outcome]] = {}
        self._committing: list[Place] = []
        self._counts: Counter[str] = Counter()
        self._totals = Totals(logger, metrics.TRANSACTIONS)
        self._last_commit = LAST_COMMIT.labels(SERVICE)

    def add(
        self,
        value: bytes | None,
        key: Any,
        timestamp: int,
        headers: Any,
        topic: str,
        partition: int,
        offset: int,
    ) -> None:
        """Start the record's call. Blocks while as many calls are open as may be, which bounds a checkpoint's size."""
        place = Place(topic, partition, offset)
        transaction: Transaction | None = None
        outcome: Future[Outcome] | Outage | Unreadable
        parsed = parse(value, headers)
        if isinstance(parsed, Unreadable):
            outcome = parsed
        elif place in self._answers:
            transaction, outcome = parsed, self._answers[place]
        elif self._outage is not None:
            # This checkpoint will be aborted and its records read again: a call now would only burden the validator.
            outcome = self._outage
        else:
            transaction = parsed
            outcome = self._validator.submit(_question(parsed))
            outcome.add_done_callback(self._note_outage)
        self._pending.append(Pending(value, key, headers, place, transaction, outcome))
        self._size += len(value or b"") + headers_size(headers or [])

    def waits(self, place: Place) -> bool:
        """Whether a record has to wait: for the next checkpoint, since this one is full, or because the validator is still
        asked about it in the background, where its own checkpoint would hold up all others.
        """
        if self._size >= CHECKPOINT_BYTES:
            return True
        answer = self._answers.get(place)
        return answer is not None and not answer.done()

    def flush(self) -> None:
        """Produce what the outcomes ask for, inside the checkpoint's transaction.

        Raises SinkBackpressureError when the validator gave no usable answer for a record: Quix then aborts the
        transaction and reads the checkpoint's records again, so nothing is lost and nothing is written twice. In an outage
        it pauses first. If others were answered, their answers are kept, and the validator is asked on about those that
        were not: a record that `waits` may not come here before that is done.
        """
        pending, self._pending, self._size = self._pending, [], 0
        outcomes = [item.outcome.result() if isinstance(item.outcome, Future) else item.outcome for item in pending]
        self._outage = None
        unanswered = [outcome for outcome in outcomes if isinstance(outcome, Outage)]
        if unanswered:
            metrics.ABORTED.inc()
            logger.warning("%s; %d transactions wait", unanswered[0].reason, len(pending))
            answered = any(isinstance(outcome, Verdict | Refusal) for outcome in outcomes)
            if answered:
                self._keep_answers(pending)
            raise SinkBackpressureError(retry_after=0 if answered else RETRY_AFTER_SECONDS)
        self._counts = Counter(self._write(item, outcome) for item, outcome in zip(pending, outcomes, strict=True))
        self._committing = [item.place for item in pending]

    def _keep_answers(self, pending: list[Pending]) -> None:
        for item in pending:
            if item.transaction is not None and isinstance(item.outcome, Future):  # those that were asked about
                failed = isinstance(item.outcome.result(), Outage)
                answer = self._validator.insist(_question(item.transaction)) if failed else item.outcome
                self._answers[item.place] = answer

    def committed(self) -> None:
        """Count what the last flush wrote."""
        for place in self._committing if self._answers else ():
            self._answers.pop(place, None)
        self._last_commit.set_to_current_time()
        metrics.CHECKPOINT_RECORDS.observe(self._counts.total())
        self._totals.add(self._counts)

    def on_paused(self) -> None:
        """Forget the open checkpoint: its records come again."""
        self._pending.clear()
        self._size = 0

    def _write(self, item: Pending, outcome: Outcome | Unreadable) -> str:
        if isinstance(outcome, Verdict):
            assert item.transaction is not None  # only a transaction gets a call
            rows = outputs(item.transaction, outcome)
            for topic, key, value in rows:
                self._producer.produce(topic, value=value, key=key, headers=item.headers)
            return "fraudulent" if rows else "honest"
        letter = dead_letter(item.value, item.key, item.headers, outcome.reason, *item.place, SERVICE)
        self._producer.produce(topics.UNIDENTIFIED_TRANSACTIONS_DLQ, **letter._asdict())
        return "dead_letters"

    def _note_outage(self, future: "Future[Outcome]") -> None:
        outcome = future.result()
        if isinstance(outcome, Outage):
            self._outage = outcome


def _question(transaction: Transaction) -> bytes:
    return to_validation_request(transaction).model_dump_json().encode()
