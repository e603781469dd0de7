"""How old the oldest transaction that waits is, without a broker."""

import pytest

from console.page import oldest_waiting
from console.records import Place
from console.state import LATE_SECONDS, State
from console.waiting import MAX_RUNS, Queues
from contracts import topics
from contracts.records import Headers
from contracts.timestamps import BANK_TIMESTAMP
from runtime import services
from tests.unit.console.test_records import message

START = 1_800_000_000.0
PLACE: Place = (topics.UNIDENTIFIED_TRANSACTIONS, 0)


def queues(*came: tuple[int, float], sent: float | None = None, topic: str = PLACE[0]) -> Queues:
    """Records by offset and the seconds after START at which they were written."""
    headers: Headers = [] if sent is None else [(BANK_TIMESTAMP, b"%d" % ((START + sent) * 1000))]
    made = Queues()
    made.take(message(topic, at=START + at, place=(0, offset), headers=headers) for offset, at in came)
    return made


def oldest(made: Queues, committed: int, at: float = 100.0) -> float | None:
    return made.oldest({"processor": {PLACE: committed}}, START + at)


def test_the_age_is_that_of_the_first_record_that_is_not_committed() -> None:
    made = queues((0, 0.0), (1, 10.0), (2, 20.0))
    assert [oldest(made, committed) for committed in (0, 1, 2, 3)] == [100.0, 90.0, 80.0, None]


def test_a_transaction_s_marker_between_two_records_is_none_that_waits() -> None:
    made = queues((0, 0.0), (2, 50.0))
    assert oldest(made, 1) == 50.0


def test_it_counts_from_when_the_bank_sent_it() -> None:
    assert oldest(queues((0, 60.0), sent=20.0), 0) == 80.0


def test_a_group_that_has_committed_nothing_waits_for_all() -> None:
    assert oldest(queues((0, 0.0), (1, 10.0)), -1001) == 100.0


def test_of_several_readers_of_a_topic_the_last_counts() -> None:
    made = queues((0, 0.0), (1, 10.0))
    committed = {"query 1": {PLACE: 2}, "query 2": {PLACE: 1}}
    assert made.oldest(committed, START + 100) == 90.0


def test_what_came_after_the_look_does_not_wait_yet() -> None:
    assert oldest(queues((0, 50.0)), 0, at=49.0) is None


def test_a_clock_that_was_ahead_and_is_set_back_hides_nothing_that_waits() -> None:
    assert oldest(queues((0, 7_200.0), (1, 0.0), (2, 10.0)), 0) == 100.0


def test_a_group_that_is_set_back_waits_for_what_it_had_read() -> None:
    made = queues((0, 0.0), (1, 10.0), (2, 20.0))
    assert oldest(made, 3) is None
    assert oldest(made, 1) == 90.0


def test_what_was_read_long_ago_costs_a_backlog_nothing() -> None:
    made = Queues()
    for offset in range(10 * MAX_RUNS):
        made.take([message(PLACE[0], at=START + offset, place=(0, offset))])
        if offset < 9 * MAX_RUNS:
            assert oldest(made, offset + 1, float(offset)) is None
    assert oldest(made, 9 * MAX_RUNS, 10.0 * MAX_RUNS) == MAX_RUNS
    assert len(made._runs[PLACE]) <= MAX_RUNS


def test_only_the_ingestor_says_when_a_bank_sent_it() -> None:
    """A replayed dead letter has the header of its first way, and counts from its replay."""
    place: Place = (topics.BANK_TRANSACTIONS, 0)
    made = queues((0, 60.0), sent=20.0, topic=topics.BANK_TRANSACTIONS)
    assert made.oldest({services.INGESTOR: {place: 0}}, START + 100) == 40.0


def test_rows_that_wait_for_a_sink_are_no_transactions_that_wait() -> None:
    place: Place = (topics.USERS, 0)
    assert queues((0, 0.0), topic=topics.USERS).oldest({"connect-mongodb-users": {place: 0}}, START + 100) is None


def test_a_topic_that_was_deleted_and_created_begins_again() -> None:
    made = queues((100, 0.0), (0, 50.0))
    assert oldest(made, 0) == 50.0


def test_of_a_long_backlog_the_oldest_stays_known() -> None:
    made = queues(*((offset, float(offset)) for offset in range(5 * MAX_RUNS)))
    assert oldest(made, 0, 5 * MAX_RUNS) == 5 * MAX_RUNS
    assert oldest(made, 3 * MAX_RUNS, 5 * MAX_RUNS) == pytest.approx(2 * MAX_RUNS, abs=16)
    assert oldest(made, 5 * MAX_RUNS - 1, 5 * MAX_RUNS) == pytest.approx(1, abs=1)


@pytest.mark.parametrize(
    ("age", "said"),
    [
        (None, ("nothing is waiting", "")),
        (LATE_SECONDS, ("oldest waiting: 10.0 s", "")),
        (22.04, ("oldest waiting: 22.0 s", "bad")),
    ],
)
def test_the_tile_turns_red(age: float | None, said: tuple[str, str]) -> None:
    assert oldest_waiting(State(oldest_waiting=age)) == said
