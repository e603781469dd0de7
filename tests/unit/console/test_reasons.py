"""Dead letters by topic and reason."""

from itertools import product
from string import ascii_lowercase

from console import tables
from console.dead_letters import DeadLetter
from console.events import NEW_REASON, Event
from console.reasons import MOST, OTHERS, Reasons, events
from console.tables import SHOWN_EVENTS
from contracts import topics
from contracts.dead_letters import kind_of

TOPIC = topics.BANK_TRANSACTIONS_DLQ


def dead(reason: str, at: int, value: bytes = b"{}", topic: str = TOPIC) -> DeadLetter:
    return DeadLetter(at, topic, 0, at, reason, f"{topics.BANK_TRANSACTIONS} / 1 @ 7", value, len(value))


def found(*several: DeadLetter) -> Reasons:
    reasons = Reasons()
    for one in several:
        reasons.add(one)
    return reasons


def test_one_row_for_a_reason_of_a_topic_with_the_first_record() -> None:
    reasons = found(
        dead("amount: no number", 5_000, b'{"amount": "later"}'),
        dead("amount: no number", 3_000, b'{"amount": "first", "status": "completed"}'),
        dead("amount: no number", 4_000, topic=topics.UNIDENTIFIED_TRANSACTIONS_DLQ),
        dead("too large: 17 bytes", 1_000),
        dead("too large: 99 bytes", 9_000),
    )
    rows = tables.reasons(reasons.all())
    assert [(row["topic"], row["reason"], row["count"], row["newest"]) for row in rows] == [
        (TOPIC, "too large: N bytes", "2", 9_000),
        (TOPIC, "amount: no number", "2", 5_000),
        (topics.UNIDENTIFIED_TRANSACTIONS_DLQ, "amount: no number", "1", 4_000),
    ]
    assert "completed" in rows[1]["record"]
    assert "first" not in rows[1]["record"]  # it may be personal


def test_the_first_of_a_reason_is_an_event_that_has_no_duration() -> None:
    (event,) = events(found(dead("amount: no number", 5_500), dead("amount: no number", 6_000)).all())
    name = f"{TOPIC}: amount: no number"
    text = f"the first dead letter on {TOPIC} with the reason: amount: no number"
    assert event == Event(NEW_REASON, name, text, 5.5, 5.5)
    (row,) = tables.events([event])
    assert (row["at"], row["took"]) == (5_500, "-")


def test_reasons_without_end_are_one() -> None:
    every = [dead("".join(pair), 1) for pair in product(ascii_lowercase, repeat=2)]
    reasons = {reason.text: reason.count for reason in found(*every).all()}
    assert len(reasons) == MOST + 1
    assert reasons[OTHERS] == len(every) - MOST


def test_kinds() -> None:
    assert kind_of("its 17 bytes at 3.5") == "its N bytes at N.N"


def test_an_event_that_goes_on_and_one_that_is_over() -> None:
    on, over = tables.events(
        [
            Event("service", "kafka", "kafka is down", 9.0),
            Event("service", "s3", "s3 waits for kafka", 1.0, 23.0, "kafka"),
        ]
    )
    assert (on["what"], on["took"], on["cause"]) == ("kafka is down", {"text": "▲\u00a0ongoing", "tone": "bad"}, "-")
    assert (over["what"], over["took"], over["cause"]) == ("s3 waited for kafka", "22 s", "kafka")
    assert (on["follows"], over["follows"]) == (False, True)


def test_what_follows_from_a_cause_never_takes_its_place() -> None:
    effects = [Event("query", str(number), "waits", 9.0, 23.0, "kafka") for number in range(2 * SHOWN_EVENTS)]
    shown = tables.events([*effects, Event("service", "kafka", "kafka is down", 9.0)])
    assert [row["what"] for row in shown[SHOWN_EVENTS:]] == ["kafka is down"]
