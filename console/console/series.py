"""The last minutes and hours, for the charts: what was measured at each tick, and over many. No I/O."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf
from statistics import fmean, median

from console.state import Quantiles

TICK_SECONDS = 2.0
# A line of a chart has this many points, whatever its range: more would cost memory and show nothing.
POINTS = 300
# Ticks that count as `recent`: figures of now are taken over these, since one tick may have nothing.
RECENT_TICKS = 15


@dataclass(frozen=True)
class Tick:
    """One measurement; `at` is seconds since the epoch."""

    at: float
    rates: Mapping[str, float]
    end_to_end: Quantiles | None
    validator_calls: Quantiles | None
    fraud_share: float | None


# How far back a chart may look, and of how many ticks a point of it is then made.
RANGES = {"10 min": 1, "1 h": 6, "6 h": 36}


class Series:
    """The points of every range; the oldest are forgotten."""

    def __init__(self) -> None:
        self._points = {one: deque[Tick](maxlen=POINTS) for one in RANGES}
        self._gathered: dict[str, list[Tick]] = {one: [] for one in RANGES}

    def append(self, tick: Tick) -> None:
        """Add what was measured now."""
        for one, gathered in self._gathered.items():
            gathered.append(tick)
            if len(gathered) == RANGES[one]:
                self._points[one].append(merged(gathered))
                gathered.clear()

    def points(self, of: str) -> list[Tick]:
        """The oldest first."""
        return list(self._points[of])


def merged(ticks: list[Tick]) -> Tick:
    """One tick for several: the means of rates and shares, the median of the medians, and the worst of the 99th percentiles."""
    shares = [tick.fraud_share for tick in ticks if tick.fraud_share is not None]
    return Tick(
        ticks[-1].at,
        {name: fmean(tick.rates[name] for tick in ticks) for name in ticks[-1].rates},
        _worst(tick.end_to_end for tick in ticks),
        _worst(tick.validator_calls for tick in ticks),
        fmean(shares) if shares else None,
    )


def _worst(measured: Iterable[Quantiles | None]) -> Quantiles | None:
    found = [one for one in measured if one]
    return Quantiles(median(one.p50 for one in found), max(one.p99 for one in found)) if found else None


def histogram_quantiles(buckets: Mapping[float, float]) -> Quantiles | None:
    """Of a cumulative histogram, by upper bound; None of an empty one."""
    counts = sorted(buckets.items())
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
