"""The Quix sink: one object per topic and partition at each checkpoint, named by its first offset."""

import logging
from collections import Counter
from pathlib import PurePosixPath
from typing import Any, NamedTuple, Protocol

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from quixstreams.sinks import SinkBackpressureError, SinkBatch
from quixstreams.sinks.community.file.formats import Format
from quixstreams.sinks.community.file.s3 import S3FileSink

from contracts import topics
from contracts.dead_letters import Headers, dead_letter_headers
from contracts.metrics import LAST_COMMIT
from contracts.service import Totals
from local.s3_archiver import metrics
from local.s3_archiver.rows import EXTENSION, object_name, refusal, to_object
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


class BareValues(Format):
    """JSON lines of the values as they are on the topic; the formats of Quix wrap them."""

    @property
    def file_extension(self) -> str:
        return EXTENSION

    @property
    def supports_append(self) -> bool:
        return False

    def serialize(self, batch: SinkBatch) -> bytes:
        return to_object(item.value for item in batch)


class ArchiveSink(S3FileSink):
    """Repeats nothing: what a checkpoint that was not committed has written, its successor writes over.

    That holds because every object starts at the offset where its checkpoint starts, or at the first row after it.
    """

    def __init__(self, settings: Settings, producer: Producer) -> None:
        super().__init__(
            bucket=settings.s3_bucket,
            aws_access_key_id=settings.aws_access_key_id,
            aws_secret_access_key=settings.aws_secret_access_key.get_secret_value(),
            region_name=settings.aws_region,
            endpoint_url=settings.s3_endpoint,
            format=BareValues(),
            config=CLIENT_CONFIG,
        )
        self._prefix = settings.s3_prefix
        self._producer = producer
        self._dead_letters: list[DeadLetter] = []
        self._counts: Counter[str] = Counter()
        self._totals = Totals(logger, metrics.WRITTEN)
        self._last_commit = LAST_COMMIT.labels(SERVICE)

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
        reason = refusal(value)
        if reason is None:
            super().add(value, key, timestamp, headers, topic, partition, offset)
        else:
            letter_headers = dead_letter_headers(headers, reason, topic, partition, offset, SERVICE)
            self._dead_letters.append(DeadLetter(value, key, letter_headers))

    def flush(self) -> None:
        """Write the objects, then produce the dead letters inside the checkpoint's transaction.

        Raises SinkBackpressureError when S3 did not take an object: Quix then pauses and reads the checkpoint's records
        again, so nothing is lost.
        """
        letters, self._dead_letters = self._dead_letters, []
        self._counts = Counter(
            rows=sum(batch.size for batch in self._batches.values()),
            objects=len(self._batches),
            dead_letters=len(letters),
        )
        super().flush()
        for letter in letters:
            self._producer.produce(topics.S3_SINK_DLQ, **letter._asdict())

    def committed(self) -> None:
        """Count what the last flush wrote."""
        self._last_commit.set_to_current_time()
        self._totals.add(self._counts)

    def write(self, batch: SinkBatch) -> None:
        """Write one object. The error's text is S3's own and holds no credential."""
        try:
            super().write(batch)
        except (BotoCoreError, ClientError) as error:
            logger.warning("S3 did not take an object, next try in %.0f s: %s", RETRY_AFTER_SECONDS, error)
            raise SinkBackpressureError(retry_after=RETRY_AFTER_SECONDS) from error

    def on_paused(self) -> None:
        """Forget the open checkpoint: its records come again."""
        super().on_paused()
        self._dead_letters.clear()

    def _validate_bucket(self) -> None:
        """Nothing at the start: S3 may come up later than the archiver, and write() says what is wrong."""

    def _path(self, batch: SinkBatch) -> PurePosixPath:
        # Quix's own names have no hyphens, and so would not have the topic's name in them.
        return PurePosixPath(object_name(self._prefix, batch.topic, batch.partition, batch.start_offset))
