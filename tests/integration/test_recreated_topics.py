"""Topics that are deleted and created again begin at offset 0 again: no older object may be written over."""

import gzip
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from contracts import topics
from contracts.models import ROWS, UserRow
from local import jars, s3proxy
from local.checks import port_open
from local.jvm import JAVA
from local.settings import HOST, ROOT, cache_folder
from tests.support.stack import free_ports, running_broker, wait_until

pytestmark = pytest.mark.long
SECONDS = 90
PARTITIONS = 2
NAMES = (*ROWS, topics.S3_SINK_DLQ)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    """The address of a broker of the test's own."""
    with running_broker(tmp_path / "broker") as bootstrap:
        yield bootstrap


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    """The bucket's folder on disk."""
    return tmp_path / "data" / "bucket"


@pytest.fixture
def archiver(tmp_path: Path, broker: str, bucket: Path) -> Iterator[Mapping[str, str]]:
    """The archiver's environment, with an S3 server to write to."""
    wanted = jars.read_list("s3proxy")
    jars.fetch(wanted, cache_folder(), lambda done, missing: None)
    port = int(free_ports()["S3_PORT"])
    s3proxy.prepare(tmp_path / "s3", bucket.parent, bucket.name, port, "id", "secret")
    command = s3proxy.command(JAVA, [jars.path_of(jar, cache_folder()) for jar in wanted], tmp_path / "s3")
    with (tmp_path / "s3.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until(port_open(HOST, port), 60, "the S3 server listens")
        yield {
            "KAFKA_BOOTSTRAP_SERVER": broker,
            "S3_ENDPOINT": f"http://{HOST}:{port}",
            "S3_BUCKET": bucket.name,
            "S3_PREFIX": "prefix",
            "ARCHIVE_INTERVAL_SECONDS": "1",
            "AWS_ACCESS_KEY_ID": "id",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
            "METRICS_HOST": HOST,
            "METRICS_PORT": free_ports()["ARCHIVER_METRICS_PORT"],
        }
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def kept_running(environment: Mapping[str, str], log: Path) -> Iterator[None]:
    """The archiver, started again whenever it ends, as the launcher does it."""
    stopping = Event()
    processes: list[subprocess.Popen[bytes]] = []

    def run() -> None:
        with log.open("ab") as out:
            while not stopping.wait(0.5):
                processes.append(
                    subprocess.Popen(
                        [sys.executable, "-m", "local.s3_archiver"],
                        cwd=ROOT,
                        env={**os.environ, **environment},
                        stdout=out,
                        stderr=subprocess.STDOUT,
                    )
                )
                processes[-1].wait()

    thread = Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        while thread.is_alive():
            for process in processes[-1:]:
                process.terminate()
            thread.join(1)


def create(bootstrap: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in NAMES]).values():
        future.result()


def delete(bootstrap: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.delete_topics(list(NAMES)).values():
        future.result()
    wait_until(lambda: not set(NAMES) & set(admin.list_topics(timeout=10).topics), SECONDS, "the topics are gone")


def send(bootstrap: str, name: str, count: int) -> Counter[str]:
    """User rows to every partition; returns their ids."""
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
    ids = [f"{name}-{number}" for number in range(count)]
    for number, id_ in enumerate(ids):
        row: dict[str, Any] = dict.fromkeys(UserRow.model_fields, "x") | {"ID": id_, "SOURCE_PROCESS": "ksql"}
        producer.produce(topics.USERS, json.dumps(row), id_, partition=number % PARTITIONS)
    assert producer.flush(30) == 0
    return Counter(ids)


def archived(bucket: Path) -> Counter[str]:
    """How often each id is in the bucket."""
    lines = (line for file in bucket.rglob("*.gz") for line in gzip.decompress(file.read_bytes()).splitlines())
    return Counter(json.loads(line)["ID"] for line in lines)


def test_topics_recreated_while_the_archiver_is_stopped(
    broker: str, bucket: Path, archiver: Mapping[str, str], tmp_path: Path
) -> None:
    expected: Counter[str] = Counter()
    for name, count in (("first", 40), ("second", 10)):
        create(broker)
        expected += send(broker, name, count)
        with kept_running(archiver, tmp_path / "log"):
            wait_until(lambda: archived(bucket).total() >= expected.total(), SECONDS, "all rows are archived")  # noqa: B023
        delete(broker)
    assert archived(bucket) == expected


def test_topics_recreated_while_the_archiver_runs(
    broker: str, bucket: Path, archiver: Mapping[str, str], tmp_path: Path
) -> None:
    def all_there(expected: Counter[str]) -> Callable[[], bool]:
        return lambda: archived(bucket) == expected

    with kept_running(archiver, tmp_path / "log"):
        create(broker)
        expected = send(broker, "first", 40)
        wait_until(all_there(expected), SECONDS, "the first topics' rows are archived")
        delete(broker)
        create(broker)
        expected += send(broker, "second", 10)
        wait_until(all_there(expected), SECONDS, "the second topics' rows are archived beside them")
    assert archived(bucket) == expected
