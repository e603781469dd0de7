"""One stack under load for all drills, and the reader that watches it."""

from collections.abc import Iterator

import pytest

from tests.support.expectation import SeededSet
from tests.support.stack import Stack, running_stack
from tests.support.watcher import Watcher

# At this rate the load outlasts the drills, and the stages write several times a second each.
LOAD = SeededSet(count=30_000, rate=100)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole local stack while the bank sends LOAD."""
    with running_stack(tmp_path_factory.mktemp("stack") / "local", LOAD.environment) as running:
        yield running


@pytest.fixture(scope="session")
def watcher(stack: Stack) -> Iterator[Watcher]:
    """A read_committed reader throughout."""
    with Watcher(stack) as watching:
        yield watching
