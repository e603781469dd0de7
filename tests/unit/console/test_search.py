"""What a search finds among rows, without a broker."""

import pytest

from console import search
from console.records import Fraud, row_of
from contracts import topics
from tests.support.messages import Message

DEEP = b"[" * 1_000 + b"]" * 1_000  # no str() comes to its end
ROWS = {
    topics.USERS: [b'{"ID": "u1", "NAME": "Ann"}', b'{"NAME": "Ann"}', b'{"ID": "u2", "NAME": ' + DEEP + b"}", b"[1]"],
    topics.FRAUDULENT_TRANSACTIONS_RESULT: [
        b'{"TRANSACTION_ID": "t1", "SENDER_ID": "u1", "AMOUNT": "12.50"}',
        b'{"TRANSACTION_ID": ' + DEEP + b', "RECEIVER_ID": "u2"}',
        b'{"TRANSACTION_ID": "t3"}',
    ],
}
SENT = b'{"SENDER_ID": "u1", "TRANSACTION_ID": "t%d"}'


@pytest.mark.parametrize(("wanted", "found"), [("ann", [0]), ("T1", [0]), ("u2", [1]), ("None", []), ("t3", [2])])
def test_rows_are_found_whatever_else_the_topics_hold(
    monkeypatch: pytest.MonkeyPatch, wanted: str, found: list[int]
) -> None:
    def scan(topic: str, take, *_: object) -> tuple[int, bool]:
        for value in ROWS[topic]:
            take(row_of(value), Fraud(0, value))
        return len(ROWS[topic]), True

    monkeypatch.setattr(search, "_scan", scan)
    rows = ROWS[topics.FRAUDULENT_TRANSACTIONS_RESULT]
    assert [fraud.value for fraud in search.find(wanted).frauds] == [rows[number] for number in found]


def a_topic(monkeypatch: pytest.MonkeyPatch, partitions: dict[int, dict[int, int]], markers: int = 1) -> None:
    """The result topic with rows of one sender, by partition: timestamps by offset. Behind them are markers."""

    def records_between(_consumer, _topic, begin, end):
        for partition, rows in partitions.items():
            yield [
                Message(value=SENT % timestamp, partition=partition, timestamp=(1, timestamp))
                for offset, timestamp in rows.items()
                if begin[partition] <= offset < end[partition]
            ]

    monkeypatch.setattr(search, "client", lambda group: {"group.id": group})
    monkeypatch.setattr(search, "Consumer", lambda _: type("Nobody", (), {"close": lambda _: None})())
    monkeypatch.setattr(
        search, "end_of", lambda *_: {number: max(rows) + 1 + markers for number, rows in partitions.items()}
    )
    monkeypatch.setattr(search, "records_between", records_between)


def test_a_search_ends_when_what_is_older_cannot_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    a_topic(
        monkeypatch,
        {0: {offset: offset for offset in range(20_000)}, 1: {offset: offset + 5_000 for offset in range(15_000)}},
    )
    found = search.find("Ann", search.Users({"u1": "Ann", "u2": "Bob"}, 7))
    assert [fraud.timestamp for fraud in found.frauds] == [
        one for high in range(19_999, 19_974, -1) for one in (high, high)
    ]
    assert (found.looked_through, found.complete) == (7 + 2 * (search.FIRST_STEP - 1), True)


def test_an_older_record_of_a_slow_partition_is_no_reason_to_miss_a_newer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    # The newest step of partition 0 reaches back to 0, that of partition 1 to 1,000, with newer rows of interest behind it.
    a_topic(
        monkeypatch,
        {
            0: {offset: offset for offset in range(search.FIRST_STEP)},
            1: {offset: 100_000 + offset for offset in range(3_000)},
        },
    )
    found = search.find("u1", search.Users({}, 0))
    assert [fraud.timestamp for fraud in found.frauds] == list(range(102_999, 102_949, -1))


def test_a_step_of_markers_alone_says_nothing_about_what_is_older(monkeypatch: pytest.MonkeyPatch) -> None:
    newer = {offset: 100_000 + offset for offset in range(2_000)}
    a_topic(monkeypatch, {0: {offset: offset for offset in range(3_000)}, 1: newer}, markers=search.FIRST_STEP)
    found = search.find("u1", search.Users({}, 0))
    assert found.frauds[0].timestamp == 101_999


def test_of_too_many_users_of_a_name_the_newest_are_searched_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    a_topic(monkeypatch, {0: {0: 100_000}})
    users = {f"id-{number}": f"Ann {number}" for number in range(search.MAX_USERS + 1)}
    found = search.find("ann", search.Users(users, 0))
    assert f"id-{search.MAX_USERS}" in found.names
    assert "id-0" not in found.names
    assert not found.complete
