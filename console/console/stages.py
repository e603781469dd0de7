"""What the records of one transaction say: its stages in order, and what became of it. No I/O."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from console.masking import masked
from console.records import Place
from contracts import dead_letters, topics
from contracts.dead_letters import reason_in
from contracts.records import Position, Record
from contracts.timestamps import bank_timestamp
from contracts.topics import RETENTION_SECONDS
from runtime import services

Status = Literal["done", "waiting", "dead letter", "unknown"]
DONE, WAITING, DEAD, UNKNOWN = "done", "waiting", "dead letter", "unknown"

BANK, VALIDATOR = "bank", "validator"
# Who says that a transaction is fraudulent, by the process that writes its rows.
DECIDED_BY = {"ksql": BANK, "kafka-streams": VALIDATOR}

STORES = {
    "MongoDB": (tuple(map(services.connector_group, services.CONNECTORS)), topics.MONGODB_SINK_DLQ),
    "S3": ((*map(services.connector_group, services.S3_CONNECTORS), services.ARCHIVER), topics.S3_SINK_DLQ),
}

EXPIRED = "it is more than seven days old: what became of it may have expired"
NOT_COMPLETE = "there was no time to look through all records"

Committed = Mapping[str, Mapping[Place, int]]


@dataclass(frozen=True)
class Found:
    """One transaction's records; None where there is none. `users` are the rows of sender and receiver.

    `committed` is how far each group was, by partition, before the records were looked for. `complete` is whether the time
    was enough to look everywhere.
    """

    identity: str
    received: Record | None = None
    routed: Record | None = None
    row: Record | None = None
    users: tuple[Record | None, Record | None] = (None, None)
    dead_letters: Sequence[Record] = ()
    committed: Committed | None = None
    complete: bool = True


@dataclass(frozen=True)
class Stage:
    """A stage that a transaction has passed, or where it is. `at` is in milliseconds, `since` seconds from the stage before.

    A stage without a position has left no record of its own. `record` is masked.
    """

    name: str
    status: Status
    detail: str = ""
    position: Position | None = None
    at: int | None = None
    since: float | None = None
    record: str = ""


@dataclass(frozen=True)
class Trace:
    """One transaction's way. `status` is that of the stage where it ended or is, `summary` a sentence."""

    id: str
    status: Status
    summary: str
    decided_by: str
    stages: Sequence[Stage]

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        stages = [{**asdict(one), "position": one.position and one.position._asdict()} for one in self.stages]
        return {**asdict(self), "stages": stages}


def trace(found: Found, now: float) -> Trace | None:
    """The way of a transaction, as of `now` (since the epoch); None of one that is not known."""
    stages: list[Stage] = []
    for stage in _stages(found, now):
        before = next((one.at for one in reversed(stages) if one.at is not None), None)
        since = None if stage.at is None or before is None else max(stage.at - before, 0) / 1000
        stages.append(replace(stage, since=since))
    if not stages:
        return None
    by = "" if found.routed is None else BANK if found.routed.topic == topics.FRAUDULENT_TRANSACTIONS else VALIDATOR
    last = next((one for one in stages if one.status != DONE), stages[-1])
    return Trace(found.identity, last.status, _summary(found, stages, last, by), by, stages)


def _stages(found: Found, now: float) -> Iterator[Stage]:
    routed, row = found.routed, found.row
    refused = [one for one in found.dead_letters if one.topic == topics.BANK_TRANSACTIONS_DLQ]
    if found.received is not None:
        yield _written("received", found.received, _replays(found.received))
    elif routed is not None or refused:
        at = bank_timestamp((routed or refused[0]).headers)
        yield Stage("received", DONE, f"no record on {topics.BANK_TRANSACTIONS} any more", at=at)
    if routed is None:
        received = found.received
        if received is not None and not (refused and received.timestamp[1] <= refused[-1].timestamp[1]):
            yield _waits("routed", services.INGESTOR, received, now)
        elif refused:
            dead = _dead(refused[-1])
            yield dead if found.complete else replace(dead, detail=_joined(dead.detail, NOT_COMPLETE))
        return
    again = [one for one in refused if one.timestamp[1] > routed.timestamp[1]]  # the bank sent it once more
    for one in refused:
        if one not in again:
            yield _written("dead letter", one, f"{reason_in(one.headers)}; replayed since")
    if routed.topic == topics.UNIDENTIFIED_TRANSACTIONS:
        yield _written("routed", routed, _joined("unidentified: the validator decides", _replays(routed)))
        yield _validated(found, routed, now)
    else:
        yield _written("routed", routed, _joined("fraudulent: the bank decided", _replays(routed)))
        if row is None:
            yield _missing("result row", found, routed, now)
    if row is not None:
        yield from _rows(found, routed, row, now)
    yield from map(_dead, again)


def _validated(found: Found, routed: Record, now: float) -> Stage:
    """The answer is written at the time of the row, in one transaction with the position in the queue."""
    failed = [one for one in found.dead_letters if one.topic == topics.UNIDENTIFIED_TRANSACTIONS_DLQ]
    if found.row is not None:
        return Stage("validated", DONE, "fraudulent")
    if failed:
        return _dead(failed[-1])
    if _passed(found, routed, (services.PROCESSOR,)):
        if not found.complete:
            return Stage("validated", UNKNOWN, NOT_COMPLETE)
        if _old(routed, now):
            return Stage("validated", UNKNOWN, EXPIRED)
        return Stage("validated", DONE, "honest: no row is written")
    return _waits("validated", "the validator", routed, now)


def _missing(name: str, found: Found, routed: Record, now: float) -> Stage:
    """A row that is still to come, or that should be there."""
    to_validate = routed.topic == topics.UNIDENTIFIED_TRANSACTIONS
    if _passed(found, routed, [*(found.committed or ())]):
        nothing = f"every reader of {routed.topic} has passed the transaction, and no row is found"
        return Stage(name, UNKNOWN, nothing if found.complete else NOT_COMPLETE)
    return _waits(name, services.PROCESSOR if to_validate else services.KSQLDB, routed, now)


def _rows(found: Found, routed: Record, row: Record, now: float) -> Iterator[Stage]:
    yield _written("result row", row)
    for whose, user in zip(("sender", "receiver"), found.users, strict=True):
        name = f"{whose} row"
        yield _missing(name, found, routed, now) if user is None else _written(name, user)
    for store in STORES:
        yield _stored(found, store, [one for one in (row, *found.users) if one is not None], now)


def _stored(found: Found, store: str, rows: list[Record], now: float) -> Stage:
    """Sinks commit what they have written: a row before a group's committed offset is stored, or a dead letter."""
    groups, dead_letter_topic = STORES[store]
    name = f"stored in {store}"
    for one in found.dead_letters:
        if one.topic == dead_letter_topic:
            return _dead(one, name)
    for row in rows:
        offsets = _offsets(found, row, groups)
        if not offsets:
            return Stage(name, UNKNOWN, f"no sink of {row.topic} to {store} is known")
        if max(offsets) <= row.offset:
            return _waits(name, f"the sink to {store}", row, now)
    if not found.complete:  # among the records that were not looked at there may be a dead letter
        return Stage(name, UNKNOWN, NOT_COMPLETE)
    if any(_old(row, now) for row in rows):
        return Stage(name, UNKNOWN, EXPIRED)
    return Stage(name, DONE, "its sinks have committed all rows")


def _old(record: Record, now: float) -> bool:
    """Whether records that were written after this one may have expired before it: retention removes whole segments."""
    return now - record.timestamp[1] / 1000 > RETENTION_SECONDS


def _passed(found: Found, record: Record, groups: Sequence[str]) -> bool:
    """Whether all the groups that read the record's topic have committed a later offset."""
    offsets = _offsets(found, record, groups)
    return bool(offsets) and min(offsets) > record.offset


def _offsets(found: Found, record: Record, groups: Sequence[str]) -> list[int]:
    """How far each of the groups that read the record's topic is in its partition: one that has committed nothing yet, at 0."""
    place = record.topic, record.partition
    committed = found.committed or {}
    return [max(committed[one][place], 0) for one in groups if place in committed.get(one, {})]


def _written(name: str, record: Record, detail: str = "") -> Stage:
    return Stage(name, DONE, detail, record.position, record.timestamp[1], record=masked(record.value or b""))


def _dead(record: Record, name: str = "dead letter") -> Stage:
    detail = _joined(reason_in(record.headers), _replays(record))
    return Stage(name, DEAD, detail, record.position, record.timestamp[1], record=masked(record.value or b""))


def _waits(name: str, whose: str, record: Record, now: float) -> Stage:
    return Stage(name, WAITING, f"in the queue of {whose}, {max(now - record.timestamp[1] / 1000, 0.0):.0f} s")


def _replays(record: Record) -> str:
    tries = dead_letters.replay(record.headers).tries
    return f"replayed {tries} time{'s' if tries > 1 else ''}" if tries else ""


def _joined(*details: str) -> str:
    return "; ".join(filter(None, details))


def _summary(found: Found, stages: Sequence[Stage], last: Stage, by: str) -> str:
    if last.status == DEAD:
        return f"Dead letter on {last.position.topic if last.position else ''}: {last.detail}"
    if last.status == WAITING:
        return f"{'No' if last.name.endswith('row') else 'Not'} {last.name} yet: {last.detail}"
    if last.status == UNKNOWN:
        return f"{last.name[:1].upper()}{last.name[1:]}: {last.detail}"
    if found.row is None:
        return "Honest: the validator did not find it fraudulent, so no row is written"
    first, written = (one.at for one in (stages[0], next(one for one in stages if one.name == "result row")))
    took = (
        ""
        if first is None or written is None
        else f", its row written {max(written - first, 0) / 1000:.2f} s after it came"
    )
    return f"Fraudulent, found by the {by}{took}; stored in {' and '.join(STORES)}"
