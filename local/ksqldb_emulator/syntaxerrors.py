"""The words that ksqlDB finds for a syntax error.

ksqlDB's parser has three kinds of complaint: a token that no alternative of its grammar begins with ("at or near"), a
token where exactly one or two others could stand ("Expecting"), and a missing semicolon. Which one it is depends on its
grammar, which is larger than this one, so the rules below follow its grammar and not the stand-in's.
"""

from __future__ import annotations

from contextlib import suppress
from copy import copy

from lark import Token
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from local.ksqldb_emulator.names import RESERVED

# The words that begin a statement of the real server, in the order of its own list.
_COMMAND_WORDS = """
SELECT CREATE INSERT DESCRIBE PRINT EXPLAIN SHOW LIST TERMINATE PAUSE RESUME DROP SET DEFINE UNDEFINE UNSET ASSERT ALTER
"""
_COMMANDS = _COMMAND_WORDS.split()

# Words and signs that begin something which the real server runs and this one does not.
_OTHER_WORDS = """
TABLE TABLES TOPICS PROPERTIES FUNCTIONS CONNECTOR CONNECTORS TYPES TYPE VARIABLES FUNCTION EXTENDED VALUES REPLACE
SOURCE SINK BETWEEN IN LIKE CASE CAST GROUP HAVING WINDOW JOIN INNER LEFT RIGHT FULL WITHIN PRIMARY HEADER HEADERS
MAP DECIMAL FINAL AT PRINT EXPLAIN PAUSE RESUME SET UNSET DEFINE UNDEFINE ASSERT ALTER RUN + - * / % || [ := =>
"""
_NOT_HERE = frozenset(_OTHER_WORDS.split())

# The kinds of tokens that are names.
_NAMES = frozenset(
    {
        *("IDENTIFIER", "DIGIT_IDENTIFIER", "QUOTED_IDENTIFIER", "BACKQUOTED_IDENTIFIER"),
        *("SHOW", "IF", "CHANGES", "STRUCT", "ARRAY", "KEY"),
    }
)


def unexpected_token(text: str, error: UnexpectedToken) -> str:
    """The message for a token that cannot stand where it stands."""
    token = error.token
    expected = _accepted(error)
    if token.type == "$END":
        line, column = _end(text)
        if "SEMICOLON" in expected:
            return f"line {line}:{column}: Syntax Error\nmissing ';' at '<EOF>'"
        if _in_list(expected):
            return f"line {line}:{column}: Syntax Error\nSyntax error at or near \";\"\n'}}', ']', or ')' is missing"
        return _near("<EOF>", line, column)
    return _complaint(str(token), token.line or 1, token.column or 1, expected, text[token.end_pos :])


def _accepted(error: UnexpectedToken) -> set[str]:
    """The kinds of tokens that can stand in the token's place; what the error itself names is a guess."""
    accepted = set()
    for kind in error.expected:
        with suppress(UnexpectedToken):
            copy(error.state).feed_token(Token(kind, ""))
            accepted.add(kind)
    return accepted


def unexpected_character(text: str, error: UnexpectedCharacters) -> str:
    """The message for a character that begins no token."""
    return _complaint(error.char, error.line, error.column, set(), text[error.pos_in_stream + 1 :])


def _complaint(token: str, line: int, column: int, expected: set[str], rest: str) -> str:
    place = f"line {line}:{column}: Syntax Error\n"
    word = token.upper()
    a_name_is_due = expected and expected <= _NAMES
    if word in _NOT_HERE and not a_name_is_due:
        return place + (
            f"Syntax error at or near '{token}' at line {line}:{column}: "
            "if this is ksqlDB, then the local stand-in does not have it"
        )
    if "CREATE" in expected and "SELECT" in expected:  # a statement should begin here
        return place + f"Unknown statement '{token}'\nDid you mean '{_most_similar(word)}'?"
    if "SEMICOLON" in expected:
        return place + _no_semicolon(token, word, expected, rest)
    if _in_list(expected):
        return place + "Expecting {',', ')'}"
    return _near(token, line, column)


def _in_list(expected: set[str]) -> bool:
    """Whether a list between parentheses could go on or end here."""
    return {"COMMA", "RPAR"} <= expected <= {"COMMA", "RPAR", "KEY"}


def _no_semicolon(token: str, word: str, expected: set[str], rest: str) -> str:
    """The statement could have ended before the token."""
    if rest.lstrip().startswith(";"):
        if word in RESERVED:
            return (
                f'"{token}" is a reserved keyword and it can\'t be used as an identifier.'
                f" You can use it as an identifier by escaping it as '{token}' "
            )
        return "Expecting ';'"
    if word in _COMMANDS:
        return f"missing ';' at '{token}'"
    # The real server names what it expects when that is no more than three things; in a query it is always more.
    return "" if expected & {"EMIT", "LIMIT"} else "Expecting ';'"


def _near(token: str, line: int, column: int) -> str:
    return f"line {line}:{column}: Syntax Error\nSyntax error at or near '{token}' at line {line}:{column}"


def _end(text: str) -> tuple[int, int]:
    """Line and column, both from 1, right after the text."""
    return text.count("\n") + 1, len(text) - (text.rfind("\n") + 1) + 1


def _most_similar(word: str) -> str:
    return min(_COMMANDS, key=lambda command: _distance(command, word))


def _distance(one: str, other: str) -> int:
    """How many letters have to be inserted, removed or replaced to make one word the other (Levenshtein)."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]
