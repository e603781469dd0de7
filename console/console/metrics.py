"""The console's metrics: the state, and the delay from end to end. Rules and dashboards hang on these names."""

from collections.abc import Callable, Iterator

from prometheus_client import Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from console import parts
from console.state import State

END_TO_END = Histogram(
    "fraud_end_to_end_seconds",
    "From the bank's timestamp of a transaction to that of its row on the result topic",
    buckets=(0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60, 300),
)
STATES = ("running", "failed", "paused", "unassigned")


class StateMetrics(Collector):
    """Every sample of the state at the moment of asking."""

    def __init__(self, state: Callable[[], State]) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        """Every sample of this moment."""
        state = self._state()
        records = CounterMetricFamily("kafka_topic_records", "Committed records of a topic", labels=["topic"])
        offsets = CounterMetricFamily(
            "kafka_topic_offsets", "Offsets that records and transactions of a topic have taken", labels=["topic"]
        )
        # A counter that climbs from nothing after a restart of the console would look like a flood.
        for name, topic in () if state.counting else state.topics.items():
            records.add_metric([name], topic.records)
            offsets.add_metric([name], topic.offsets)
        yield records
        yield offsets
        lag = GaugeMetricFamily("kafka_consumergroup_lag", "Records not yet processed", labels=["group", "topic"])
        members = GaugeMetricFamily("kafka_consumergroup_members", "Members of a group", labels=["group"])
        for name, group in state.groups.items():
            if group.members is not None:
                members.add_metric([name], group.members)
            for topic, behind in () if state.counting else group.lag.items():
                lag.add_metric([name, topic], behind)
        yield lag
        yield members
        connector_state = GaugeMetricFamily(
            "kafka_connect_connector_state", "1 for the state that it is in", labels=["connector", "state"]
        )
        task_state = GaugeMetricFamily(
            "kafka_connect_task_state", "1 for the state that it is in", labels=["connector", "task", "state"]
        )
        for name, connector in state.connectors.items():
            for one in STATES:
                connector_state.add_metric([name, one], connector.state.lower() == one)
                for task in connector.tasks:
                    task_state.add_metric([name, str(task.id), one], task.state.lower() == one)
        yield connector_state
        yield task_state
        up = GaugeMetricFamily("part_up", "1 when the part answers and is well", labels=["part"])
        for name, part in state.parts.items():
            up.add_metric([name], part.up)
        yield up
        validator = state.parts[parts.VALIDATOR].up
        yield GaugeMetricFamily("validator_up", "1 when the validator answers", value=validator)
