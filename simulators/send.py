"""Sends transactions of your own: `.local/python -m simulators.send FILE ...`; `-` is the standard input. A file is one record.

What is in a file is sent as it is, broken or not: the ingestor judges it. A transaction's id becomes the record's key, as with
the bank. Environment: KAFKA_BOOTSTRAP_SERVER, and the usual security settings; `.local/python` has the running stack's.
"""

import json
import logging
import sys
from collections.abc import Iterable
from pathlib import Path

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from contracts import topics
from runtime.errors import UserError
from runtime.kafka import IDEMPOTENT, LARGE, client_config
from runtime.service import run_command

logger = logging.getLogger(__name__)

SECONDS = 10


def key_of(value: bytes) -> str | None:
    """The transaction's id; None when the value has none that a key can be."""
    try:
        identity = json.loads(value)["transaction_id"]
        return identity if isinstance(identity, str) and identity.encode() else None
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


def send(files: Iterable[str]) -> None:
    """Send each file's content as one record. Raises UserError for a file that cannot be read and a record that is not taken."""
    producer = Producer({**client_config(), **IDEMPOTENT, **LARGE, "log_level": 0})
    refused: list[KafkaError] = []

    def on_delivery(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            refused.append(error)

    for name in files:
        try:
            value = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        except OSError as error:
            raise UserError(f"{name} cannot be read: {error.strerror}") from None
        key = key_of(value)
        try:
            producer.produce(topics.BANK_TRANSACTIONS, value, key, on_delivery=on_delivery)
        except KafkaException as error:  # too large for any topic
            raise UserError(f"{name} is not sent: {error.args[0].str()}") from None
        if producer.flush(SECONDS):
            raise UserError(
                f"the broker at {client_config()['bootstrap.servers']} does not answer: does the stack run?"
            )
        if refused:
            raise UserError(f"the broker refuses {name}: {refused[0].str()}")
        logger.info("sent to %s: %s", topics.BANK_TRANSACTIONS, key or "a record without an id")


if __name__ == "__main__":
    run_command(lambda: send(sys.argv[1:] or ["-"]))
