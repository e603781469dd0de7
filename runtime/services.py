"""The inventory of the stack: its services, connectors and queries. The topics are in contracts/topics.py.

The launcher, the console, Docker Compose, Prometheus and the README use these names; tests/unit/test_services.py finds each place
that lacks one. Whatever is listed here but missing from the running stack is a fault (console/state.py).
"""

from dataclasses import dataclass
from typing import Literal

from contracts import models, topics

KAFKA = "kafka"
KAFKA_2 = "kafka-2"
KAFKA_3 = "kafka-3"
KAFKA_CONNECT = "kafka-connect"
KAFKA_CONNECT_2 = "kafka-connect-2"
WORKERS = (KAFKA_CONNECT, KAFKA_CONNECT_2)
KSQLDB = "ksqldb-server"
KSQLDB_2 = "ksqldb-server-2"  # in Docker with --cluster
VALIDATOR = "fraud-validator-api"
INGESTOR = "transactions-ingestor"
PROCESSOR = "unidentified-transactions-processor"
ARCHIVER = "s3-archiver"
CONSOLE = "console"
WATCHDOG = "connect-watchdog"
BANK = "multi-bank-system"
MONGODB = "mongodb"
S3 = "s3"

# The topics that hold rows. Every row ends up in two stores.
ROWS = tuple(models.ROWS)

# The connectors in init/connectors/, by file name. Those for S3 exist only if the worker has their plugin; otherwise the archiver
# writes to S3.
CONNECTORS = ("mongodb-transactions", "mongodb-users")
S3_CONNECTORS = ("s3-transactions", "s3-users")
S3_PLUGIN = "io.aiven.kafka.connect.s3.AivenKafkaConnectS3SinkConnector"

# The streams that the queries in ksqldb/*.sql write to.
STREAMS = ("FRAUDULENT_TRANSACTIONS_RESULT", "SENDER_USERS", "RECEIVER_USERS")

# The topics from which the records of each dead-letter topic were read.
READ_FROM = {
    topics.BANK_TRANSACTIONS_DLQ: (topics.BANK_TRANSACTIONS,),
    topics.UNIDENTIFIED_TRANSACTIONS_DLQ: (topics.UNIDENTIFIED_TRANSACTIONS,),
    topics.MONGODB_SINK_DLQ: ROWS,
    topics.S3_SINK_DLQ: ROWS,
}


@dataclass(frozen=True)
class Service:
    """A long-running service, by the name that it has everywhere.

    `port` is the variable and the default of its port on loopback, `metrics` that of its metrics in the local mode.
    `reads` are the topics of its consumer group, which has its name. `needs` are the services without which it cannot work: while
    one of these is down it waits. `mode` is where it runs, when not in both modes.
    """

    name: str
    does: str
    port: tuple[str, int] | None = None
    metrics: tuple[str, int] | None = None
    reads: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    mode: Literal["both", "local", "docker"] = "both"


SERVICES = (
    Service(BANK, "sends the transactions", needs=(KAFKA,)),
    Service(
        INGESTOR,
        "routes them",
        metrics=("INGESTOR_METRICS_PORT", 9101),
        reads=(topics.BANK_TRANSACTIONS,),
        needs=(KAFKA,),
    ),
    Service(
        KSQLDB,
        "makes rows of the fraudulent ones",
        port=("KSQLDB_PORT", 8088),
        metrics=("KSQLDB_METRICS_PORT", 9103),
        needs=(KAFKA,),
    ),
    Service(
        PROCESSOR,
        "asks the validator about the others, and makes rows of the fraudulent ones",
        metrics=("PROCESSOR_METRICS_PORT", 9102),
        reads=(topics.UNIDENTIFIED_TRANSACTIONS,),
        needs=(KAFKA, VALIDATOR),
    ),
    Service(VALIDATOR, "judges one transaction per call", port=("VALIDATOR_PORT", 8000)),
    Service(KAFKA, "the broker", port=("KAFKA_PORT", 9092)),
    Service(KAFKA_CONNECT, "writes the rows to the stores", port=("CONNECT_PORT", 8083), needs=(KAFKA,)),
    Service(WATCHDOG, "restarts failed connector tasks", needs=(KAFKA_CONNECT,)),
    Service(
        ARCHIVER,
        "writes the rows to S3 where the Aiven S3 sink is not available",
        metrics=("ARCHIVER_METRICS_PORT", 9104),
        reads=ROWS,
        needs=(KAFKA, S3),
        mode="local",
    ),
    Service(MONGODB, "one document per id", port=("MONGODB_PORT", 27017)),
    Service(S3, "an object per topic, partition and interval", port=("S3_PORT", 9000)),
    Service(CONSOLE, "shows all of it", port=("CONSOLE_PORT", 8080)),
    Service("prometheus", "metrics and alerts", port=("PROMETHEUS_PORT", 9090), mode="docker"),
    Service("grafana", "a dashboard", port=("GRAFANA_PORT", 3000), mode="docker"),
    Service("jaeger", "traces", port=("JAEGER_PORT", 16686), mode="docker"),
)

# More services, with three brokers. In Docker --cluster has these, and replicas of those without a port.
CLUSTER = (
    Service(KAFKA_2, "the second broker", port=("KAFKA_2_PORT", 9094)),
    Service(KAFKA_3, "the third broker", port=("KAFKA_3_PORT", 9096)),
    Service(KAFKA_CONNECT_2, "the second worker", port=("CONNECT_2_PORT", 8084), needs=(KAFKA,)),
)

NEEDS = {service.name: service.needs for service in (*SERVICES, *CLUSTER)}
SERVICE_GROUPS = {service.name: service.reads for service in SERVICES if service.reads}


def connector_group(connector: str) -> str:
    """The consumer group of a sink connector's tasks."""
    return f"connect-{connector}"


def connector_needs(connector: str) -> tuple[str, ...]:
    """The services without which a connector cannot work: the worker, and the store that it writes to."""
    return KAFKA_CONNECT, S3 if connector in S3_CONNECTORS else MONGODB


def query_group(service_id: str, query_id: str) -> str:
    """The consumer group of a ksqlDB query."""
    return f"_confluent-ksql-{service_id}query_{query_id}"
