"""Waiting for another service: it is asked again, the wait is logged, and it ends."""

import logging

import pytest

from runtime import waiting
from runtime.errors import UserError
from runtime.waiting import until


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which passes only in pauses of one second."""
    now = [0.0]
    monkeypatch.setattr(waiting.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(waiting.time, "sleep", lambda _: now.__setitem__(0, now[0] + 1))
    return now


def raising(errors: list[Exception]) -> str:
    if errors:
        raise errors.pop(0)
    return "ready"


def test_it_is_asked_again_until_it_is_ready(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    errors: list[Exception] = [ConnectionError("away")] * 11
    with caplog.at_level(logging.INFO):
        assert until(lambda: raising(errors), 60, "the store is not ready", OSError) == "ready"
    assert clock == [11]
    assert caplog.messages == ["waiting: the store is not ready yet (away)"] * 2


def test_the_wait_ends_with_the_reason_and_what_to_do(clock: list[float]) -> None:
    errors: list[Exception] = [ConnectionError("away")] * 11
    with pytest.raises(UserError, match=r"^the store is not ready within 3 s \(AWAY\): start it$"):
        until(
            lambda: raising(errors),
            3,
            "the store is not ready",
            OSError,
            reason=lambda error: str(error).upper(),
            remedy="start it",
        )
    assert clock == [3]


def test_any_other_error_ends_the_wait_at_once(clock: list[float]) -> None:
    with pytest.raises(ValueError, match="refused"):
        until(lambda: raising([ValueError("refused")]), 3, "the store is not ready", OSError)
    assert clock == [0]
