"""The brokers of the cluster: which of them are there, what each leads, and which partitions lack replicas. No I/O."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from confluent_kafka.admin import ClusterMetadata


@dataclass(frozen=True)
class Broker:
    """`address` is empty when the broker is down. Counts are of partitions: led, kept, and kept in sync with their leaders."""

    address: str
    leads: int
    replicas: int
    in_sync: int

    @property
    def up(self) -> bool:
        return bool(self.address)


@dataclass(frozen=True)
class Cluster:
    """The brokers by id, and the partitions of all topics, Kafka's own included, that lack replicas or a leader."""

    brokers: Mapping[str, Broker] = field(default_factory=dict)
    under_replicated: int = 0
    offline: int = 0

    @property
    def summary(self) -> str:
        up, count = sum(broker.up for broker in self.brokers.values()), len(self.brokers)
        return f"{up} of {count} brokers" if up < count else f"{count} broker{'s' if count > 1 else ''}"


def read(metadata: ClusterMetadata) -> Cluster:
    """What the metadata says. A broker that is down is not listed, but partitions still have replicas on it."""
    partitions = [one for topic in metadata.topics.values() for one in topic.partitions.values()]
    kept = Counter(broker for one in partitions for broker in one.replicas)
    in_sync = Counter(broker for one in partitions for broker in one.isrs)
    leads = Counter(one.leader for one in partitions)
    addresses = {broker.id: f"{broker.host}:{broker.port}" for broker in metadata.brokers.values()}
    return Cluster(
        {
            str(number): Broker(addresses.get(number, ""), leads[number], kept[number], in_sync[number])
            for number in sorted(addresses.keys() | kept.keys())
        },
        under_replicated=sum(len(one.isrs) < len(one.replicas) for one in partitions),
        offline=leads[-1],
    )


def unreachable(known: Cluster) -> Cluster:
    """The same cluster when none of its brokers answers."""
    led = sum(broker.leads for broker in known.brokers.values())
    down = {name: Broker("", 0, broker.replicas, 0) for name, broker in known.brokers.items()}
    return Cluster(down, known.under_replicated, known.offline + led)
