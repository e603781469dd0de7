"""The service: `python -m ingestor`."""

import logging
from threading import Event

from confluent_kafka import Consumer, Producer

from ingestor.loop import ingest
from ingestor.settings import SERVICE, consumer_config, producer_config
from runtime.health import ConsumerHealth
from runtime.kafka import await_broker
from runtime.metrics import serve
from runtime.service import replica_name, run_service
from runtime.tracing import tracer
from runtime.transactions import Stopped

logger = logging.getLogger(__name__)


def main(stopping: Event) -> None:
    """Run until stopped."""
    clients = logging.getLogger("kafka")
    replica, health = replica_name(SERVICE), ConsumerHealth()
    serve(health.problem)
    await_broker(stopping)
    consumer = Consumer(consumer_config(replica, health.on_statistics), logger=clients)
    try:
        with tracer(SERVICE) as tracing:
            ingest(consumer, lambda: Producer(producer_config(replica), logger=clients), stopping, tracing)
    except Stopped:
        logger.warning("stopped while the broker did not answer: an open batch is read again at the next start")
    finally:
        consumer.close()


if __name__ == "__main__":
    run_service(main)
