"""Figures, their medians and spread, the targets, and the table."""

import os
import platform
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

import psutil


@dataclass
class Row:
    """One measure: the values of each subject, one a repetition, and what the service is to reach."""

    name: str
    unit: str
    baseline: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    limit: list[float] = field(default_factory=list)
    # Targets: at least so many times the baseline, at least this share of the limit, at most this value.
    times_baseline: float | None = None
    share_of_limit: float | None = None
    at_most: float | None = None

    @property
    def over_baseline(self) -> float | None:
        """The median as a multiple of the baseline's, which may be a lag of 0."""
        return median(self.ours) / median(self.baseline) if self.baseline and median(self.baseline) else None

    @property
    def over_limit(self) -> float | None:
        """The median as a share of the limit's."""
        return median(self.ours) / median(self.limit) if self.limit else None

    def verdicts(self) -> list[str]:
        """Each target, and whether it is met."""
        found = []
        if self.times_baseline is not None and self.over_baseline is not None:
            found.append(_verdict(self.over_baseline >= self.times_baseline, f">= {self.times_baseline:g}x baseline"))
        if self.share_of_limit is not None and self.over_limit is not None:
            found.append(_verdict(self.over_limit >= self.share_of_limit, f">= {self.share_of_limit:g} of limit"))
        if self.at_most is not None:
            found.append(_verdict(median(self.ours) <= self.at_most, f"<= {self.at_most:g} {self.unit}"))
        return found


def table(rows: list[Row]) -> str:
    """A table in Markdown: medians, and the lowest and the highest value in brackets."""
    lines = [
        "| measure | unit | baseline | ours | limit | ours / baseline | ours / limit | targets |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        over_baseline = "" if row.over_baseline is None else f"{row.over_baseline:.1f}x"
        over_limit = "" if row.over_limit is None else f"{row.over_limit:.2f}"
        cells = [row.name, row.unit, _spread(row.baseline), _spread(row.ours), _spread(row.limit)]
        lines.append(f"| {' | '.join([*cells, over_baseline, over_limit, ', '.join(row.verdicts())])} |")
    return "\n".join(lines)


def document(rows: list[Row], mode: str, seconds: float) -> dict[str, Any]:
    """The same for machines."""
    return {
        "mode": mode,
        "seconds": round(seconds, 1),
        "machine": machine(),
        "rows": [asdict(row) | {"verdicts": row.verdicts()} for row in rows],
    }


def machine() -> dict[str, Any]:
    """What it ran on."""
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _spread(values: list[float]) -> str:
    if not values:
        return ""
    return f"{_number(median(values))} ({_number(min(values))} - {_number(max(values))})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _verdict(met: bool, target: str) -> str:
    return f"{'met' if met else 'MISSED'}: {target}"
