"""The cases that need a broker: the ingestor, the processor, its replicas, both with tracing, and the ksqlDB emulator."""

import logging
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.lab import START_SECONDS, Lab, Window, laboratory
from benchmarks.report import Row
from contracts import topics
from ingestor.settings import SERVICE as INGESTOR
from local.checks import port_open
from local.ksqldb_emulator.settings import load as ksqldb_settings
from local.settings import HOST
from processor.settings import SERVICE as PROCESSOR
from processor.settings import Settings as ProcessorSettings
from tests.support.otlp import running_collector
from tests.support.stack import free_ports, wait_until
from validator.verdict import is_fraudulent

logger = logging.getLogger(__name__)

IN_FLIGHT: int = ProcessorSettings.model_fields["fraud_validator_max_in_flight"].default
# With the service's 128 calls one replica takes a core at 50 ms, and two cores could not show how replicas add up.
REPLICAS_IN_FLIGHT = 24
REPLICAS_LATENCY_MS = 50
TRACED_LATENCY_MS, TRACED_SHARE = 20, 0.01
FRAUDULENT_SHARE = 0.3  # of what the validator is asked about
QUERIES = 3  # of ksqldb/


@dataclass(frozen=True)
class Plan:
    """How much of each case is run. The numbers of messages are for one repetition."""

    warm_ups: int  # repetitions of the ingestor's case that do not count: a fresh JVM is slow at transactions
    repetitions: int
    window: Window
    ingestor_messages: int
    processor_messages: int
    ksqldb_messages: int
    latencies_ms: tuple[int, ...]
    replicas: tuple[int, ...]
    stack_rates: tuple[int, ...]  # transactions/s through the whole stack
    stack_warm_up: float  # fresh JVMs are slow, and what waits meanwhile has to be worked off
    stack_seconds: float
    highest_rate: int  # transactions/s, where the capacity's steps end at the latest
    traced_transactions: int  # among which one is looked up


FULL = Plan(
    warm_ups=1,
    repetitions=3,
    window=Window(1.5, 6.0),
    ingestor_messages=400_000,
    processor_messages=50_000,
    ksqldb_messages=50_000,
    latencies_ms=(0, 20, 100),
    replicas=(1, 2, 4),
    stack_rates=(10, 500),
    stack_warm_up=45.0,
    stack_seconds=20.0,
    highest_rate=4_000,
    traced_transactions=1_000_000,
)
QUICK = Plan(
    warm_ups=0,
    repetitions=1,
    window=Window(0.5, 1.5),  # the processor commits once per second
    ingestor_messages=60_000,
    processor_messages=16_000,
    ksqldb_messages=10_000,
    latencies_ms=(20,),
    replicas=(1, 2),
    stack_rates=(100,),  # a stack that is still cold would have to work off what waits of 500
    stack_warm_up=1.0,
    stack_seconds=3.0,
    highest_rate=100,
    traced_transactions=20_000,
)


def ingestor(plan: Plan) -> list[Row]:
    """Routing of 1.2 KB messages."""
    row = Row("ingestor", "messages/s", times_baseline=200, share_of_limit=0.85)
    floor = Row("ingestor, its limit reads and writes each message", "messages/s", ours=row.ours)
    subjects = (
        ("benchmarks.subjects.usual_ingestor", "usual-ingestor", {}, row.baseline),
        ("ingestor", INGESTOR, {}, row.ours),
        ("benchmarks.subjects.copying_ingestor", "copying-ingestor", {}, row.limit),
        ("benchmarks.subjects.copying_ingestor", "reading-ingestor", {"READ_AND_WRITE": "1"}, floor.limit),
    )
    with laboratory() as lab:
        for _ in range(plan.warm_ups + plan.repetitions):
            lab.seed(topics.BANK_TRANSACTIONS, 0.2, plan.ingestor_messages)
            for module, group, environment, values in subjects:
                values.append(_routing_rate(lab, plan, module, group, environment))
    for _, _, _, values in subjects:
        del values[: plan.warm_ups]
    return [row, floor]


def _routing_rate(lab: Lab, plan: Plan, module: str, group: str, environment: Mapping[str, str]) -> float:
    consumed = lab.committed(group, topics.BANK_TRANSACTIONS)
    produced = [lab.end(topic) for topic in topics.ROUTED]
    with lab.module(module, GROUP=group, REPLICA_ID="1", **environment):
        rate = lab.rate([group], topics.BANK_TRANSACTIONS, plan.window, consumed.total)
    logger.info("%s: %.0f messages/s", module, rate)
    routed = sum(lab.keys(mark, lab.end(mark.topic)).total() for mark in produced)
    expected = lab.committed(group, topics.BANK_TRANSACTIONS).total - consumed.total
    assert routed == expected, f"{module} took {expected} messages and wrote {routed}"
    return rate


def processor(plan: Plan) -> list[Row]:
    """Questions to a validator of several latencies."""
    return [row for latency in plan.latencies_ms for row in _processor_at(plan, latency)]


def _processor_at(plan: Plan, latency: int) -> list[Row]:
    """The processor's row, and one for the bare HTTP client, which only sends requests."""
    row = Row(f"processor, validator of {latency} ms", "transactions/s", share_of_limit=0.7)
    if latency == 20:
        row.times_baseline = 40
    bare = Row(f"the HTTP client alone, validator of {latency} ms", "calls/s")
    if latency:
        row.limit.append(IN_FLIGHT * 1000 / latency)
        bare.limit = row.limit
    else:
        row.limit = bare.ours
    subjects = (
        ("benchmarks.subjects.usual_processor", "usual-processor", row.baseline),
        ("processor", PROCESSOR, row.ours),
    )
    with laboratory() as lab, ExitStack() as stack:
        url = _validator(lab, stack, latency)
        for _ in range(plan.repetitions):
            for module, group, values in subjects:
                values.append(_processing_rate(lab, plan, url, module, group))
            printed = lab.run(
                "benchmarks.subjects.load_generator",
                FRAUD_VALIDATOR_URL=url,
                SECONDS=str(plan.window.seconds),
                IN_FLIGHT=str(IN_FLIGHT),
            )
            bare.ours.append(float(printed))
            logger.info("load generator: %.0f calls/s", bare.ours[-1])
    return [row, bare]


def replicas(plan: Plan) -> list[Row]:
    """One, two and four processors beside one another."""
    rows = [
        Row(f"processor, {REPLICAS_LATENCY_MS} ms, {count} replicas of {REPLICAS_IN_FLIGHT} calls", "transactions/s")
        for count in plan.replicas
    ]
    for row in rows[1:]:
        row.baseline = rows[0].ours
    rows[1].times_baseline = 1.7
    with laboratory() as lab, ExitStack() as stack:
        url = _validator(lab, stack, REPLICAS_LATENCY_MS)
        for _ in range(plan.repetitions):
            for row, count in zip(rows, plan.replicas, strict=True):
                row.ours.append(_processing_rate(lab, plan, url, "processor", PROCESSOR, count, REPLICAS_IN_FLIGHT))
    return rows


def ksqldb(plan: Plan) -> list[Row]:
    """The emulator's three queries; each makes one row of each transaction."""
    row = Row("ksqlDB emulator", "rows/s")
    outputs = (topics.FRAUDULENT_TRANSACTIONS_RESULT, topics.USERS)
    source = topics.FRAUDULENT_TRANSACTIONS
    with laboratory() as lab:
        port = free_ports()["KSQLDB_PORT"]
        prefix = ksqldb_settings({"KAFKA_BOOTSTRAP_SERVER": lab.bootstrap}).group_of("")
        for _ in range(plan.repetitions):
            produced = [lab.end(topic) for topic in outputs]
            with lab.module("local.ksqldb_emulator", KSQLDB_PORT=port):
                lab.run("init.init_ksqldb", KSQLDB_URL=f"http://{HOST}:{port}", KSQLDB_WAIT_SECONDS="60")
                groups = lab.wait_for_groups(prefix, QUERIES)
                before = sum(lab.committed(group, source).total for group in groups)
                lab.seed(source, 1.0, plan.ksqldb_messages)
                row.ours.append(lab.rate(groups, source, plan.window, before))
                lab.wait_for_end(groups, source)
            logger.info("ksqlDB emulator: %.0f rows/s", row.ours[-1])
            written = sum(lab.keys(mark, lab.end(mark.topic)).total() for mark in produced)
            expected = len(groups) * plan.ksqldb_messages
            assert written == expected, f"the queries wrote {written} rows, not {expected}"
    return [row]


def tracing(plan: Plan) -> list[Row]:
    """Ingestor and processor that record one trace in a hundred, and as their limit the same without tracing.

    The ingestor begins the traces. The processor follows those that are in its input.
    """
    ingestor = Row("ingestor, 1 % traced", "messages/s", share_of_limit=0.95)
    processor = Row(
        f"processor, validator of {TRACED_LATENCY_MS} ms, 1 % traced", "transactions/s", share_of_limit=0.95
    )
    with running_collector() as collector:
        traced = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": str(TRACED_SHARE),
        }
        with laboratory() as lab:
            for _ in range(plan.warm_ups + plan.repetitions):
                lab.seed(topics.BANK_TRANSACTIONS, 0.2, 2 * plan.ingestor_messages)
                for environment, values in (({}, ingestor.limit), (traced, ingestor.ours)):
                    values.append(_routing_rate(lab, plan, "ingestor", INGESTOR, environment))
        with laboratory() as lab, ExitStack() as stack:
            url = _validator(lab, stack, TRACED_LATENCY_MS)
            for _ in range(plan.repetitions):
                for environment, values in (({}, processor.limit), (traced, processor.ours)):
                    values.append(
                        _processing_rate(
                            lab, plan, url, "processor", PROCESSOR, environment=environment, traced_share=TRACED_SHARE
                        )
                    )
    assert {span.service for span in collector.spans} == {INGESTOR, PROCESSOR}
    del ingestor.ours[: plan.warm_ups], ingestor.limit[: plan.warm_ups]
    return [ingestor, processor]


def _validator(lab: Lab, stack: ExitStack, latency: int) -> str:
    port = free_ports()["VALIDATOR_PORT"]
    environment = {
        "VALIDATOR_PORT": port,
        "VALIDATOR_LATENCY_MS": str(latency),
        "VALIDATOR_FRAUDULENT_SHARE": str(FRAUDULENT_SHARE),
    }
    stack.enter_context(lab.module("validator", **environment))
    wait_until(port_open(HOST, int(port)), START_SECONDS, "the validator listens")
    return f"http://{HOST}:{port}"


def _processing_rate(
    lab: Lab,
    plan: Plan,
    url: str,
    module: str,
    group: str,
    count: int = 1,
    in_flight: int = IN_FLIGHT,
    environment: Mapping[str, str] | None = None,
    traced_share: float | None = None,
) -> float:
    source = topics.UNIDENTIFIED_TRANSACTIONS
    consumed = lab.committed(group, source)
    produced = [lab.end(topic) for topic in (topics.FRAUDULENT_TRANSACTIONS_RESULT, topics.USERS)]
    with ExitStack() as stack:
        for number in range(count):
            own = {"FRAUD_VALIDATOR_URL": url, "FRAUD_VALIDATOR_MAX_IN_FLIGHT": str(in_flight), **(environment or {})}
            stack.enter_context(lab.module(module, GROUP=group, REPLICA_ID=str(number + 1), **own))
        lab.wait_for_members(group, count)
        lab.seed(source, 0.0, plan.processor_messages, traced_share)
        rate = lab.rate([group], source, plan.window, consumed.total)
    logger.info("%s of %d: %.0f transactions/s", module, count, rate)
    results, users = (lab.keys(mark, lab.end(mark.topic)) for mark in produced)
    expected = _fraudulent(lab.keys(consumed, lab.committed(group, source)))
    assert results == expected, f"{module} wrote {results.total()} results, not {expected.total()}"
    assert users.total() == 2 * expected.total(), f"{module} wrote {users.total()} users"
    return rate


def _fraudulent(keys: Counter[bytes]) -> Counter[bytes]:
    return Counter({key: count for key, count in keys.items() if is_fraudulent(key.decode(), FRAUDULENT_SHARE)})
