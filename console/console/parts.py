"""What the stack has: the parts as Docker Compose and the launcher name them, connectors, queries, and what each group reads.

What is listed here and is not there is a fault (console.state). The topics are in contracts.topics.
"""

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

# The connectors of init/connectors/, by the name of their file. Those to S3 are there where the worker has their plugin; where
# it does not, the archiver writes to S3.
CONNECTORS = ("mongodb-transactions", "mongodb-users")
S3_CONNECTORS = ("s3-transactions", "s3-users")
S3_PLUGIN = "io.aiven.kafka.connect.s3.AivenKafkaConnectS3SinkConnector"

# The streams that a query of ksqldb/*.sql fills.
STREAMS = ("FRAUDULENT_TRANSACTIONS_RESULT", "SENDER_USERS", "RECEIVER_USERS")

# By dead-letter topic, what was read when these were written.
READ_FROM = {
    topics.BANK_TRANSACTIONS_DLQ: (topics.BANK_TRANSACTIONS,),
    topics.UNIDENTIFIED_TRANSACTIONS_DLQ: (topics.UNIDENTIFIED_TRANSACTIONS,),
    topics.MONGODB_SINK_DLQ: ROWS,
    topics.S3_SINK_DLQ: ROWS,
}

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
