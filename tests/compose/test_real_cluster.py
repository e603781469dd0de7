"""docker-compose.cluster.yml on a real engine: three brokers and two of each service, one broker and one worker are killed."""

from collections import Counter
from collections.abc import Iterator

import pytest
from pymongo import MongoClient

from contracts import topics
from tests.compose.engine import OVERRIDE, PROJECT, Running, docker, running_stack
from tests.support.expectation import SeededSet, delivered
from tests.support.settled import ids
from tests.support.stack import wait_until
from tests.support.topics import read_all

pytestmark = pytest.mark.long
BROKERS = ("kafka", "kafka-2", "kafka-3")
# Until the test stops the bank.
LOAD = SeededSet(count=0, rate=100)
SECONDS = 180


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("cluster") / "clone"
    overrides = (OVERRIDE, "override.cluster.yml")
    with running_stack(folder, LOAD.environment, "--cluster", overrides=overrides) as stack:
        yield stack


def test_two_of_each_that_can_share_its_work(running: Running) -> None:
    for service in ("transactions-ingestor", "unidentified-transactions-processor"):
        # On a slow machine a broker that is starved may be taken for lost, and the service is started again by that.
        wait_until(lambda name=service: running.health(name) == ["healthy"] * 2, SECONDS, f"{service} is healthy")
        tool = "docker exec kafka kafka-consumer-groups --bootstrap-server localhost:9092"
        described = running.run(*f"{tool} --describe --members --group {service}".split()).stdout
        assert all(f" {service}-{number} " in described for number in (1, 2)), described
    for service in (*BROKERS, "kafka-connect", "kafka-connect-2", "ksqldb-server", "ksqldb-server-2"):
        assert running.health(service) == ["healthy"]
    described = running.run(
        *["docker", "exec", "kafka", "kafka-topics", "--bootstrap-server", "localhost:9092", "--describe"]
    ).stdout
    assert "ReplicationFactor: 3" in described
    assert "ReplicationFactor: 1" not in described
    running.await_healthy(SECONDS)


def test_a_broker_and_a_worker_are_killed(running: Running) -> None:
    """The results go on meanwhile."""

    def results() -> int:
        return len(read_all(running.kafka, topics.FRAUDULENT_TRANSACTIONS_RESULT))

    docker("kill", "kafka-2", f"{PROJECT}-kafka-connect-2-1")
    before = results()
    wait_until(lambda: results() > before, SECONDS, "the results go on")
    down = "broker 2 is down: the other brokers lead its partitions"
    wait_until(lambda: down in running.run("bash", "start.sh", "--status").stdout, SECONDS, down)
    running.run("docker", "compose", "start", "kafka-2", "kafka-connect-2")
    running.await_healthy(SECONDS)


def test_nothing_is_lost_and_nothing_is_repeated(running: Running) -> None:
    running.run("docker", "compose", "stop", "multi-bank-system")
    expected = delivered(LOAD, ids(read_all(running.kafka, topics.BANK_TRANSACTIONS)))
    with MongoClient(f"mongodb://127.0.0.1:{running.environment['MONGODB_PORT']}") as client:
        collection = client["fraudulent_transactions_db"]["transactions"]
        wait_until(lambda: collection.count_documents({}) >= len(expected.results), SECONDS, "all documents")
        assert {document["_id"] for document in collection.find({}, {"_id": 1})} == set(expected.results)
    results = ids(read_all(running.kafka, topics.FRAUDULENT_TRANSACTIONS_RESULT))
    assert results == Counter(list(expected.results))
    assert len(read_all(running.kafka, topics.BANK_TRANSACTIONS_DLQ)) == expected.poisoned
