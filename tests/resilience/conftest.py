"""The stack under load for the drills, and the reader that watches it."""

from collections.abc import Iterator

import pytest

from tests.support.expectation import SeededSet
from tests.support.stack import Stack, running_stack
from tests.support.watcher import Watcher

# The bank sends until the last drill stops it. At this rate each stage writes several times per second, and the drills
# together see 60,000 transactions and more.
LOAD = SeededSet(count=0, rate=100)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole local stack while the bank sends LOAD."""
    with running_stack(tmp_path_factory.mktemp("stack") / "local", LOAD.environment) as running:
        yield running


@pytest.fixture(scope="module")
def watcher(stack: Stack) -> Iterator[Watcher]:
    """A read_committed reader throughout."""
    with Watcher(stack) as watching:
        yield watching
