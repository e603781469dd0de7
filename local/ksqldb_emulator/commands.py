"""The command topic: every statement that changed something, in order, so that a restart can repeat them.

As in the real server it has one partition and is written in transactions, so each command takes two offsets (itself and
the transaction's mark); ksqlDB numbers its queries by these offsets.
"""

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from confluent_kafka import Producer

from local.ksqldb_emulator.settings import Settings
from runtime.kafka import transactional
from runtime.reading import end_of, reader, records_between

_TIMEOUT = 15.0
_CLIENT_LOG = logging.getLogger("librdkafka")


@dataclass(frozen=True)
class Command:
    """A statement as it was carried out. `query_id` belongs to a statement that made a query."""

    statement: str
    query_id: str | None = None
    auto_offset_reset: str | None = None


class CommandLog:
    """The command topic of a server."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topic = settings.command_topic

    def append(self, command_id: str, command: Command) -> int:
        """Write a command and return its offset. Raises KafkaException."""
        offsets: list[int] = []
        producer = Producer({**self._settings.kafka, **transactional(self._settings["service.id"])}, logger=_CLIENT_LOG)
        producer.init_transactions(_TIMEOUT)
        producer.begin_transaction()
        producer.produce(
            self._topic,
            json.dumps(asdict(command)).encode(),
            command_id.encode(),
            partition=0,
            on_delivery=lambda _, message: offsets.append(message.offset() or 0),
        )
        producer.commit_transaction(_TIMEOUT)  # fails unless the record was delivered
        return offsets[0]

    def read(self) -> Iterator[tuple[int, Command]]:
        """All commands with their offsets, from the first to the one that is the last now. Raises KafkaException."""
        with reader(self._settings["service.id"], self._settings.kafka) as consumer:
            for batch in records_between(consumer, self._topic, {}, end_of(consumer, self._topic)):
                for message in batch:
                    yield message.offset() or 0, Command(**json.loads(message.value() or b"{}"))
