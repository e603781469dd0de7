"""The parts of the local stack: what is run, with which environment, after which others, and when it counts as ready."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from local import broker, connect, s3proxy
from local.checks import Check, broker_ready, fresh, http_answers, http_ok, mongodb_answers
from local.environment import basics
from local.jars import Jar, path_of, read_list
from local.jvm import JAVA, class_path
from local.settings import HOST, LOCAL_ARCHIVE_SECONDS, ROOT, Settings

PYTHON_SOURCES = (
    ROOT,
    ROOT / "console",
    ROOT / "transactions-ingestor",
    ROOT / "unidentified-transactions-processor",
    ROOT / "simulators" / "multi-bank-system",
    ROOT / "simulators" / "fraud-validator-api",
)

DATABASE = "fraudulent_transactions_db"

# A broker that was killed reads through its logs before it answers, which takes minutes when they are gigabytes.
BROKER_START_SECONDS = 900.0
# What has no port touches a file every second or two, and waits up to 10 s for an answer of its own.
HEARTBEAT_SECONDS = 30.0


@dataclass(frozen=True)
class Node:
    """Something to run. With `ready` it is a long-running part that is restarted; without, a step that runs once.

    `environment` is all that the process has.
    A service that is not ready within `start_seconds` ends the start of the stack; a restarted one is restarted again.
    """

    name: str
    command: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    ready: Check | None = None
    port: int | None = None
    start_seconds: float = 120.0
    # Parts are stopped in the order of these numbers, so that each can still hand over what it has to the next.
    stop_order: int = 0


def jars(settings: Settings) -> list[Jar]:
    """Every jar that the nodes need."""
    lists = ["kafka", "mongodb-sink"]
    lists += ["mongodb"] if settings.mongodb.embedded else []
    lists += ["s3proxy"] if settings.s3.endpoint else []
    return [jar for name in lists for jar in read_list(name)]


def nodes(settings: Settings) -> list[Node]:
    """The whole stack. Call it once the jars are there: it writes the configuration files of the Java parts."""
    ports, bootstrap = settings.ports, settings.bootstrap
    kafka_clients = {"KAFKA_BOOTSTRAP_SERVER": bootstrap}
    replica = {"REPLICA_ID": "1"}
    s3 = settings.s3.environment
    mongodb = {"MONGODB_URI": settings.mongodb.uri}
    stack = [
        Node(
            "kafka",
            broker.command(settings),
            ready=broker_ready(bootstrap),
            port=ports.kafka_port,
            start_seconds=BROKER_START_SECONDS,
            stop_order=4,
        ),
        _python_step("init_kafka", "init/init_kafka.py", kafka_clients, after=("kafka",)),
        Node(
            "kafka-connect",
            connect.command(settings),
            kafka_clients | mongodb | s3 | {"OFFSET_FLUSH_INTERVAL_MS": _flush_interval(settings)},
            after=("kafka",),
            # The list waits for the worker, which can be busy with a rebalance; the address above it does not.
            ready=http_ok(f"{settings.connect_url}/connectors", alive=settings.connect_url),
            port=ports.connect_port,
            stop_order=2,
        ),
        _module(
            "ksqldb-server",
            "local.ksqldb_emulator",
            kafka_clients
            | {"KSQLDB_HOST": HOST, "KSQLDB_PORT": str(ports.ksqldb_port)}
            | _metrics(ports.ksqldb_metrics_port),
            after=("init_kafka",),
            ready=http_ok(f"{settings.ksqldb_url}/info"),
            port=ports.ksqldb_port,
            stop_order=1,
        ),
        Node(
            "init_ksqldb",
            ["bash", str(ROOT / "init" / "init_ksqldb.sh")],
            {"PYTHON": sys.executable, "KSQLDB_URL": settings.ksqldb_url},
            after=("ksqldb-server",),
        ),
        _module(
            "fraud-validator-api",
            "validator",
            {"VALIDATOR_HOST": HOST, "VALIDATOR_PORT": str(ports.validator_port)},
            ready=http_ok(f"{settings.validator_url}/health"),
            port=ports.validator_port,
            stop_order=2,
        ),
        _consumer(
            "transactions-ingestor",
            "ingestor",
            kafka_clients | replica,
            ports.ingestor_metrics_port,
            after=("init_kafka",),
            stop_order=1,
        ),
        _consumer(
            "unidentified-transactions-processor",
            "processor",
            kafka_clients | replica | {"FRAUD_VALIDATOR_URL": settings.validator_url},
            ports.processor_metrics_port,
            after=("init_kafka", "fraud-validator-api"),
            stop_order=1,
        ),
        _python_step(
            "init_mongodb", "init/init_mongodb.py", mongodb, after=("mongodb",) if settings.mongodb.embedded else ()
        ),
        _python_step("init_s3", "init/init_s3.py", s3, after=("s3",) if settings.s3.endpoint else ()),
        Node(
            "init_kconnect",
            ["bash", str(ROOT / "init" / "init_kconnect.sh")],
            kafka_clients
            | {
                "PYTHON": sys.executable,
                "KCONNECT_URL": settings.connect_url,
                "S3_BUCKET": settings.s3.bucket,
                "S3_PREFIX": settings.s3.prefix,
                "S3_ENDPOINT": settings.s3.endpoint or "",
            },
            after=("kafka-connect", "init_kafka", "init_mongodb", "init_s3"),
        ),
        _module(
            "console",
            "console",
            kafka_clients
            | {
                "ARCHIVE_INTERVAL_SECONDS": str(
                    settings.s3.archive_seconds
                ),  # so long the archiver may go without a commit
                "KCONNECT_URL": settings.connect_url,
                "KSQLDB_URL": settings.ksqldb_url,
                "FRAUD_VALIDATOR_URL": settings.validator_url,
                "INGESTOR_METRICS_URL": f"http://{HOST}:{ports.ingestor_metrics_port}",
                "PROCESSOR_METRICS_URL": f"http://{HOST}:{ports.processor_metrics_port}",
                "MALLOC_ARENA_MAX": "2",  # many threads that each wait for the broker must not have a heap each
                "CONSOLE_HOST": HOST,
                "CONSOLE_PORT": str(ports.console_port),
            },
            after=("init_kafka",),
            ready=http_ok(f"{settings.console_url}/healthz"),
            port=ports.console_port,
        ),
        Node(
            "connect-watchdog",
            [sys.executable, str(ROOT / "kafka-connect" / "keep_running.py")],
            {"KCONNECT_URL": settings.connect_url},
            after=("init_kconnect",),
            ready=fresh(settings.folders.temporary / "connect-watchdog", HEARTBEAT_SECONDS),
        ),
        _module(
            "multi-bank-system",
            "bank",
            {"KAFKA_BOOTSTRAP_SERVERS": bootstrap},
            after=("transactions-ingestor", "unidentified-transactions-processor", "init_ksqldb", "init_kconnect"),
            # It has no service to ask for: it notes here that what it sent has been delivered.
            ready=fresh(settings.folders.temporary / "bank-delivered", HEARTBEAT_SECONDS),
        ),
    ]
    if settings.mongodb.embedded:
        stack.append(
            _module(
                "mongodb",
                "local.mongodb",
                {
                    "MONGODB_HOST": HOST,
                    "MONGODB_JARS": class_path(settings, "mongodb"),
                    "MONGODB_DATA": str(settings.folders.data / "mongodb"),
                    "MONGODB_PORT": str(ports.mongodb_port),
                },
                ready=mongodb_answers(HOST, ports.mongodb_port),
                port=ports.mongodb_port,
                stop_order=3,
            )
        )
    if settings.s3.endpoint:
        stack.append(
            Node(
                "s3",
                _s3_command(settings),
                ready=http_answers(settings.s3.endpoint),
                port=ports.s3_port,
                stop_order=3,
            )
        )
    if connect.s3_plugin() is None:
        stack.append(
            _consumer(
                "s3-archiver",
                "local.s3_archiver",
                kafka_clients | s3 | {"ARCHIVE_INTERVAL_SECONDS": str(settings.s3.archive_seconds)},
                ports.archiver_metrics_port,
                after=("init_kafka", "init_s3"),
                stop_order=2,
            )
        )
    return [
        replace(node, environment={**basics(), **settings.services.get(node.name, {}), **node.environment})
        for node in stack
    ]


def _flush_interval(settings: Settings) -> str:
    """How often the worker's sinks commit, in milliseconds: the S3 sink, where there is one, then writes its objects."""
    seconds = settings.s3.archive_seconds if connect.s3_plugin() else LOCAL_ARCHIVE_SECONDS
    return str(seconds * 1_000)


def _s3_command(settings: Settings) -> list[str]:
    folder, s3 = settings.folders.run / "s3", settings.s3
    s3proxy.prepare(
        folder, settings.folders.data / "s3", s3.bucket, settings.ports.s3_port, s3.access_key_id, s3.secret_access_key
    )
    jars = [path_of(jar, settings.folders.cache) for jar in read_list("s3proxy")]
    return s3proxy.command(JAVA, jars, folder)


def _module(name: str, module: str, environment: Mapping[str, str], **details) -> Node:
    return Node(name, [sys.executable, "-m", module], _python_environment(environment), **details)


def _consumer(name: str, module: str, environment: Mapping[str, str], port: int, **details) -> Node:
    """A service that tells on its metrics port whether it has its place in its consumer group."""
    ready = http_ok(f"http://{HOST}:{port}/healthz")
    return _module(name, module, {**environment, **_metrics(port)}, ready=ready, port=port, **details)


def _metrics(port: int) -> dict[str, str]:
    return {"METRICS_HOST": HOST, "METRICS_PORT": str(port)}


def _python_step(name: str, script: str, environment: Mapping[str, str], after: tuple[str, ...]) -> Node:
    return Node(name, [sys.executable, str(ROOT / script)], _python_environment(environment), after)


def _python_environment(environment: Mapping[str, str]) -> dict[str, str]:
    # Relative to where the parts run: the path of the clone may have a colon in it.
    sources = os.pathsep.join(str(source.relative_to(ROOT)) for source in PYTHON_SOURCES)
    return {**environment, "PYTHONPATH": sources, "PYTHONUNBUFFERED": "1"}
