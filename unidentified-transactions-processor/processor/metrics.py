"""The processor's metrics."""

from prometheus_client import Counter, Gauge, Histogram

_TRANSACTIONS = Counter("processor_transactions", "Transactions processed and committed, by outcome", ["outcome"])
TRANSACTIONS = {name: _TRANSACTIONS.labels(name) for name in ("fraudulent", "honest", "dead_letters")}
CHECKPOINT_RECORDS = Histogram(
    "processor_checkpoint_records", "Records in a committed checkpoint", buckets=(1, 5, 10, 50, 100, 500, 1_000, 2_000)
)
ABORTED = Counter(
    "processor_checkpoints_aborted", "Checkpoints aborted, to be read again, because the validator gave no answer"
)

_REQUEST_SECONDS = Histogram(
    "processor_validator_request_duration_seconds",
    "One request to the validator, by outcome; each try counts separately",
    ["outcome"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
VERDICT_SECONDS = _REQUEST_SECONDS.labels("verdict")
REFUSAL_SECONDS = _REQUEST_SECONDS.labels("refusal")
OUTAGE_SECONDS = _REQUEST_SECONDS.labels("outage")
CALLS_IN_FLIGHT = Gauge(
    "processor_validator_calls_in_flight", "Open calls to the validator, including those that pause between tries"
)
