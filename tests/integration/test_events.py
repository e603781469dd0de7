"""What happened is known after it: over a kill -9 of a service, of the broker, and of the console itself."""

import json
import time
from collections.abc import Iterator

import psutil
import pytest
import requests

from console.events import NEW_REASON, RESTART
from contracts import topics
from runtime import services
from tests.support.stack import Stack, running_stack, wait_until
from tests.support.topics import read_all

pytestmark = pytest.mark.long
SECONDS = 90
Event = dict


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Whose bank goes on sending, poison included."""
    variables = {"BANK_RATE": "20", "BANK_COUNT": "0", "BANK_POISON_SHARE": "0.05"}
    with running_stack(tmp_path_factory.mktemp("eventful") / "local", variables) as running:
        yield running


def events(stack: Stack) -> list[Event]:
    """No event while the console is away."""
    try:
        return requests.get(f"{stack.settings.console_url}/api/events", timeout=10).json()
    except requests.RequestException:
        return []


def over(stack: Stack, kind: str, name: str, since: float) -> list[Event]:
    return [
        event
        for event in events(stack)
        if (event["kind"], event["name"]) == (kind, name) and event["began"] >= since and event["ended"]
    ]


def kill(stack: Stack, service: str) -> Event:
    """Returns what is said of it, once it is back."""
    moment = time.time()
    psutil.Process(stack.pid_of(service)).kill()
    wait_until(lambda: over(stack, RESTART, service, moment), SECONDS, f"{service} is back, which is an event")
    (event,) = over(stack, RESTART, service, moment)
    assert event["text"] == f"{service} was restarted: it was ended by SIGKILL"
    assert moment <= event["began"] < event["ended"] <= time.time()
    assert event["seconds"] == pytest.approx(event["ended"] - event["began"], abs=0.1)
    return event


def test_a_service_that_was_killed_is_an_event_that_outlives_the_console(stack: Stack) -> None:
    before = kill(stack, services.INGESTOR)
    assert before in events(stack)
    own = kill(stack, services.CONSOLE)  # it says so itself, having been told by the launcher
    wait_until(lambda: before in events(stack), SECONDS, "the console has read what it had written")
    assert own in events(stack)

    def written() -> list[Event]:
        return [json.loads(record.value or b"") for record in read_all(stack.kafka, topics.STACK_EVENTS)]

    wait_until(
        lambda: {**before, "seconds": None} in [{**one, "seconds": None} for one in written()], SECONDS, "it is written"
    )
    said = stack.await_healthy("--json").stdout
    assert before["text"] in [event["text"] for event in json.loads(said)["recent"]]


def test_an_outage_of_the_broker_is_one_cause_and_is_written_when_it_is_back(stack: Stack) -> None:
    moment = time.time()
    psutil.Process(stack.pid_of(services.KAFKA)).suspend()
    try:

        def told() -> list[str]:
            return requests.get(f"{stack.settings.console_url}/api/state", timeout=10).json()["faults"]

        wait_until(lambda: any(fault.startswith("kafka is down") for fault in told()), SECONDS, "the broker is down")
        faults = told()
        assert faults[0].startswith("kafka is down")
        needs_kafka = [name for name, needs in services.NEEDS.items() if services.KAFKA in needs]
        assert not [fault for fault in faults for name in needs_kafka if fault.startswith(f"{name} is down")]
    finally:
        psutil.Process(stack.pid_of(services.KAFKA)).resume()
    wait_until(lambda: over(stack, "service", services.KAFKA, moment), SECONDS, "the outage is over")
    (event,) = over(stack, "service", services.KAFKA, moment)
    assert event["cause"] == ""

    def written() -> list[dict]:
        values = [json.loads(record.value or b"") for record in read_all(stack.kafka, topics.STACK_EVENTS)]
        return [one for one in values if one["name"] == services.KAFKA and one["ended"] == event["ended"]]

    wait_until(written, SECONDS, "it is on the topic")


def test_a_new_reason_for_dead_letters_is_an_event_once(stack: Stack) -> None:
    def new() -> list[str]:
        return [event["name"] for event in events(stack) if event["kind"] == NEW_REASON]

    wait_until(new, SECONDS, "the bank's poison has a reason")
    kill(stack, services.CONSOLE)
    wait_until(
        lambda: not requests.get(f"{stack.settings.console_url}/api/state", timeout=10).json()["counting"],
        SECONDS,
        "everything is counted again",
    )
    names = new()
    assert len(names) == len(set(names))
