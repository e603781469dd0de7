"""Waits until the fraud validator answers. Asks from outside the container, since its image may lack a program for that.

Environment: FRAUD_VALIDATOR_URL.
"""

import logging

import requests

from runtime import direct
from runtime.errors import without_credentials
from runtime.service import Environment, ValidatorUrl, load_settings, run_command
from runtime.waiting import until

logger = logging.getLogger("wait_for_validator")

ANSWER_SECONDS = 120.0
TRY_SECONDS = 3.0


class Settings(Environment):
    """Where the validator is."""

    fraud_validator_url: ValidatorUrl


def wait(url: str, seconds: float) -> None:
    """Return when the validator answers. Raises UserError when it has not after `seconds`."""
    until(
        lambda: _check(url),
        seconds,
        f"the validator at {without_credentials(url)} has not answered",
        requests.RequestException,
        remedy="see docker compose logs fraud-validator-api, or set FRAUD_VALIDATOR_URL to a running validator",
    )


def _check(url: str) -> None:
    """Raises RequestException when nothing answers. A page that is missing or needs a login is an answer too."""
    with direct.session() as http:
        status = http.get(f"{url}/docs", timeout=TRY_SECONDS).status_code
    if status >= 500:
        raise requests.HTTPError(f"HTTP {status}")


def main() -> None:
    """Raises UserError when no validator answers."""
    url = load_settings(Settings).fraud_validator_url
    wait(url, ANSWER_SECONDS)
    logger.info("the validator answers at %s", without_credentials(url))


if __name__ == "__main__":
    run_command(main)
