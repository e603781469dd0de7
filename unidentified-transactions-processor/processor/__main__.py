"""The service: `python -m processor`."""

from threading import Event

from contracts import topics
from processor import metrics
from processor.settings import SERVICE, Settings
from processor.sink import ValidatingSink
from processor.validator import ValidatorClient
from runtime.quix import run_sink
from runtime.service import load_settings, replica_name, run_service
from runtime.tracing import tracer

# A checkpoint is committed when its input is drained, at most once per PERIOD_SECONDS: each costs the broker a transaction. Under
# constant input it is committed every COMMIT_SECONDS, since no call can start for the 0.05 s that the last answers and the commit
# take. A read_committed reader waits that long for a row.
PERIOD_SECONDS = 0.1
COMMIT_SECONDS = 1.0
POLL_SECONDS = 0.05


def main(stopping: Event) -> None:
    """Run until stopped."""
    settings = load_settings(Settings)
    validator = ValidatorClient(
        settings.fraud_validator_url, settings.fraud_validator_max_in_flight, settings.fraud_validator_timeout
    )
    metrics.CALLS_IN_FLIGHT.set_function(lambda: validator.in_flight)
    try:
        with tracer(SERVICE, begins=False) as tracing:
            run_sink(
                SERVICE,
                replica_name(SERVICE),
                [topics.UNIDENTIFIED_TRANSACTIONS],
                lambda producer: ValidatingSink(validator, producer, tracing),
                stopping,
                period=PERIOD_SECONDS,
                commit_interval=COMMIT_SECONDS,
                consumer_poll_timeout=POLL_SECONDS,
            )
    finally:
        validator.close()


if __name__ == "__main__":
    run_service(main)
