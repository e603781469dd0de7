"""The command topic: every statement that changed something, in order, so that a restart can repeat them.

As in the real server it has one partition and is written in transactions, so each command takes two offsets (itself and
the transaction's mark); ksqlDB numbers its queries by these offsets.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from local.ksqldb_emulator.settings import Settings

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

        def delivered(error: object, message: Message) -> None:
            if error is None:
                offset = message.offset()
                assert offset is not None
                offsets.append(offset)

        producer = Producer(
            {
                **self._settings.kafka(),
                "transactional.id": self._settings.service_id,
                "transaction.timeout.ms": 10000,
            },
            logger=_CLIENT_LOG,
        )
        producer.init_transactions(_TIMEOUT)
        producer.begin_transaction()
        producer.produce(
            self._topic, json.dumps(asdict(command)).encode(), command_id.encode(), partition=0, on_delivery=delivered
        )
        producer.commit_transaction(_TIMEOUT)
        if not offsets:
            raise KafkaException("the command was not written")
        return offsets[0]

    def read(self) -> Iterator[tuple[int, Command]]:
        """All commands with their offsets, from the first to the one that is the last now."""
        consumer = Consumer(
            {
                **self._settings.kafka(),
                "group.id": self._settings.service_id,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
            },
            logger=_CLIENT_LOG,
        )
        try:
            consumer.assign([TopicPartition(self._topic, 0, OFFSET_BEGINNING)])
            while (message := consumer.poll(_TIMEOUT)) is not None:
                error = message.error()
                if error is not None:
                    if error.code() == KafkaError._PARTITION_EOF:
                        return
                    raise KafkaException(error)
                yield message.offset() or 0, Command(**json.loads(message.value() or b"{}"))
            raise TimeoutError("the command topic cannot be read")
        finally:
            consumer.close()
