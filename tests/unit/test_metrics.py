"""The server of /metrics and /healthz, and what is counted on the way there."""

import logging
import socket
from dataclasses import dataclass

import pytest
import requests
from prometheus_client import Counter

from runtime.errors import UserError
from runtime.health import main
from runtime.metrics import LAST_COMMIT, serve
from runtime.quix import after_commit
from runtime.service import Totals
from tests.support.metrics import Increase, scrape, series
from tests.support.stack import free_ports


@dataclass
class Service:
    """A service with a metrics server; `problem` is what is wrong with it."""

    url: str
    problem: str | None = None


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    port = free_ports()["INGESTOR_METRICS_PORT"]
    monkeypatch.setenv("METRICS_PORT", port)
    running = Service(f"http://127.0.0.1:{port}")
    serve(lambda: running.problem)
    return running


def test_healthz_says_what_is_wrong(service: Service) -> None:
    healthy = requests.get(f"{service.url}/healthz", timeout=5)
    assert (healthy.status_code, healthy.text) == (200, "ok")
    assert main() == 0
    service.problem = "the consumer is not polled"
    sick = requests.get(f"{service.url}/healthz", timeout=5)
    assert (sick.status_code, sick.text) == (503, "the consumer is not polled")
    assert main() == 1


def test_metrics_are_prometheus_text(service: Service) -> None:
    LAST_COMMIT.labels("a-group").set(17)
    samples = scrape(service.url)
    assert samples[series("kafka_consumergroup_last_commit_timestamp_seconds", group="a-group")] == 17
    assert samples[series("process_start_time_seconds")] > 0
    assert requests.get(f"{service.url}/metrics", timeout=5).headers["Content-Type"].startswith("text/plain; version=")
    assert not [name for name, _ in samples if name.endswith("_created")]


def test_other_paths_are_not_there(service: Service) -> None:
    assert requests.get(f"{service.url}/", timeout=5).status_code == 404


def test_without_a_port_nothing_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("METRICS_PORT", raising=False)
    monkeypatch.setattr("runtime.metrics.ThreadingHTTPServer", lambda *_: pytest.fail("it listens"))
    serve(lambda: None)


def test_a_bad_port_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICS_PORT", "high")
    with pytest.raises(UserError, match="METRICS_PORT"):
        serve(lambda: None)


def test_a_taken_port_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("METRICS_PORT", str(taken.getsockname()[1]))
        with pytest.raises(OSError, match="in use"):
            serve(lambda: None)


def test_totals_are_counted_once_for_the_log_and_for_prometheus(caplog: pytest.LogCaptureFixture) -> None:
    counter = Counter("test_totals", "For this test", ["outcome"])
    totals, increase = Totals(logging.getLogger("totals"), {"good": counter.labels("good")}), Increase()
    totals._logged_at -= 1
    with caplog.at_level(logging.INFO, "totals"):
        totals.add({"good": 2, "not a metric": 1})
    assert caplog.messages == ["good=2 not a metric=1"]
    assert increase.of("test_totals_total", outcome="good") == 2


class FakeProducer:
    def __init__(self) -> None:
        self.fails = False

    def commit_transaction(self, positions: list[int], timeout: float | None = None) -> None:
        assert (positions, timeout) == ([1], 3.0)
        if self.fails:
            raise RuntimeError("not committed")


def test_after_commit_is_after_a_commit_only() -> None:
    producer, commits = FakeProducer(), []
    after_commit(producer, lambda: commits.append(1))
    producer.commit_transaction([1], timeout=3.0)
    producer.fails = True
    with pytest.raises(RuntimeError):
        producer.commit_transaction([1], timeout=3.0)
    assert commits == [1]
