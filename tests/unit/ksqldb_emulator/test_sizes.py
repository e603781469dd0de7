"""The largest transactions that the ingestor lets pass become records that every producer and topic takes."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from contracts.models import FRAUDULENT, UNIDENTIFIED
from contracts.records import MAX_TRANSACTION_BYTES, Headers, Output, headers_size
from contracts.wire import Invalid, parse
from ingestor.routing import route
from local.ksqldb_emulator.runner import processor
from local.ksqldb_emulator.schema import STRING, Field
from local.ksqldb_emulator.serde import value_reader
from processor.rules import outputs
from processor.validator import Verdict
from tests.support.samples import raw, user
from tests.unit.ksqldb_emulator.test_golden_records import sample
from tests.unit.ksqldb_emulator.test_sql_files import FILES

# librdkafka's default of message.max.bytes, less than any other limit on the way.
LIMIT = 1_000_000

PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "a field": lambda text: {"status": text},
    "a user's field": lambda text: {"sender_details": user(1) | {"name": text}},
    "the id": lambda text: {"transaction_id": text},
    "a user's id": lambda text: {"receiver_details": user(2) | {"id": text}},
}
# As they may come in JSON; the first one is four bytes, which the real ksqlDB writes as two escapes of six.
CHARACTERS = ["\U0001f4b8", "x", "\\u0001", '\\"', "\\\\", "\x7f", "\u20ac"]


def largest(evaluation: str, place: str, character: str, headers: Headers) -> bytes:
    """A value that takes what the headers leave of the limit."""
    mark = "@@"
    frame = json.dumps(raw(evaluation=evaluation, **PLACES[place](mark))).encode()
    left = MAX_TRANSACTION_BYTES - headers_size(headers) - len(frame) + len(mark)
    filled = frame.replace(mark.encode(), character.encode() * (left // len(character.encode())))
    return filled + b" " * (MAX_TRANSACTION_BYTES - headers_size(headers) - len(filled))


def size(key: str | bytes | None, value: bytes, headers: Headers) -> int:
    return len(key.encode() if isinstance(key, str) else key or b"") + len(value) + headers_size(headers)


@pytest.mark.parametrize("headers", [[], [("name" * 8_000, b"x" * 32_000)]], ids=["bare", "headers"])
@pytest.mark.parametrize("character", CHARACTERS, ids=ascii)
@pytest.mark.parametrize("place", PLACES)
def test_the_largest_transaction_fits_every_stage(world: Any, place: str, character: str, headers: Headers) -> None:
    sizes = []
    for evaluation in (FRAUDULENT, UNIDENTIFIED):
        value = largest(evaluation, place, character, headers)
        assert isinstance(route(value + b" ", headers), Invalid)
        routed = route(value, headers)
        assert isinstance(routed, Output)
        sizes.append(size(routed.key, routed.value, headers))
        if evaluation == FRAUDULENT:
            sizes += ksqldb_sizes(world, routed, headers)
        else:
            read = parse(routed.value, headers)
            assert not isinstance(read, Invalid)
            sizes += [size(row.key, row.value, headers) for row in outputs(read, Verdict(True))]
    assert len(sizes) == 2 + 3 + 3
    assert max(sizes) > MAX_TRANSACTION_BYTES / 2
    assert max(sizes) < LIMIT


def ksqldb_sizes(world: Any, routed: Output, headers: Headers) -> list[int]:
    sizes = []

    def produce(topic: str, key: bytes, value: bytes, **_: Any) -> None:
        escaped = sum(8 for character in value.decode() if ord(character) > 0xFFFF)
        sizes.append(size(key, value, headers) + escaped)

    for file in FILES:
        world.run(file.read_text("utf-8"))
    for query_id, (plan, sink, _) in world.queries.plans.items():
        process = processor(world.settings, query_id, plan, sink)
        process(sample(routed.value, routed.key.encode(), headers), produce)
    return sizes


def test_a_broken_record_that_is_too_large_for_the_log_is_skipped_with_a_short_entry(world: Any) -> None:
    """Written past the ingestor: its Base64 would be larger than any record may be."""
    for file in FILES:
        world.run(file.read_text("utf-8"))
    for query_id, (plan, sink, _) in world.queries.plans.items():
        written: list[tuple[str, bytes]] = []

        def produce(topic: str, value: bytes, written: list[tuple[str, bytes]] = written, **_: Any) -> None:
            written.append((topic, value))

        process = processor(world.settings, query_id, plan, sink)
        for size_of_record in (600_000, 900_000):
            process(sample(b"{" + b"x" * size_of_record), produce)
        assert [topic for topic, _ in written] == [world.settings.log_topic] * 2
        first, second = (json.loads(entry)["message"]["deserializationError"] for _, entry in written)
        assert len(first["recordB64"]) == 800_004
        assert second["recordB64"] is None
        assert second["errorMessage"].startswith(first["errorMessage"])
        assert max(len(entry) for _, entry in written) < LIMIT


def test_field_names_of_any_size_are_not_kept() -> None:
    read = value_reader((Field("ID", STRING),))
    rows = [json.dumps({"ID": "a", f"{number}{'x' * 100_000}": 1}).encode() for number in range(50)]
    tracemalloc.start()
    try:
        assert {read(row) for row in rows} == {("a",)}
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000
