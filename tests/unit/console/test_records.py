"""What records add up to, without a broker."""

import json
from dataclasses import dataclass, field

from console.groups import lag
from console.records import KEPT_BYTES, KNOWN_USERS, NEWEST, Records, quantiles
from contracts import topics
from contracts.timestamps import BANK_TIMESTAMP

NOW = 1_800_000_000.0
NOTHING: frozenset[tuple[str, int]] = frozenset()


@dataclass
class Message:
    """As the Kafka client gives one."""

    of: str
    content: bytes = b""
    at: float = NOW
    place: tuple[int, int] = (0, 0)
    more: list[tuple[str, bytes | None]] = field(default_factory=list)

    def topic(self) -> str:
        return self.of

    def partition(self) -> int:
        return self.place[0]

    def offset(self) -> int:
        return self.place[1]

    def timestamp(self) -> tuple[int, int]:
        return 1, round(self.at * 1000)

    def key(self) -> bytes | None:
        return None

    def value(self) -> bytes | None:
        return self.content

    def headers(self) -> list[tuple[str, bytes | None]]:
        return self.more


def user(number: int) -> Message:
    return Message(topics.USERS, json.dumps({"ID": f"u{number}", "NAME": f"Name {number}"}).encode())


def result(at: float, partition: int = 0, sent: bytes | None = None) -> Message:
    headers = [] if sent is None else [("trace", None), (BANK_TIMESTAMP, sent)]
    return Message(topics.FRAUDULENT_TRANSACTIONS_RESULT, b"{}", at, (partition, 0), headers)


def test_every_record_counts_once() -> None:
    records = Records()
    records.apply([Message(topics.USERS, place=(2, 7)), Message(topics.USERS, place=(2, 9))], NOTHING)
    records.apply([Message(topics.BANK_TRANSACTIONS)], NOTHING)
    assert records.totals[topics.USERS] == 2
    assert records.totals[topics.BANK_TRANSACTIONS] == 1
    assert (records.first[topics.USERS, 2], records.last[topics.USERS, 2]) == (7, 9)


def test_what_comes_next_is_behind_records_and_transactions() -> None:
    records, place = Records(), (topics.USERS, 2)
    records.pass_ends({place: 5})
    assert records.next[place] == 5
    records.apply([Message(topics.USERS, place=(2, 7))], NOTHING)
    records.pass_ends({place: 7})
    assert records.next[place] == 8
    records.pass_ends({place: 9})
    assert records.next[place] == 9


def test_delays_are_those_of_rows_that_come_live() -> None:
    records = Records()
    sent = str(round(NOW * 1000)).encode()
    records.apply(
        [result(NOW + 0.5, sent=sent), result(NOW + 900, partition=1, sent=sent), result(NOW - 5, sent=sent)],
        frozenset({(topics.FRAUDULENT_TRANSACTIONS_RESULT, 1)}),
    )
    assert records.take_delays() == [0.5, 0.0]
    assert records.take_delays() == []


def test_a_row_without_the_banks_timestamp_has_no_delay() -> None:
    records = Records()
    unreadable = [b"", b"soon", b"-5000", b"1.5", "\u0661".encode(), b"\xff", b"9" * 400]
    records.apply([result(NOW), *(result(NOW, sent=sent) for sent in unreadable)], NOTHING)
    assert len(records.frauds) == len(unreadable) + 1
    assert records.take_delays() == []


def test_the_newest_frauds_are_by_the_time_of_writing_whatever_partition_comes_first() -> None:
    records = Records()
    records.apply([result(NOW - number) for number in range(100)], NOTHING)
    records.apply([result(NOW - 1_000), result(NOW + 1)], NOTHING)
    at = [fraud.timestamp / 1000 for fraud in records.frauds]
    assert at == [NOW + 1, *(NOW - number for number in range(NEWEST - 1))]


def test_names_are_kept_for_the_users_seen_last() -> None:
    records = Records()
    records.apply([user(number) for number in range(KNOWN_USERS)], NOTHING)
    records.apply(
        [user(0), user(KNOWN_USERS), Message(topics.USERS, b"no row"), Message(topics.USERS, b"[1]")], NOTHING
    )
    assert len(records.names) == KNOWN_USERS
    assert records.names["u0"] == "Name 0"
    assert "u1" not in records.names


def test_a_large_dead_letter_is_cut() -> None:
    records = Records()
    records.apply([Message(topics.S3_SINK_DLQ, b"x" * 5_000_000, place=(3, 4), more=[("dlq.reason", b"why")])], NOTHING)
    (letter,) = records.letters
    assert (len(letter.value), letter.size) == (KEPT_BYTES, 5_000_000)
    assert (letter.topic, letter.partition, letter.offset) == (topics.S3_SINK_DLQ, 3, 4)
    assert letter.headers == {"dlq.reason": b"why"}


def test_rates_are_over_the_seconds_asked_for() -> None:
    records = Records()
    assert records.rates() == {}
    for second in range(21):
        records.sample(float(second))
        count = 10 if second < 10 else 2
        records.apply([Message(topics.USERS)] * count, NOTHING)
    assert records.rates(5)[topics.USERS] == 2
    assert records.rates(20)[topics.USERS] == 6
    records.forget_rates()
    assert records.rates() == {}


def test_quantiles() -> None:
    assert quantiles([]) is None
    found = quantiles([number / 100 for number in range(100)])
    assert found is not None
    assert (found.p50, found.p99) == (0.5, 0.99)


def test_lag_is_behind_the_last_record_and_not_behind_a_transactions_marker() -> None:
    first, last = {("t", 0): 0, ("t", 1): 40, ("u", 0): 5}, {("t", 0): 8, ("t", 1): 49, ("u", 0): 5}
    committed = {("t", 0): 10, ("t", 1): -1001, ("t", 2): -1001, ("u", 0): 5}
    assert lag(committed, first, last) == {"t": 10, "u": 1}
