"""The header `traceparent`, by W3C Trace Context: the trace that a record belongs to, and whether its spans are recorded.

Its value is ASCII text: version, trace id, span id and flags in lower-case hexadecimal, such as
`00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`. A malformed one counts as none, as the standard has it.
"""

import random

from contracts.records import Headers

TRACEPARENT = "traceparent"
# Of vendors; it goes with `traceparent`, and is passed on as it is.
TRACESTATE = "tracestate"

# The ends of values that are not sampled: nearly all are of these, and the rest of them is not looked at.
_NOT_SAMPLED = (b"-00", b"-02")  # 02: the trace id is random
_LENGTH = 55


def traceparent(trace_id: int, span_id: int, sampled: bool) -> bytes:
    """The header's value."""
    return b"00-%032x-%016x-%02x" % (trace_id, span_id, sampled)


def new_traceparent(sampled: bool) -> bytes:
    """The header's value for a trace that begins here."""
    return traceparent(random.getrandbits(128) or 1, random.getrandbits(64) or 1, sampled)


def not_sampled(value: bytes | None) -> bool:
    """Whether the flags of a header's value say so."""
    return value is not None and len(value) == _LENGTH and value[-3:] in _NOT_SAMPLED


def value_of(headers: Headers) -> bytes | None:
    """The header's value; the last one's if there are several, as in Kafka's Java clients."""
    return dict(headers).get(TRACEPARENT)


def with_traceparent(headers: Headers, value: bytes) -> Headers:
    """The headers with this one, instead of any other."""
    kept = [header for header in headers if header[0] != TRACEPARENT]
    kept.append((TRACEPARENT, value))
    return kept
