"""The console's metrics: the state, and the delay from end to end. Rules and dashboards hang on these names."""

from collections.abc import Callable, Iterator

from prometheus_client import Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from console.state import State
from contracts import topics
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
        yield GaugeMetricFamily(
            "stack_counting",
            "1 while the console counts what was there before it: no lag is known",
            value=state.counting,
        )
        # Not those that were there before: after a restart of the console they would look like a flood.
        records = CounterMetricFamily(
            "kafka_topic_records", "Committed records of a topic that came since the console's start", labels=["topic"]
        )
        dead_letters = GaugeMetricFamily(
            "kafka_dead_letters", "Dead letters that a topic has, copies of the same record aside", labels=["topic"]
        )
        last_dead_letter = GaugeMetricFamily(
            "kafka_dead_letters_last_timestamp_seconds",
            "When the newest dead letter of a topic was written, copies of the same record aside, in Unix time",
            labels=["topic"],
        )
        for name, topic in () if state.counting else state.topics.items():
            records.add_metric([name], topic.arrived)
            if name in topics.DEAD_LETTERS:
                dead_letters.add_metric([name], topic.records)
            if topic.last is not None:
                last_dead_letter.add_metric([name], topic.last)
        yield from (records, dead_letters, last_dead_letter)
        lag = GaugeMetricFamily("kafka_consumergroup_lag", "Records not yet processed", labels=["group", "topic"])
        members = GaugeMetricFamily("kafka_consumergroup_members", "Members of a group", labels=["group"])
        interval = GaugeMetricFamily(
            "kafka_consumergroup_interval_seconds", "What may be between two commits of a group", labels=["group"]
        )
        for name, group in state.groups.items():
            interval.add_metric([name], group.interval)
            if group.members is not None:
                members.add_metric([name], group.members)
            for topic, behind in () if state.counting else group.lag.items():
                lag.add_metric([name, topic], behind)
        yield from (lag, members, interval)
        yield GaugeMetricFamily(
            "fraud_oldest_waiting_seconds",
            "Since the bank sent the oldest transaction that waits for a service; 0 when none waits",
            value=None if state.counting else state.oldest_waiting or 0.0,
        )
        yield from _cluster(state)
        yield from _connectors(state)
        up = GaugeMetricFamily("service_up", "1 when the service answers and is healthy", labels=["service"])
        for name, service in state.services.items():
            up.add_metric([name], service.up)
        yield up
        # `cause` is empty for what is wrong by itself.
        labels = ["kind", "name", "cause"]
        for family, problems in (
            (GaugeMetricFamily("stack_fault", "1 for what is wrong now", labels=labels), state.faults),
            (GaugeMetricFamily("stack_warning", "1 for a warning", labels=labels), state.warnings),
        ):
            for found in sorted({(problem.kind, problem.name, problem.cause) for problem in problems}):
                family.add_metric(found, 1)
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


def _connectors(state: State) -> Iterator[Metric]:
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
    yield from (connector_state, task_state)
