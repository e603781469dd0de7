"""Which events follow from what was wrong and what is wrong now, and what is said of them."""

from dataclasses import asdict, replace
from typing import Any

import pytest

from console import header
from console.causes import DEAD_LETTERS, Problem, explained
from console.cluster import Broker, Cluster
from console.events import (
    AFTERMATH_SECONDS,
    KEPT,
    NEW_REASON,
    RECENT_SECONDS,
    RESTART,
    START_SECONDS,
    SWING_SECONDS,
    Event,
    Log,
    of_json,
    past,
    span,
    together,
)
from console.state import Connector, Group, Health, Query, State, Task
from contracts import topics
from runtime import services
from runtime.services import INGESTOR, KAFKA, KAFKA_CONNECT, KSQLDB, MONGODB, PROCESSOR, VALIDATOR, WATCHDOG

DOWN = Health(False, "does not answer")
KAFKA_DOWN = Problem("service", KAFKA, "kafka is down: does not answer")
CLUSTER_KINDS = {"broker", "offline", "under-replicated"}
WAITS = Problem("service", INGESTOR, "transactions-ingestor waits for kafka", (KAFKA,), KAFKA)


def faults(*down: str, **changes: Any) -> list[Problem]:
    found = dict.fromkeys(services.NEEDS, Health(True)) | dict.fromkeys(down, DOWN)
    usual: dict[str, Any] = {
        "counting": False,
        "services": found,
        "connectors": {name: Connector("RUNNING", (Task(0, "RUNNING"),), ()) for name in services.CONNECTORS},
        "queries": {stream: Query("RUNNING", "", stream) for stream in services.STREAMS},
        "partitions": dict.fromkeys(topics.CREATED, 6),
    }
    return State(**usual | changes).faults


@pytest.mark.parametrize("name", services.NEEDS)
def test_what_is_down_alone_is_its_own_cause(name: str) -> None:
    assert faults(name) == [Problem("service", name, f"{name} is down: does not answer", services.NEEDS[name])]


def test_what_needs_kafka_waits_for_it_and_kafka_comes_first() -> None:
    found = faults(INGESTOR, KSQLDB, KAFKA_CONNECT, WATCHDOG, KAFKA)
    assert found[0].text == "kafka is down: does not answer"
    assert [problem.text for problem in found[1:]] == [
        f"{name} waits for kafka" for name in (INGESTOR, KSQLDB, KAFKA_CONNECT, WATCHDOG)
    ]


def test_of_two_causes_the_one_that_explains_more_comes_first() -> None:
    found = faults(VALIDATOR, INGESTOR, KSQLDB, KAFKA)
    assert [problem.name for problem in found if not problem.cause] == [KAFKA, VALIDATOR]


def test_a_connector_waits_for_its_store_and_its_worker() -> None:
    failed = {"connectors": dict.fromkeys(services.CONNECTORS, Connector("RUNNING", (Task(0, "FAILED"),), ()))}
    assert [problem.text for problem in faults(**failed)] == [
        f"connector {name}, task 0 is FAILED" for name in services.CONNECTORS
    ]
    assert faults(MONGODB, **failed)[1].text == f"connector {services.CONNECTORS[0]} waits for mongodb"
    assert faults(KAFKA, **failed)[1].cause == KAFKA  # Connect needs it, though it still answers


def test_a_group_that_commits_nothing_waits_for_what_its_service_needs() -> None:
    topic = topics.UNIDENTIFIED_TRANSACTIONS
    stalled = {"groups": {PROCESSOR: Group({topic: 9}, 1, PROCESSOR, {topic: 99.0})}}
    assert faults(**stalled)[0].cause == ""
    assert faults(VALIDATOR, **stalled)[1].text == f"group {PROCESSOR} waits for {VALIDATOR}"


def test_every_need_is_a_service_and_none_needs_itself() -> None:
    for name, needs in services.NEEDS.items():
        assert set(needs) <= services.NEEDS.keys()
        assert not explained([Problem("x", name, "", needs)], {name})[0].cause


def started() -> Log:
    """Of a stack that was healthy once."""
    log = Log()
    log.look([], [], 0.0)
    return log


def test_a_stack_that_starts_is_no_event_unless_it_takes_too_long() -> None:
    log = Log()
    log.look([KAFKA_DOWN], [], 100.0)
    log.look([], [], 130.0)
    assert log.newest() == []
    log.look([KAFKA_DOWN], [], 140.0)
    assert [event.began for event in log.newest()] == [140.0]
    never = Log()
    restart = Event(RESTART, INGESTOR, "transactions-ingestor was restarted", 90.0, 95.0)
    for second in range(100, 100 + int(START_SECONDS) + 4, 2):
        never.look([KAFKA_DOWN], [restart], second)
    assert [event.began for event in never.newest()] == [102.0 + START_SECONDS, 90.0]


def test_a_fault_is_one_event_from_begin_to_end() -> None:
    log = started()
    log.look([KAFKA_DOWN, WAITS], [], 100.0)
    first = Event("service", KAFKA, KAFKA_DOWN.text, 100.0)
    assert log.newest() == [first, Event("service", INGESTOR, WAITS.text, 100.0, cause=KAFKA)]
    assert set(log.unwritten) == {event.key for event in log.newest()}
    log.unwritten.clear()
    log.look([KAFKA_DOWN._replace(text="in other words"), WAITS], [], 110.0)
    assert log.unwritten == {}
    log.look([WAITS], [], 122.0)
    assert list(log.unwritten.values()) == [Event("service", KAFKA, KAFKA_DOWN.text, 100.0, 122.0)]
    assert log.unwritten.keys() == {first.key}
    log.look([KAFKA_DOWN, WAITS], [], 130.0)
    assert [event.began for event in log.newest() if event.name == KAFKA] == [130.0, 100.0]


def test_a_cause_that_is_seen_after_its_effect_is_its_cause() -> None:
    log = started()
    log.look([Problem("service", INGESTOR, "transactions-ingestor is down: HTTP 503")], [], 1.0)
    log.look([KAFKA_DOWN, WAITS], [], 3.0)
    (event,) = [event for event in log.newest() if event.name == INGESTOR]
    assert (event.began, event.text, event.cause) == (1.0, WAITS.text, KAFKA)
    log.look([Problem("service", INGESTOR, "transactions-ingestor is down: HTTP 503")], [], 5.0)
    assert event in log.newest()  # Kafka is back before it is


def test_what_goes_wrong_shortly_after_an_outage_does_so_because_of_it() -> None:
    log = started()
    killed = Event(RESTART, KAFKA, "kafka was restarted", 98.0)
    back = replace(killed, ended=104.0)
    ended = Event(RESTART, INGESTOR, "transactions-ingestor was restarted: it ended with exit code 1", 105.0, 107.0)
    down = Problem("service", KSQLDB, "ksqldb-server is down: does not answer", (KAFKA,))
    missing = Problem("missing", "g", "group g has no member", (KSQLDB, KAFKA))
    apart = Problem("service", VALIDATOR, "fraud-validator-api is down")
    log.look([down], [], 97.0)  # the launcher's word is a moment old
    log.look([down], [killed], 99.0)
    log.look([down, missing, apart], [back, ended], 108.0)
    log.look([], [back, ended], 112.0)
    assert {(event.name, event.cause) for event in log.newest()} == {
        (KAFKA, ""),
        (KSQLDB, KAFKA),
        (INGESTOR, KAFKA),
        ("g", KAFKA),
        (VALIDATOR, ""),
    }
    assert {event.name for event in log.recent(113.0)} == {KAFKA, VALIDATOR}
    log.look([down], [], 104.0 + AFTERMATH_SECONDS)
    assert log.newest()[0].cause == ""


def test_what_the_cluster_lacks_after_an_outage_of_kafka_is_because_of_it() -> None:
    lacking = State(
        counting=False,
        services={KAFKA: Health(True)},
        leaderless=((topics.USERS, 3),),
        cluster=Cluster({"1": Broker("", 0, 9, 0)}, under_replicated=9, offline=1),
    )
    problems = [p for p in (*lacking.faults, *lacking.warnings) if p.kind in CLUSTER_KINDS]
    assert {problem.kind for problem in problems} == CLUSTER_KINDS
    log = started()
    log.look([KAFKA_DOWN], [], 1.0)
    log.look(problems, [], 3.0)
    log.look([], [], 5.0)
    assert {event.kind: event.cause for event in log.newest()} == {"service": "", **dict.fromkeys(CLUSTER_KINDS, KAFKA)}
    assert [event.name for event in log.recent(6.0)] == [KAFKA]
    log.look(problems, [], 3.0 + 2 * AFTERMATH_SECONDS)  # without an outage each stands for itself
    assert {event.cause for event in log.newest()[:3]} == {""}


def test_the_broker_of_several_that_is_down_is_a_cause() -> None:
    three = {"1": Broker("h:1", 9, 9, 9), "2": Broker("", 0, 9, 0), "3": Broker("h:3", 9, 9, 9)}
    lacking = State(counting=False, services={KAFKA: Health(True)}, cluster=Cluster(three))
    log = started()
    log.look([KAFKA_DOWN], [], 1.0)
    log.look([problem for problem in lacking.warnings if problem.kind == "broker"], [], 3.0)
    assert log.newest()[0].text == "broker 2 is down: the other brokers lead its partitions"
    assert log.newest()[0].cause == ""


def test_a_share_that_swings_around_its_limit_is_one_event() -> None:
    swings = Problem(DEAD_LETTERS, topics.BANK_TRANSACTIONS_DLQ, "5% dead letters")
    log = started()
    for second in range(0, 100, 10):
        log.look([swings], [], 100.0 + second)
        log.look([], [], 105.0 + second)
    once = Event(DEAD_LETTERS, topics.BANK_TRANSACTIONS_DLQ, "5% dead letters", 100.0, 195.0)
    assert log.newest() == list(log.unwritten.values()) == [once]
    log.look([swings], [], 195.0 + SWING_SECONDS)
    assert [event.ended for event in log.newest()] == [None, 195.0]


def test_a_service_that_is_down_two_times_is_two_events() -> None:
    log = started()
    for second in (100.0, 110.0):
        log.look([KAFKA_DOWN], [], second)
        log.look([], [], second + 5)
    assert len(log.newest()) == 2


def test_a_fault_goes_on_over_a_reload_of_the_console() -> None:
    stored = Event("service", KAFKA, KAFKA_DOWN.text, 50.0)
    log = started()
    log.look([KAFKA_DOWN], [], 100.0)  # before there is a broker to read the events from
    log.take([stored, Event("service", VALIDATOR, "v is down", 40.0)])
    log.look([KAFKA_DOWN], [], 102.0)
    assert log.newest() == [stored, Event("service", VALIDATOR, "v is down", 40.0, 102.0)]
    assert "service/kafka/100.000" not in log.unwritten


def test_what_ended_before_the_events_could_be_read_stays_what_it_was() -> None:
    log = started()
    log.look([KAFKA_DOWN], [], 100.0)
    log.look([], [], 104.0)
    before = Event("service", KAFKA, KAFKA_DOWN.text, 50.0, 60.0)
    log.take([before])
    log.look([], [], 106.0)
    assert log.newest() == [Event("service", KAFKA, KAFKA_DOWN.text, 100.0, 104.0), before]


def test_a_restart_that_is_told_again_and_again_is_one_event() -> None:
    log = started()
    first = Event(RESTART, INGESTOR, "transactions-ingestor was restarted", 10.0)
    ended = Event(RESTART, INGESTOR, "transactions-ingestor was restarted", 10.0, 12.5)
    for told in (first, first, ended, ended):
        log.look([], [told], 13.0)
    assert log.newest() == [ended]
    log.unwritten.clear()
    reloaded = started()
    reloaded.take([ended])
    reloaded.look([], [ended], 99.0)
    assert reloaded.newest() == [ended]
    assert reloaded.unwritten == {}


def test_a_restart_whose_end_nobody_told_ends_when_the_next_one_begins() -> None:
    """Else it would be the cause of all that comes later."""
    log = started()
    first, second = (Event(RESTART, KAFKA, "kafka was restarted", began) for began in (10.0, 50.0))
    log.look([], [first], 11.0)
    log.look([], [second], 51.0)
    log.look([], [replace(second, ended=52.0)], 53.0)
    assert log.newest() == [replace(second, ended=52.0), replace(first, ended=50.0)]
    down = Problem("service", INGESTOR, "transactions-ingestor is down: HTTP 503", needs=(KAFKA,))
    log.look([down], [], 5_000.0)
    assert log.newest()[0].cause == ""


def test_a_service_that_is_down_shortly_after_its_restart_was_restarted() -> None:
    """It runs again, but has not joined its group yet."""
    log = started()
    restarted = Event(RESTART, INGESTOR, "transactions-ingestor was restarted", 10.0, 12.5)
    log.look([], [restarted], 13.0)
    log.look([Problem("service", INGESTOR, "transactions-ingestor is down: HTTP 503")], [restarted], 14.0)
    log.look([], [restarted], 16.0)
    assert log.recent(17.0) == (restarted,)


def test_a_new_reason_is_new_once() -> None:
    log = started()
    name = f"{topics.BANK_TRANSACTIONS_DLQ}: amount"
    log.look([], [Event(NEW_REASON, name, "a", 10.0, 10.0)], 11.0)
    log.look([], [Event(NEW_REASON, name, "a", 20.0, 20.0)], 21.0)  # retention has removed the first
    assert log.newest() == [Event(NEW_REASON, name, "a", 10.0, 10.0)]
    assert log.recent(11.0) == ()


def test_new_reasons_that_come_together_are_shown_as_one_event() -> None:
    """Else a bank that begins to send broken records would hide what else happened."""
    ours, theirs = topics.BANK_TRANSACTIONS_DLQ, topics.MONGODB_SINK_DLQ

    def reason(topic: str, text: str, at: float) -> Event:
        return Event(
            NEW_REASON, f"{topic}: {text}", f"the first dead letter on {topic} with the reason: {text}", at, at
        )

    down = Event("service", KAFKA, "kafka is down", 99.0, 101.0)
    alone = reason(theirs, "x", 98.0)
    happened = [
        *(reason(ours, text, 104.0 - n) for n, text in enumerate("edcba")),
        down,
        alone,
        reason(ours, "old", 9.0),
    ]
    happened.sort(key=lambda event: -event.began)
    first, *others = together(happened)
    assert first.text == f"the first dead letters on {ours} with 5 reasons: e; d; c; and 2 more"
    assert first.began == 104.0
    assert others == [down, alone, happened[-1]]


def test_the_oldest_events_go_and_do_not_come_back() -> None:
    log = started()
    old = Event(RESTART, INGESTOR, "old", 0.5, 0.6)
    log.look([], [old], 1.0)
    for second in range(1, KEPT + 1):
        log.look([KAFKA_DOWN], [], second)
        log.look([], [], second + 0.5)
    assert len(log.newest()) == KEPT
    log.unwritten.clear()
    log.look([], [old], 9_999.0)
    assert old not in log.newest()
    assert log.unwritten == {}


def test_what_was_wrong_is_said_for_ten_minutes_without_what_only_waited() -> None:
    log = started()
    log.look([KAFKA_DOWN, WAITS], [], 100.0)
    log.look([WAITS], [], 122.0)
    log.look([], [Event(RESTART, KAFKA, "kafka was restarted: it was ended by SIGKILL", 99.0, 121.0)], 124.0)
    (event,) = log.recent(150.0)
    assert header.was(event, 151.0) == "kafka was restarted: it was ended by SIGKILL · lasted 22 s · ended 30 s ago"
    assert log.recent(122.0 + RECENT_SECONDS) == ()


def test_the_head_names_every_fault_the_root_first() -> None:
    found = dict.fromkeys(services.NEEDS, Health(True)) | dict.fromkeys((KSQLDB, INGESTOR, KAFKA, VALIDATOR), DOWN)
    state = State(counting=False, services=found, expected_connectors=())
    assert header.verdict(state).splitlines() == [
        "▲ kafka is down: does not answer",
        "▲ fraud-validator-api is down: does not answer",
        f"▲ waiting for kafka: {INGESTOR}, {KSQLDB}",
    ]
    words = [state.word(name) for name in (KAFKA, INGESTOR, VALIDATOR, services.BANK)]
    assert words == ["down", "waits for kafka", "down", "up"]
    assert header.tone(state) == "bad"
    assert header.title(state, "Fraud") == "▲ kafka is down: does not answer · Fraud"


def test_events_survive_being_written() -> None:
    event = Event("service", KAFKA, "text", 1.25, None, "cause")
    assert of_json(asdict(event), 2.0) == event
    assert event.to_json(3.0)["seconds"] == 1.8


@pytest.mark.parametrize(
    "value",
    [
        *([], {}, None, 7),
        *(
            {**asdict(Event("a", "b", "c", 1.0)), "began": began, "ended": ended}
            for began, ended in (
                ("soon", None),
                (-1e308, 1e308),
                (1e308, None),
                (4e9, None),
                (2.0, 1.0),
                (float("nan"), None),
            )
        ),
    ],
)
def test_what_is_no_event_is_refused(value: Any) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        of_json(value, 10.0)


def test_words() -> None:
    assert past("x is down: its reader has not worked") == "x was down: its reader had not worked"
    assert past("x is down: 90% of the calls get no answer") == "x was down: 90% of the calls got no answer"
    assert [span(seconds) for seconds in (0.2, 22.4, 99, 150, 7_260)] == [
        "under 1 s",
        "22 s",
        "99 s",
        "2 min",
        "2 h 1 min",
    ]
