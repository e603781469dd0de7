"""The offsets of all groups are there again when a broker that was killed is back, on a real broker."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.support.stack import LoneKafka, wait_until

# So many records take the coordinators of the groups about a second to read, as those of a few hours of the stack do.
PARTITIONS, COMMITS = 200, 1500
# The old session ends while they read, as it does on a broker that has more to recover.
OVERLAP = (
    "broker.session.timeout.ms=1000",
    "broker.heartbeat.interval.ms=250",
    f"offsets.load.buffer.size={24 * 1024 * 1024}",
)
GROUPS = ("g0", "g1", "g2", "g3")  # one on each partition of the offsets topic
KILLS = 3


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[LoneKafka]:
    alone = LoneKafka(tmp_path / "broker", *OVERLAP)
    alone.start()
    yield alone
    alone.kill()


def committed(bootstrap: str, group: str) -> set[int]:
    """The group's offsets, once its coordinator has read them."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "log_level": 0})
    found: set[int] = set()

    def answered() -> bool:
        with suppress(KafkaException):
            positions = consumer.committed([TopicPartition("t", number) for number in range(PARTITIONS)], timeout=5)
            found.update(position.offset for position in positions)
        return bool(found)

    wait_until(answered, 30, f"the coordinator of {group} answers")
    consumer.close()
    return found


@pytest.mark.long
def test_no_offset_is_lost_when_the_broker_is_killed(broker: LoneKafka) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.create_topics([NewTopic("t", PARTITIONS, 1)])["t"].result()
    wait_until(
        lambda: len(admin.list_topics("t", timeout=5).topics["t"].partitions) == PARTITIONS, 30, "the topic is there"
    )
    for group in GROUPS:
        consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group})
        for offset in range(1, COMMITS + 1):
            positions = [TopicPartition("t", number, offset) for number in range(PARTITIONS)]
            consumer.commit(offsets=positions, asynchronous=False)
        consumer.close()
    for _ in range(KILLS):
        broker.kill()
        broker.start()
        for group in (*GROUPS, *GROUPS):
            assert committed(broker.bootstrap, group) == {COMMITS}
