"""The service: `python -m ingestor`."""

import logging
from threading import Event

from confluent_kafka import Consumer, Producer

from contracts.health import ConsumerHealth
from contracts.metrics import serve
from contracts.service import replica_name, run_service
from contracts.transactions import Stopped
from ingestor.loop import ingest
from ingestor.settings import SERVICE, consumer_config, producer_config

logger = logging.getLogger(__name__)


def main(stopping: Event) -> None:
    """Run until stopped."""
    clients = logging.getLogger("kafka")
    replica, health = replica_name(SERVICE), ConsumerHealth()
    consumer = Consumer({**consumer_config(replica), "stats_cb": health.on_statistics}, logger=clients)
    producer = Producer(producer_config(replica), logger=clients)
    serve(health.problem)
    try:
        ingest(consumer, producer, stopping)
    except Stopped:
        logger.warning("stopped while the broker did not answer: an open batch is read again at the next start")
    finally:
        consumer.close()


if __name__ == "__main__":
    run_service(main)
