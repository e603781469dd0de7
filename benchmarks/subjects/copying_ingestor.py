"""The limit of the ingestor: the same clients and the same transactions, with no look into the messages.

With READ_AND_WRITE each message is parsed and written again, which the ingestor has to do: its value has one form.
"""

import os
from threading import Event

from confluent_kafka import Consumer, Producer, TopicPartition

from contracts import topics
from contracts.wire import read, write
from ingestor.settings import consumer_config, producer_config
from runtime.service import run_service
from runtime.transactions import BATCH_SIZE

BATCH_SECONDS = 0.05


def main(stopping: Event) -> None:
    """Run until stopped. GROUP is the consumer group and the transactional id."""
    group, looks = os.environ["GROUP"], "READ_AND_WRITE" in os.environ
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
            value = write(read(message.value())) if looks else message.value()
            producer.produce(topics.UNIDENTIFIED_TRANSACTIONS, value, message.key())
            next_offsets[message.partition()] = message.offset() + 1
        positions = [TopicPartition(topics.BANK_TRANSACTIONS, *position) for position in next_offsets.items()]
        producer.send_offsets_to_transaction(positions, consumer.consumer_group_metadata())
        producer.commit_transaction()
    consumer.close()


if __name__ == "__main__":
    run_service(main)
