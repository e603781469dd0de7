"""The Quix application: one input topic into one sink, exactly-once."""

import logging
import tempfile
from pathlib import Path

from quixstreams import Application
from quixstreams.kafka import ConnectionConfig

from contracts import topics
from contracts.health import ConsumerHealth
from contracts.kafka import client_config, static_member, transactional
from contracts.quix import after_commit, hold, readable, survive_rebalances
from contracts.service import replica_name
from processor.settings import SERVICE
from processor.sink import ValidatingSink, Validator

# The checkpoint interval is the delay that a read_committed reader sees; each commit costs the broker a transaction.
COMMIT_SECONDS = 0.25
POLL_SECONDS = 0.05


def build(validator: Validator, health: ConsumerHealth) -> Application:
    """The application, ready to run."""
    replica = replica_name(SERVICE)
    application = Application(
        broker_address=ConnectionConfig.from_librdkafka_dict(client_config()),
        consumer_group=SERVICE,
        processing_guarantee="exactly-once",
        auto_offset_reset="earliest",
        auto_create_topics=False,
        use_changelog_topics=False,
        state_dir=Path(tempfile.gettempdir(), SERVICE),  # Quix makes the folder, though nothing is kept in it
        commit_interval=COMMIT_SECONDS,
        consumer_poll_timeout=POLL_SECONDS,
        consumer_extra_config={**static_member(replica), "stats_cb": health.on_statistics},
        producer_extra_config=transactional(replica),
        loglevel=None,
    )
    logging.getLogger("quixstreams").setLevel(logging.WARNING)
    topic = application.topic(topics.UNIDENTIFIED_TRANSACTIONS, key_deserializer="bytes", value_deserializer="bytes")
    dataframe = application.dataframe(readable(topic))
    context = dataframe.processing_context
    producer = context.producer
    sink = ValidatingSink(validator, producer)
    dataframe.sink(sink)
    survive_rebalances(context)
    hold(topic, context.consumer, sink.waits)
    after_commit(producer, sink.committed)
    return application
