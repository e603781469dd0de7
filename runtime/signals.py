"""What a process does on a signal: it sets an event, which its loops wait for."""

import _thread
from collections.abc import Callable
from threading import Event


def sets(event: Event) -> Callable[..., None]:
    """A handler that sets the event, from a thread of its own.

    The signal may come while the main thread waits for that event and holds its lock: set() would wait for the lock for ever.
    `threading.Thread` has a lock of the same kind.
    """

    def handler(*_: object) -> None:
        _thread.start_new_thread(event.set, ())

    return handler
