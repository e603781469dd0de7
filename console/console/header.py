"""What the head of the page says: what is wrong, or what was wrong until a few minutes ago. No I/O."""

from itertools import groupby

from console.events import Event, past, span
from console.state import State


def verdict(state: State) -> str:
    """Everything that is wrong, a line each, root causes first; what waits for the same service is one line."""
    counting = "Counting what is already there… " if state.counting else ""
    faults, warnings = state.faults, state.warnings
    if not (faults or warnings):
        return f"{counting}● Everything is healthy"
    roots = [problem.text for problem in faults if not problem.cause]
    waiting = sorted((problem for problem in faults if problem.cause), key=lambda problem: problem.cause)
    effects = [
        f"waiting for {cause}: {', '.join(dict.fromkeys(problem.name for problem in group))}"
        for cause, group in groupby(waiting, key=lambda problem: problem.cause)
    ]
    return counting + "\n".join(f"▲ {text}" for text in (*roots, *effects, *(warning.text for warning in warnings)))


def tone(state: State) -> str:
    """bad, warn or ok."""
    return "bad" if state.faults else "warn" if state.warnings else "ok"


def before(state: State, now: float) -> str:
    """What was wrong and is over, a line each."""
    return "\n".join(was(event, now) for event in state.recent)


def was(event: Event, now: float) -> str:
    """One sentence about an event that is over."""
    ago = now - (event.ended or now)
    return f"{past(event.text)} · lasted {span(event.seconds(now))} · ended {span(ago)} ago"


def title(state: State, usual: str) -> str:
    """Of the browser's tab."""
    return f"▲ {state.faults[0].text} · {usual}" if state.faults else usual
