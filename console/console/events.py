"""What happened: which events follow from what was wrong before and what is wrong now. No I/O."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from heapq import nlargest
from operator import attrgetter
from typing import Any

from console.causes import DEAD_LETTERS, SERVICE, Problem, root
from runtime import services

# So many events are kept, the newest.
KEPT = 500
# How long the header still names a problem that is over.
RECENT_SECONDS = 600.0
# A stack that starts is not healthy yet: nothing of that is an event until it was healthy once, or has had the time for it.
START_SECONDS = 120.0
# A problem that begins this soon after an outage of something it needs was caused by that outage: the service reconnects, or is
# started again.
AFTERMATH_SECONDS = 30.0
# A share of dead letters that is above its limit again this soon counts as one that stayed above it.
SWING_SECONDS = 60.0
RESTART = "restart"
# An effect may be seen before its cause.
SEEN_WITHIN_SECONDS = 5.0
NEW_REASON = "new reason"

# New reasons on a topic that come this soon after one another are shown as one event: they have one origin, such as a new bank.
TOGETHER_SECONDS = 60.0
NAMED = 3

_PAST = {"is": "was", "are": "were", "has": "had", "waits": "waited", "wait": "waited", "get": "got"}


@dataclass(frozen=True)
class Event:
    """Something that was not as it should be, from `began` until `ended` in seconds since the epoch; None while it lasts.

    `cause` is the service without which it could not be otherwise. What has no duration ends when it begins.
    """

    kind: str
    name: str
    text: str
    began: float
    ended: float | None = None
    cause: str = ""

    @property
    def key(self) -> str:
        """The same for what is known of an event when it begins and when it ends. A new reason is new once."""
        return f"{self.kind}/{self.name}" + ("" if self.kind == NEW_REASON else f"/{self.began:.3f}")

    def seconds(self, now: float) -> float:
        """How long it took, or takes."""
        return max((now if self.ended is None else self.ended) - self.began, 0.0)

    def to_json(self, now: float) -> dict[str, Any]:
        """For `/api/events`."""
        return {**asdict(self), "seconds": round(self.seconds(now), 1)}


def of_json(value: Mapping[str, Any], now: float) -> Event:
    """An event as it was written. Raises KeyError, TypeError or ValueError of anything else."""
    if not all(isinstance(value[name], str) for name in ("kind", "name", "text", "cause")):
        raise TypeError("an event's words are text")
    event = Event(**{name: value[name] for name in ("kind", "name", "text", "began", "ended", "cause")})
    if not 0 <= event.began <= (event.began if event.ended is None else event.ended) <= now + 3600:
        raise ValueError("an event's times are in the past")
    return event


class Log:
    """The newest events. `unwritten` are those that changed since they were taken from it, by their key."""

    def __init__(self) -> None:
        self._events: dict[str, Event] = {}
        self._started = False
        self._first_look: float | None = None
        self.unwritten: dict[str, Event] = {}

    def newest(self) -> list[Event]:
        """All that are kept, newest first."""
        return nlargest(KEPT, self._events.values(), attrgetter("began"))

    def take(self, stored: Iterable[Event]) -> None:
        """Take what an earlier console has written. A fault that it saw begin, and that is there yet, is one and the same."""
        unfinished = self._unfinished()
        for event in stored:
            again = unfinished.get((event.kind, event.name))
            if event.ended is None and again is not None:
                for events in (self._events, self.unwritten):
                    events.pop(again.key, None)
            self._events.setdefault(event.key, event)

    def look(self, problems: Iterable[Problem], happened: Iterable[Event], now: float) -> None:
        """Add what is wrong now, and events seen elsewhere. Those may be passed again, and may change until they end."""
        unfinished = self._unfinished()
        oldest = self.newest()[-1].began if len(self._events) >= KEPT else 0.0
        for told in happened:
            before = unfinished.pop((told.kind, told.name), None)
            if before is not None and before.began < told.began:  # nobody will tell of its end any more
                self._put(replace(before, ended=told.began))
            known = self._events.get(told.key)
            event = replace(told, cause=self._cause(services.NEEDS.get(told.name, ()), told.began))
            if event != known and event.began >= oldest and (known is None or known.ended is None):
                self._put(event)
        current: dict[tuple[str, str], Problem] = {}
        for problem in problems:
            current.setdefault((problem.kind, problem.name), problem)
        if not self._is_started(bool(current), now):
            return
        for (kind, name), problem in current.items():
            event = unfinished.pop((kind, name), None) or self._swings(kind, name, now)
            began = now if event is None else event.began
            cause = problem.cause or self._cause(problem.needs, began)
            if event is None:
                self._put(Event(kind, name, problem.text, began, cause=cause))
            elif cause and not event.cause:  # it was seen before its cause
                self._put(replace(event, text=problem.text, cause=cause))
            elif event.ended is not None:
                self._put(replace(event, ended=None))
        for event in unfinished.values():
            self._put(replace(event, ended=now))
        if len(self._events) > KEPT:
            self._events = {event.key: event for event in self.newest()}

    def recent(self, now: float) -> tuple[Event, ...]:
        """What was wrong in the last minutes and is over, the latest of each, last ended first; what only waited is left out.

        A service that was restarted is one of these, not a second time for having been down meanwhile or shortly after.
        """
        found: dict[str, Event] = {}
        for event in sorted(self._events.values(), key=lambda event: event.ended or 0.0, reverse=True):
            ended = event.ended or 0.0
            if now - ended < RECENT_SECONDS and ended > event.began and not event.cause:
                known = found.get(event.name)
                if known is None or (event.kind == RESTART != known.kind and known.began < ended + AFTERMATH_SECONDS):
                    found[event.name] = event
        return tuple(found.values())

    def _cause(self, needs: tuple[str, ...], at: float) -> str:
        """The service that was away when something began that needs it, or shortly before."""
        away = {
            event.name
            for event in self._events.values()
            if event.kind in (SERVICE, RESTART)
            and event.began <= at + SEEN_WITHIN_SECONDS
            and (event.ended is None or at - event.ended < AFTERMATH_SECONDS)
        }
        return root(needs, away) if needs else ""

    def _swings(self, kind: str, name: str, now: float) -> Event | None:
        """The event of a share of dead letters that is above its limit again; None when it is a new one."""
        if kind != DEAD_LETTERS:
            return None
        events = [event for event in self._events.values() if (event.kind, event.name) == (kind, name)]
        newest = max(events, key=attrgetter("began"), default=None)
        return newest if newest and newest.ended is not None and now - newest.ended < SWING_SECONDS else None

    def _unfinished(self) -> dict[tuple[str, str], Event]:
        return {(event.kind, event.name): event for event in self._events.values() if event.ended is None}

    def _is_started(self, wrong: bool, now: float) -> bool:
        if self._first_look is None:
            self._first_look = now
        self._started = self._started or not wrong or now - self._first_look > START_SECONDS
        return self._started

    def _put(self, event: Event) -> None:
        self._events[event.key] = self.unwritten[event.key] = event


def past(text: str) -> str:
    """The sentence about a fault, of one that is over."""
    return re.sub(rf"\b({'|'.join(_PAST)})\b", lambda found: _PAST[found[0]], text)


def together(happened: Iterable[Event]) -> list[Event]:
    """Newest first, as they are given; the new reasons on a topic that come together are one event, at the newest of them."""
    found: list[Event] = []
    reasons: dict[str, tuple[int, list[Event]]] = {}
    for event in happened:
        topic = event.name.partition(": ")[0]
        if event.kind == NEW_REASON:
            place, same = reasons.get(topic, (0, []))
            if same and same[-1].began - event.began < TOGETHER_SECONDS:
                same.append(event)
                found[place] = _as_one(topic, same)
                continue
            reasons[topic] = len(found), [event]
        found.append(event)
    return found


def _as_one(topic: str, new: list[Event]) -> Event:
    names = [event.name.removeprefix(f"{topic}: ") for event in new[:NAMED]]
    more = f"; and {len(new) - NAMED} more" if len(new) > NAMED else ""
    return replace(new[0], text=f"the first dead letters on {topic} with {len(new)} reasons: {'; '.join(names)}{more}")


def span(seconds: float) -> str:
    """A duration for people."""
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 1 else "under 1 s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
