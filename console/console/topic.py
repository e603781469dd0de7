"""`python -m console.topic NAME`: prints a topic's records as they come, as kafka-console-consumer does, personal data masked."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaException, Message, TopicPartition
from confluent_kafka.admin import ClusterMetadata

from console.masking import masked, masked_header, masked_key
from contracts import topics
from contracts.records import UNREADABLE_HEADERS, Headers, headers_of
from contracts.timestamps import utc
from runtime.errors import UserError
from runtime.kafka import bootstrap_server, client_config
from runtime.reading import assign_more, reader
from runtime.service import run_command

ANSWER_SECONDS = 5.0
# A topic may be given more partitions while it is read.
PARTITIONS_SECONDS = 5.0
# What the stack writes of itself: nothing about a person.
HARMLESS = (topics.DLQ_REPLAYS, topics.STACK_EVENTS)
NOTE = "note: personal data is masked, --unmasked shows it\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What there is to choose."""
    parser.add_argument("name")
    for option, text in (
        ("--from-beginning", "start with the oldest record"),
        ("--timestamps", "print the record's timestamp, with date and time zone"),
        ("--key", "print its key"),
        ("--headers", "print its headers"),
        ("--unmasked", "do not mask personal data"),
    ):
        parser.add_argument(option, action="store_true", help=text)


def show(
    config: Mapping[str, str], chosen: argparse.Namespace, metadata: Callable[[Consumer], ClusterMetadata]
) -> None:
    """Write each committed record on a line of its own until Ctrl-C: what is chosen of it, tabs between.

    Raises UserError for a topic that is not there.
    """
    try:
        with reader("console-consumer", {**config, "enable.partition.eof": False, "log_level": 0}) as consumer:
            known = metadata(consumer).topics
            if chosen.name not in known:
                names = ", ".join(sorted(name for name in known if not name.startswith("_")))
                raise UserError(
                    f"there is no topic {chosen.name}; there are {names or 'none yet, the stack is starting'}"
                )
            if not (chosen.unmasked or chosen.name in HARMLESS):
                sys.stderr.write(NOTE)
            start = OFFSET_BEGINNING if chosen.from_beginning else OFFSET_END
            read = set(known[chosen.name].partitions)
            consumer.assign([TopicPartition(chosen.name, partition, start) for partition in read])
            looked_at = time.monotonic()
            while True:
                if time.monotonic() - looked_at > PARTITIONS_SECONDS:
                    looked_at = time.monotonic()
                    read = assign_more(consumer, chosen.name, read, OFFSET_BEGINNING, ANSWER_SECONDS)
                for message in consumer.consume(500, 0.2):
                    if message.error() is None:
                        sys.stdout.buffer.write(b"\t".join(parts(message, chosen)) + b"\n")
                sys.stdout.flush()
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        sys.stderr.close()  # `| head` has what it wanted


def parts(message: Message, chosen: argparse.Namespace) -> Iterator[bytes]:
    """What is chosen of a record, the value last. What is not there is `null`; what is not text stays the bytes that it is."""
    as_it_is = chosen.unmasked or chosen.name in HARMLESS
    if chosen.timestamps:
        yield utc(message.timestamp()[1]).astimezone().isoformat(" ", "milliseconds").encode()
    if chosen.key:
        key = message.key()
        yield b"null" if key is None else key if as_it_is else masked_key(key).encode()
    if chosen.headers:
        yield _headers(headers_of(message), as_it_is)
    value = message.value()
    yield b"null" if value is None else value if as_it_is else masked(value).encode()


def _headers(headers: Headers | None, as_it_is: bool) -> bytes:
    if headers is None:
        return UNREADABLE_HEADERS.encode()
    shown = (
        name.encode() + b"=" + ((value or b"") if as_it_is else masked_header(name, value or b"").encode())
        for name, value in headers
    )
    return b", ".join(shown) or b"no headers"


def _metadata(consumer: Consumer) -> ClusterMetadata:
    try:
        return consumer.list_topics(timeout=ANSWER_SECONDS)
    except KafkaException:
        raise UserError(f"no broker answers at {bootstrap_server()}: ./start.sh --status shows why") from None


def main() -> None:
    """On the cluster of the environment."""
    parser = argparse.ArgumentParser(prog="console.topic")
    add_arguments(parser)
    show(client_config(), parser.parse_args(), _metadata)


if __name__ == "__main__":
    run_command(main)
