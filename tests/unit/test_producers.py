"""Every producer of the stack writes a record once: by a transaction, or by the settings of runtime/kafka.py."""

import re

from local.settings import ROOT
from runtime.kafka import IDEMPOTENT, transactional
from runtime.lost import watched

# Its settings come from another module, where they are transactional() as well.
ELSEWHERE = {"transactions-ingestor/ingestor/__main__.py": "transactions-ingestor/ingestor/settings.py"}


def test_every_producer_is_transactional_or_idempotent() -> None:
    sources = {
        str(path.relative_to(ROOT)): path.read_text()
        for path in ROOT.rglob("*.py")
        if path.relative_to(ROOT).parts[0] not in (".local", "tests", "benchmarks")
    }
    producers = {name for name, text in sources.items() if re.search(r"(?<!class )\bProducer\(", text)}
    safe = {
        name for name in producers if re.search(r"\*\*(IDEMPOTENT|transactional\()", sources[ELSEWHERE.get(name, name)])
    }
    assert producers - safe == set()
    assert len(producers) >= 5


def test_an_idempotent_producer_has_no_way_to_number_its_records_again() -> None:
    """librdkafka does so when a request fails behind another one, and when a record's time is over."""
    assert IDEMPOTENT["max.in.flight.requests.per.connection"] == 1
    assert IDEMPOTENT["message.timeout.ms"] == 0


def test_a_transactional_producer_says_when_it_has_lost_every_broker() -> None:
    assert transactional("replica").keys() >= watched().keys()
