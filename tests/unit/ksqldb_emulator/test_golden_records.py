"""Every recorded input gives the recorded records: value (as JSON), and key, partition, headers and timestamp to the byte."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME

from contracts.partitions import partition_of
from contracts.records import Record
from local.ksqldb_emulator.runner import processor

RECORDS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "golden" / "records.json").read_text("utf-8"))
PARTITIONS = 6


@pytest.fixture
def queries(world: Any, statements: list[dict[str, Any]]) -> dict[str, Any]:
    for recorded in statements[:4]:
        world.run(recorded["request"]["ksql"])
    return world.queries.plans


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record["input"]["name"])
def test_record(record: dict[str, Any], world: Any, queries: dict[str, Any]) -> None:
    produced: list[dict[str, Any]] = []

    def produce(topic: str, **fields: Any) -> None:
        produced.append({"topic": topic, **fields})

    source = record["input"]
    headers = [(name, value.encode()) for name, value in source["headers"]] or None
    key = None if source["key"] is None else source["key"].encode()
    for query_id, (plan, sink, _) in queries.items():
        process = processor(world.settings, query_id, plan, sink)
        process(sample(source["value"].encode(), key, headers, source["timestamp"]), produce)

    assert sorted(map(_comparable, map(_as_recorded, produced))) == sorted(map(_comparable, record["output"]))


def test_a_negative_timestamp_is_skipped(world: Any, queries: dict[str, Any]) -> None:
    """The real server does so without a word; a sink further on would fail for ever at such a row."""
    produced: list[str] = []

    def produce(topic: str, **_: Any) -> None:
        produced.append(topic)

    value = next(record for record in RECORDS if record["output"])["input"]["value"].encode()
    for query_id, (plan, sink, _) in queries.items():
        process = processor(world.settings, query_id, plan, sink)
        assert process(sample(value, timestamp=-1), produce) == "skipped"
        assert produced == []
        assert process(sample(value, timestamp=0), produce) == "rows"
        assert produced
        produced.clear()


def sample(value: bytes, key: bytes | None = None, headers: Any = None, timestamp: int = 1) -> Record:
    """A record of the queries' topic."""
    return Record(value, key, headers, (TIMESTAMP_CREATE_TIME, timestamp), "fraudulent-transactions", 0, 0)


def _as_recorded(fields: dict[str, Any]) -> dict[str, Any]:
    key = fields.get("key")
    return {
        "topic": fields["topic"],
        "partition": None if key is None else partition_of(key, PARTITIONS),
        "key": None if key is None else key.decode(),
        "timestamp": fields.get("timestamp"),
        "headers": [[name, value.decode()] for name, value in fields.get("headers") or []],
        "value": fields["value"].decode(),
    }


def _comparable(record: dict[str, Any]) -> str:
    """The record as text: the value's fields in their order; of the processing log neither its time nor its wording."""
    value = json.loads(record["value"])
    if record["topic"].endswith("_processing_log"):
        problem = value["message"]["deserializationError"]
        assert problem["errorMessage"]
        value["time"] = problem["errorMessage"] = problem["cause"] = None
    return json.dumps({name: record[name] for name in sorted(record) if name != "value"} | {"value": value})


def test_the_log_without_records(world: Any, queries: dict[str, Any]) -> None:
    plan, sink, _ = queries["CSAS_SENDER_USERS_5"]
    entries: list[bytes] = []
    without = {**world.settings.properties, "ksql.logging.processing.rows.include": "false"}
    settings = replace(world.settings, properties=without)
    process = processor(settings, "Q", plan, sink)
    assert process(sample(b"no json"), lambda topic, value: entries.append(value)) == "skipped"
    assert json.loads(entries[0])["message"]["deserializationError"]["recordB64"] is None
