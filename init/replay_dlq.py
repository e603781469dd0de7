"""Replays the records of a dead-letter topic to the topics that they came from: `./start.sh --replay-dlq TOPIC`.

For dead letters whose cause is fixed: a validator that refused wrongly, a contract that was too narrow, a store that accepts more
now. A dead letter is replayed once, however often this runs and whatever kills it: one transaction writes the record, a note of
it and the position read so far, and the next run continues from that position. The notes are on a compacted topic, which keeps
them as long as the dead letters; consumer offsets would expire. Copies of a dead letter (Kafka Connect keeps writing them while
its store refuses everything) are not replayed. A record that is refused again becomes a new dead letter, with `dlq.tries`
incremented in its headers; a run ends at the dead letters that were there when it began.

With a kind of reason or a limit some dead letters stay: the position then stays before the first of these in each partition, and
what is behind it and was replayed is known by its note.

Environment: KAFKA_BOOTSTRAP_SERVER, and the usual security settings.
"""

import argparse
import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicCollection
from confluent_kafka.admin import AdminClient

from contracts import topics
from contracts.dead_letters import Replay, identity, kind_of, replay
from contracts.records import headers_of
from runtime.errors import UserError
from runtime.kafka import SMALL_QUEUE, bootstrap_server, client_config, transactional
from runtime.reading import end_of, reader, records_between
from runtime.service import run_command

logger = logging.getLogger("replay_dlq")

# The transactional.id: a second run at the same time fences the first.
NAME = "dlq-replay"
SECONDS = 10.0


@dataclass
class Notes:
    """What the topic of replays says about one dead-letter topic.

    Positions belong to the topic's id: a topic that is deleted and recreated starts at offset 0 again. The note of a dead letter
    has no such id, since a copy of that dead letter may arrive on the new topic.
    """

    topic: str
    topic_id: str
    positions: dict[int, int] = field(default_factory=dict)
    replayed: set[str] = field(default_factory=set)

    def take(self, key: str, note: Mapping[str, object]) -> None:
        """Apply a note from the topic, which may still hold old ones that compaction has not removed yet."""
        match key.split("/"):
            case [self.topic, "position", partition]:
                offset = note["offset"]
                if note["topic_id"] == self.topic_id and isinstance(offset, int):
                    self.positions[int(partition)] = max(offset, self.positions.get(int(partition), 0))
            case [self.topic, "dead-letter", dead_letter]:
                self.replayed.add(dead_letter)

    def of_position(self, partition: int, offset: int) -> tuple[str, str]:
        """Value and key of the note that all dead letters before this offset are done."""
        return json.dumps({"topic_id": self.topic_id, "offset": offset}), f"{self.topic}/position/{partition}"

    def of_dead_letter(self, dead_letter: str, message: Message) -> tuple[str, str]:
        """Value and key of the note that a dead letter was replayed."""
        place = {"partition": message.partition(), "offset": message.offset()}
        return json.dumps(place), f"{self.topic}/dead-letter/{dead_letter}"


class DeadLetter(NamedTuple):
    """A dead letter that was not replayed yet: how to replay it, and its name in the notes (None without a source position)."""

    message: Message
    replay: Replay
    name: str | None

    @property
    def kind(self) -> str:
        return kind_of(self.replay.reason)

    @property
    def line(self) -> str:
        """The line that stands for it and for all like it."""
        if _is_empty(self.message):
            return f"not replayed, it has no content: {self.kind}"
        if self.replay.topic is None:
            return f"not replayed, its headers name no known source topic: {self.kind}"
        tried = f", replayed {self.replay.tries} times before" if self.replay.tries else ""
        return f"to {self.replay.topic}: {self.kind}{tried}"


class Choice:
    """Which dead letters are replayed: of one kind of reason, or of all, and no more than a limit."""

    def __init__(self, kind: str | None = None, limit: int | None = None) -> None:
        self.kinds: Counter[str] = Counter()
        self.taken: Counter[str] = Counter()
        self.replayed = self.left = 0
        self._kind, self._limit = kind, limit
        # The partitions in which a dead letter stays, and the offset of the first one.
        self._stays: dict[int, int] = {}

    def takes(self, dead_letter: DeadLetter) -> bool:
        """Decide, and count. Behind one that stays only what has a name is taken: anything else would be replayed twice."""
        self.kinds[dead_letter.kind] += 1
        partition, offset = dead_letter.message.partition() or 0, dead_letter.message.offset() or 0
        taken = (
            self._kind in (None, dead_letter.kind)
            and (self._limit is None or self.taken.total() < self._limit)
            and (dead_letter.name is not None or partition not in self._stays)
        )
        if taken:
            self.taken[dead_letter.line] += 1
            self.replayed += dead_letter.replay.topic is not None
        else:
            self._stays.setdefault(partition, offset)
            self.left += 1
        return taken

    def done(self, positions: Mapping[int, int]) -> dict[int, int]:
        """Of the positions read so far, those before which no dead letter stays."""
        return {partition: min(offset, self._stays.get(partition, offset)) for partition, offset in positions.items()}

    def check(self) -> None:
        """Raises UserError when no dead letter is of the kind, with the kinds that there are."""
        if self._kind is None or self._kind in self.kinds:
            return
        kinds = "".join(f"\n{count:6} {kind}" for kind, count in _by_count(self.kinds))
        raise UserError(f"no dead letter to replay has the reason '{self._kind}'; there are{kinds or ' none at all'}")


def _by_count(counts: Counter[str]) -> list[tuple[str, int]]:
    """The most first; which of equally many were read first does not matter."""
    return sorted(counts.items(), key=lambda one: (-one[1], one[0]))


def replay_topic(topic: str, dry_run: bool, choice: Choice) -> None:
    """Replay the chosen of the dead letters that were not replayed yet, and log how many by source, kind of reason and tries."""
    if topic not in topics.DEAD_LETTERS:
        raise UserError(f"{topic} is not a dead-letter topic: must be one of {', '.join(topics.DEAD_LETTERS)}")
    with reader(NAME, {**client_config(), **SMALL_QUEUE}) as consumer:
        _check_broker(consumer)
        producer = None if dry_run else Producer({**client_config(), **transactional(NAME)})
        if producer is not None:
            producer.init_transactions(SECONDS)  # before the notes are read: it ends any transaction of an earlier run
        notes = _read_notes(consumer, topic)
        end = end_of(consumer, topic)
        # A position beyond the topic's end is from an earlier topic of this name.
        begin = {one: offset if (offset := notes.positions.get(one, 0)) <= end[one] else 0 for one in end}
        copies = 0
        for batch in records_between(consumer, topic, begin, end):
            dead_letters = list(_without_copies(batch, notes))
            copies += len(batch) - len(dead_letters)
            chosen = [one for one in dead_letters if choice.takes(one)]
            if producer is not None and batch:
                read = {message.partition(): message.offset() + 1 for message in batch}
                _write(producer, notes, chosen, choice.done(read))
        choice.check()
        for line, count in _by_count(choice.taken):
            logger.info("%6d %s", count, line)
        if copies:
            logger.info("%6d copies skipped, of dead letters that were replayed before or are counted above", copies)
        noun = "dead letter" if choice.replayed == 1 else "dead letters"
        what = "would be replayed" if dry_run else "replayed"
        others = f", {choice.left} others stay" if choice.left else ""
        logger.info("%s: %d %s %s%s", topic, choice.replayed, noun, what, others)


def _check_broker(consumer: Consumer) -> None:
    try:
        consumer.list_topics(timeout=SECONDS)
    except KafkaException:
        raise UserError(f"no broker answers at {bootstrap_server()}: start the stack first") from None


def _read_notes(consumer: Consumer, topic: str) -> Notes:
    ids = {}
    admin = AdminClient(client_config(), logger=logging.getLogger("kafka"))
    for name, future in admin.describe_topics(TopicCollection([topic, topics.DLQ_REPLAYS])).items():
        try:
            ids[name] = str(future.result(SECONDS).topic_id)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise
            raise UserError(f"there is no topic {name}: start the stack again to create it") from None
    notes = Notes(topic, ids[topic])
    for batch in records_between(consumer, topics.DLQ_REPLAYS, {}, end_of(consumer, topics.DLQ_REPLAYS)):
        for message in batch:
            try:
                notes.take((message.key() or b"").decode(), json.loads(message.value() or b"{}"))
            # Whoever may write to the topic may write anything.
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                logger.warning("an invalid note is skipped, at offset %s: %s", message.offset(), type(error).__name__)
    return notes


def _without_copies(batch: Iterable[Message], notes: Notes) -> Iterable[DeadLetter]:
    """Those that were not replayed yet, each once."""
    for message in batch:
        headers = headers_of(message)
        known = identity(message.value(), message.key(), headers)
        name = known.hex() if known is not None else None
        if name is None or name not in notes.replayed:
            how = replay(headers)
            if _is_empty(message):  # a record that was too large for its dead letter
                how = how._replace(topic=None)
            yield DeadLetter(message, how, name)
        if name is not None:
            notes.replayed.add(name)


def _is_empty(message: Message) -> bool:
    return message.value() is None and message.key() is None


def _write(
    producer: Producer,
    notes: Notes,
    dead_letters: list[DeadLetter],
    positions: Mapping[int, int],
) -> None:
    """Write the dead letters, a note of each, and the positions read so far, all in one transaction."""
    producer.begin_transaction()
    for message, to_replay, name in dead_letters:
        if to_replay.topic is None:
            continue
        producer.produce(
            to_replay.topic,
            message.value(),
            message.key(),
            headers=to_replay.headers,
            timestamp=message.timestamp()[1],
        )
        if name is not None:
            producer.produce(topics.DLQ_REPLAYS, *notes.of_dead_letter(name, message))
    for position in positions.items():
        producer.produce(topics.DLQ_REPLAYS, *notes.of_position(*position))
    producer.commit_transaction(SECONDS)


def _limit(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' must be a whole number of at least 1")
    return int(text)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="replay-dlq", description="Replays dead letters to their source topics.")
    parser.add_argument("topic", help=f"one of {', '.join(topics.DEAD_LETTERS)}")
    parser.add_argument("--dry-run", action="store_true", help="only print what would be replayed")
    parser.add_argument("--reason", metavar="KIND", help="only those with this reason, as --dry-run prints it")
    parser.add_argument(
        "--limit", metavar="N", type=_limit, help="replay at most N, the oldest of each partition first"
    )
    arguments = parser.parse_args()
    try:
        replay_topic(arguments.topic, arguments.dry_run, Choice(arguments.reason, arguments.limit))
    except KafkaException as error:
        raise UserError(
            f"stopped by a Kafka error ({error.args[0].str()}): run this again, nothing is replayed twice"
        ) from None


if __name__ == "__main__":
    run_command(main)
