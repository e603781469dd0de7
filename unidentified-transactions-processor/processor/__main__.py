"""The service: `python -m processor`."""

from threading import Event

from contracts.health import ConsumerHealth
from contracts.metrics import serve
from contracts.quix import run_application
from contracts.service import load_settings, run_service
from processor import metrics
from processor.app import build
from processor.settings import Settings
from processor.validator import ValidatorClient


def main(stopping: Event) -> None:
    """Run until stopped."""
    settings = load_settings(Settings)
    validator = ValidatorClient(
        settings.fraud_validator_url, settings.fraud_validator_max_in_flight, settings.fraud_validator_timeout
    )
    metrics.CALLS_IN_FLIGHT.set_function(lambda: validator.in_flight)
    health = ConsumerHealth()
    serve(health.problem)
    try:
        run_application(lambda: build(validator, health), stopping)
    finally:
        validator.close()


if __name__ == "__main__":
    run_service(main)
