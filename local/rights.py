"""Who may do what on a secured broker: each service has a user of its name, with the rights that its work needs. No I/O."""

from collections.abc import Iterator

from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, ResourcePatternType, ResourceType

from contracts import topics
from runtime import services
from runtime.services import ROWS

READ, WRITE, CREATE, DELETE = AclOperation.READ, AclOperation.WRITE, AclOperation.CREATE, AclOperation.DELETE
DESCRIBE, CONFIGS, CONFIGURE = (
    AclOperation.DESCRIBE,
    AclOperation.DESCRIBE_CONFIGS,
    AclOperation.ALTER_CONFIGS,
)
TOPIC, GROUP, TRANSACTIONS = ResourceType.TOPIC, ResourceType.GROUP, ResourceType.TRANSACTIONAL_ID
EVERY = "*"

# init_kafka and init_kconnect; what people type: the readers of topics, the replay, a transaction of their own.
INIT, TOOLS = "init", "tools"
# It only asks whether the brokers answer, for which no right is needed.
LAUNCHER = "launcher"
# As init/replay_dlq.py names itself. A consumer asks for the coordinator of its group also when it commits nothing there, as the
# emulator's push queries and the readers of topics (console/topic.py).
REPLAY, PUSH_QUERIES, TOPIC_READERS = "dlq-replay", "ksqldb-push-query", "console-consumer"

Right = tuple[ResourceType, str, ResourcePatternType, tuple[AclOperation, ...]]


def _on(kind: ResourceType, *names: str, may: tuple[AclOperation, ...]) -> tuple[Right, ...]:
    return tuple((kind, name, ResourcePatternType.LITERAL, may) for name in names)


def _below(kind: ResourceType, *prefixes: str, may: tuple[AclOperation, ...]) -> tuple[Right, ...]:
    """On everything whose name begins so."""
    return tuple((kind, prefix, ResourcePatternType.PREFIXED, may) for prefix in prefixes)


def _processor(name: str, reads: tuple[str, ...], writes: tuple[str, ...]) -> tuple[Right, ...]:
    """A consumer group of the service's name whose results and offsets are written in transactions."""
    return (
        *_on(TOPIC, *reads, may=(READ, CONFIGS)),
        *_on(TOPIC, *writes, may=(WRITE,)),
        *_on(GROUP, name, may=(READ,)),
        *_below(TRANSACTIONS, name, may=(WRITE, DESCRIBE)),
    )


# By ksqlDB's service id (ksqldb/ksqldb-server.env): its log and its transactions, its statements and the groups of its queries.
KSQLDB_NAMES = ("fraud_", "_confluent-ksql-fraud_")
CONNECT = (
    *_on(TOPIC, *ROWS, may=(READ,)),
    *_on(TOPIC, topics.MONGODB_SINK_DLQ, topics.S3_SINK_DLQ, may=(WRITE,)),
    *_below(TOPIC, "connect-", may=(CREATE, READ, WRITE, CONFIGS)),
    *_below(GROUP, "connect", may=(READ,)),
)
RIGHTS: dict[str, tuple[Right, ...]] = {
    services.BANK: _on(TOPIC, topics.BANK_TRANSACTIONS, may=(WRITE,)),
    services.INGESTOR: _processor(
        services.INGESTOR,
        (topics.BANK_TRANSACTIONS,),
        (*topics.ROUTED, topics.BANK_TRANSACTIONS_DLQ),
    ),
    services.PROCESSOR: _processor(
        services.PROCESSOR,
        (topics.UNIDENTIFIED_TRANSACTIONS,),
        (*ROWS, topics.UNIDENTIFIED_TRANSACTIONS_DLQ),
    ),
    services.ARCHIVER: _processor(services.ARCHIVER, ROWS, (topics.S3_SINK_DLQ,)),
    # It writes rows, keeps its statements and its log, and shows what is on a topic (PRINT).
    services.KSQLDB: (
        *_on(TOPIC, *topics.ALL, may=(READ, CONFIGS)),
        *_on(TOPIC, *ROWS, may=(WRITE,)),
        *_below(TOPIC, *KSQLDB_NAMES, may=(CREATE, READ, WRITE, CONFIGS)),
        *_below(GROUP, *KSQLDB_NAMES, may=(READ, DELETE)),
        *_on(GROUP, PUSH_QUERIES, may=(DESCRIBE,)),
        *_below(TRANSACTIONS, *KSQLDB_NAMES, may=(WRITE, DESCRIBE)),
    ),
    services.KAFKA_CONNECT: CONNECT,
    services.KAFKA_CONNECT_2: CONNECT,
    services.CONSOLE: (
        *_on(TOPIC, EVERY, may=(DESCRIBE,)),
        *_on(TOPIC, *topics.CREATED, may=(READ,)),
        *_on(TOPIC, topics.STACK_EVENTS, may=(WRITE,)),
        *_on(GROUP, EVERY, may=(DESCRIBE,)),
    ),
    INIT: _on(TOPIC, *topics.CREATED, may=(CREATE, DESCRIBE, CONFIGS, CONFIGURE)),
    TOOLS: (
        *_on(TOPIC, EVERY, may=(READ,)),
        *_on(TOPIC, topics.DLQ_REPLAYS, may=(WRITE,)),
        *_on(TOPIC, *{one for read in services.READ_FROM.values() for one in read}, may=(WRITE,)),
        *_on(GROUP, REPLAY, may=(DESCRIBE,)),
        *_below(GROUP, TOPIC_READERS, may=(READ,)),  # Kafka's own console consumer adds a number
        *_on(TRANSACTIONS, REPLAY, may=(WRITE, DESCRIBE)),
    ),
    LAUNCHER: (),
}


def bindings(user: str) -> Iterator[AclBinding]:
    """The user's rights as the broker takes them."""
    for kind, name, pattern, operations in RIGHTS[user]:
        for operation in operations:
            yield AclBinding(kind, name, pattern, f"User:{user}", EVERY, operation, AclPermissionType.ALLOW)
