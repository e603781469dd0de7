"""The running parts that the integration tests share."""

from collections.abc import Iterator

import pytest

from tests.support.expectation import SMALL
from tests.support.stack import Stack, running_broker, running_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole local stack, through which the bank sends one seeded set of transactions, poison included."""
    with running_stack(tmp_path_factory.mktemp("stack") / "local", SMALL.environment) as running:
        yield running


@pytest.fixture(scope="session")
def kafka_bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a broker with nothing on it."""
    with running_broker(tmp_path_factory.mktemp("broker")) as bootstrap:
        yield bootstrap
