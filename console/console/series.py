"""The last minutes, for the charts: what was measured at each tick. No I/O."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from console.state import Quantiles

TICK_SECONDS = 2.0
KEPT_SECONDS = 600.0
# So many ticks are `recent`: figures of now are taken over these, since one tick may have nothing.
RECENT_TICKS = 15


@dataclass(frozen=True)
class Tick:
    """One measurement; `at` is seconds since the epoch."""

    at: float
    rates: Mapping[str, float]
    end_to_end: Quantiles | None
    validator_calls: Quantiles | None
    fraud_share: float | None


Series = deque[Tick]


def series() -> Series:
    """An empty one that forgets by itself."""
    return deque(maxlen=int(KEPT_SECONDS / TICK_SECONDS))


def histogram_quantiles(before: Mapping[float, float], after: Mapping[float, float]) -> Quantiles | None:
    """Of what came between two readings of a cumulative histogram, by upper bound; None when nothing came.

    A reading that is smaller than the one before is a new process's.
    """
    if any(after.get(bound, 0.0) < count for bound, count in before.items()):
        before = {}
    counts = sorted((bound, count - before.get(bound, 0.0)) for bound, count in after.items())
    total = counts[-1][1] if counts else 0.0
    if total <= 0:
        return None
    return Quantiles(_quantile(counts, 0.5 * total), _quantile(counts, 0.99 * total))


def _quantile(counts: list[tuple[float, float]], rank: float) -> float:
    """Within its bucket a value is taken to lie in proportion, as Prometheus does; above the last bound it is that bound."""
    lower, below = 0.0, 0.0
    for bound, count in counts:
        if count >= rank:
            return lower if bound == inf else lower + (bound - lower) * (rank - below) / (count - below)
        lower, below = bound, count
    return lower
