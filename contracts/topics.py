"""The names of the topics: every service takes them from here."""

BANK_TRANSACTIONS = "bank-transactions"
FRAUDULENT_TRANSACTIONS = "fraudulent-transactions"
UNIDENTIFIED_TRANSACTIONS = "unidentified-transactions"
FRAUDULENT_TRANSACTIONS_RESULT = "fraudulent-transactions-result"
USERS = "users"

BANK_TRANSACTIONS_DLQ = "bank-transactions-dlq"
UNIDENTIFIED_TRANSACTIONS_DLQ = "unidentified-transactions-dlq"
MONGODB_SINK_DLQ = "mongodb-sink-dlq"
S3_SINK_DLQ = "s3-sink-dlq"

# What the ingestor routes transactions to: what is known to be fraudulent, and what is not.
ROUTED = (FRAUDULENT_TRANSACTIONS, UNIDENTIFIED_TRANSACTIONS)
# What records pass through, in order.
RECORDS = (BANK_TRANSACTIONS, *ROUTED, FRAUDULENT_TRANSACTIONS_RESULT, USERS)
DEAD_LETTERS = (BANK_TRANSACTIONS_DLQ, UNIDENTIFIED_TRANSACTIONS_DLQ, MONGODB_SINK_DLQ, S3_SINK_DLQ)
# The topics that carry the stack's records.
ALL = (*RECORDS, *DEAD_LETTERS)

# Which dead letters were replayed, and up to where: compacted, so that it is kept as long as they are.
DLQ_REPLAYS = "dlq-replays"

# What happened to the stack, for the console: as short-lived as the records that it is about.
STACK_EVENTS = "stack-events"

# From when a record was written; it may be kept for a day more.
RETENTION_SECONDS = 7 * 24 * 3600

# Every topic that init_kafka.py creates, and that has to be there.
CREATED = (*ALL, DLQ_REPLAYS, STACK_EVENTS)
