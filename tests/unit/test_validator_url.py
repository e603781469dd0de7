"""FRAUD_VALIDATOR_URL: one rule for every service that has it, and the wait for what is behind it."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

import console.settings
import processor.settings
from init import wait_for_validator
from runtime.errors import UserError
from runtime.service import Environment, load_settings

SERVICES = (processor.settings.Settings, console.settings.Settings, wait_for_validator.Settings)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """What the console needs besides."""
    for name in ("KCONNECT_URL", "KSQLDB_URL", "INGESTOR_METRICS_URL", "PROCESSOR_METRICS_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    return monkeypatch


@pytest.mark.parametrize("settings", SERVICES)
@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("http://fraud-validator-api:8000", "http://fraud-validator-api:8000"),
        ("http://fraud-validator-api:8000/", "http://fraud-validator-api:8000"),
        ("http://fraud-validator-api:8000/validate", "http://fraud-validator-api:8000"),
        ("http://fraud-validator-api:8000/validate/", "http://fraud-validator-api:8000"),
        ("https://gateway.example/fraud/validate", "https://gateway.example/fraud"),
        ("https://gateway.example/revalidate", "https://gateway.example/revalidate"),
    ],
)
def test_the_path_of_the_call_may_be_given(
    environment: pytest.MonkeyPatch, settings: type[Environment], given: str, address: str
) -> None:
    environment.setenv("FRAUD_VALIDATOR_URL", given)
    assert load_settings(settings).model_dump()["fraud_validator_url"] == address


@pytest.mark.parametrize("settings", SERVICES)
def test_what_is_no_address_is_refused(environment: pytest.MonkeyPatch, settings: type[Environment]) -> None:
    environment.setenv("FRAUD_VALIDATOR_URL", "fraud-validator-api")
    with pytest.raises(UserError, match="FRAUD_VALIDATOR_URL"):
        load_settings(settings)


@contextmanager
def server(*statuses: int) -> Iterator[str]:
    """The address of a server that answers with these, the last one from then on."""
    left = list(statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(left.pop(0) if len(left) > 1 else left[0])
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


@pytest.mark.parametrize("statuses", [(200,), (503, 200), (404,), (401,)])
def test_an_answer_ends_the_wait(statuses: tuple[int, ...]) -> None:
    with server(*statuses) as url:
        wait_for_validator.wait(url, 10)


def test_a_validator_that_does_not_answer_ends_the_start() -> None:
    with server(500) as url, pytest.raises(UserError, match=rf"{url} has not answered within 0 s \(HTTP 500\)"):
        wait_for_validator.wait(url, 0)
    with pytest.raises(UserError, match=r"Connection refused.*docker compose logs fraud-validator-api"):
        wait_for_validator.wait(url, 0)
