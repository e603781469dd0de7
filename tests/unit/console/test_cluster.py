"""What the cluster's metadata says of its brokers and of the replicas of partitions."""

from types import SimpleNamespace
from typing import Any

import pytest

from console.cluster import Broker, Cluster, read, unreachable


def metadata(brokers: list[int], *partitions: tuple[int, list[int], list[int]]) -> Any:
    """Each partition is its leader, its replicas and those in sync; the last one is of a topic of its own."""
    made = [SimpleNamespace(leader=leader, replicas=kept, isrs=in_sync) for leader, kept, in_sync in partitions]
    topics = {"users": made[:-1], "__consumer_offsets": made[-1:]}
    return SimpleNamespace(
        brokers={one: SimpleNamespace(id=one, host="kafka", port=9090 + one) for one in brokers},
        topics={name: SimpleNamespace(partitions=dict(enumerate(found))) for name, found in topics.items()},
    )


def test_one_broker_keeps_and_leads_all() -> None:
    found = read(metadata([1], (1, [1], [1]), (1, [1], [1])))
    assert found == Cluster({"1": Broker("kafka:9091", 2, 2, 2)})
    assert found.summary == "1 broker"


def test_all_replicas_of_three_brokers_are_in_sync() -> None:
    found = read(metadata([3, 2, 1], (1, [1, 2, 3], [3, 1, 2]), (2, [2, 3, 1], [1, 2, 3])))
    assert list(found.brokers) == ["1", "2", "3"]
    assert (found.under_replicated, found.offline) == (0, 0)
    assert [broker.leads for broker in found.brokers.values()] == [1, 1, 0]
    assert found.summary == "3 brokers"


def test_a_broker_that_is_down_is_known_by_its_replicas() -> None:
    found = read(metadata([1, 3], (1, [1, 2, 3], [3, 1]), (1, [2, 3, 1], [1, 3])))
    assert found.brokers["2"] == Broker("", 0, 2, 0)
    assert (found.under_replicated, found.offline) == (2, 0)
    assert found.summary == "2 of 3 brokers"


@pytest.mark.parametrize("in_sync", [[], [2]])
def test_a_partition_without_a_leader_is_offline(in_sync: list[int]) -> None:
    """As a broker reports it that does not know who of the lost ones was in sync last, and as one that does."""
    found = read(metadata([1], (1, [1], [1]), (-1, [2], in_sync)))
    assert (found.under_replicated, found.offline) == (not in_sync, 1)


def test_no_broker_is_up_when_none_answers() -> None:
    before = read(metadata([1, 3], (1, [1, 2, 3], [3, 1]), (3, [3], [3])))
    found = unreachable(before)
    assert found.brokers == {"1": Broker("", 0, 1, 0), "2": Broker("", 0, 1, 0), "3": Broker("", 0, 2, 0)}
    assert found.offline == 2
    assert unreachable(found) == found
    assert found.summary == "0 of 3 brokers"
