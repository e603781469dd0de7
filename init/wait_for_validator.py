"""Waits until the fraud validator answers, asked from outside: what programs its image carries is not known.

Environment: FRAUD_VALIDATOR_URL.
"""

import logging
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the script is run by its path

from contracts.kafka import SettingsError
from contracts.service import Environment, ValidatorUrl, load_settings

logger = logging.getLogger("wait_for_validator")

ANSWER_SECONDS = 120.0
TRY_SECONDS = 3.0
# No proxy of the environment: a container of the same network is asked.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Settings(Environment):
    """Where the validator is."""

    fraud_validator_url: ValidatorUrl


def wait(url: str, seconds: float) -> None:
    """Return when the validator answers. Raises SettingsError when it has not after so many seconds."""
    deadline = time.monotonic() + seconds
    while (problem := _problem(url)) is not None:
        if time.monotonic() >= deadline:
            raise SettingsError(
                f"the validator at {url} has not answered within {seconds:.0f} s ({problem}): "
                "see docker compose logs fraud-validator-api, or set FRAUD_VALIDATOR_URL to a validator that runs"
            )
        time.sleep(0.5)


def _problem(url: str) -> str | None:
    """What keeps the validator from answering. A page that is missing or needs a login is an answer too."""
    try:
        _direct.open(f"{url}/docs", timeout=TRY_SECONDS).close()
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}" if error.code >= 500 else None
    except (OSError, ValueError) as error:
        return str(error)
    return None


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        address = load_settings(Settings).fraud_validator_url
        wait(address, ANSWER_SECONDS)
        logger.info("the validator answers at %s", address)
    except SettingsError as error:
        logger.error("%s", error)
        sys.exit(1)
