"""What a full disk does to a store and to the commands."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from local import jars
from local.checks import mongodb_answers
from local.jvm import class_path
from local.settings import HOST, Folders, MongoTarget, Ports, S3Target, Settings, cache_folder
from tests.support.small_disk import filled, small_disk
from tests.support.stack import free_ports, start_sh, wait_until

SECONDS = 30
PORT = int(free_ports()["MONGODB_PORT"])


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 20) as folder:
        yield folder


def mongodb(data: Path) -> subprocess.Popen[bytes]:
    cache = cache_folder()
    jars.fetch(jars.read_list("mongodb"), cache, lambda done, wanted: None)
    settings = Settings(Ports(), Folders(data, cache), MongoTarget("", embedded=True), S3Target("", "", "", "", "", ""))
    variables = {
        "MONGODB_JARS": class_path(settings, "mongodb"),
        "MONGODB_DATA": str(data),
        "MONGODB_PORT": str(PORT),
    }
    return subprocess.Popen([sys.executable, "-m", "local.mongodb"], env={**os.environ, **variables})


def test_mongodb_ends_and_keeps_what_it_has_answered(disk: Path) -> None:
    process = mongodb(disk / "mongodb")
    try:
        wait_until(mongodb_answers(HOST, PORT), SECONDS, "MongoDB answers")
        written = 0
        with MongoClient(HOST, PORT, serverSelectionTimeoutMS=30_000) as client, filled(disk):
            with pytest.raises(PyMongoError):
                while written < 100_000:
                    client["full"]["documents"].insert_one({"_id": written, "text": os.urandom(1_000)})
                    written += 1
            assert process.wait(SECONDS) == 1
        process = mongodb(disk / "mongodb")
        wait_until(mongodb_answers(HOST, PORT), SECONDS, "MongoDB answers again")
        with MongoClient(HOST, PORT, serverSelectionTimeoutMS=30_000) as client:
            documents = client["full"]["documents"]
            # The last one may have been written, although its answer did not come.
            assert documents.count_documents({}) in (written, written + 1)
            documents.insert_one({"_id": "after"})
            assert documents.find_one({"_id": "after"})
    finally:
        process.kill()
        process.wait()


def test_a_start_on_a_full_disk_is_one_line(disk: Path) -> None:
    with filled(disk):
        answer = start_sh({**free_ports(), "LOCAL_DIR": str(disk / "local")}, "--local")
    assert answer.returncode == 1
    assert "Traceback" not in answer.stderr
    assert answer.stderr.count("error: ") == 1
    assert str(disk / "local") in answer.stderr
