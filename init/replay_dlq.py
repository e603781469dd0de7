"""Puts the records of a dead-letter topic back to the topics that they came from: `./start.sh --replay-dlq TOPIC [--dry-run]`.

For letters whose cause is mended: a validator that refused wrongly, a contract that was widened, a store that takes more now.
A letter goes back once, however often this is run and whatever kills it: it is written in one transaction with a note of it
and of the position that was read, and the next run goes on from there. The notes are on a compacted topic, where they live
as long as the letters; consumer offsets expire. A copy of a letter (Kafka Connect writes some again and again while its
store refuses everything) does not go back. One that is refused again is a new letter, with `dlq.tries` counted up in its
headers; a run ends at the letters that were there when it began.

Environment: KAFKA_BOOTSTRAP_SERVER, and the usual security settings.
"""

import argparse
import json
import logging
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the script is run by its path

from contracts import topics
from contracts.dead_letters import Replay, identity, replay
from contracts.kafka import SettingsError, bootstrap_server, client_config, transactional
from contracts.reading import end_of, records_between
from contracts.records import headers_of

logger = logging.getLogger("replay_dlq")

# The transactional id: a second run at the same time stops the first. Also the consumer group in whose offsets earlier
# versions kept the position.
NAME = "dlq-replay"
SECONDS = 10.0


@dataclass
class Notes:
    """What the topic of replays says about one dead-letter topic.

    Positions belong to the topic's id: a topic that was deleted and created begins with offset 0 again. A letter's note has
    no such id, since a copy of it may come to the new topic.
    """

    topic: str
    topic_id: str
    positions: dict[int, int] = field(default_factory=dict)
    replayed: set[str] = field(default_factory=set)
    # Whether there is a position, be it of an earlier topic of this name.
    started: bool = False

    def take(self, key: str, note: Mapping[str, object]) -> None:
        """A note as it was written; the topic may hold some that compaction has not removed yet."""
        match key.split("/"):
            case [self.topic, "position", partition]:
                self.started = True
                offset = note["offset"]
                if note["topic_id"] == self.topic_id and isinstance(offset, int):
                    self.positions[int(partition)] = max(offset, self.positions.get(int(partition), 0))
            case [self.topic, "letter", letter]:
                self.replayed.add(letter)

    def of_position(self, partition: int, offset: int) -> tuple[str, str]:
        """Key and value of the note that letters before this offset are done with."""
        return f"{self.topic}/position/{partition}", json.dumps({"topic_id": self.topic_id, "offset": offset})

    def of_letter(self, letter: str, message: Message) -> tuple[str, str]:
        """Key and value of the note that a letter went back."""
        return f"{self.topic}/letter/{letter}", json.dumps(
            {"partition": message.partition(), "offset": message.offset()}
        )


def main(topic: str, dry_run: bool) -> None:
    """Replay the letters that were not replayed yet, and tell how many there were by source, reason and tries."""
    if topic not in topics.DEAD_LETTERS:
        raise SettingsError(f"{topic} is no dead-letter topic: there are {', '.join(topics.DEAD_LETTERS)}")
    consumer = Consumer(
        {
            **client_config(),
            "group.id": NAME,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        },
        logger=logging.getLogger("kafka"),
    )
    try:
        _check_broker(consumer)
        producer = None if dry_run else Producer({**client_config(), **transactional(NAME)})
        if producer is not None:
            producer.init_transactions(
                SECONDS
            )  # before the notes are read: what another run has started is settled by it
        notes = _read_notes(consumer, topic)
        end = end_of(consumer, topic)
        begin = _begin(consumer, notes, end)
        if producer is not None and not notes.started:
            _write(producer, notes, [], begin)
        told: Counter[str] = Counter()
        copies = 0
        for batch in records_between(consumer, topic, begin, end):
            letters = list(_without_copies(batch, notes))
            copies += len(batch) - len(letters)
            if producer is not None and batch:
                _write(producer, notes, letters, {message.partition(): message.offset() + 1 for message in batch})
            told.update(_line(letter) for _, letter, _ in letters)
        for line, count in told.most_common():
            logger.info("%6d %s", count, line)
        if copies:
            logger.info("%6d copies of letters that went back already, or that are counted here, left out", copies)
        what = "would be replayed" if dry_run else "replayed"
        logger.info("%s: %d letters %s", topic, told.total(), what)
    except KafkaException as error:
        raise SettingsError(
            f"stopped by Kafka ({error.args[0].str()}): call this again, what has gone back does not go twice"
        ) from None
    finally:
        consumer.close()


def _check_broker(consumer: Consumer) -> None:
    try:
        consumer.list_topics(timeout=SECONDS)
    except KafkaException:
        raise SettingsError(f"no broker answers at {bootstrap_server()}: start the stack first") from None


def _read_notes(consumer: Consumer, topic: str) -> Notes:
    ids = {}
    admin = AdminClient(client_config(), logger=logging.getLogger("kafka"))
    for name, future in admin.describe_topics(TopicCollection([topic, topics.DLQ_REPLAYS])).items():
        try:
            ids[name] = str(future.result(SECONDS).topic_id)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise
            raise SettingsError(
                f"there is no topic {name}: init/init_kafka.py creates it, at each start of the stack"
            ) from None
    notes = Notes(topic, ids[topic])
    for batch in records_between(consumer, topics.DLQ_REPLAYS, {}, end_of(consumer, topics.DLQ_REPLAYS)):
        for message in batch:
            notes.take((message.key() or b"").decode(), json.loads(message.value() or b"{}"))
    return notes


def _begin(consumer: Consumer, notes: Notes, end: Mapping[int, int]) -> dict[int, int]:
    """Where to read on, by partition. A position behind the topic's end is that of an earlier topic of this name."""
    begin = notes.positions
    if not notes.started:
        committed = consumer.committed([TopicPartition(notes.topic, one) for one in end], timeout=SECONDS)
        begin = {one.partition: max(one.offset, 0) for one in committed}
    return {one: offset if (offset := begin.get(one, 0)) <= end[one] else 0 for one in end}


def _without_copies(batch: Iterable[Message], notes: Notes) -> Iterable[tuple[Message, Replay, str | None]]:
    """The letters with how they go back, and their name for the notes; one that does not say where it was has none."""
    for message in batch:
        headers = headers_of(message)
        known = identity(message.value(), message.key(), headers)
        name = known.hex() if known is not None else None
        if name is None or name not in notes.replayed:
            yield message, replay(headers), name
        if name is not None:
            notes.replayed.add(name)


def _write(
    producer: Producer,
    notes: Notes,
    letters: list[tuple[Message, Replay, str | None]],
    positions: Mapping[int, int],
) -> None:
    """The letters, a note of each, and how far the topic was read: all of it or nothing."""
    producer.begin_transaction()
    for message, letter, name in letters:
        if letter.topic is None:
            continue
        producer.produce(
            letter.topic, message.value(), message.key(), headers=letter.headers, timestamp=message.timestamp()[1]
        )
        if name is not None:
            _note(producer, *notes.of_letter(name, message))
    for position in positions.items():
        _note(producer, *notes.of_position(*position))
    producer.commit_transaction(SECONDS)


def _note(producer: Producer, key: str, value: str) -> None:
    producer.produce(topics.DLQ_REPLAYS, value, key)


def _line(letter: Replay) -> str:
    tried = f", put back {letter.tries} times before" if letter.tries else ""
    return f"to {letter.topic or 'nowhere, since no header names one of the topics as their source'}: {letter.reason}{tried}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Puts dead letters back to their source topics.")
    parser.add_argument("topic", help=f"one of {', '.join(topics.DEAD_LETTERS)}")
    parser.add_argument("--dry-run", action="store_true", help="only tell what would go back")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        main(arguments.topic, arguments.dry_run)
    except SettingsError as problem:
        sys.exit(f"error: {problem}")
