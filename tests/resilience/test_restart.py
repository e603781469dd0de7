"""A stack that is stopped in the middle of its work goes on where it was when it is started again on the same disk."""

from itertools import chain, islice
from pathlib import Path

import pytest
from confluent_kafka import IsolationLevel

from contracts import topics
from tests.support.expectation import SeededSet, expectation_of
from tests.support.settled import await_everything, nothing_lost_nothing_repeated
from tests.support.stack import running_stack, start_sh, wait_until
from tests.support.topics import ends, read_all

pytestmark = pytest.mark.long
BURST = SeededSet(count=20_000, rate=0)
AFTERWARDS = SeededSet(count=500, rate=0, seed=2)
SECONDS = 120


def test_nothing_is_twice_and_nothing_is_missing_after_a_restart(tmp_path: Path) -> None:
    expected = expectation_of(
        BURST, chain(islice(BURST.messages(), BURST.count), islice(AFTERWARDS.messages(), AFTERWARDS.count))
    )
    with running_stack(tmp_path / "local", BURST.environment) as stack:

        def sent() -> int:
            name = topics.BANK_TRANSACTIONS
            return sum(ends(stack.kafka, [name], IsolationLevel.READ_UNCOMMITTED).values())

        wait_until(lambda: sent() == BURST.count, SECONDS, "the bank has sent everything")
        rows = len(read_all(stack.kafka, topics.FRAUDULENT_TRANSACTIONS_RESULT))
        assert rows < len(expected.results), "there is no work left to be interrupted"
        stopped = stack.start_sh("--local", "--stop")
        assert stopped.returncode == 0, stopped.stdout
        started = start_sh({**stack.environment, **AFTERWARDS.environment}, "--local", "--detach")
        assert started.returncode == 0, started.stdout
        wait_until(lambda: sent() == BURST.count + AFTERWARDS.count, SECONDS, "the bank has sent the rest")
        await_everything(stack, expected, SECONDS)
        nothing_lost_nothing_repeated(stack, expected)
        assert len(read_all(stack.kafka, topics.BANK_TRANSACTIONS)) == BURST.count + AFTERWARDS.count
