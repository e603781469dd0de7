"""Where the newest records of a key are, without a broker."""

from dataclasses import dataclass

from console.keys import CHUNK, MOST_OF_A_KEY, Keys
from contracts import topics
from contracts.records import Headers, Position

TOPIC = topics.UNIDENTIFIED_TRANSACTIONS


@dataclass
class Message:
    """As the Kafka client gives one."""

    where: int
    at: int
    named: bytes | None
    on: str = TOPIC

    def topic(self) -> str:
        return self.on

    def partition(self) -> int:
        return self.where

    def offset(self) -> int:
        return self.at

    def key(self) -> bytes | None:
        return self.named

    def value(self) -> bytes | None:
        return None

    def headers(self) -> Headers | None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return 0, 0


def test_every_record_of_a_key_is_found_and_none_of_other_topics() -> None:
    keys = Keys()
    keys.take([Message(0, 3, b"a"), Message(1, 7, b"b"), Message(1, 9, b"a"), Message(1, 10, None)])
    keys.take([Message(0, 0, b"a", topics.BANK_TRANSACTIONS), Message(0, 0, b"a", topics.USERS)])
    assert keys.find(b"a") == [Position(TOPIC, 0, 3), Position(TOPIC, 1, 9), Position(topics.BANK_TRANSACTIONS, 0, 0)]
    assert keys.find(b"c") == []
    assert [keys.known((TOPIC, one)) for one in range(3)] == [(0, 4), (0, 11), (0, 0)]


def test_of_one_key_the_newest_are_found() -> None:
    keys = Keys()
    keys.take(Message(0, offset, b"a") for offset in range(3 * CHUNK))
    assert [one.offset for one in keys.find(b"a")] == list(range(3 * CHUNK))[-MOST_OF_A_KEY:]


def test_the_oldest_are_forgotten_and_it_is_known_from_where_on_all_are_known() -> None:
    keys = Keys(most=2 * CHUNK)
    keys.take(Message(0, 2 * number, b"%d" % number) for number in range(4 * CHUNK))
    since, until = keys.known((TOPIC, 0))
    assert until == 8 * CHUNK - 1
    assert since == 2 * CHUNK - 1
    assert keys.find(b"%d" % (CHUNK - 1)) == []
    assert keys.find(b"%d" % CHUNK) == [Position(TOPIC, 0, 2 * CHUNK)]


def test_of_a_topic_that_was_made_again_only_the_new_records_are_known() -> None:
    keys = Keys()
    keys.take([Message(0, 5, b"a"), Message(1, 5, b"b"), Message(0, 0, b"c")])
    assert keys.find(b"a") == []
    assert keys.find(b"b") == [Position(TOPIC, 1, 5)]
    assert keys.find(b"c") == [Position(TOPIC, 0, 0)]
    assert keys.known((TOPIC, 0)) == (0, 1)


def test_a_far_offset_has_room() -> None:
    keys = Keys()
    keys.take([Message(0, 1, b"a"), Message(0, 2**40, b"a")])
    assert [one.offset for one in keys.find(b"a")] == [1, 2**40]
