"""The Kafka Connect worker of the local mode: the settings file of both modes with this mode's places added, and its plugins."""

import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path

from local import secure
from local.jars import path_of, read_list
from local.jvm import agent, class_path, java, list_entry
from local.properties import to_text
from local.settings import HOST, ROOT, Settings
from runtime import services
from runtime.errors import UserError

WORKER_SETTINGS = ROOT / "kafka-connect" / "connect-distributed.properties"
S3_PLUGINS = ROOT / "kafka-connect" / "plugins"
MONGODB_SINK = "com.mongodb.kafka.connect.MongoSinkConnector"

_MANIFEST = "META-INF/services/org.apache.kafka.connect.sink.SinkConnector"


def s3_plugin() -> Path | None:
    """The folder of the Aiven S3 sink, when the user has unpacked its release there; it is on no package registry."""
    return next(iter(sorted(S3_PLUGINS.glob("s3-sink-connector-for-apache-kafka-*/"))), None)


def heap(s3_plugin: Path | None) -> list[str]:
    """The worker's heap: the S3 sink gathers a backlog in memory, and dies of one of 200,000 rows at 96 MiB.

    Without it little stays, and the room for new objects, which is soon used as a whole, can be small.
    """
    return ["-Xmx96m", "-Xmn12m"] if s3_plugin is None else ["-Xmx512m"]


def command(settings: Settings, name: str, port: int) -> list[str]:
    """Writes a worker's settings, lays out its plugins, and returns the command that runs it."""
    plugins = settings.folders.run / "connect-plugins"
    (mongodb_sink,) = read_list("mongodb-sink")
    prepare(plugins, path_of(mongodb_sink, settings.folders.cache), s3_plugin())
    file = settings.folders.run / f"{name}.properties"
    # The later line wins in a properties file.
    file.write_text(
        WORKER_SETTINGS.read_text()
        + to_text({"plugin.path": list_entry(plugins), "listeners": f"http://{HOST}:{port}", **_truststores(settings)})
    )
    return java(
        settings,
        *heap(s3_plugin()),
        *agent(settings),
        "-cp",
        class_path(settings, "kafka"),
        "org.apache.kafka.connect.cli.ConnectDistributed",
        str(file),
    )


def _truststores(settings: Settings) -> dict[str, str]:
    if not settings.kafka_secure:
        return {}
    own = secure.truststore(settings.folders)
    return {
        f"{prefix}{name}": value for prefix in ("", "producer.", "consumer.", "admin.") for name, value in own.items()
    }


def prepare(plugin_dir: Path, mongo_jar: Path, s3_plugin: Path | None) -> None:
    """Makes `plugin_dir`, the worker's plugin.path, from nothing: the MongoDB sink, and the Aiven S3 sink when there is one.

    `s3_plugin` is the unpacked release, at whatever depth its jars are. Raises UserError when it has none.
    """
    shutil.rmtree(plugin_dir, ignore_errors=True)
    _add(plugin_dir / "mongodb-sink", [mongo_jar], MONGODB_SINK)
    if s3_plugin is not None:
        jars = sorted(s3_plugin.rglob("*.jar"))
        if not jars:
            raise UserError(f"no jars in {s3_plugin}: it should hold the unpacked S3 sink connector")
        _add(plugin_dir / "s3-sink", jars, services.S3_PLUGIN)


def _add(folder: Path, jars: Iterable[Path], connector: str) -> None:
    folder.mkdir(parents=True)
    for jar in jars:
        (folder / jar.name).symlink_to(jar.resolve())
    # plugin.discovery=service_load, which saves ten seconds at every start, sees only what is named in a manifest, and
    # the MongoDB sink ships without one. Where a plugin has its own, saying it twice does no harm.
    with zipfile.ZipFile(folder / "manifest.jar", "w") as archive:
        archive.writestr(_MANIFEST, connector + "\n")
