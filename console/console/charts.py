"""The charts: their looks, and the rows of numbers that the points of a range give them. No I/O."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from console.series import Tick
from contracts import topics

# For each of light and dark: text, lines, and the colours of the series, apart in lightness as well as in hue.
INK = {False: "#4a5565", True: "#a9b4c4"}
RULE = {False: "#e3e7ee", True: "#2a3342"}
# And apart in their strokes: a legend shows its line's.
STROKES: tuple[str | list[int], ...] = ("solid", "dashed", "dotted", [12, 4, 2, 4])
COLOURS = {False: ["#2456c9", "#b3261e", "#8a6100", "#12805c"], True: ["#7fa8ff", "#ff8a80", "#e6bd54", "#5ed0a6"]}


@dataclass(frozen=True)
class Chart:
    """`values` takes from a tick one number per line, or None for a gap."""

    title: str
    unit: str
    lines: tuple[str, ...]
    values: Callable[[Tick], list[float | None]]


CHARTS = (
    Chart(
        "Records/s",
        "",
        ("bank", "fraudulent", "unidentified", "results"),
        lambda tick: [
            tick.rates[name]
            for name in (
                topics.BANK_TRANSACTIONS,
                topics.FRAUDULENT_TRANSACTIONS,
                topics.UNIDENTIFIED_TRANSACTIONS,
                topics.FRAUDULENT_TRANSACTIONS_RESULT,
            )
        ],
    ),
    Chart(
        "From the bank to the result",
        "s",
        ("median", "99th percentile"),
        lambda tick: [tick.end_to_end.p50, tick.end_to_end.p99] if tick.end_to_end else [None, None],
    ),
    Chart(
        "Share found fraudulent",
        "%",
        ("of the last half minute",),
        lambda tick: [None if tick.fraud_share is None else 100 * tick.fraud_share],
    ),
    Chart(
        "Calls to the validator",
        "ms",
        ("median", "99th percentile"),
        lambda tick: (
            [1000 * tick.validator_calls.p50, 1000 * tick.validator_calls.p99] if tick.validator_calls else [None, None]
        ),
    ),
)


def options(chart: Chart, dark: bool) -> dict[str, Any]:
    """What ECharts has to know of a chart before there are numbers."""
    text = {"color": INK[dark], "fontSize": 12}
    return {
        "animation": False,
        "color": COLOURS[dark],
        "textStyle": {"fontFamily": "Roboto, system-ui, sans-serif"},
        "aria": {"enabled": True, "label": {"description": f"{chart.title}: {', '.join(chart.lines)}"}},
        "grid": {"left": 8, "right": 24, "top": 44, "bottom": 4, "containLabel": True},
        "legend": {
            "left": 0,
            "top": 4,
            "itemGap": 16,
            "itemWidth": 32,
            "textStyle": text,
        },
        "tooltip": {
            "trigger": "axis",
            "confine": True,
            ":valueFormatter": f"v => v == null ? '-' : v.toFixed(2) + ' {chart.unit}'",
        },
        "xAxis": {
            "type": "time",
            "axisLabel": {**text, "hideOverlap": True},
            "axisLine": {"lineStyle": {"color": RULE[dark]}},
            "axisTick": {"show": False},
        },
        "yAxis": {
            "type": "value",
            "min": 0,
            "axisLabel": {**text, "formatter": f"{{value}} {chart.unit}"},
            "splitLine": {"lineStyle": {"color": RULE[dark]}},
            "splitNumber": 3,
        },
        "series": [
            {
                "name": name,
                "type": "line",
                "symbol": "none",
                "lineStyle": {"width": 2, "type": STROKES[number]},
                "encode": {"x": 0, "y": number + 1},
            }
            for number, name in enumerate(chart.lines)
        ],
    }


def rows(chart: Chart, ticks: Iterable[Tick]) -> list[list[float | None]]:
    """A row per tick: milliseconds since the epoch, then a number per line."""
    return [
        [round(tick.at * 1000), *(None if v is None else round(v, 3) for v in chart.values(tick))] for tick in ticks
    ]
