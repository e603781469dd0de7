"""SIGTERM ends the services at once also while there is no broker."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from local.parts import PYTHON_SOURCES
from local.settings import HOST, ROOT
from local.supervisor import STOP_SECONDS
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
