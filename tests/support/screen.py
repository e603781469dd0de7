"""What a terminal shows of what a program has written: the part of an xterm that rich uses."""

import re

from rich.cells import cell_len

_CONTROL = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|\x1b[()][A-Z0-9]|\x1b[=>]")


class Screen:
    """`rows` are the lines from the top. `wrapped` is set when a line was longer than the screen is wide."""

    def __init__(self, height: int, width: int) -> None:
        self.wrapped = False
        self.resize(height, width)

    def resize(self, height: int, width: int) -> None:
        """Another size, and an empty screen."""
        self.height, self.width = height, width
        self.rows = [""] * height
        self._row = self._column = 0
        self._rest = ""

    def feed(self, text: str) -> None:
        """Take what the program has written; an escape sequence may come in two parts."""
        text, at = self._rest + text, 0
        while at < len(text):
            if text[at] != "\x1b":
                self._put(text[at])
                at += 1
            elif found := _CONTROL.match(text, at):
                self._control(found[1] or "", found[2] or "")
                at = found.end()
            elif len(text) - at < 16:
                break
            else:
                raise ValueError(f"not known: {text[at : at + 16]!r}")
        self._rest = text[at:]

    def _put(self, character: str) -> None:
        if character == "\r":
            self._column = 0
        elif character == "\n":
            self._down()
        elif character >= " ":
            if self._column + cell_len(character) > self.width:
                self.wrapped, self._column = True, 0
                self._down()
            row = self.rows[self._row].ljust(self._column)
            self.rows[self._row] = row[: self._column] + character + row[self._column + 1 :]
            self._column += 1

    def _down(self) -> None:
        if self._row + 1 < self.height:
            self._row += 1
        else:
            self.rows = [*self.rows[1:], ""]

    def _control(self, number: str, command: str) -> None:
        count = int(number) if number.isdigit() else 1
        match command:
            case "A":
                self._row = max(self._row - count, 0)
            case "K":
                self.rows[self._row] = "" if number == "2" else self.rows[self._row][: self._column]
            case "" | "m" | "h" | "l":
                pass
            case _:
                raise ValueError(f"not known: {number}{command}")
