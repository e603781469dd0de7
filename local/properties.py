"""Java's properties files: what a value has to look like so that Java reads it as it was meant."""

from collections.abc import Mapping


def to_text(values: Mapping[str, object]) -> str:
    """The lines of a properties file. Java reads Latin-1, takes a backslash as an escape, and skips spaces before a value."""
    return "".join(f"{key}={_escaped(str(value))}\n" for key, value in values.items())


def _escaped(value: str) -> str:
    escaped = "".join(map(_escaped_character, value))
    return f"\\{escaped}" if escaped.startswith(" ") else escaped


def _escaped_character(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if " " <= character <= "~":
        return character
    utf16 = character.encode("utf-16-be")  # what is beyond U+FFFF are two characters to Java
    return "".join(f"\\u{utf16[at] << 8 | utf16[at + 1]:04x}" for at in range(0, len(utf16), 2))
