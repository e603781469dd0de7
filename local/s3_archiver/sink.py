"""The Quix sink: one object per topic, partition and day at each checkpoint, named by its first offset."""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from confluent_kafka import KafkaException
from quixstreams.sinks import SinkBackpressureError

from contracts import topics
from contracts.dead_letters import DeadLetter, dead_letter
from contracts.records import Record
from local.s3_archiver import metrics
from local.s3_archiver.rules import NotARow, Row, objects, row_line
from local.s3_archiver.settings import SERVICE, Settings
from runtime.hang import alive
from runtime.metrics import LAST_COMMIT
from runtime.quix import Producer, RecordSink
from runtime.service import Totals

logger = logging.getLogger(__name__)

# Seconds to leave S3 alone after a checkpoint that could not be written.
RETRY_AFTER_SECONDS = 5.0

# One try: a checkpoint that fails is read and written again as a whole. These timeouts let the archiver stop within 10 seconds.
CLIENT_CONFIG = Config(connect_timeout=3, read_timeout=6, retries={"total_max_attempts": 1})


class TopicRecreated(Exception):
    """A topic was deleted and created again while the archiver ran: its objects need other names from now on."""


class ArchiveSink(RecordSink):
    """Writes no row twice: the objects of a checkpoint that was not committed are overwritten when it is read again.

    `incarnations` asks the broker for the current incarnation of each topic. A sink writes only one incarnation of each:
    it ends when a topic was recreated.
    """

    def __init__(self, settings: Settings, producer: Producer, incarnations: Callable[[], Mapping[str, str]]) -> None:
        super().__init__()
        self._settings = settings
        self._producer = producer
        self._ask_incarnations = incarnations
        self._incarnations = incarnations()
        # No request yet: S3 may start later than the archiver, and write() logs what is wrong.
        self._client: Any = boto3.client(
            "s3",
            aws_access_key_id=settings.aws_access_key_id,
            aws_secret_access_key=settings.aws_secret_access_key.get_secret_value(),
            region_name=settings.aws_region,
            endpoint_url=settings.s3_endpoint,
            config=CLIENT_CONFIG,
        )
        self._rows: defaultdict[tuple[str, int], list[Row]] = defaultdict(list)
        self._dead_letters: list[DeadLetter] = []
        self._counts: Counter[str] = Counter()
        self._totals = Totals(logger, metrics.WRITTEN)
        self._last_commit = LAST_COMMIT.labels(SERVICE)

    def take(self, record: Record) -> None:
        """Keep a row for its object, and anything else for the dead letters."""
        try:
            row = Row(record.offset, record.timestamp[1], row_line(record.topic, record.value))
            self._rows[record.topic, record.partition].append(row)
        except NotARow as reason:
            self._dead_letters.append(dead_letter(record, str(reason), SERVICE))

    def write(self) -> None:
        """Write the objects, then produce the dead letters inside the checkpoint's transaction.

        Raises SinkBackpressureError when S3 did not take an object: Quix then pauses and reads the checkpoint's records
        again, so nothing is lost. Raises TopicRecreated before anything is written.
        """
        self._check_incarnations()
        self._counts = Counter(rows=sum(map(len, self._rows.values())), dead_letters=len(self._dead_letters))
        for (topic, partition), rows in self._rows.items():
            self._write_objects(objects(self._settings.s3_prefix, topic, self._incarnations[topic], partition, rows))
        for dead in self._dead_letters:
            self._producer.produce(topics.S3_SINK_DLQ, **dead._asdict())

    def committed(self) -> None:
        """Count what the committed checkpoint wrote."""
        self._last_commit.set_to_current_time()
        self._totals.add(self._counts)

    def forget(self) -> None:
        super().forget()
        self._rows.clear()
        self._dead_letters.clear()

    def _write_objects(self, contents: Mapping[str, bytes]) -> None:
        """Write a partition's objects. The error's text is S3's own and holds no credential."""
        try:
            for name, content in contents.items():
                self._client.put_object(Bucket=self._settings.s3_bucket, Key=name, Body=content)
                self._counts["objects"] += 1
                alive(SERVICE)  # many partitions, or a slow S3, take longer than the client may be silent
        except (BotoCoreError, ClientError) as error:
            logger.warning("S3 did not take an object, next try in %.0f s: %s", RETRY_AFTER_SECONDS, error)
            raise SinkBackpressureError(retry_after=RETRY_AFTER_SECONDS) from error

    def _check_incarnations(self) -> None:
        try:
            now = self._ask_incarnations()
        except KafkaException as error:
            logger.warning(
                "the broker did not return the ids of the topics, next try in %.0f s: %s", RETRY_AFTER_SECONDS, error
            )
            raise SinkBackpressureError(retry_after=RETRY_AFTER_SECONDS) from error
        for topic, incarnation in self._incarnations.items():
            if now[topic] != incarnation:
                raise TopicRecreated(f"the topic {topic} was deleted and created again")
