"""What is wrong is said by the status, with exit code 1, and by the metrics that the alerts ask for: on one stack, one fault
after the other. What takes minutes to be seen is in tests/resilience/test_stalls.py.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest
import requests
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions
from pymongo import MongoClient

from contracts import topics
from contracts.mapping import to_result
from contracts.models import FRAUDULENT
from local.plan import DATABASE
from local.settings import ROOT
from runtime import services
from tests.support.samples import raw, transaction
from tests.support.settled import objects
from tests.support.stack import Stack, running_stack, wait_until

pytestmark = pytest.mark.long
SECONDS = 60


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Whose bank goes on sending."""
    variables = {"BANK_RATE": "20", "BANK_COUNT": "0"}
    with running_stack(tmp_path_factory.mktemp("faulty") / "local", variables) as running:
        yield running


@pytest.fixture(autouse=True)
def healthy(stack: Stack) -> None:
    """Before each, so also after what the one before has repaired."""
    wait_until(lambda: not state(stack)["faults"], SECONDS, "nothing is wrong")


def state(stack: Stack) -> dict:
    return requests.get(f"{stack.settings.console_url}/api/state", timeout=10).json()


def assert_said(stack: Stack, fault: str, metric: str) -> None:
    """By the console, by the status for people and for programs, and by the metrics."""
    wait_until(lambda: any(fault in one for one in state(stack)["faults"]), SECONDS, fault)
    people, programs = stack.start_sh("--status"), stack.start_sh("--status", "--json")
    assert (people.returncode, programs.returncode) == (1, 1)
    assert fault in " ".join(people.stdout.split())
    assert "everything is healthy" not in people.stdout
    assert any(fault in one for one in json.loads(programs.stdout)["faults"])
    assert metric in requests.get(f"{stack.settings.console_url}/metrics", timeout=10).text


def run(stack: Stack, script: str) -> None:
    environment = {"KCONNECT_URL": stack.connect_url, "KSQLDB_URL": stack.ksqldb_url, "PYTHON": sys.executable}
    subprocess.run(
        ["bash", str(ROOT / "init" / script)],
        env={**os.environ, **environment},
        check=True,
        stdin=subprocess.DEVNULL,
        timeout=SECONDS,
    )


def test_a_connector_that_was_deleted(stack: Stack) -> None:
    requests.delete(f"{stack.connect_url}/connectors/mongodb-users", timeout=10).raise_for_status()
    assert_said(stack, "connector mongodb-users is missing", 'stack_fault{kind="missing",name="mongodb-users"} 1.0')
    run(stack, "init_kconnect.sh")


def test_a_query_that_was_terminated(stack: Stack) -> None:
    (query,) = (name for name, about in state(stack)["queries"].items() if about["stream"] == "SENDER_USERS")
    answer = requests.post(f"{stack.ksqldb_url}/ksql", json={"ksql": f"TERMINATE {query};"}, timeout=SECONDS)
    answer.raise_for_status()
    assert_said(stack, "query of stream SENDER_USERS is missing", 'stack_fault{kind="missing",name="SENDER_USERS"} 1.0')
    run(stack, "clean_ksqldb.sh")
    run(stack, "init_ksqldb.sh")


def test_a_validator_that_answers_500_to_all(stack: Stack) -> None:
    url = f"{stack.validator_url}/simulation"
    requests.put(url, json={"failure_share": 1.0}, timeout=10).raise_for_status()
    assert_said(stack, f"{services.VALIDATOR} is down: 100% of", f'service_up{{service="{services.VALIDATOR}"}} 0.0')
    requests.put(url, json={}, timeout=10).raise_for_status()


def test_a_broker_that_is_silent(stack: Stack) -> None:
    broker = psutil.Process(stack.pid_of(services.KAFKA))
    broker.send_signal(signal.SIGSTOP)
    try:
        assert_said(stack, f"{services.KAFKA} is down", f'service_up{{service="{services.KAFKA}"}} 0.0')
    finally:
        if broker.is_running():
            broker.send_signal(signal.SIGCONT)


def test_partitions_that_topics_are_given_are_read_by_all(stack: Stack) -> None:
    """A record on the new partition goes through each stage, and is counted; the next start takes them as they are."""
    admin = AdminClient({"bootstrap.servers": stack.kafka})
    names = (
        topics.BANK_TRANSACTIONS,
        topics.FRAUDULENT_TRANSACTIONS,
        topics.FRAUDULENT_TRANSACTIONS_RESULT,
        topics.S3_SINK_DLQ,
    )
    for future in admin.create_partitions([NewPartitions(name, 7) for name in names]).values():
        future.result(SECONDS)
    warning = f"topic {topics.BANK_TRANSACTIONS} has 7 partitions"
    wait_until(lambda: any(warning in one for one in state(stack)["warnings"]), SECONDS, warning)
    producer = Producer({"bootstrap.servers": stack.kafka, "enable.idempotence": True})
    for topic, name in ((topics.BANK_TRANSACTIONS, "bank"), (topics.FRAUDULENT_TRANSACTIONS, "ksql")):
        value = json.dumps(raw(transaction_id=f"new partition {name}"))
        producer.produce(topic, value, f"new partition {name}", partition=6)
    row = to_result(transaction(transaction_id="new partition row"), FRAUDULENT, "ksql").model_dump_json().encode()
    producer.produce(topics.FRAUDULENT_TRANSACTIONS_RESULT, row, "new partition row", partition=6)
    for _ in range(3):
        producer.produce(topics.S3_SINK_DLQ, b"{", partition=6)
    assert producer.flush(30) == 0
    with MongoClient(stack.mongodb_uri) as client:
        documents = client[DATABASE]["transactions"]
        for name in ("bank", "ksql", "row"):
            wait_until(
                lambda name=name: documents.count_documents({"_id": f"new partition {name}"}) == 1,
                2 * SECONDS,
                f"the record for {name} is in MongoDB",
            )
    wait_until(lambda: row in objects(stack, topics.FRAUDULENT_TRANSACTIONS_RESULT), SECONDS, "and in S3")
    wait_until(lambda: state(stack)["topics"][topics.S3_SINK_DLQ]["records"] == 3, SECONDS, "the console counts them")
    assert warning in " ".join(stack.await_healthy().stdout.split())
    again = subprocess.run(
        [sys.executable, "-m", "init.init_kafka"],
        cwd=ROOT,
        env={**os.environ, "KAFKA_BOOTSTRAP_SERVER": stack.kafka},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert f"{warning}, more than TOPIC_PARTITIONS=6: they are used" in again.stdout


def test_every_record_refused(stack: Stack) -> None:
    """A field has another name: more of these than of the bank's own. The last: they stay a fault for minutes."""
    renamed = {name.replace("sender_bank_account", "sender_account"): value for name, value in raw().items()}
    producer = Producer({"bootstrap.servers": stack.kafka, "enable.idempotence": True})

    def refused() -> bool:
        for _ in range(1_000):
            producer.produce(topics.BANK_TRANSACTIONS, json.dumps(renamed))
        assert producer.flush(30) == 0
        return any("dead letters" in fault for fault in state(stack)["faults"])

    wait_until(refused, SECONDS, "the dead letters are a fault")
    assert_said(
        stack,
        f"are on {topics.BANK_TRANSACTIONS_DLQ}: most of what comes is refused",
        f'stack_fault{{kind="dead letters",name="{topics.BANK_TRANSACTIONS_DLQ}"}} 1.0',
    )
