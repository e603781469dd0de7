"""What init_kafka.py asks of the topics."""

import pytest
from pydantic import ValidationError

from contracts import topics
from contracts.dead_letters import MAX_LETTER_BYTES, dead_letter, reason_of, replay
from contracts.kafka import transactional
from contracts.models import Transaction
from contracts.records import headers_size
from init.init_kafka import differences, topic_config

# Of a batch and of the record in it.
OVERHEAD = 1_000


def test_a_topic_as_it_should_be_has_no_differences() -> None:
    for name in topics.ALL:
        assert differences(name, topic_config(name)) == {}


def test_differences_are_what_it_should_have() -> None:
    config = {**topic_config(topics.USERS), "cleanup.policy": "compact", "segment.bytes": "1"}
    del config["message.timestamp.type"]
    assert differences(topics.USERS, config) == {"cleanup.policy": "delete", "message.timestamp.type": "LogAppendTime"}


def test_a_letter_fits_its_topic_and_on_its_way_back_the_bank_s() -> None:
    """With the headers that it gets, a reason for every field among them, and if nothing of it can be compressed."""
    with pytest.raises(ValidationError) as caught:
        Transaction.model_validate({"sender_details": {}, "receiver_details": {}})
    body = b"x" * (MAX_LETTER_BYTES - 3)
    letter = dead_letter(body, b"key", [], reason_of(caught.value), topics.BANK_TRANSACTIONS, 5, 2**63, "service" * 10)
    assert letter.value == body
    assert dead_letter(body + b"x", b"key", [], "", topics.BANK_TRANSACTIONS, 5, 2**63, "service").value is None
    back = len(body) + 3 + headers_size(replay(letter.headers).headers)
    assert back + OVERHEAD < int(topic_config(topics.BANK_TRANSACTIONS)["max.message.bytes"])
    size = len(body) + 3 + headers_size(letter.headers)
    for name in topics.DEAD_LETTERS:
        assert size + OVERHEAD < int(topic_config(name)["max.message.bytes"])
    assert size < int(transactional("replica")["message.max.bytes"])
