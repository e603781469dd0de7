"""The last minutes and what is drawn of them."""

from math import inf

import pytest

from console.charts import CHARTS, options, rows
from console.series import Tick, histogram_quantiles
from console.state import Quantiles
from contracts import topics


def test_quantiles_of_a_histogram_are_of_what_came_between() -> None:
    before = {0.1: 100.0, 1.0: 100.0, inf: 100.0}
    after = {0.1: 150.0, 1.0: 198.0, inf: 200.0}
    found = histogram_quantiles(before, after)
    assert found is not None
    assert found.p50 == pytest.approx(0.1)
    assert found.p99 == 1.0  # above the last bound: that bound


def test_a_new_process_counts_from_nothing() -> None:
    found = histogram_quantiles({1.0: 50.0, inf: 50.0}, {1.0: 10.0, inf: 10.0})
    assert found == Quantiles(0.5, 0.99)


def test_nothing_came() -> None:
    assert histogram_quantiles({}, {}) is None
    assert histogram_quantiles({1.0: 5.0, inf: 5.0}, {1.0: 5.0, inf: 5.0}) is None


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.title)
def test_a_chart_has_a_number_a_line_or_a_gap(chart) -> None:
    full = Tick(1.5, dict.fromkeys(topics.ALL, 3.0), Quantiles(0.1, 0.2), Quantiles(0.01, 0.02), 0.25)
    empty = Tick(3.5, dict.fromkeys(topics.ALL, 0.0), None, None, None)
    drawn = rows(chart, [full, empty])
    assert [row[0] for row in drawn] == [1500, 3500]
    assert all(len(row) == 1 + len(chart.lines) for row in drawn)
    assert None not in drawn[0]
    assert len(options(chart, dark=True)["series"]) == len(chart.lines)
