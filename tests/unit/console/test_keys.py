"""Where the newest records of a key are, without a broker."""

from console.keys import CHUNK, MOST_OF_A_KEY, Keys
from contracts import topics
from contracts.records import Position
from tests.support.messages import Message

TOPIC = topics.UNIDENTIFIED_TRANSACTIONS


def at(partition: int, offset: int, key: bytes | None, topic: str = TOPIC) -> Message:
    return Message(topic, offset, partition=partition, key=key)


def test_every_record_of_a_key_is_found_and_none_of_other_topics() -> None:
    keys = Keys()
    keys.take([at(0, 3, b"a"), at(1, 7, b"b"), at(1, 9, b"a"), at(1, 10, None)])
    keys.take([at(0, 0, b"a", topics.BANK_TRANSACTIONS), at(0, 0, b"a", topics.USERS)])
    assert keys.find(b"a") == [Position(TOPIC, 0, 3), Position(TOPIC, 1, 9), Position(topics.BANK_TRANSACTIONS, 0, 0)]
    assert keys.find(b"c") == []
    assert [keys.known((TOPIC, one)) for one in range(3)] == [(0, 4), (0, 11), (0, 0)]


def test_of_one_key_the_newest_are_found() -> None:
    keys = Keys()
    keys.take(at(0, offset, b"a") for offset in range(3 * CHUNK))
    assert [one.offset for one in keys.find(b"a")] == list(range(3 * CHUNK))[-MOST_OF_A_KEY:]


def test_the_oldest_are_forgotten_and_it_is_known_from_where_on_all_are_known() -> None:
    keys = Keys(most=2 * CHUNK)
    keys.take(at(0, 2 * number, b"%d" % number) for number in range(4 * CHUNK))
    since, until = keys.known((TOPIC, 0))
    assert until == 8 * CHUNK - 1
    assert since == 2 * CHUNK - 1
    assert keys.find(b"%d" % (CHUNK - 1)) == []
    assert keys.find(b"%d" % CHUNK) == [Position(TOPIC, 0, 2 * CHUNK)]


def test_of_a_topic_that_was_made_again_only_the_new_records_are_known() -> None:
    keys = Keys()
    keys.take([at(0, 5, b"a"), at(1, 5, b"b"), at(0, 0, b"c")])
    assert keys.find(b"a") == []
    assert keys.find(b"b") == [Position(TOPIC, 1, 5)]
    assert keys.find(b"c") == [Position(TOPIC, 0, 0)]
    assert keys.known((TOPIC, 0)) == (0, 1)


def test_a_far_offset_has_room() -> None:
    keys = Keys()
    keys.take([at(0, 1, b"a"), at(0, 2**40, b"a")])
    assert [one.offset for one in keys.find(b"a")] == [1, 2**40]
