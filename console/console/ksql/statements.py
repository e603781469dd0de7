"""What was typed: whether it is complete, and where a statement belongs."""

import re
from enum import Enum

from runtime.ksqldb import PIECE

_SETTING = re.compile(r"SET\s+'([^']+)'\s*=\s*'([^']*)'\s*;|UNSET\s+'([^']+)'\s*;", re.IGNORECASE)
# Words without a semicolon that end the prompt.
LEAVE = ("exit", "quit")


class Kind(Enum):
    """How a statement is carried out."""

    STATEMENT = "answered at once"
    QUERY = "rows as they come"
    PRINT = "records as they come"
    SETTING = "kept here, and sent with what follows"


def complete(text: str) -> bool:
    """Whether nothing is missing: all of it ends with a semicolon, or is a word that needs none."""
    last, unclosed = "", False
    for piece in PIECE.finditer(text):
        unclosed = unclosed or bool(piece["open"])
        last = last if piece["blank"] else piece.group()
    return not unclosed and (last in ("", ";") or text.strip().lower() in LEAVE)


def kind_of(statement: str) -> Kind:
    """By its first word, which is what a server looks at too."""
    match statement.split(None, 1)[0].upper().rstrip(";"):
        case "SELECT":
            return Kind.QUERY
        case "PRINT":
            return Kind.PRINT
        case "SET" | "UNSET":
            return Kind.SETTING
    return Kind.STATEMENT


def setting(statement: str) -> tuple[str, str | None]:
    """The name and the value of SET 'name'='value'; None as the value: UNSET 'name'. Raises ValueError."""
    match = _SETTING.fullmatch(statement.strip())
    if match is None:
        raise ValueError("it is SET 'name'='value'; or UNSET 'name';")
    return (match[3], None) if match[3] else (match[1], match[2])
