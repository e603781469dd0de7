"""SIGTERM ends the services at once also while there is no broker."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Timer

import pytest
import requests
from confluent_kafka.admin import AdminClient, NewTopic

from contracts.mapping import to_validation_request
from local.plan import PYTHON_SOURCES
from local.settings import HOST, ROOT
from local.supervisor import STOP_SECONDS
from runtime.quix import RecordSink, run_sink
from tests.support.machine import slowness
from tests.support.samples import transaction
from tests.support.stack import free_ports, wait_until

SETTINGS = {
    "FRAUD_VALIDATOR_URL": f"http://{HOST}:9",
    "S3_BUCKET": "bucket",
    "S3_PREFIX": "prefix",
    "ARCHIVE_INTERVAL_SECONDS": "1",
    "AWS_ACCESS_KEY_ID": "id",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION": "us-east-1",
    "PYTHONPATH": os.pathsep.join(map(str, PYTHON_SOURCES)),
}


@contextmanager
def service(module: str, log: Path, **environment: str) -> Iterator[None]:
    """Runs while the block does, and then has to stop at a SIGTERM."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=ROOT,
            env={**os.environ, **SETTINGS, **environment},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        yield
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_SECONDS * slowness()) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("module", ["ingestor", "processor", "local.s3_archiver"])
def test_a_service_stops_without_a_broker(module: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with service(module, log, KAFKA_BOOTSTRAP_SERVER=f"{HOST}:{free_ports()['KAFKA_PORT']}"):
        wait_until(lambda: "the broker does not answer" in log.read_text(), 30, "it has tried")


def test_the_bank_stops_while_its_messages_wait_for_a_broker(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with service("bank", log, KAFKA_BOOTSTRAP_SERVERS=f"{HOST}:{free_ports()['KAFKA_PORT']}", BANK_RATE="0"):
        wait_until(lambda: "sent=" in log.read_text(), 30, "it has made messages")
    assert "were not delivered" in log.read_text()


def answers(url: str) -> bool:
    with suppress(requests.ConnectionError):
        return requests.get(url, timeout=5).ok
    return False


def test_the_validator_stops_while_it_gives_no_answer(tmp_path: Path) -> None:
    port, log = free_ports()["VALIDATOR_PORT"], tmp_path / "log"
    url, body = f"http://{HOST}:{port}", to_validation_request(transaction()).model_dump_json()
    with service("validator", log, VALIDATOR_PORT=port, VALIDATOR_HANG="1"):
        wait_until(lambda: answers(f"{url}/health"), 30, "it answers")
        with pytest.raises(requests.ReadTimeout):
            requests.post(f"{url}/validate", body, timeout=0.5)


class SignalledSink(RecordSink):
    """Is told to stop before its loop runs, as a stop right after a start does."""

    def setup(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    def write(self) -> None: ...

    def forget(self) -> None: ...


def test_a_signal_before_quix_s_loop_runs_is_heard(kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVER", kafka_bootstrap)
    name, admin = f"signalled-{uuid.uuid4().hex}", AdminClient({"bootstrap.servers": kafka_bootstrap})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result()
    stopping = Event()
    before = {number: signal.signal(number, lambda *_: stopping.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    # What would hang is ended here, and fails.
    seconds = STOP_SECONDS * slowness()
    watch = Timer(seconds, lambda: os.kill(os.getpid(), signal.SIGTERM))
    watch.start()
    try:
        run_sink(name, name, [name], lambda _: SignalledSink(), stopping)
        assert watch.is_alive(), f"not stopped within {seconds:.0f} s"
    finally:
        watch.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)
