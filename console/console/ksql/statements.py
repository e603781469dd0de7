"""What was typed: whether it is complete, and what it sets."""

import re

from runtime.ksqldb import PIECE

_SETTING = re.compile(r"SET\s+'([^']+)'\s*=\s*'([^']*)'\s*;|UNSET\s+'([^']+)'\s*;", re.IGNORECASE)
# Words without a semicolon that end the prompt.
LEAVE = ("exit", "quit")


def complete(text: str) -> bool:
    """Whether nothing is missing: all of it ends with a semicolon, or is a word that needs none."""
    last, unclosed = "", False
    for piece in PIECE.finditer(text):
        unclosed = unclosed or bool(piece["open"])
        last = last if piece["blank"] else piece.group()
    return not unclosed and (last in ("", ";") or text.strip().lower() in LEAVE)


def setting(statement: str) -> tuple[str, str | None]:
    """The name and the value of SET 'name'='value'; None as the value: UNSET 'name'. Raises ValueError."""
    match = _SETTING.fullmatch(statement.strip())
    if match is None:
        raise ValueError("write SET 'name'='value'; or UNSET 'name';")
    return (match[3], None) if match[3] else (match[1], match[2])
