"""The service: `python -m local.s3_archiver`."""

import logging
import sys
from threading import Event

from contracts.models import ROWS
from local.s3_archiver.settings import SERVICE, Settings
from local.s3_archiver.sink import ArchiveSink, TopicRecreated
from runtime.incarnations import incarnations
from runtime.kafka import client_config
from runtime.lost import Admin
from runtime.quix import run_sink
from runtime.service import load_settings, run_service

logger = logging.getLogger(__name__)

# Bounds the memory that small records of a backlog take, as CHECKPOINT_BYTES bounds that of large ones.
MAX_CHECKPOINT_RECORDS = 10_000
# Nothing is written before the checkpoint: a fetch for every few records would only keep the broker busy.
FETCH = {"fetch.min.bytes": 256 * 1024, "fetch.wait.max.ms": 1_000}


def main(stopping: Event) -> None:
    """Run until stopped; the open checkpoint is written and committed first."""
    settings = load_settings(Settings)
    admin = Admin(client_config(), logging.getLogger("kafka"))

    def ask_incarnations() -> dict[str, str]:
        with admin.client() as client:
            return incarnations(client, ROWS)

    try:
        run_sink(
            SERVICE,
            SERVICE,
            ROWS,
            lambda producer: ArchiveSink(settings, producer, ask_incarnations),
            stopping,
            consumer=FETCH,
            commit_interval=settings.archive_interval_seconds,
            commit_every=MAX_CHECKPOINT_RECORDS,
        )
    except TopicRecreated as change:
        logger.warning("%s: exiting, to be restarted on the new topic", change)
        sys.exit(1)


if __name__ == "__main__":
    run_service(main)
