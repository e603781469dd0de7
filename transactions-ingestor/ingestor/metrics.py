"""The ingestor's metrics: updated once per batch, never per message."""

from prometheus_client import Counter, Histogram

from contracts import topics

_RECORDS = Counter("ingestor_records", "Records routed and committed, by target topic", ["topic"])
RECORDS = {topic: _RECORDS.labels(topic) for topic in (*topics.ROUTED, topics.BANK_TRANSACTIONS_DLQ)}
BATCH_RECORDS = Histogram(
    "ingestor_batch_records", "Records in a batch", buckets=(1, 5, 10, 50, 100, 500, 1_000, 2_000, 5_000)
)
TRANSACTION_SECONDS = Histogram(
    "ingestor_transaction_duration_seconds",
    "From a complete batch to the end of its transaction",
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
ABORTED = Counter(
    "ingestor_transactions_aborted", "Transactions that were aborted, so that their batches were read again"
)
