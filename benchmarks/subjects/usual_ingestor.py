"""The usual proof-of-concept way to route exactly once: an executor task and a Kafka transaction for each message."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from contracts import topics
from contracts.models import Transaction
from runtime.kafka import client_config
from runtime.service import run_service


def main(stopping: Event) -> None:
    """Run until stopped. GROUP is the consumer group and the transactional id."""
    group = os.environ["GROUP"]
    consumer = Consumer(
        {
            **client_config(),
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
    )
    producer = Producer({**client_config(), "transactional.id": group})
    producer.init_transactions()
    consumer.subscribe([topics.BANK_TRANSACTIONS])
    with ThreadPoolExecutor() as executor:
        while not stopping.is_set():
            message = consumer.poll(0.1)
            if message is not None and message.error() is None:
                # A producer has one transaction at a time, so one task at a time is all there can be.
                executor.submit(route, consumer, producer, message).result()
    consumer.close()


def route(consumer: Consumer, producer: Producer, message: Message) -> None:
    """Validate one message and send it on, with its offset, in a transaction of its own."""
    transaction = Transaction(**json.loads(message.value() or b""))
    producer.begin_transaction()
    producer.produce(
        f"{transaction.evaluation}-transactions", transaction.model_dump_json(), transaction.transaction_id
    )
    position = TopicPartition(message.topic() or "", message.partition() or 0, (message.offset() or 0) + 1)
    producer.send_offsets_to_transaction([position], consumer.consumer_group_metadata())
    producer.commit_transaction()


if __name__ == "__main__":
    run_service(main)
