"""Words and names: which are reserved, and when a name has to be quoted."""

from __future__ import annotations

import re

# ksqlDB's words that are no names unless they are quoted.
_WORDS = """
ADVANCE ALL AND AS AT BEGINNING BETWEEN BY CASE CAST CATALOG CONNECTOR CONNECTORS CREATE DAYS DECIMAL DELETE
DESCRIBE DISTINCT DROP ELSE END EXISTS EXPORT EXTENDED FALSE FROM FULL GROUP HAVING HOPPING HOURS IN INNER INSERT
INTO IS JOIN LEFT LIKE LIMIT LIST LOAD MATERIALIZED MILLISECOND MILLISECONDS MINUTES MONTHS NAMESPACE NOT NULL ON
OR OUTER PAUSE PRINT PROPERTIES QUERIES QUERY RENAME RESUME RETENTION RIGHT RUN SAMPLE SCRIPT SECONDS SELECT SIZE
STREAM STREAMS TABLE TERMINATE THEN TO TOPIC TOPICS TRUE TUMBLING UNSET VALUES VIEW WHEN WHERE WINDOW WITH WITHIN
YEARS
"""
RESERVED = frozenset(_WORDS.split())

_PLAIN = re.compile(r"(?:[A-Z_][A-Z0-9_@]*|[0-9]+[A-Z_@][A-Z0-9_@]*)\Z")


def quoted(name: str) -> str:
    """The name between back-quotes, whatever it is."""
    return "`" + name.replace("`", "``") + "`"


def escaped(name: str) -> str:
    """The name as a statement has to write it: between back-quotes where it would be read otherwise without them."""
    if _PLAIN.match(name) and name not in RESERVED:
        return name
    return quoted(name)
