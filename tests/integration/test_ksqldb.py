"""The ksqlDB emulator on a real broker: the recorded records, and what it does when it is killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from local.supervisor import STOP_SECONDS
from tests.support.machine import slowness
from tests.support.stack import SLOWNESS

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "unit" / "ksqldb_emulator" / "golden"
INPUT, RESULT, USERS, LOG = (
    "fraudulent-transactions",
    "fraudulent-transactions-result",
    "users",
    "fraud_ksql_processing_log",
)
COMMANDS = "_confluent-ksql-fraud__command_topic"
PARTITIONS = 6
EARLIEST = {"auto.offset.reset": "earliest"}


class Server:
    """An emulator as a process of its own."""

    def __init__(self, bootstrap: str, log: Path) -> None:
        self._bootstrap = bootstrap
        self._log = log
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "KAFKA_BOOTSTRAP_SERVER": self._bootstrap,
            "KSQLDB_PORT": str(self.port),
        }
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "local.ksqldb_emulator"], cwd=ROOT, env=environment, stderr=log, stdout=log
            )

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        code = self.process.wait(STOP_SECONDS * slowness())
        self.process = None
        return code

    def init(self) -> str:
        """Run the init script and return what it said."""
        done = subprocess.run(
            ["bash", str(ROOT / "init" / "init_ksqldb.sh")],
            env={**os.environ, "PYTHON": sys.executable, "KSQLDB_URL": self.url, "KSQLDB_WAIT_SECONDS": "60"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr + self._log.read_text()
        return done.stdout

    def ksql(self, text: str) -> list[dict[str, Any]]:
        answer = requests.post(f"{self.url}/ksql", json={"ksql": text, "streamsProperties": EARLIEST}, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def topics(kafka_bootstrap: str) -> None:
    """The pipeline's topics, empty, and no statements from another test."""
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    _forget_everything(admin)
    made = admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in (INPUT, RESULT, USERS)])
    for future in made.values():
        future.result(10)


def _forget_everything(admin: AdminClient) -> None:
    there = set(admin.list_topics(timeout=10).topics) & {INPUT, RESULT, USERS, LOG, COMMANDS}
    if there:
        for future in admin.delete_topics(list(there)).values():
            future.result(10)
        _until(lambda: not there & set(admin.list_topics(timeout=10).topics), 10)
    groups = [g.group_id for g in admin.list_consumer_groups().result(10).valid if "ksql-fraud_" in g.group_id]
    # A member that was killed, or that is static, counts until its session is over.
    _until(lambda: all(not _members(admin, group) for group in groups), 15)
    if groups:
        for future in admin.delete_consumer_groups(groups).values():
            with suppress(KafkaException):  # a group without members and offsets goes by itself
                future.result(10)


def _members(admin: AdminClient, group: str) -> int:
    return len(admin.describe_consumer_groups([group])[group].result(10).members)


def _until(condition: Callable[[], bool], seconds: float) -> float:
    """Wait until a condition holds and return how long that took."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > SLOWNESS * seconds:
            raise TimeoutError(f"not within {SLOWNESS * seconds} s")
        time.sleep(0.05)
    return time.monotonic() - started


@pytest.fixture
def server(kafka_bootstrap: str, topics: None, tmp_path: Path) -> Iterator[Server]:
    server = Server(kafka_bootstrap, tmp_path / "ksqldb.log")
    server.start()
    yield server
    if server.process is not None:
        server.stop(signal.SIGKILL)


def produce(bootstrap: str, records: list[dict[str, Any]], partition: int = -1) -> None:
    """Write records: value, key, and perhaps timestamp and headers. Without idempotence a fresh topic reorders."""
    producer = Producer(
        {"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 10, "partitioner": "murmur2_random"}
    )
    for record in records:
        while True:
            try:
                producer.produce(INPUT, partition=partition, **record)
                break
            except BufferError:
                producer.poll(1)
    assert producer.flush(60) == 0


class Reader:
    """Reads a topic from its beginning, committed records only."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "test-reader",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 50,
            }
        )
        partitions = self._consumer.list_topics(topic, timeout=10).topics[topic].partitions
        self._consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in partitions])
        self.records: list[Message] = []

    def poll(self) -> int:
        """Read what is there and return how much there is by now."""
        for message in self._consumer.consume(10000, 0.2):
            assert message.error() is None, message.error()
            self.records.append(message)
        return len(self.records)

    def wait_for(self, count: int, seconds: float, quiet: float = 1.0) -> list[Message]:
        """Read until there are so many records, and then a moment longer, to see that no more come."""
        _until(lambda: self.poll() >= count, seconds)
        end = time.monotonic() + quiet
        while time.monotonic() < end:
            self.poll()
        self._consumer.close()
        return self.records


def test_init_twice_then_the_recorded_records(server: Server, kafka_bootstrap: str) -> None:
    first, second = server.init(), server.init()
    assert first.count("created (") == 4
    assert second.count("already there") == 4
    assert len(server.ksql("SHOW QUERIES;")[0]["queries"]) == 3

    recorded = json.loads((GOLDEN / "records.json").read_text("utf-8"))
    inputs = [
        {
            "value": record["input"]["value"].encode(),
            "key": record["input"]["key"],
            "timestamp": record["input"]["timestamp"],
            "headers": [tuple(header) for header in record["input"]["headers"]],
        }
        for record in recorded
    ]
    produce(kafka_bootstrap, inputs, partition=0)
    expected = [output for record in recorded for output in record["output"]]
    for topic in (RESULT, USERS, LOG):
        wanted = [_comparable(output) for output in expected if output["topic"] == topic]
        messages = Reader(kafka_bootstrap, topic).wait_for(len(wanted), 30)
        assert Counter(map(_comparable, map(_as_recorded, messages))) == Counter(wanted), topic


def _as_recorded(message: Message) -> dict[str, Any]:
    key, value = message.key(), message.value()
    assert value is not None
    log = message.topic() == LOG
    return {
        "topic": message.topic(),
        "partition": None if log else message.partition(),
        "key": None if key is None else key.decode(),
        "timestamp": None if log else message.timestamp()[1],
        "headers": [[name, (header or b"").decode()] for name, header in message.headers() or []],
        "value": value.decode(),
    }


def _comparable(record: dict[str, Any]) -> str:
    value = json.loads(record["value"])
    if record["topic"] == LOG:  # but for the time of the event and the wording
        value["time"] = 0
        value["message"]["deserializationError"] |= {"errorMessage": "", "cause": []}
    return json.dumps({name: record[name] for name in sorted(record) if name != "value"} | {"value": value})


def transaction(number: int) -> dict[str, Any]:
    """A transaction whose number is in the names of its people, so that the order of their rows can be seen."""
    people = {
        side: {"id": f"{side}-{number % 97}", "name": str(number), "ssn": "123-45-6789"}
        for side in ("sender", "receiver")
    }
    value = {
        "transaction_id": f"t{number}",
        "sender_details": people["sender"],
        "receiver_details": people["receiver"],
        "amount": number / 100,
        "evaluation": "fraudulent",
    }
    # The key is the person, so all of a person's transactions are in one partition and their order means something.
    return {"value": json.dumps(value).encode(), "key": people["sender"]["id"]}


def check_exactly_once(bootstrap: str, count: int) -> None:
    """Every transaction is there once, both its people too, and each person's rows are in order."""
    results = Reader(bootstrap, RESULT).wait_for(count, 60)
    assert Counter(message.key() for message in results) == Counter(f"t{i}".encode() for i in range(count))
    rows = Reader(bootstrap, USERS).wait_for(2 * count, 60)
    names: dict[bytes | None, list[int]] = {}
    for message in sorted(rows, key=lambda m: (m.partition(), m.offset())):
        names.setdefault(message.key(), []).append(int(json.loads(message.value() or b"")["NAME"]))
    for key, numbers in names.items():
        assert key is not None
        person = int(key.decode().split("-")[1])
        assert numbers == list(range(person, count, 97)), key


def test_a_large_broken_record_stops_no_query(server: Server, kafka_bootstrap: str) -> None:
    server.init()
    produce(kafka_bootstrap, [{"value": b"{" + b"x" * 900_000}, transaction(1)], partition=0)
    assert [message.key() for message in Reader(kafka_bootstrap, RESULT).wait_for(1, 30)] == [b"t1"]
    entries = Reader(kafka_bootstrap, LOG).wait_for(3, 30)
    assert [json.loads(entry.value() or b"")["message"]["deserializationError"]["recordB64"] for entry in entries] == [
        None
    ] * 3


def test_restart_resumes(server: Server, kafka_bootstrap: str) -> None:
    server.init()
    produce(kafka_bootstrap, [transaction(number) for number in range(500)])
    Reader(kafka_bootstrap, RESULT).wait_for(500, 30)
    assert server.stop() == 0

    produce(kafka_bootstrap, [transaction(number) for number in range(500, 1000)])
    server.start()
    reader = Reader(kafka_bootstrap, RESULT)
    _until(lambda: reader.poll() > 500, 60)
    check_exactly_once(kafka_bootstrap, 1000)
    assert server.init().count("already there") == 4
    assert len(server.ksql("SHOW QUERIES;")[0]["queries"]) == 3


def test_kill_9_loses_nothing_and_repeats_nothing(server: Server, kafka_bootstrap: str) -> None:
    count = 100_000
    server.init()
    produce(kafka_bootstrap, [transaction(number) for number in range(count)])
    reader = Reader(kafka_bootstrap, RESULT)
    for threshold in (count // 5, count // 2):
        _until(lambda enough=threshold: reader.poll() > enough, 120)
        server.stop(signal.SIGKILL)
        before = reader.poll()
        time.sleep(0.5)
        before = max(before, reader.poll())
        assert before < count, "it was done before it was killed"
        server.start()
        _until(lambda seen=before: reader.poll() > seen, 60)
    check_exactly_once(kafka_bootstrap, count)


def test_push_query_shows_old_and_new_rows(server: Server, kafka_bootstrap: str) -> None:
    server.init()
    produce(kafka_bootstrap, [transaction(number) for number in range(10)])
    Reader(kafka_bootstrap, RESULT).wait_for(10, 30)
    request = {
        "sql": "SELECT TRANSACTION_ID, AMOUNT FROM FRAUDULENT_TRANSACTIONS_RESULT WHERE AMOUNT >= 0.05 EMIT CHANGES LIMIT 7;",
        "properties": {"auto.offset.reset": "earliest"},
    }
    with requests.post(f"{server.url}/query-stream", json=request, stream=True, timeout=30) as answer:
        assert answer.headers["Transfer-Encoding"] == "chunked"
        lines = answer.iter_lines()
        header = json.loads(next(lines))
        assert header["columnNames"] == ["TRANSACTION_ID", "AMOUNT"]
        assert header["columnTypes"] == ["STRING", "DOUBLE"]
        old = sorted(json.loads(next(lines)) for _ in range(5))
        assert old == [[f"t{number}", number / 100] for number in range(5, 10)]
        produce(kafka_bootstrap, [transaction(number) for number in range(10, 13)])
        new = [json.loads(line) for line in lines]
        assert len(new) == 2  # the limit ends it
        assert {row[0] for row in new} <= {"t10", "t11", "t12"}

    # With a client that goes away the server goes on.
    request = {"sql": "SELECT * FROM users_of EMIT CHANGES;"}
    assert requests.post(f"{server.url}/query-stream", json=request, timeout=30).status_code == 400
    request = {"sql": "SELECT * FROM sender_users EMIT CHANGES;"}
    with requests.post(f"{server.url}/query-stream", json=request, stream=True, timeout=30) as answer:
        assert b'{"queryId":' in next(answer.iter_lines())
    assert server.ksql("SHOW STREAMS;")[0]["@type"] == "streams"
    assert server.stop() == 0


def test_a_query_of_its_own_until_it_is_terminated_and_dropped(server: Server, kafka_bootstrap: str) -> None:
    server.init()
    produce(kafka_bootstrap, [transaction(number) for number in range(100)])
    copy = (
        "CREATE STREAM copy WITH (KAFKA_TOPIC='copy', PARTITIONS=3) AS "
        "SELECT transaction_id, amount FROM fraudulent_transactions WHERE amount >= 0.5 EMIT CHANGES;"
    )
    assert server.ksql(copy)[0]["commandStatus"]["queryId"] == "CSAS_COPY_9"
    Reader(kafka_bootstrap, "copy").wait_for(50, 30)
    assert server.ksql("TERMINATE CSAS_COPY_9; DROP STREAM copy;")[0]["commandStatus"]["message"] == "Query terminated."
    # The next query is another one and begins at the beginning: the topic has every row once more.
    assert server.ksql(copy)[0]["commandStatus"]["queryId"] == "CSAS_COPY_15"
    Reader(kafka_bootstrap, "copy").wait_for(100, 30)
    server.ksql("DROP STREAM copy DELETE TOPIC;")
    assert "copy" not in AdminClient({"bootstrap.servers": kafka_bootstrap}).list_topics(timeout=10).topics
    assert len(server.ksql("SHOW QUERIES;")[0]["queries"]) == 3


def test_topics_are_listed_and_printed(server: Server, kafka_bootstrap: str) -> None:
    server.init()
    produce(kafka_bootstrap, [transaction(number) for number in range(3)])
    listed = {topic["name"]: topic["replicaInfo"] for topic in server.ksql("SHOW TOPICS;")[0]["topics"]}
    assert listed[INPUT] == [1] * PARTITIONS
    assert not [name for name in listed if name.startswith("_")]
    request = {"ksql": "PRINT 'users' FROM BEGINNING LIMIT 3;"}
    answer = requests.post(f"{server.url}/query", json=request, timeout=30)
    first, second, *lines = answer.text.splitlines()
    assert (first, second) == ("Key format: KAFKA_STRING", "Value format: JSON or KAFKA_STRING")
    assert len(lines) == 3
    assert all(line.startswith("rowtime: 20") and '"SSN":"123-45-6789"' in line for line in lines)


@pytest.mark.parametrize(
    "value", [b"x" * 900_000, b'{"transaction_id":"' + b"x" * 990_000 + b'"}'], ids=["input", "output"]
)
def test_a_record_that_is_too_large_for_the_log_or_the_result_is_skipped(
    server: Server, kafka_bootstrap: str, value: bytes
) -> None:
    server.init()
    produce(kafka_bootstrap, [{"value": value}, transaction(1)], partition=0)
    Reader(kafka_bootstrap, RESULT).wait_for(1, 30)
    entries = [json.loads(message.value() or b"") for message in Reader(kafka_bootstrap, LOG).wait_for(1, 30)]
    messages = [entry["message"] for entry in entries]
    errors = [message["deserializationError"] or message["productionError"] for message in messages]
    assert all("too" in error["errorMessage"] for error in errors), errors


def test_a_port_that_is_taken_is_a_failed_start(server: Server, kafka_bootstrap: str, tmp_path: Path) -> None:
    server.init()
    second = Server(kafka_bootstrap, tmp_path / "second.log")
    second.port = server.port
    second.start()
    assert second.process is not None
    assert second.process.wait(30) == 2
    assert "ddress already in use" in (tmp_path / "second.log").read_text()
