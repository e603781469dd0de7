"""Puts the records of a dead-letter topic back to the topics that they came from: `./start.sh --replay-dlq TOPIC [--dry-run]`.

For letters whose cause is mended: a validator that refused wrongly, a contract that was widened, a store that takes more now.
A letter goes back once, however often this is run and whatever kills it: it is written in one transaction with the place that
was read, and the next run goes on from there. One that is refused again is a new letter, with `dlq.tries` counted up in its
headers; a run ends at the letters that were there when it began.

Environment: KAFKA_BOOTSTRAP_SERVER, and the usual security settings.
"""

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the script is run by its path

from contracts import topics
from contracts.dead_letters import Replay, replay
from contracts.kafka import SettingsError, bootstrap_server, client_config, transactional
from contracts.reading import end_of, records_between
from contracts.records import headers_of

logger = logging.getLogger("replay_dlq")

NAME = "dlq-replay"  # the consumer group, and the transactional id: a second run at the same time stops the first
SECONDS = 10.0


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
            producer.init_transactions(SECONDS)
        told: Counter[str] = Counter()
        for batch in _unread(consumer, topic):
            letters = [(message, replay(headers_of(message))) for message in batch]
            if producer is not None:
                _send(consumer, producer, letters)
            told.update(_line(letter) for _, letter in letters)
        for line, count in told.most_common():
            logger.info("%6d %s", count, line)
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


def _unread(consumer: Consumer, topic: str) -> Iterator[list[Message]]:
    """The letters from where the last run ended to where the topic ends now; what comes meanwhile is for the next run."""
    end = end_of(consumer, topic)
    places = consumer.committed([TopicPartition(topic, partition) for partition in end], timeout=SECONDS)
    yield from records_between(consumer, topic, {one.partition: max(one.offset, 0) for one in places}, end)


def _send(consumer: Consumer, producer: Producer, letters: list[tuple[Message, Replay]]) -> None:
    if not letters:
        return
    producer.begin_transaction()
    for message, letter in letters:
        if letter.topic is not None:
            producer.produce(
                letter.topic, message.value(), message.key(), headers=letter.headers, timestamp=message.timestamp()[1]
            )
    next_offsets = {message.partition(): message.offset() + 1 for message, _ in letters}
    positions = [TopicPartition(letters[0][0].topic(), *position) for position in next_offsets.items()]
    producer.send_offsets_to_transaction(positions, consumer.consumer_group_metadata(), SECONDS)
    producer.commit_transaction(SECONDS)


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
