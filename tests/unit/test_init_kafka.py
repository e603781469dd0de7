"""What init_kafka.py asks of the topics."""

from contracts import topics
from ingestor.routing import MAX_TRANSACTION_BYTES
from init.init_kafka import Settings, differences, topic_config


def test_a_topic_as_it_should_be_has_no_differences() -> None:
    for name in topics.ALL:
        assert differences(name, Settings(), 6, topic_config(name)) == []


def test_differences_are_named() -> None:
    config = {**topic_config(topics.USERS), "cleanup.policy": "compact"}
    assert differences(topics.USERS, Settings(), 3, config) == [
        "has 3 partitions, not 6",
        "has cleanup.policy=compact, not delete",
    ]


def test_what_comes_in_fits_into_the_dead_letters_and_what_goes_on_fits_a_default_producer() -> None:
    incoming = int(topic_config(topics.BANK_TRANSACTIONS)["max.message.bytes"])
    assert all(int(topic_config(name)["max.message.bytes"]) > incoming for name in topics.DEAD_LETTERS)
    assert MAX_TRANSACTION_BYTES < 1_000_000
