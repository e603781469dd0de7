"""What init_kafka.py asks of the topics."""

import pytest
from pydantic import ValidationError

from contracts import topics
from contracts.dead_letters import MAX_DEAD_LETTER_BYTES, dead_letter, reason_of, replay
from contracts.models import Transaction
from contracts.records import Record, headers_size
from init.init_kafka import Settings, differences, partition_problems, partition_warnings, topic_config
from runtime.kafka import transactional

# Of a batch and of the record in it.
OVERHEAD = 1_000


def test_a_topic_as_it_should_be_has_no_differences() -> None:
    for name in topics.CREATED:
        assert differences(name, topic_config(name)) == {}
    assert topic_config(topics.DLQ_REPLAYS)["cleanup.policy"] == "compact"


def test_differences_are_what_it_should_have() -> None:
    config = {**topic_config(topics.USERS), "cleanup.policy": "compact", "segment.bytes": "1"}
    del config["message.timestamp.type"]
    assert differences(topics.USERS, config) == {"cleanup.policy": "delete", "message.timestamp.type": "LogAppendTime"}


def test_no_setting_asks_for_more_partitions_than_a_broker_makes_in_one_request() -> None:
    with pytest.raises(ValidationError):
        Settings(partitions=10_000 // len(topics.CREATED) + 1)


def test_partitions_that_were_added_are_used_with_a_word() -> None:
    even: dict[str, int] = dict.fromkeys(topics.CREATED, 6)
    assert partition_warnings(Settings(), even) == []
    assert len(partition_warnings(Settings(), dict.fromkeys(topics.CREATED, 12))) == len(topics.CREATED)
    used, uneven = partition_warnings(Settings(), even | {topics.USERS: 12})
    assert used == "topic users has 12 partitions, more than TOPIC_PARTITIONS=6: they are used"
    assert f"give {topics.BANK_TRANSACTIONS}, " in uneven
    assert topics.DLQ_REPLAYS not in uneven
    assert partition_problems(Settings(), even | {topics.USERS: 12}) == []


def test_fewer_partitions_than_asked_for_are_an_error() -> None:
    assert partition_problems(Settings(), {topics.USERS: 5}) == ["topic users has 5 partitions, not 6"]


def test_a_dead_letter_fits_its_topic_and_its_replay_the_bank_s() -> None:
    """With the headers that it gets, a reason for every field among them, and if nothing of it can be compressed."""
    with pytest.raises(ValidationError) as caught:
        Transaction.model_validate({"sender_details": {}, "receiver_details": {}})
    body = b"x" * (MAX_DEAD_LETTER_BYTES - 3)
    record = Record(body, b"key", [], (1, 0), topics.BANK_TRANSACTIONS, 5, 2**63)
    dead = dead_letter(record, reason_of(caught.value), "service" * 10)
    assert dead.value == body
    assert dead_letter(record._replace(value=body + b"x"), "", "service").value is None
    back = len(body) + 3 + headers_size(replay(dead.headers).headers)
    assert back + OVERHEAD < int(topic_config(topics.BANK_TRANSACTIONS)["max.message.bytes"])
    size = len(body) + 3 + headers_size(dead.headers)
    for name in topics.DEAD_LETTERS:
        assert size + OVERHEAD < int(topic_config(name)["max.message.bytes"])
    assert size < int(transactional("replica")["message.max.bytes"])
