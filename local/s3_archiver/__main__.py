"""The archiver: `python -m local.s3_archiver`."""

import logging
import sys
import tempfile
from functools import partial
from pathlib import Path
from threading import Event

from confluent_kafka.admin import AdminClient
from quixstreams import Application
from quixstreams.kafka import ConnectionConfig

from contracts.health import ConsumerHealth
from contracts.incarnations import incarnations
from contracts.kafka import client_config, static_member, transactional
from contracts.metrics import serve
from contracts.models import ROWS
from contracts.quix import after_commit, readable, run_application, survive_rebalances
from contracts.service import load_settings, run_service
from local.s3_archiver.settings import SERVICE, Settings
from local.s3_archiver.sink import ArchiveSink, TopicRecreated

logger = logging.getLogger(__name__)

# Bounds the memory that a backlog takes: a checkpoint ends at this many records even before its time.
MAX_CHECKPOINT_RECORDS = 10_000


def build(settings: Settings, health: ConsumerHealth) -> Application:
    """The application, ready to run."""
    application = Application(
        broker_address=ConnectionConfig.from_librdkafka_dict(client_config()),
        consumer_group=SERVICE,
        processing_guarantee="exactly-once",  # for the dead letters
        auto_offset_reset="earliest",
        auto_create_topics=False,
        use_changelog_topics=False,
        state_dir=Path(tempfile.gettempdir(), SERVICE),  # Quix makes the folder, though nothing is kept in it
        commit_interval=settings.archive_interval_seconds,
        commit_every=MAX_CHECKPOINT_RECORDS,
        consumer_extra_config={
            **static_member(SERVICE),
            "stats_cb": health.on_statistics,
            # Nothing is written before the checkpoint: a request for every few records would only keep the broker busy.
            "fetch.min.bytes": 256 * 1024,
            "fetch.wait.max.ms": 1_000,
        },
        producer_extra_config=transactional(SERVICE),
        loglevel=None,
    )
    logging.getLogger("quixstreams").setLevel(logging.WARNING)
    dataframes = [
        application.dataframe(readable(application.topic(name, key_deserializer="bytes", value_deserializer="bytes")))
        for name in ROWS
    ]
    context = dataframes[0].processing_context  # the application has one
    producer = context.producer
    survive_rebalances(context)
    admin = AdminClient(client_config(), logger=logging.getLogger("kafka"))
    sink = ArchiveSink(settings, producer, partial(incarnations, admin, ROWS))
    for dataframe in dataframes:
        dataframe.sink(sink)
    after_commit(producer, sink.committed)
    return application


def main(stopping: Event) -> None:
    """Run until stopped; the open checkpoint is written and committed first."""
    settings, health = load_settings(Settings), ConsumerHealth()
    serve(health.problem)
    try:
        run_application(lambda: build(settings, health), stopping)
    except TopicRecreated as change:
        logger.warning("%s: ending, to be started again on the new one", change)
        sys.exit(1)


if __name__ == "__main__":
    run_service(main)
