"""The limit of the ingestor: the same clients and the same transactions, with no look into the messages."""

import os
from threading import Event

from confluent_kafka import Consumer, Producer, TopicPartition

from contracts import topics
from ingestor.settings import consumer_config, producer_config
from runtime.service import run_service
from runtime.transactions import BATCH_SIZE

BATCH_SECONDS = 0.05


def main(stopping: Event) -> None:
    """Run until stopped. GROUP is the consumer group and the transactional id."""
    group = os.environ["GROUP"]
    consumer = Consumer({**consumer_config(group), "group.id": group})
    producer = Producer(producer_config(group))
    producer.init_transactions()
    consumer.subscribe([topics.BANK_TRANSACTIONS])
    while not stopping.is_set():
        batch = consumer.consume(BATCH_SIZE, BATCH_SECONDS)
        if not batch:
            continue
        producer.begin_transaction()
        next_offsets = {}
        for message in batch:
            producer.produce(topics.UNIDENTIFIED_TRANSACTIONS, message.value(), message.key())
            next_offsets[message.partition()] = message.offset() + 1
        positions = [TopicPartition(topics.BANK_TRANSACTIONS, *position) for position in next_offsets.items()]
        producer.send_offsets_to_transaction(positions, consumer.consumer_group_metadata())
        producer.commit_transaction()
    consumer.close()


if __name__ == "__main__":
    run_service(main)
