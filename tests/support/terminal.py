"""A program in a terminal of its own, as a person has it."""

import codecs
import os
import pty
import re
import select
import signal
import termios
import time
from collections.abc import Callable, Mapping, Sequence

from tests.support.screen import Screen

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>]")
CTRL_C, CTRL_D, ENTER, UP = "\x03", "\x04", "\r", "\x1b[A"


class Terminal:
    """Starts a command in a pseudo-terminal; `shown` is all that it has written, without colours, `screen` what is to be seen."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], height: int = 50, width: int = 200
    ) -> None:
        self.shown = ""
        self.screen: Screen | None = None
        self._seen = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        # Nobody answers a question for the cursor's place here.
        environment = {**os.environ, **environment, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            termios.tcsetwinsize(0, (height, width))
            os.execvpe(command[0], list(command), environment)

    def send(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def expect(self, text: str, seconds: float = 30.0) -> str:
        """Read until the text has come since the last expected one; returns what came before it."""
        deadline = time.monotonic() + seconds
        while (at := self.shown.find(text, self._seen)) < 0:
            left = deadline - time.monotonic()
            assert left > 0, f"{text!r} did not come within {seconds} s after: {self.shown[self._seen :]!r}"
            self._read(left)
        before, self._seen = self.shown[self._seen : at], at + len(text)
        return before

    def resize(self, height: int, width: int) -> None:
        """Another size; from now on there is a screen."""
        termios.tcsetwinsize(self._terminal, (height, width))
        self.screen = Screen(height, width)

    def expect_screen(self, shows: Callable[[list[str]], bool], what: str, seconds: float = 30.0) -> list[str]:
        """Read until the screen shows it; returns its lines."""
        deadline = time.monotonic() + seconds
        assert self.screen is not None
        while not shows(self.screen.rows):
            left, seen = deadline - time.monotonic(), "\n".join(self.screen.rows)
            assert left > 0, f"not within {seconds} s: {what}; the screen has:\n{seen}"
            assert self._read(left), f"it ended: {self.shown[-2000:]!r}"
        return self.screen.rows

    def wait(self, seconds: float = 30.0) -> int:
        """Read to the end, and return the exit code."""
        deadline = time.monotonic() + seconds
        while self._read(deadline - time.monotonic()):
            assert time.monotonic() < deadline, f"it did not end within {seconds} s: {self.shown[self._seen :]!r}"
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def kill(self) -> None:
        """End it, if it is still there."""
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(self._terminal)

    def _read(self, seconds: float) -> bool:
        if not select.select([self._terminal], [], [], max(seconds, 0))[0]:
            return True
        try:
            data = os.read(self._terminal, 65536)
        except OSError:  # Linux: the other end is closed
            return False
        text = self._decoder.decode(data)
        self.shown += _ESCAPES.sub("", text)
        if self.screen is not None:
            self.screen.feed(text)
        return bool(data)
