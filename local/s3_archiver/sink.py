"""The Quix sink: one object per topic, partition and day at each checkpoint, named by its first offset."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from confluent_kafka import KafkaException
from quixstreams.sinks import BatchingSink, SinkBackpressureError, SinkBatch

from contracts import topics
from contracts.dead_letters import Headers, dead_letter_headers
from contracts.metrics import LAST_COMMIT
from contracts.service import Totals
from local.s3_archiver import metrics
from local.s3_archiver.rows import NotARow, Row, objects, row_line
from local.s3_archiver.settings import SERVICE, Settings

logger = logging.getLogger(__name__)

# Seconds to leave S3 alone after a checkpoint that could not be written.
RETRY_AFTER_SECONDS = 5.0

# One try: a checkpoint that fails is read and written again as a whole. The times keep a stop below 10 seconds.
CLIENT_CONFIG = Config(connect_timeout=3, read_timeout=6, retries={"total_max_attempts": 1})


class Producer(Protocol):
    """What the sink needs of the application's own producer, whose transaction also carries the input offsets."""

    def produce(self, topic: str, *, value: Any, key: Any, headers: Any) -> Any: ...


class DeadLetter(NamedTuple):
    """A record of the open checkpoint that is not a row."""

    value: bytes | None
    key: bytes | None
    headers: Headers


class TopicRecreated(Exception):
    """A topic was deleted and created again while the archiver ran: its rows need another name from now on."""


class ArchiveSink(BatchingSink):
    """Repeats nothing: what a checkpoint that was not committed has written, its successors write over.

    `incarnations` asks the broker which incarnation each topic is. One sink writes of one incarnation only: a topic that
    was created again ends it.
    """

    def __init__(self, settings: Settings, producer: Producer, incarnations: Callable[[], Mapping[str, str]]) -> None:
        super().__init__()
        self._settings = settings
        self._producer = producer
        self._ask_incarnations = incarnations
        self._incarnations = incarnations()
        self._client: Any = None
        self._dead_letters: list[DeadLetter] = []
        self._counts: Counter[str] = Counter()
        self._totals = Totals(logger, metrics.WRITTEN)
        self._last_commit = LAST_COMMIT.labels(SERVICE)

    def setup(self) -> None:
        """Make the client. Nothing is asked of S3: it may come up later than the archiver, and write() says what is wrong."""
        settings = self._settings
        self._client = boto3.client(
            "s3",
            aws_access_key_id=settings.aws_access_key_id,
            aws_secret_access_key=settings.aws_secret_access_key.get_secret_value(),
            region_name=settings.aws_region,
            endpoint_url=settings.s3_endpoint,
            config=CLIENT_CONFIG,
        )

    def add(
        self,
        value: bytes | None,
        key: Any,
        timestamp: int,
        headers: Any,
        topic: str,
        partition: int,
        offset: int,
    ) -> None:
        """Keep a row for its object, and what is not a row for the dead letters."""
        try:
            super().add(row_line(topic, value), key, timestamp, headers, topic, partition, offset)
        except NotARow as reason:
            letter_headers = dead_letter_headers(headers, str(reason), topic, partition, offset, SERVICE)
            self._dead_letters.append(DeadLetter(value, key, letter_headers))

    def flush(self) -> None:
        """Write the objects, then produce the dead letters inside the checkpoint's transaction.

        Raises SinkBackpressureError when S3 did not take an object: Quix then pauses and reads the checkpoint's records
        again, so nothing is lost. Raises TopicRecreated before anything is written.
        """
        self._check_incarnations()
        letters, self._dead_letters = self._dead_letters, []
        self._counts = Counter(rows=sum(batch.size for batch in self._batches.values()), dead_letters=len(letters))
        super().flush()
        for letter in letters:
            self._producer.produce(topics.S3_SINK_DLQ, **letter._asdict())

    def committed(self) -> None:
        """Count what the last flush wrote."""
        self._last_commit.set_to_current_time()
        self._totals.add(self._counts)

    def write(self, batch: SinkBatch) -> None:
        """Write the objects of a partition. The error's text is S3's own and holds no credential."""
        rows = (Row(item.offset, item.timestamp, item.value) for item in batch)
        settings, topic = self._settings, batch.topic
        try:
            for name, content in objects(
                settings.s3_prefix, topic, self._incarnations[topic], batch.partition, rows
            ).items():
                self._client.put_object(Bucket=settings.s3_bucket, Key=name, Body=content)
                self._counts["objects"] += 1
        except (BotoCoreError, ClientError) as error:
            logger.warning("S3 did not take an object, next try in %.0f s: %s", RETRY_AFTER_SECONDS, error)
            raise SinkBackpressureError(retry_after=RETRY_AFTER_SECONDS) from error

    def on_paused(self) -> None:
        """Forget the open checkpoint: its records come again."""
        super().on_paused()
        self._dead_letters.clear()

    def _check_incarnations(self) -> None:
        try:
            now = self._ask_incarnations()
        except KafkaException as error:
            logger.warning("the broker does not name the topics, next try in %.0f s: %s", RETRY_AFTER_SECONDS, error)
            raise SinkBackpressureError(retry_after=RETRY_AFTER_SECONDS) from error
        for topic, incarnation in self._incarnations.items():
            if now[topic] != incarnation:
                raise TopicRecreated(f"the topic {topic} was deleted and created again")
