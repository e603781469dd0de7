"""What simulators.send cannot deliver: it says so."""

from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from contracts import topics
from runtime.errors import UserError
from simulators.send import send
from tests.support.stack import running_broker
from tests.support.topics import read_all


def test_what_the_broker_refuses_is_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small, large, huge = (tmp_path / name for name in ("small.json", "large.json", "huge.json"))
    small.write_bytes(b"1")
    large.write_bytes(bytes(2_000))
    huge.write_bytes(bytes(17 * 1024 * 1024))
    with running_broker(tmp_path / "broker") as bootstrap:
        admin = AdminClient({"bootstrap.servers": bootstrap})
        bank = NewTopic(topics.BANK_TRANSACTIONS, 1, 1, config={"max.message.bytes": "1000"})
        admin.create_topics([bank])[topics.BANK_TRANSACTIONS].result()
        monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVER", bootstrap)
        send([str(small)])
        with pytest.raises(UserError, match=r"the broker refuses .*large\.json: .*[Ss]ize"):
            send([str(large)])
        with pytest.raises(UserError, match=r"huge\.json is not sent: .*[Ss]ize"):
            send([str(huge)])
        assert [record.value for record in read_all(bootstrap, topics.BANK_TRANSACTIONS)] == [b"1"]
