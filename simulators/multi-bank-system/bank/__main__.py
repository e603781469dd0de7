"""The simulator: `python -m bank`. Sends transactions at a steady rate until stopped, or until BANK_COUNT are sent."""

import itertools
import logging
import random
import time
from collections.abc import Iterator
from threading import Event
from typing import TYPE_CHECKING

from confluent_kafka import Producer

from bank.generator import Message, messages
from bank.health import Heartbeat
from bank.settings import BankSettings, KafkaSettings
from contracts.records import Headers
from runtime import services
from runtime.kafka import IDEMPOTENT, security_config
from runtime.lost import watched
from runtime.service import Totals, load_settings, run_service
from runtime.tracing import tracer

if TYPE_CHECKING:
    from runtime.spans import Tracer

logger = logging.getLogger("bank")

# Messages are sent in groups that are due at the same tick, so that a high rate costs no more sleeps than a low one.
TICK_SECONDS = 0.05
MAX_GROUP = 1_000
# What a stop waits for a broker that does not take messages; the launcher and Docker kill after 10 s.
STOP_SECONDS = 4


def main(stopping: Event) -> None:
    """Send until stopped or until the count is reached; unless the broker is away at a stop, every message is delivered."""
    kafka, bank = load_settings(KafkaSettings), load_settings(BankSettings)
    producer = Producer(
        {
            **IDEMPOTENT,
            **watched(),
            "bootstrap.servers": kafka.kafka_bootstrap_servers,
            "client.id": kafka.kafka_client_id,
            "compression.type": "lz4",
            "linger.ms": 5,
            **security_config(),
        },
        logger=logging.getLogger("kafka"),
    )
    seed = random.SystemRandom().getrandbits(32) if bank.seed is None else bank.seed
    logger.info("seed=%d rate=%s/s count=%s topic=%s", seed, bank.rate, bank.count or "endless", kafka.kafka_topic)
    stream = messages(seed, bank.customers, bank.fraudulent_share, bank.poison_share)
    if bank.count:
        stream = itertools.islice(stream, bank.count)
    with tracer(services.BANK) as tracing:
        _send(stream, producer, kafka.kafka_topic, bank, tracing, stopping)


def _send(
    stream: Iterator[Message],
    producer: Producer,
    topic: str,
    bank: BankSettings,
    tracing: "Tracer | None",
    stopping: Event,
) -> None:
    heartbeat = Heartbeat()
    totals, started, sent = Totals(logger), time.monotonic(), 0
    while not stopping.is_set():
        due = int((time.monotonic() - started) * bank.rate) + 1 - sent if bank.rate else MAX_GROUP
        # Behind a rate that this machine cannot reach, groups would grow without end.
        group = list(itertools.islice(stream, min(max(due, 0), MAX_GROUP)))
        if due > 0 and not group:
            break
        produced = sum(_produce(producer, topic, message, heartbeat, tracing, stopping) for message in group)
        sent += produced
        totals.add({"sent": produced} if produced else {})
        producer.poll(0)
        heartbeat.on_pause(producer)
        if bank.rate and due <= MAX_GROUP:
            stopping.wait(TICK_SECONDS)
    while producer.flush(1) and not stopping.is_set():
        pass
    if left := producer.flush(STOP_SECONDS):
        logger.warning("%d messages were not delivered: the broker is away, or too slow", left)
    logger.info("done: %d messages sent", sent - left)
    if bank.count:  # a supervisor would take an exit for a crash and send everything again
        while not stopping.wait(1):
            producer.poll(0)  # the errors of a broker that was away would wait, and look like messages that do
            heartbeat.on_pause(producer)


def _produce(
    producer: Producer, topic: str, message: Message, heartbeat: Heartbeat, tracing: "Tracer | None", stopping: Event
) -> bool:
    """Whether it was; not at a stop while the queue is full."""
    headers: Headers = []
    report = heartbeat.on_delivery
    if tracing is not None:
        headers, report = tracing.sending(topic, message.key, report)
    while True:
        try:
            producer.produce(topic, message.value, message.key, on_delivery=report, headers=headers)
            return True
        except BufferError:  # the queue is full: the broker is slower than the rate, or away
            if stopping.is_set():
                return False
            producer.poll(0.1)


if __name__ == "__main__":
    run_service(main)
