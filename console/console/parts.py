"""The names of the parts as Docker Compose and the launcher have them, and what each consumer group reads."""

from contracts import topics

KAFKA = "kafka"
KAFKA_CONNECT = "kafka-connect"
KSQLDB = "ksqldb-server"
VALIDATOR = "fraud-validator-api"
INGESTOR = "transactions-ingestor"
PROCESSOR = "unidentified-transactions-processor"
ARCHIVER = "s3-archiver"
CONSOLE = "console"

# Every row ends in two places, and these are the topics that hold rows.
ROWS = (topics.FRAUDULENT_TRANSACTIONS_RESULT, topics.USERS)

# A service's group has its name.
SERVICE_GROUPS = {
    INGESTOR: (topics.BANK_TRANSACTIONS,),
    PROCESSOR: (topics.UNIDENTIFIED_TRANSACTIONS,),
    ARCHIVER: ROWS,
}


def connector_group(connector: str) -> str:
    """The group of a sink connector's tasks."""
    return f"connect-{connector}"


def query_group(service_id: str, query_id: str) -> str:
    """The group of a ksqlDB query."""
    return f"_confluent-ksql-{service_id}query_{query_id}"
