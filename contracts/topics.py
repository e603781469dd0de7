"""The names of the topics, in the one place that every part reads them from."""

BANK_TRANSACTIONS = "bank-transactions"
FRAUDULENT_TRANSACTIONS = "fraudulent-transactions"
UNIDENTIFIED_TRANSACTIONS = "unidentified-transactions"
FRAUDULENT_TRANSACTIONS_RESULT = "fraudulent-transactions-result"
USERS = "users"

BANK_TRANSACTIONS_DLQ = "bank-transactions-dlq"
UNIDENTIFIED_TRANSACTIONS_DLQ = "unidentified-transactions-dlq"
MONGODB_SINK_DLQ = "mongodb-sink-dlq"
S3_SINK_DLQ = "s3-sink-dlq"

DEAD_LETTERS = (BANK_TRANSACTIONS_DLQ, UNIDENTIFIED_TRANSACTIONS_DLQ, MONGODB_SINK_DLQ, S3_SINK_DLQ)
# Through these the records of the stack go.
ALL = (
    BANK_TRANSACTIONS,
    FRAUDULENT_TRANSACTIONS,
    UNIDENTIFIED_TRANSACTIONS,
    FRAUDULENT_TRANSACTIONS_RESULT,
    USERS,
    *DEAD_LETTERS,
)

# What was replayed from the dead letters, and how far: compacted, so that it lives as long as they do.
DLQ_REPLAYS = "dlq-replays"

# Every topic that init_kafka.py creates, and that has to be there.
CREATED = (*ALL, DLQ_REPLAYS)
