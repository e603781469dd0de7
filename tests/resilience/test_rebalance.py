"""Replicas come, die and go while transactions flow: every key keeps its order, and nothing is lost or repeated."""

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from threading import Event, Thread

import pytest
from confluent_kafka import Producer

from benchmarks.lab import START_SECONDS, Lab, Process, laboratory
from contracts import topics
from ingestor.settings import SERVICE as INGESTOR
from local.checks import port_open
from local.settings import HOST
from processor.settings import SERVICE as PROCESSOR
from tests.support.samples import raw, user
from tests.support.stack import free_ports, wait_until
from tests.support.topics import read_all

pytestmark = pytest.mark.long
KEYS = 500
ROUND_SECONDS = 0.5  # 1,000 transactions/s
MODULES = {INGESTOR: "ingestor", PROCESSOR: "processor"}


class Load:
    """Sends every transaction id again in each round; the amount is the round's number, so that the order can be seen."""

    def __init__(self, bootstrap: str) -> None:
        self.rounds = 0
        self._producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "log_level": 3})
        self._stopping, self._thread = Event(), Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """Every transaction is delivered when this returns."""
        self._stopping.set()
        self._thread.join()
        assert self._producer.flush(60) == 0

    def _run(self) -> None:
        while not self._stopping.wait(ROUND_SECONDS):
            for number in range(KEYS):
                value = raw(
                    transaction_id=f"t{number}",
                    amount=self.rounds,
                    evaluation="unidentified",
                    sender_details=user(number) | {"id": f"u{number}"},
                )
                self._producer.produce(topics.BANK_TRANSACTIONS, json.dumps(value), f"t{number}")
            self._producer.poll(0)
            self.rounds += 1


@pytest.fixture
def lab() -> Iterator[Lab]:
    with laboratory() as made:
        yield made


def test_one_to_three_to_one_replicas(lab: Lab) -> None:
    port = free_ports()["VALIDATOR_PORT"]
    with ExitStack() as running:
        running.enter_context(lab.module("validator", VALIDATOR_PORT=port, VALIDATOR_FRAUDULENT_SHARE="1"))
        wait_until(port_open(HOST, int(port)), START_SECONDS, "the validator listens")
        replicas: dict[tuple[str, int], Process] = {}

        def start(number: int) -> None:
            for service, module in MODULES.items():
                replicas[service, number] = lab.start(
                    module, REPLICA_ID=str(number), FRAUD_VALIDATOR_URL=f"http://{HOST}:{port}"
                )

        def await_members(count: int) -> None:
            for service in MODULES:
                lab.wait_for_members(service, count)

        start(1)
        await_members(1)
        load = Load(lab.bootstrap)
        try:
            wait_until(lambda: load.rounds > 2, START_SECONDS, "the load flows")
            start(2)
            start(3)
            await_members(3)
            for service in MODULES:
                replicas[service, 2].kill()
            await_members(2)  # when its session has expired
            for service in MODULES:
                replicas[service, 3].stop()
            await_members(1)
        finally:
            load.stop()
        lab.wait_for_end([INGESTOR], topics.BANK_TRANSACTIONS)
        in_order = {f"t{number}": list(map(float, range(load.rounds))) for number in range(KEYS)}
        wait_until(
            lambda: len(read_all(lab.bootstrap, topics.FRAUDULENT_TRANSACTIONS_RESULT)) >= KEYS * load.rounds,
            START_SECONDS,
            "every transaction has its row",
        )
        for service in MODULES:
            replicas[service, 1].stop()
    for topic in (topics.BANK_TRANSACTIONS, topics.UNIDENTIFIED_TRANSACTIONS, topics.FRAUDULENT_TRANSACTIONS_RESULT):
        found = amounts(lab, topic)
        assert {key: each for key, each in found.items() if each != in_order[key]} == {}, topic
        assert len(found) == KEYS, topic
    assert len(read_all(lab.bootstrap, topics.USERS)) == 2 * KEYS * load.rounds


def amounts(lab: Lab, topic: str) -> dict[str, list[float]]:
    """By key, the amounts in the order of the topic."""
    found: dict[str, list[float]] = defaultdict(list)
    for record in read_all(lab.bootstrap, topic):
        row = {name.lower(): value for name, value in json.loads(record.value or b"{}").items()}
        found[(record.key or b"").decode()].append(row["amount"])
    return found
