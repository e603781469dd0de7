"""What the emulator counts of a query: a record in, a row out, a record skipped, and only once it is committed."""

from __future__ import annotations

import json
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from local.ksqldb_emulator import metrics, runner
from local.ksqldb_emulator.runner import Queries, _Query, processor
from runtime.health import ConsumerHealth
from tests.support.metrics import Increase
from tests.unit.ksqldb_emulator.test_golden_records import sample

QUERY, GROUP = "CSAS_TEST_1", "group-of-the-test"


def test_what_becomes_of_records_is_counted(world: Any, statements: list[dict[str, Any]]) -> None:
    for recorded in statements[:4]:
        world.run(recorded["request"]["ksql"])
    plan, sink, _ = world.queries.plans["CSAS_SENDER_USERS_5"]
    process = processor(world.settings, QUERY, plan, sink)
    values = (b'{"sender_details": {"id": "u1"}}', b'{"sender_details": null}', b"no json")
    outcomes = [process(sample(value), lambda *_, **__: None) for value in values]
    assert outcomes == ["rows", "left_out", "skipped"]
    increase = Increase()
    counts = Counter(outcomes)
    counts["records"] = 3
    metrics.committed(QUERY, GROUP, counts)
    names = ("records", "rows", "skipped_records")
    assert [increase.of(f"ksqldb_query_{name}_total", query=QUERY) for name in names] == [3, 1, 1]
    assert increase.of("kafka_consumergroup_last_commit_timestamp_seconds", group=GROUP) > 0


def test_a_row_that_is_too_large_goes_to_the_log(world: Any, statements: list[dict[str, Any]]) -> None:
    for recorded in statements[:4]:
        world.run(recorded["request"]["ksql"])
    plan, sink, _ = world.queries.plans["CSAS_SENDER_USERS_5"]
    produced = []

    def produce(topic: str, value: bytes, **_: Any) -> None:
        if topic == sink:
            raise KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
        produced.append((topic, json.loads(value)["message"]["productionError"]["errorMessage"]))

    process = processor(world.settings, QUERY, plan, sink)
    assert process(sample(b'{"sender_details": {"id": "u1"}}'), produce) == "skipped"
    ((topic, message),) = produced
    assert topic == world.settings.log_topic
    assert message.startswith("A row could not be written to topic: users.")


def test_the_state_is_shown_until_the_query_is_terminated() -> None:
    failed, increase = False, Increase()
    metrics.committed(QUERY, GROUP, Counter())
    metrics.watch(QUERY, lambda: not failed)
    assert increase.of("ksqldb_query_running", query=QUERY) == 1
    failed = True
    assert increase.of("ksqldb_query_running", query=QUERY) == 0
    metrics.forget(QUERY, GROUP)
    with pytest.raises(KeyError):
        increase.of("ksqldb_query_running", query=QUERY)


def test_the_failed_queries_are_the_problem(settings: Any) -> None:
    queries = Queries(settings)
    assert queries.problem() is None
    away, back = ConsumerHealth(), ConsumerHealth()
    back.on_statistics({"cgrp": {"state": "up", "join_state": "steady"}})
    queries._running["A"] = SimpleNamespace(failed=False, consumer=away)  # type: ignore[assignment]
    queries._running["B"] = SimpleNamespace(failed=False, consumer=back)  # type: ignore[assignment]
    assert queries.problem() == "A: the consumer is not polled"
    queries._running["B"].failed = True
    assert queries.problem() == "in state ERROR: B"


def test_a_query_that_gets_nowhere_has_failed(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One aborted transaction is no failure, as when a broker is lost; the next one in a row is."""
    topic = SimpleNamespace(topic="a topic")
    plan: Any = SimpleNamespace(
        query_id=QUERY, plan=SimpleNamespace(source=topic), sink=topic, auto_offset_reset="earliest"
    )
    query, seen = _Query(settings, plan), list[bool]()

    def run(_: object, _topic: str, _write: object, after: Any) -> None:
        for batch, counts in ((["a"], None), (["a"], None), ([], None), (["a"], None), (["a"], Counter(rows=1))):
            after(batch, counts)
            seen.append(query.failed)

    monkeypatch.setattr(runner.Transactions, "run", run)
    monkeypatch.setattr(runner, "processor", lambda *_: None)
    monkeypatch.setattr(runner, "Consumer", lambda *_, **__: SimpleNamespace(close=lambda: None))
    query._run()
    assert seen == [False, True, False, False, False]
