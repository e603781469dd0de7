"""What Quix Streams has no callback for."""

from collections.abc import Callable
from functools import wraps
from typing import Any


def after_commit(producer: Any, then: Callable[[], None]) -> None:
    """Call `then` whenever a checkpoint is committed. `producer` is the application's own: `processing_context.producer`.

    A sink's flush() is too early to count what it wrote: the transaction is committed after it, or is not.
    """
    commit = producer.commit_transaction

    @wraps(commit)
    def commit_then(*arguments: Any, **options: Any) -> None:
        commit(*arguments, **options)
        then()

    producer.commit_transaction = commit_then
