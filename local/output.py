"""What the launcher says and shows, written by a thread: a terminal may be held, as by Ctrl-S, and the launcher must not be."""

import sys
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread

from rich.console import Console, RenderableType
from rich.live import Live

CLOSE_SECONDS = 2.0


class Output:
    """Lines stay, a picture is replaced by the next one. Whatever cannot be written, as on a full disk, is left out."""

    def __init__(self) -> None:
        # Not as rich decides: FORCE_COLOR would fill a log with pictures.
        is_terminal = sys.stdout is not None and sys.stdout.isatty()
        self._console = Console(highlight=False, soft_wrap=True, force_terminal=is_terminal)
        self.is_terminal = is_terminal and not self._console.is_dumb_terminal
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._work = SimpleQueue[Callable[[], object] | None]()
        self._thread = Thread(target=self._run, name="output", daemon=True)
        self._thread.start()

    @property
    def size(self) -> tuple[int, int]:
        """Of the terminal: columns and rows."""
        return self._console.size

    def say(self, line: str) -> None:
        """Write a line."""
        self._work.put(lambda: self._console.print(line, markup=False))

    def show(self, picture: RenderableType) -> None:
        """Replace the picture. While there is other work, as where the terminal is held, it is left to the next one."""
        if self._work.empty():
            self._work.put(lambda: self._draw(picture))

    def end_pictures(self) -> None:
        """Take the last one away."""
        self._work.put(self._live.stop)

    def close(self) -> bool:
        """Whether all was written; not so where the terminal is held."""
        self._work.put(None)
        self._thread.join(CLOSE_SECONDS)
        return not self._thread.is_alive()

    def _draw(self, picture: RenderableType) -> None:
        self._live.start()
        self._live.update(picture, refresh=True)

    def _run(self) -> None:
        for work in iter(self._work.get, None):
            with suppress(Exception, SystemExit):  # the latter is rich's word for a pipe whose reader is gone
                work()
