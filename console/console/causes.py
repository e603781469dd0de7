"""What is wrong, the root cause first: what a service cannot do while another one is down is no fault of its own. No I/O."""

from collections import Counter
from collections.abc import Iterable, Set
from typing import NamedTuple

from runtime import services

SERVICE = "service"
DEAD_LETTERS = "dead letters"


class Problem(NamedTuple):
    """What is not as it should be: its kind and name for metrics, and a sentence for people.

    `needs` are the services without which it cannot be otherwise, `cause` the one of them that is down, or that one of them
    needs in turn.
    """

    kind: str
    name: str
    text: str
    needs: tuple[str, ...] = ()
    cause: str = ""


def explained(problems: Iterable[Problem], down: Set[str]) -> list[Problem]:
    """The same, root causes first, those that explain most before the others; what has a cause is said to wait for it."""
    found = [_with_cause(problem, down) for problem in problems]
    effects = Counter(problem.cause for problem in found if problem.cause)
    return sorted(found, key=lambda problem: (bool(problem.cause), -effects[problem.name]))


def root(needs: Iterable[str], down: Set[str]) -> str:
    """The service that is down at the end of a chain of needs; empty when there is none."""
    for name in needs:
        found = root(services.NEEDS.get(name, ()), down) or (name if name in down else "")
        if found:
            return found
    return ""


def _with_cause(problem: Problem, down: Set[str]) -> Problem:
    cause = root(problem.needs, down)
    if not cause:
        return problem
    group = f"group {problem.name}"
    subject = {SERVICE: problem.name, "stalled": group, "missing": group}.get(
        problem.kind, f"{problem.kind} {problem.name}"
    )
    return problem._replace(text=f"{subject} waits for {cause}", cause=cause)
