"""Dead letters by topic and reason: how many, since when, and the first of each. No I/O."""

from dataclasses import dataclass, replace

from console.dead_letters import DeadLetter
from console.events import NEW_REASON, Event
from contracts.dead_letters import kind_of

# Reasons kept for a topic; what comes beyond is one.
MOST = 50
OTHERS = "other reasons"


@dataclass(frozen=True)
class Reason:
    """`first` is the earliest of them that was seen, `newest` when the last one was written, in milliseconds."""

    topic: str
    text: str
    first: DeadLetter
    newest: int
    count: int = 1


class Reasons:
    """Every reason so far."""

    def __init__(self) -> None:
        self._found: dict[str, dict[str, Reason]] = {}

    def add(self, dead_letter: DeadLetter) -> None:
        """Count one that is no copy."""
        known = self._found.setdefault(dead_letter.topic, {})
        text = kind_of(dead_letter.reason)
        if text not in known and len(known) >= MOST:
            text = OTHERS
        reason = known.get(text)
        if reason is None:
            known[text] = Reason(dead_letter.topic, text, dead_letter, dead_letter.timestamp)
        else:
            first = min(reason.first, dead_letter, key=lambda one: one.timestamp)
            newest = max(reason.newest, dead_letter.timestamp)
            known[text] = replace(reason, first=first, newest=newest, count=reason.count + 1)

    def all(self) -> list[Reason]:
        """The one that was last met first."""
        found = [reason for known in self._found.values() for reason in known.values()]
        return sorted(found, key=lambda reason: reason.newest, reverse=True)


def events(reasons: list[Reason]) -> list[Event]:
    """That each came for the first time."""
    return [
        Event(
            NEW_REASON,
            f"{reason.topic}: {reason.text}",
            f"the first dead letter on {reason.topic} with the reason: {reason.text}",
            reason.first.timestamp / 1000,
            reason.first.timestamp / 1000,
        )
        for reason in reasons
    ]
