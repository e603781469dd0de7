"""What records add up to, without a broker."""

import json

import pytest

from console.dead_letters import KEPT_BYTES
from console.delays import delay_of
from console.groups import Stalls, behind, lag
from console.records import KNOWN_DEAD_LETTERS, KNOWN_USERS, NEWEST, Known, Records, quantiles
from contracts import topics
from contracts.records import Headers
from contracts.timestamps import BANK_TIMESTAMP
from tests.support.messages import Message

NOW = 1_800_000_000.0


def message(
    topic: str, value: bytes = b"", at: float = NOW, place: tuple[int, int] = (0, 0), headers: Headers | None = None
) -> Message:
    partition, offset = place
    return Message(topic, offset, value, partition=partition, headers=headers, timestamp=(1, round(at * 1000)))


def user(number: int) -> Message:
    return message(topics.USERS, json.dumps({"ID": f"u{number}", "NAME": f"Name {number}"}).encode())


def result(at: float, partition: int = 0, sent: bytes | None = None) -> Message:
    headers = [] if sent is None else [("trace", None), (BANK_TIMESTAMP, sent)]
    return message(topics.FRAUDULENT_TRANSACTIONS_RESULT, b"{}", at, (partition, 0), headers)


def test_every_record_counts_once() -> None:
    records = Records()
    records.apply([message(topics.USERS, place=(2, 7)), message(topics.USERS, place=(2, 9))])
    records.apply([message(topics.BANK_TRANSACTIONS)])
    assert records.totals[topics.USERS] == 2
    assert records.totals[topics.BANK_TRANSACTIONS] == 1
    assert (records.first[topics.USERS, 2], records.last[topics.USERS, 2]) == (7, 9)


def test_what_comes_next_is_behind_records_and_transactions() -> None:
    records, place = Records(), (topics.USERS, 2)
    records.pass_ends({place: 5})
    assert records.next[place] == 5
    records.apply([message(topics.USERS, place=(2, 7))])
    records.pass_ends({place: 7}, {place})
    assert records.next[place] == 8
    records.pass_ends({place: 9})
    assert records.next[place] == 9


def test_a_delay_is_from_the_banks_timestamp_to_the_sight_of_the_row() -> None:
    row = result(NOW + 0.2, sent=str(round(NOW * 1000)).encode())
    assert delay_of(row, NOW + 0.5) == 0.5  # the row was written before, and waited for its commit
    assert delay_of(row, NOW - 5) == 0.0


@pytest.mark.parametrize("sent", [None, b"", b"soon", b"-5000", b"1.5", "\u0661".encode(), b"\xff", b"9" * 400])
def test_a_row_without_the_banks_timestamp_has_no_delay(sent: bytes | None) -> None:
    assert delay_of(result(NOW, sent=sent), NOW + 1) is None


def test_the_newest_frauds_are_by_the_time_of_writing_whatever_partition_comes_first() -> None:
    records = Records()
    records.apply([result(NOW - number) for number in range(100)])
    records.apply([result(NOW - 1_000), result(NOW + 1)])
    at = [fraud.timestamp / 1000 for fraud in records.frauds]
    assert at == [NOW + 1, *(NOW - number for number in range(NEWEST - 1))]


def test_names_are_kept_for_the_users_seen_last() -> None:
    records = Records()
    records.apply([user(number) for number in range(KNOWN_USERS)])
    records.apply([user(0), user(KNOWN_USERS), message(topics.USERS, b"no row"), message(topics.USERS, b"[1]")])
    assert len(records.names) == KNOWN_USERS
    assert records.names["u0"] == "Name 0"
    assert "u1" not in records.names


def test_what_no_name_can_be_is_not_kept() -> None:
    records = Records()
    records.apply([message(topics.USERS, json.dumps({"ID": "u", "NAME": "x" * 60_000}).encode())])
    assert not records.names


def test_a_large_header_of_a_dead_letter_is_not_read() -> None:
    records = Records()
    headers: list[tuple[str, bytes | None]] = [
        ("dlq.reason", b"why"),
        ("large", b"x" * 5_000_000),
        ("dlq.source.topic", b"x" * 5_000_000),
    ]
    records.apply([message(topics.S3_SINK_DLQ, b"{", headers=headers)])
    (dead_letter,) = records.dead_letters
    assert (dead_letter.reason, dead_letter.source) == ("why", "not given")


def test_a_large_dead_letter_is_cut() -> None:
    records = Records()
    records.apply([message(topics.S3_SINK_DLQ, b"x" * 5_000_000, place=(3, 4), headers=[("dlq.reason", b"why")])])
    (dead_letter,) = records.dead_letters
    assert (len(dead_letter.value), dead_letter.size) == (KEPT_BYTES, 5_000_000)
    assert (dead_letter.topic, dead_letter.partition, dead_letter.offset) == (topics.S3_SINK_DLQ, 3, 4)
    assert (dead_letter.reason, dead_letter.source) == ("why", "not given")


def test_rates_are_over_the_seconds_asked_for() -> None:
    records = Records()
    assert records.rates() == {}
    for second in range(21):
        records.sample(float(second))
        count = 10 if second < 10 else 2
        records.apply([message(topics.USERS)] * count)
    assert records.rates(5)[topics.USERS] == 2
    assert records.rates(20)[topics.USERS] == 6
    records.begin()
    assert records.rates() == {}


def test_quantiles() -> None:
    assert quantiles([]) is None
    found = quantiles([number / 100 for number in range(100)])
    assert found is not None
    assert (found.p50, found.p99) == (0.5, 0.99)


def test_lag_is_behind_the_last_record_and_not_behind_a_transactions_marker() -> None:
    first, last = {("t", 0): 0, ("t", 1): 40, ("u", 0): 5}, {("t", 0): 8, ("t", 1): 49, ("u", 0): 5}
    committed = {("t", 0): 10, ("t", 1): -1001, ("t", 2): -1001, ("u", 0): 5}
    assert lag(behind(committed, first, last)) == {"t": 10, "u": 1}


def test_a_topic_that_was_made_again_begins_with_its_first_offset() -> None:
    records, place = Records(), (topics.USERS, 2)
    records.apply([message(topics.USERS, place=(2, 7))])
    records.pass_ends({place: 0})
    assert place not in records.last
    assert records.next[place] == 0
    records.apply([message(topics.USERS, place=(2, 4))])
    records.apply([message(topics.USERS, place=(2, 1))])
    assert (records.first[place], records.last[place], records.next[place]) == (1, 1, 2)


def dead_letter(offset: int, place: tuple[int, int], at: float = NOW) -> Message:
    """Of a sink connector."""
    headers: list[tuple[str, bytes | None]] = [
        ("__connect.errors.topic", b"users"),
        ("__connect.errors.partition", b"0"),
        ("__connect.errors.offset", str(offset).encode()),
    ]
    return message(topics.S3_SINK_DLQ, b"{", at, place, headers)


def test_copies_of_a_dead_letter_are_counted_and_shown_once() -> None:
    records = Records()
    records.sample(0.0)
    for number in range(13):
        records.apply([dead_letter(one, (number % 3, 5 * number + one), NOW + number) for one in range(5)])
    records.sample(1.0)
    assert records.totals[topics.S3_SINK_DLQ] == 5
    assert records.came()[topics.S3_SINK_DLQ] == 5
    assert len(records.dead_letters) == 5
    assert records.last_dead_letter == {topics.S3_SINK_DLQ: NOW}
    assert records.next[topics.S3_SINK_DLQ, 0] == 65
    # One whose headers do not say where it was may be another one each time.
    records.apply([message(topics.S3_SINK_DLQ, b"{", place=(0, 70 + one)) for one in range(2)])
    assert records.totals[topics.S3_SINK_DLQ] == 7


def test_so_many_dead_letters_are_known_and_no_more() -> None:
    known = Known(KNOWN_DEAD_LETTERS)
    for number in range(3 * KNOWN_DEAD_LETTERS):
        assert known.add(number.to_bytes(4, "big"))
        assert not known.add(b"keeps coming") or number == 0
    assert not known.add((2 * KNOWN_DEAD_LETTERS + 2).to_bytes(4, "big"))
    assert known.add((0).to_bytes(4, "big"))
    assert len(known._new) + len(known._old) <= 2 * KNOWN_DEAD_LETTERS


def test_a_group_stalls_where_one_partition_waits_though_the_others_go_on() -> None:
    stalls, stuck, goes_on = Stalls(), ("t", 0), ("t", 1)
    for second in range(0, 62, 2):
        committed = {"g": {stuck: 5, goes_on: second, ("u", 0): 9}, "new": {stuck: -1001}}
        waiting = {"g": {stuck: 1, goes_on: 100, ("u", 0): 0}, "new": {stuck: 1}}
        stalls.look(committed, waiting, 1_000.0 + second)
    assert stalls.seconds("g") == {"t": 60.0}
    assert stalls.seconds("new") == {"t": 60.0}
    stalls.look({"g": {stuck: 6}}, {"g": {stuck: 1}}, 1_062.0)  # it has moved
    assert stalls.seconds("g") == {"t": 0.0}
    stalls.look({"g": {stuck: 6}}, {"g": {stuck: 1}}, 1_100.0)
    stalls.look({"g": {stuck: 6}}, {"g": {stuck: 0}}, 1_102.0)  # nothing is left to read
    assert stalls.seconds("g") == {}
    stalls.look({"g": {stuck: 6}}, {"g": {stuck: 1}}, 1_104.0)
    stalls.clear()  # the broker was away for a while
    stalls.look({"g": {stuck: 6}}, {"g": {stuck: 1}}, 1_200.0)
    assert stalls.seconds("g") == {"t": 0.0}
