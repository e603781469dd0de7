"""SIGTERM ends the services at once also while there is no broker."""

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from threading import Event, Timer

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from local.plan import PYTHON_SOURCES
from local.settings import HOST, ROOT
from local.supervisor import STOP_SECONDS
from runtime.quix import RecordSink, run_sink
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


@pytest.mark.parametrize("module", ["ingestor", "processor", "local.s3_archiver"])
def test_a_service_stops_without_a_broker(module: str, tmp_path: Path) -> None:
    environment = {**os.environ, **SETTINGS, "KAFKA_BOOTSTRAP_SERVER": f"{HOST}:{free_ports()['KAFKA_PORT']}"}
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", module], cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        wait_until(lambda: "the broker does not answer" in log.read_text(), 30, "it has tried")
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_SECONDS) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


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
    watch = Timer(STOP_SECONDS, lambda: os.kill(os.getpid(), signal.SIGTERM))
    watch.start()
    try:
        run_sink(name, name, [name], lambda _: SignalledSink(), stopping)
        assert watch.is_alive(), f"not stopped within {STOP_SECONDS} s"
    finally:
        watch.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)
