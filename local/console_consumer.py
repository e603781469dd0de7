"""`--topic`: prints a topic's records as they come, as kafka-console-consumer does."""

import sys

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, TopicPartition

from contracts.kafka import SettingsError
from local.running import RunningStack, metadata


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
        consumer.assign([TopicPartition(topic, partition, start) for partition in known[topic].partitions])
        while True:
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
