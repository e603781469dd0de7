"""The service: `python -m ingestor`."""

import logging
from threading import Event

from confluent_kafka import Consumer, Producer

from contracts.service import load_settings, run_service
from ingestor.loop import ingest
from ingestor.settings import Settings, consumer_config, producer_config


def main(stopping: Event) -> None:
    """Run until stopped."""
    settings = load_settings(Settings)
    clients = logging.getLogger("kafka")
    consumer = Consumer(consumer_config(settings), logger=clients)
    producer = Producer(producer_config(settings), logger=clients)
    try:
        ingest(consumer, producer, stopping)
    finally:
        consumer.close()


if __name__ == "__main__":
    run_service(main)
