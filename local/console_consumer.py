"""`--topic`: prints a topic's records as they come, as kafka-console-consumer does."""

import sys
import time

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaException, TopicPartition

from contracts.kafka import SettingsError
from local.running import RunningStack, metadata

# A topic may be given more partitions while it is read.
PARTITIONS_SECONDS = 5.0


def consume(stack: RunningStack, topic: str, from_beginning: bool) -> None:
    """Write each committed record's value on a line of its own until Ctrl-C.

    Raises SettingsError for a topic that is not there.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": stack.bootstrap,
            "group.id": "console-consumer",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "log_level": 0,
        }
    )
    try:
        known = metadata(stack, consumer).topics
        if topic not in known:
            names = ", ".join(sorted(name for name in known if not name.startswith("_")))
            raise SettingsError(f"there is no topic {topic}; there are {names or 'none yet, the stack is starting'}")
        start = OFFSET_BEGINNING if from_beginning else OFFSET_END
        read = set(known[topic].partitions)
        consumer.assign([TopicPartition(topic, partition, start) for partition in read])
        looked_at = time.monotonic()
        while True:
            if time.monotonic() - looked_at > PARTITIONS_SECONDS:
                looked_at = time.monotonic()
                read = _assign_more(consumer, topic, read)
            for message in consumer.consume(500, 0.2):
                if message.error() is None:
                    sys.stdout.buffer.write((message.value() or b"null") + b"\n")
            sys.stdout.flush()
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        sys.stderr.close()  # `| head` has what it wanted
    finally:
        consumer.close()


def _assign_more(consumer: Consumer, topic: str, read: set[int]) -> set[int]:
    """Read the partitions too that the topic has by now; what is on them is new. Gives all that are read."""
    try:
        partitions = consumer.list_topics(topic, timeout=5).topics[topic].partitions
    except KafkaException:
        return read  # the broker is away: the client waits for it
    if set(partitions) > read:
        consumer.incremental_assign([TopicPartition(topic, one, OFFSET_BEGINNING) for one in set(partitions) - read])
        read |= set(partitions)
    return read
