"""What the local stack runs: each program with its environment, after which others, and when it counts as ready."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from local import broker, connect, rights, s3proxy, secure
from local.checks import Check, broker_ready, fresh, http_ok, mongodb_answers
from local.environment import GLIBC_TUNABLES, basics
from local.jars import Jar, path_of, read_list
from local.jvm import JAVA, class_path
from local.settings import HOST, LOCAL_ARCHIVE_SECONDS, ROOT, Settings
from runtime import services
from runtime.kafka import security_config

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
class Program:
    """Something to run. With `ready` it is a service, which is restarted; without, a step that runs once.

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
    # Services are stopped in the order of these numbers, so that each can still hand over what it has to the next.
    stop_order: int = 0


def jars(settings: Settings) -> list[Jar]:
    """Every jar that the programs need."""
    lists = ["kafka", "mongodb-sink"]
    lists += ["mongodb"] if settings.mongodb.embedded else []
    lists += ["s3proxy"] if settings.s3.endpoint else []
    lists += ["opentelemetry-agent"] if settings.traced else []
    return [jar for name in lists for jar in read_list(name)]


def programs(settings: Settings) -> list[Program]:
    """The whole stack. Call it once the jars are there: it writes what the Java services and the clients of Kafka read."""
    ports = settings.ports
    if settings.kafka_secure:
        secure.prepare(settings.folders)
    kafka = partial(secure.kafka_environment, settings)
    replica = {"REPLICA_ID": "1"}
    s3 = settings.s3.environment
    mongodb = {"MONGODB_URI": settings.mongodb.uri}
    brokers = tuple(one.name for one in settings.brokers)
    reachable = ("init_users",) if settings.kafka_secure else brokers
    workers = {services.KAFKA_CONNECT: ports.connect_port}
    if len(brokers) > 1:
        workers[services.KAFKA_CONNECT_2] = ports.connect_2_port
    stack = [
        *(
            Program(
                one.name,
                command,
                ready=broker_ready(one.address, security_config(kafka(rights.LAUNCHER))),
                port=one.port,
                start_seconds=BROKER_START_SECONDS,
                stop_order=4,
            )
            for one, command in zip(settings.brokers, broker.commands(settings), strict=True)
        ),
        *(
            [_module("init_users", "local.init_users", kafka(secure.BROKERS), after=brokers)]
            if settings.kafka_secure
            else []
        ),
        _module("init_kafka", "init.init_kafka", kafka(rights.INIT), after=reachable),
        *(
            Program(
                name,
                connect.command(settings, name, port),
                kafka(name)
                | secure.java(settings, name)
                | mongodb
                | s3
                | {"OFFSET_FLUSH_INTERVAL_MS": _flush_interval(settings)},
                after=reachable,
                # The list waits for the worker, which can be busy with a rebalance; the address above it does not.
                ready=http_ok(f"http://{HOST}:{port}/connectors", alive=f"http://{HOST}:{port}"),
                port=port,
                stop_order=2,
            )
            for name, port in workers.items()
        ),
        _module(
            services.KSQLDB,
            "local.ksqldb_emulator",
            kafka(services.KSQLDB)
            | {
                "KSQLDB_HOST": HOST,
                "KSQLDB_PORT": str(ports.ksqldb_port),
                "KSQL_KSQL_INTERNAL_TOPIC_REPLICAS": str(settings.kafka_brokers),
            }
            | _metrics(ports.ksqldb_metrics_port),
            after=("init_kafka",),
            ready=http_ok(f"{settings.ksqldb_url}/info"),
            port=ports.ksqldb_port,
            stop_order=1,
        ),
        Program(
            "init_ksqldb",
            ["bash", str(ROOT / "init" / "init_ksqldb.sh")],
            {"PYTHON": sys.executable, "KSQLDB_URL": settings.ksqldb_url},
            after=(services.KSQLDB,),
        ),
        _module(
            services.VALIDATOR,
            "validator",
            {"VALIDATOR_HOST": HOST, "VALIDATOR_PORT": str(ports.validator_port)},
            ready=http_ok(f"{settings.validator_url}/health"),
            port=ports.validator_port,
            stop_order=2,
        ),
        _consumer(
            services.INGESTOR,
            "ingestor",
            kafka(services.INGESTOR) | replica,
            ports.ingestor_metrics_port,
            after=("init_kafka",),
            stop_order=1,
        ),
        _consumer(
            services.PROCESSOR,
            "processor",
            kafka(services.PROCESSOR) | replica | {"FRAUD_VALIDATOR_URL": settings.validator_url},
            ports.processor_metrics_port,
            after=("init_kafka", services.VALIDATOR),
            stop_order=1,
        ),
        _module(
            "init_mongodb", "init.init_mongodb", mongodb, after=(services.MONGODB,) if settings.mongodb.embedded else ()
        ),
        _module("init_s3", "init.init_s3", s3, after=(services.S3,) if settings.s3.endpoint else ()),
        Program(
            "init_kconnect",
            ["bash", str(ROOT / "init" / "init_kconnect.sh")],
            kafka(rights.INIT)
            | {
                "PYTHON": sys.executable,
                "KCONNECT_URL": settings.connect_url,
                "S3_BUCKET": settings.s3.bucket,
                "S3_PREFIX": settings.s3.prefix,
                "S3_ENDPOINT": settings.s3.endpoint or "",
            },
            after=(*workers, "init_kafka", "init_mongodb", "init_s3"),
        ),
        _module(
            services.CONSOLE,
            "console",
            kafka(services.CONSOLE)
            | {
                "ARCHIVE_INTERVAL_SECONDS": str(
                    settings.s3.archive_seconds
                ),  # so long the archiver may go without a commit
                "KCONNECT_URL": settings.connect_url,
                "KCONNECT_2_URL": settings.connect_2_url,
                "KSQLDB_URL": settings.ksqldb_url,
                "FRAUD_VALIDATOR_URL": settings.validator_url,
                "INGESTOR_METRICS_URL": f"http://{HOST}:{ports.ingestor_metrics_port}",
                "PROCESSOR_METRICS_URL": f"http://{HOST}:{ports.processor_metrics_port}",
                "MALLOC_ARENA_MAX": "2",  # many threads that each wait for the broker must not have a heap each
                "DATA_FOLDER": str(settings.folders.base),
                "LAUNCHER_STATE": str(settings.folders.state),
                "CONSOLE_HOST": HOST,
                "CONSOLE_PORT": str(ports.console_port),
            },
            after=("init_kafka",),
            ready=http_ok(f"{settings.console_url}/healthz"),
            port=ports.console_port,
        ),
        _module(
            services.WATCHDOG,
            "init.connect_watchdog",
            {"KCONNECT_URL": settings.connect_url, "KCONNECT_2_URL": settings.connect_2_url},
            after=("init_kconnect",),
            ready=fresh(settings.folders.temporary / "connect-watchdog", HEARTBEAT_SECONDS),
        ),
        _module(
            services.BANK,
            "bank",
            kafka(services.BANK) | {"KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap},
            after=(services.INGESTOR, services.PROCESSOR, "init_ksqldb", "init_kconnect"),
            # It has no service to ask for: it notes here that what it sent has been delivered.
            ready=fresh(settings.folders.temporary / "bank-delivered", HEARTBEAT_SECONDS),
        ),
    ]
    if settings.mongodb.embedded:
        stack.append(
            _module(
                services.MONGODB,
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
            Program(
                services.S3,
                _s3_command(settings),
                ready=http_ok(settings.s3.endpoint, below=500),  # it refuses whoever has no key
                port=ports.s3_port,
                stop_order=3,
            )
        )
    if connect.s3_plugin() is None:
        stack.append(
            _consumer(
                services.ARCHIVER,
                "local.s3_archiver",
                kafka(services.ARCHIVER) | s3 | {"ARCHIVE_INTERVAL_SECONDS": str(settings.s3.archive_seconds)},
                ports.archiver_metrics_port,
                after=("init_kafka", "init_s3"),
                stop_order=2,
            )
        )
    return [
        replace(program, environment={**basics(), **settings.services.get(program.name, {}), **program.environment})
        for program in stack
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


def _module(name: str, module: str, environment: Mapping[str, str], **details) -> Program:
    return Program(name, [sys.executable, "-m", module], _python_environment(environment), **details)


def _consumer(name: str, module: str, environment: Mapping[str, str], port: int, **details) -> Program:
    """A service whose metrics port answers whether its consumer group has assigned its partitions."""
    ready = http_ok(f"http://{HOST}:{port}/healthz")
    return _module(name, module, {**environment, **_metrics(port)}, ready=ready, port=port, **details)


def _metrics(port: int) -> dict[str, str]:
    return {"METRICS_HOST": HOST, "METRICS_PORT": str(port)}


def _python_environment(environment: Mapping[str, str]) -> dict[str, str]:
    # Relative to where the services run: the path of the clone may have a colon in it.
    sources = os.pathsep.join(str(source.relative_to(ROOT)) for source in PYTHON_SOURCES)
    return {**environment, "PYTHONPATH": sources, "PYTHONUNBUFFERED": "1", "GLIBC_TUNABLES": GLIBC_TUNABLES}
