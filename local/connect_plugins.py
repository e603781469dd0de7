"""Lays out the plugin directory of the Connect worker: one folder a plugin, each with a service manifest."""

import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path

MONGODB_SINK = "com.mongodb.kafka.connect.MongoSinkConnector"
S3_SINK = "io.aiven.kafka.connect.s3.AivenKafkaConnectS3SinkConnector"

_MANIFEST = "META-INF/services/org.apache.kafka.connect.sink.SinkConnector"


def prepare(plugin_dir: Path, mongo_jar: Path, s3_plugin: Path | None) -> None:
    """Makes `plugin_dir`, the worker's plugin.path, from nothing: the MongoDB sink, and the Aiven S3 sink when there is one.

    `s3_plugin` is the unpacked release, at whatever depth its jars are. Raises FileNotFoundError when it has none.
    """
    shutil.rmtree(plugin_dir, ignore_errors=True)
    _add(plugin_dir / "mongodb-sink", [mongo_jar], MONGODB_SINK)
    if s3_plugin is not None:
        jars = sorted(s3_plugin.rglob("*.jar"))
        if not jars:
            raise FileNotFoundError(f"no jars in {s3_plugin}: it should hold the unpacked S3 sink connector")
        _add(plugin_dir / "s3-sink", jars, S3_SINK)


def _add(folder: Path, jars: Iterable[Path], connector: str) -> None:
    folder.mkdir(parents=True)
    for jar in jars:
        (folder / jar.name).symlink_to(jar.resolve())
    # plugin.discovery=service_load, which saves ten seconds at every start, sees only what is named in a manifest, and
    # the MongoDB sink ships without one. Where a plugin has its own, saying it twice does no harm.
    with zipfile.ZipFile(folder / "manifest.jar", "w") as archive:
        archive.writestr(_MANIFEST, connector + "\n")
