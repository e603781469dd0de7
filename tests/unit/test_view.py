"""The live view in terminals of several sizes: everything is on it, nothing is cut, nothing wraps."""

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from console.tables import WHAT
from contracts import topics
from local.counts import _counts
from local.settings import Folders, MongoTarget, Ports, S3Target, Settings
from local.view import live
from runtime import services

SERVICE_ID = "default_"
QUERIES = {f"CSAS_{stream}_{number}": {"stream": stream} for number, stream in enumerate(services.STREAMS, 3)}
SINKS = {
    "connect-mongodb-transactions": (topics.FRAUDULENT_TRANSACTIONS_RESULT,),
    "connect-mongodb-users": (topics.USERS,),
}


def settings(brokers: int = 1) -> Settings:
    return Settings(
        Ports(),
        Folders(Path("/home/somebody/clone/.local"), Path("/home/somebody/.cache")),
        MongoTarget("mongodb://127.0.0.1:27017", embedded=True),
        S3Target("http://127.0.0.1:9000", "", "", "", "bucket", ""),
        kafka_brokers=brokers,
    )


def counted(records: int = 123_456_789) -> dict[str, Any]:
    """What the launcher makes of /api/state. The groups come in an order of their own."""
    groups = {
        **dict(sorted(SINKS.items())),
        **{services.query_group(SERVICE_ID, query): (topics.FRAUDULENT_TRANSACTIONS,) for query in QUERIES},
        **services.SERVICE_GROUPS,
    }
    return _counts(
        {
            "topics": {name: {"records": records, "rate": 1_234.5} for name in topics.ALL},
            "groups": {name: {"lag": dict.fromkeys(read, 98_765_432)} for name, read in groups.items()},
            "queries": QUERIES,
        }
    )


def shown(counts: Mapping[str, Any] | None, width: int, height: int, brokers: int = 1) -> list[str]:
    state = {"counts": counts, "services": {"kafka": {"phase": "ready"}}, "rss_mib": 11_209, "ready_seconds": 108.1}
    console = Console(width=width, height=height, file=io.StringIO(), soft_wrap=True, legacy_windows=False)
    with console.capture() as captured:
        console.print(live(state, settings(brokers), width, height))
    return captured.get().splitlines()


@pytest.mark.parametrize("brokers", [1, 3])
@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 50), (140, 40), (130, 36)])
def test_everything_is_on_it(width: int, height: int, brokers: int) -> None:
    lines = shown(counted(), width, height, brokers)
    text = "\n".join(lines)
    assert len(lines) < height
    assert max(map(cell_len, lines)) <= width
    assert "…" not in text
    for name in (*topics.ALL, *services.SERVICE_GROUPS, *SINKS, *(f"ksqlDB: {stream}" for stream in services.STREAMS)):
        assert any(f" {name} " in f" {line} " for line in lines), name
    own = settings(brokers)
    for where in (
        own.bootstrap,
        own.connect_url,
        own.ksqldb_url,
        own.validator_url,
        "localhost:8080",
        ":27017",
        ":9000",
    ):
        assert where in text, where
    assert text.count("123,456,789") == len(topics.ALL)
    assert text.count("98,765,432") == len(services.STREAMS) + len(SINKS) + 4  # the archiver reads two topics


def test_readers_stand_below_the_topic_that_they_read() -> None:
    order = [re.split("  +", line.strip())[0] for line in shown(counted(), 80, 24)]
    begin = order.index(topics.BANK_TRANSACTIONS)
    assert order[begin : begin + 14] == [
        topics.BANK_TRANSACTIONS,
        services.INGESTOR,
        topics.FRAUDULENT_TRANSACTIONS,
        *(f"ksqlDB: {stream}" for stream in services.STREAMS),
        topics.UNIDENTIFIED_TRANSACTIONS,
        services.PROCESSOR,
        topics.FRAUDULENT_TRANSACTIONS_RESULT,
        "connect-mongodb-transactions",
        services.ARCHIVER,
        topics.USERS,
        "connect-mongodb-users",
        services.ARCHIVER,
    ]


def test_without_the_console_the_counts_are_not_said_to_be_0() -> None:
    lines = shown(None, 80, 24)
    assert [line.split()[1:] for line in lines if line.split()[0] in topics.RECORDS] == [["-", "-"]] * len(
        topics.RECORDS
    )
    assert any("bank-transactions-dlq -" in line for line in lines)


def test_a_large_terminal_says_of_a_topic_what_the_console_says() -> None:
    lines = shown(counted(), 140, 40)
    for name, what in WHAT.items():
        assert any(name in line and what in line for line in lines), name


def test_dead_letters_are_red() -> None:
    console = Console(width=80, height=24, file=io.StringIO(), force_terminal=True, color_system="standard")
    for records, red in ((0, False), (3, True)):
        state = {"counts": counted(records), "services": {}, "rss_mib": 0, "ready_seconds": None}
        for size in ((80, 24), (140, 40)):
            with console.capture() as captured:
                console.print(live(state, settings(), *size))
            assert ("\x1b[31m" in captured.get()) == red
