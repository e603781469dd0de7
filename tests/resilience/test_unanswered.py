"""The validator answers some transactions and others not: those become dead letters in time, and all others go on."""

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from confluent_kafka import Producer

from benchmarks.lab import START_SECONDS, Lab, laboratory
from contracts import topics
from contracts.dead_letters import REASON, SOURCE_PARTITION
from local.checks import port_open
from local.settings import HOST
from processor.settings import SERVICE as PROCESSOR
from processor.validator import INSIST_SECONDS
from tests.support.samples import raw
from tests.support.settled import ids
from tests.support.stack import free_ports, wait_until
from tests.support.topics import Record, read_all

pytestmark = pytest.mark.long
PARTITIONS = 6
COUNT = 600
RESULT, DLQ = topics.FRAUDULENT_TRANSACTIONS_RESULT, topics.UNIDENTIFIED_TRANSACTIONS_DLQ
# What a transaction takes until it is given up: more than INSIST_SECONDS when each call runs into its timeout.
PATIENCE_SECONDS = 2 * INSIST_SECONDS + 30


class Validator:
    """One that finds everything fraudulent, and can be told to misbehave."""

    def __init__(self, port: str) -> None:
        self.url = f"http://{HOST}:{port}"

    def behave(self, **behaviour: Any) -> None:
        answer = requests.put(f"{self.url}/simulation", json={"fraudulent_share": 1, **behaviour}, timeout=10)
        answer.raise_for_status()


@pytest.fixture
def lab() -> Iterator[Lab]:
    with laboratory() as made:
        yield made


@pytest.fixture
def validator(lab: Lab) -> Iterator[Validator]:
    port = free_ports()["VALIDATOR_PORT"]
    with lab.module("validator", VALIDATOR_PORT=port):
        wait_until(port_open(HOST, int(port)), START_SECONDS, "the validator listens")
        made = Validator(port)
        yield made
        made.behave()  # it does not end while it has a call that it does not answer


@contextmanager
def processing(lab: Lab, validator: Validator) -> Iterator[None]:
    with lab.module("processor", REPLICA_ID="1", FRAUD_VALIDATOR_URL=validator.url):
        lab.wait_for_members(PROCESSOR, 1)
        yield


def send(lab: Lab, names: Iterable[str]) -> None:
    """A transaction for each name, spread over the partitions one after the other."""
    producer = Producer({"bootstrap.servers": lab.bootstrap, "enable.idempotence": True, "log_level": 3})
    for number, name in enumerate(names):
        value = json.dumps(raw(transaction_id=name, evaluation="unidentified"))
        producer.produce(topics.UNIDENTIFIED_TRANSACTIONS, value, name, partition=number % PARTITIONS)
    assert producer.flush(30) == 0


def results(lab: Lab) -> Counter[str]:
    return ids(read_all(lab.bootstrap, RESULT))


def dead_letters(lab: Lab) -> dict[str, Record]:
    return {(record.key or b"").decode(): record for record in read_all(lab.bootstrap, DLQ)}


def test_two_that_get_no_answer_hold_up_no_other_partition(lab: Lab, validator: Validator) -> None:
    """One is answered with HTTP 500, the other never, in two partitions, at their begin."""
    validator.behave(failed_ids=["failed"], ignored_ids=["ignored"])
    good = [f"t{number}" for number in range(COUNT)]
    with processing(lab, validator):
        started = time.monotonic()
        send(lab, ["failed", "ignored", *good])
        others = COUNT * (PARTITIONS - 2) // PARTITIONS
        wait_until(lambda: results(lab).total() >= others, INSIST_SECONDS / 2, "the other partitions are done")
        assert dead_letters(lab) == {}
        print(f"\n    {others} of {COUNT} rows after {time.monotonic() - started:.1f} s")  # noqa: T201
        wait_until(lambda: set(dead_letters(lab)) == {"failed", "ignored"}, PATIENCE_SECONDS, "both are dead letters")
        assert time.monotonic() - started >= INSIST_SECONDS
        print(f"    dead letters after {time.monotonic() - started:.1f} s")  # noqa: T201
        wait_until(lambda: results(lab).total() >= COUNT, 20, "the rest")
        send(lab, ["one more"])
        wait_until(lambda: results(lab)["one more"] == 1, 20, "it goes on")
    assert results(lab) == Counter([*good, "one more"])
    assert ids(read_all(lab.bootstrap, DLQ)) == Counter(["failed", "ignored"])
    for name, partition, what in (("failed", b"0", b"HTTP 500"), ("ignored", b"1", b"Timeout")):
        headers = dead_letters(lab)[name].headers
        assert headers[SOURCE_PARTITION] == partition
        assert what in (headers[REASON] or b"")
        assert b"while it answered others" in (headers[REASON] or b"")


@pytest.mark.parametrize("behaviour", [{"failure_share": 0.5}, {"poison_share": 0.5}], ids=str)
def test_a_validator_that_fails_at_random_costs_no_transaction(
    lab: Lab, validator: Validator, behaviour: dict[str, Any]
) -> None:
    validator.behave(**behaviour)
    good = [f"t{number}" for number in range(COUNT)]
    with processing(lab, validator):
        started = time.monotonic()
        send(lab, good)
        wait_until(lambda: results(lab).total() >= COUNT, PATIENCE_SECONDS, "all rows")
        print(f"\n    {COUNT} rows after {time.monotonic() - started:.1f} s")  # noqa: T201
    assert results(lab) == Counter(good)
    assert dead_letters(lab) == {}


def test_an_outage_costs_no_transaction_however_long(lab: Lab, validator: Validator) -> None:
    """It begins while one transaction gets no answer, and lasts longer than such a one is asked about."""
    good = [f"t{number}" for number in range(COUNT)]
    with processing(lab, validator):
        validator.behave(failed_ids=["failed"])
        send(lab, ["failed", *good[: COUNT // 2]])
        wait_until(lambda: results(lab).total() >= COUNT // 4, INSIST_SECONDS / 2, "it works")
        validator.behave(failure_share=1)
        send(lab, good[COUNT // 2 :])
        until = time.monotonic() + 1.5 * INSIST_SECONDS
        while time.monotonic() < until:
            assert dead_letters(lab) == {}
            time.sleep(1)
        validator.behave()
        wait_until(lambda: results(lab).total() > COUNT, 30, "all rows, the failed one's too")
    assert results(lab) == Counter(["failed", *good])
    assert dead_letters(lab) == {}
