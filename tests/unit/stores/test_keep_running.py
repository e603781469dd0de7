"""What the watchdog sees in a connector's status."""

from threading import Event
from typing import Any

import pytest

from init import connect_watchdog
from runtime.connect import failed

TRACE = (
    "org.apache.kafka.connect.errors.ConnectException: Exiting WorkerSinkTask\n"
    "\tat org.apache.kafka.connect.runtime.WorkerSinkTask.poll(WorkerSinkTask.java:359)\n"
    "Caused by: com.mongodb.MongoTimeoutException: mongodb://user:password@host did not answer\n"
    "\t... 11 more\n"
)


def test_it_names_what_has_failed_and_the_class_of_the_root_error_only() -> None:
    status = {
        "connector": {"state": "RUNNING"},
        "tasks": [{"id": 0, "state": "RUNNING"}, {"id": 1, "state": "FAILED", "trace": TRACE}],
    }
    assert failed(status) == {"task 1": "com.mongodb.MongoTimeoutException"}


def test_a_failure_without_a_trace_is_still_a_failure() -> None:
    assert failed({"connector": {"state": "FAILED"}, "tasks": []}) == {"connector": "?"}


def test_a_malformed_status_keeps_no_other_connector_from_its_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    restarted: list[str] = []
    stopping = Event()

    class Connect:
        def __init__(self, *_: str, seconds: float) -> None:
            self.answers: list[Any] = [None, {name: {"status": status} for name, status in STATUSES.items()}]

        def connectors(self) -> Any:
            if not self.answers:
                stopping.set()
            return self.answers.pop(0) if self.answers else []

        def restart(self, name: str, only_failed: bool) -> None:
            restarted.append(name)

    monkeypatch.setattr(connect_watchdog, "Connect", Connect)
    monkeypatch.setattr(connect_watchdog, "LOOK_SECONDS", 0.01)
    connect_watchdog.main(stopping)
    assert restarted == ["z"]


STATUSES: dict[str, Any] = {
    "a": None,
    "b": {"connector": None, "tasks": []},
    "c": {"connector": {"state": "RUNNING"}, "tasks": None},
    "z": {"connector": {"state": "FAILED"}, "tasks": []},
}
