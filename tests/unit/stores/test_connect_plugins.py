"""The plugin directory of the Connect worker."""

import zipfile
from pathlib import Path

import pytest

from local.connect import MONGODB_SINK, prepare
from runtime.errors import UserError
from runtime.services import S3_PLUGIN

MANIFEST = "META-INF/services/org.apache.kafka.connect.sink.SinkConnector"


@pytest.fixture
def mongo_jar(tmp_path: Path) -> Path:
    jar = tmp_path / "cache" / "mongo-kafka-connect-2.0.1-all.jar"
    jar.parent.mkdir()
    jar.write_bytes(b"jar")
    return jar


def manifest(folder: Path) -> str:
    with zipfile.ZipFile(folder / "manifest.jar") as archive:
        return archive.read(MANIFEST).decode().strip()


def test_the_mongodb_sink_gets_a_manifest(tmp_path: Path, mongo_jar: Path) -> None:
    prepare(tmp_path / "plugins", mongo_jar, None)
    (folder,) = (tmp_path / "plugins").iterdir()
    assert (folder / mongo_jar.name).read_bytes() == b"jar"
    assert manifest(folder) == MONGODB_SINK


def test_the_s3_sink_is_added_when_it_is_there_and_goes_when_it_is_not(tmp_path: Path, mongo_jar: Path) -> None:
    release = tmp_path / "release" / "s3-sink-connector-for-apache-kafka-3.4.3"
    release.mkdir(parents=True)
    (release / "s3.jar").write_bytes(b"s3")
    (release / "LICENSE").touch()
    prepare(tmp_path / "plugins", mongo_jar, release.parent)
    folder = tmp_path / "plugins" / "s3-sink"
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.jar", "s3.jar"]
    assert manifest(folder) == S3_PLUGIN
    prepare(tmp_path / "plugins", mongo_jar, None)
    assert not folder.exists()
    assert (release / "s3.jar").exists()


def test_a_folder_without_jars_is_an_error_that_names_it(tmp_path: Path, mongo_jar: Path) -> None:
    with pytest.raises(UserError, match=str(tmp_path / "empty")):
        prepare(tmp_path / "plugins", mongo_jar, tmp_path / "empty")
