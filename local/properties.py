"""Java's properties files: what a value has to look like so that Java reads it as it was meant."""

import json
from collections.abc import Mapping


def to_text(values: Mapping[str, object]) -> str:
    """The lines of a properties file. Java reads Latin-1, takes a backslash as an escape, and skips spaces before a value."""
    return "".join(f"{key}={_escaped(str(value))}\n" for key, value in values.items())


def _escaped(value: str) -> str:
    escaped = json.dumps(value)[1:-1]  # JSON's escapes are Java's too, but for a backspace
    return f"\\{escaped}" if escaped.startswith(" ") else escaped
