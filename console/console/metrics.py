"""The console's metrics: the state, and the delay from end to end. Rules and dashboards hang on these names."""

from collections.abc import Callable, Iterator

from prometheus_client import Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from console.state import State
from runtime import services

END_TO_END = Histogram(
    "fraud_end_to_end_seconds",
    "From the bank's timestamp of a transaction to the sight of its row on the result topic, once that is committed",
    buckets=(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60, 300),
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
        # A counter that climbs from nothing after a restart of the console would look like a flood.
        for name, topic in () if state.counting else state.topics.items():
            records.add_metric([name], topic.records)
        yield records
        last_dead_letter = GaugeMetricFamily(
            "kafka_dead_letters_last_timestamp_seconds",
            "When the newest dead letter of a topic was written, copies of the same record aside, in Unix time",
            labels=["topic"],
        )
        for name, topic in () if state.counting else state.topics.items():
            if topic.last is not None:
                last_dead_letter.add_metric([name], topic.last)
        yield last_dead_letter
        lag = GaugeMetricFamily("kafka_consumergroup_lag", "Records not yet processed", labels=["group", "topic"])
        members = GaugeMetricFamily("kafka_consumergroup_members", "Members of a group", labels=["group"])
        for name, group in state.groups.items():
            if group.members is not None:
                members.add_metric([name], group.members)
            for topic, behind in () if state.counting else group.lag.items():
                lag.add_metric([name, topic], behind)
        yield lag
        yield members
        yield GaugeMetricFamily(
            "fraud_oldest_waiting_seconds",
            "Since the bank sent the oldest transaction that waits for a service; 0 when none waits",
            value=None if state.counting else state.oldest_waiting or 0.0,
        )
        yield from _cluster(state)
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
        up = GaugeMetricFamily("service_up", "1 when the service answers and is healthy", labels=["service"])
        for name, service in state.services.items():
            up.add_metric([name], service.up)
        yield up
        for family, problems in (
            (GaugeMetricFamily("stack_fault", "1 for what is wrong now", labels=["kind", "name"]), state.faults),
            (GaugeMetricFamily("stack_warning", "1 for a warning", labels=["kind", "name"]), state.warnings),
        ):
            for kind, name in sorted({(problem.kind, problem.name) for problem in problems}):
                family.add_metric([kind, name], 1)
            yield family
        validator = state.services[services.VALIDATOR].up
        yield GaugeMetricFamily("validator_up", "1 when the validator answers", value=validator)


def _cluster(state: State) -> Iterator[Metric]:
    """The brokers and the partitions' replicas; nothing while no broker answers, since nothing of it would be true."""
    up = GaugeMetricFamily("kafka_broker_up", "1 when the broker is one of the cluster now", labels=["broker"])
    leads = GaugeMetricFamily("kafka_broker_leaders", "Partitions that the broker leads", labels=["broker"])
    under = GaugeMetricFamily("kafka_under_replicated_partitions", "Partitions with replicas that are not in sync")
    offline = GaugeMetricFamily("kafka_offline_partitions", "Partitions that no broker leads")
    if state.services[services.KAFKA].up:
        for name, broker in state.cluster.brokers.items():
            up.add_metric([name], broker.up)
            leads.add_metric([name], broker.leads)
        under.add_metric([], state.cluster.under_replicated)
        offline.add_metric([], state.cluster.offline)
    yield from (up, leads, under, offline)
