"""The last minutes and what is drawn of them."""

from math import inf

import pytest

from console.charts import CHARTS, options, rows
from console.polls import Calls
from console.series import POINTS, RANGES, Series, Tick, histogram_quantiles
from console.state import Quantiles
from contracts import topics


def test_quantiles_of_a_histogram_are_of_what_came_between() -> None:
    before = {0.1: 100.0, 1.0: 100.0, inf: 100.0}
    after = {0.1: 150.0, 1.0: 198.0, inf: 200.0}
    found = histogram_quantiles(Calls(after).since(Calls(before)).buckets)
    assert found is not None
    assert found.p50 == pytest.approx(0.1)
    assert found.p99 == 1.0  # above the last bound: that bound


def test_a_new_process_counts_from_nothing() -> None:
    found = histogram_quantiles(Calls({1.0: 10.0, inf: 10.0}).since(Calls({1.0: 50.0, inf: 50.0})).buckets)
    assert found == Quantiles(0.5, 0.99)


def test_nothing_came() -> None:
    assert histogram_quantiles({}) is None
    same = Calls({1.0: 5.0, inf: 5.0})
    assert histogram_quantiles(same.since(same).buckets) is None


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.title)
def test_a_chart_has_a_number_a_line_or_a_gap(chart) -> None:
    full = Tick(1.5, dict.fromkeys(topics.ALL, 3.0), Quantiles(0.1, 0.2), Quantiles(0.01, 0.02), 0.25)
    empty = Tick(3.5, dict.fromkeys(topics.ALL, 0.0), None, None, None)
    drawn = rows(chart, [full, empty])
    assert [row[0] for row in drawn] == [1500, 3500]
    assert all(len(row) == 1 + len(chart.lines) for row in drawn)
    assert None not in drawn[0]
    assert len(options(chart, dark=True)["series"]) == len(chart.lines)


def test_a_range_keeps_as_many_points_as_any_other() -> None:
    kept = Series()
    for second in range(0, 8 * 3600, 2):
        kept.append(Tick(float(second), {}, None, None, None))
    spans = {one: kept.points(one)[-1].at - kept.points(one)[0].at for one in RANGES}
    assert all(len(kept.points(one)) == POINTS for one in RANGES)
    assert {name: round(span / 60) for name, span in spans.items()} == {"10 min": 10, "1 h": 60, "6 h": 359}


def test_a_point_of_a_longer_range_hides_no_bad_minute() -> None:
    kept = Series()
    for number in range(6):
        slow = number == 3
        kept.append(
            Tick(
                float(number),
                {topics.USERS: 12.0 if slow else 0.0},
                Quantiles(9.0, 30.0) if slow else Quantiles(0.1, 0.2),
                Quantiles(0.01, 0.02) if number == 0 else None,
                None if slow else 0.5,
            )
        )
    expected = Tick(5.0, {topics.USERS: 2.0}, Quantiles(0.1, 30.0), Quantiles(0.01, 0.02), 0.5)
    ten, hour, six = RANGES
    assert kept.points(hour) == [expected]
    assert len(kept.points(ten)) == 6
    assert kept.points(six) == []


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.title)
def test_the_lines_of_a_chart_differ_in_colour_and_in_stroke(chart, dark: bool) -> None:
    drawn = options(chart, dark)
    strokes = [str(line["lineStyle"]["type"]) for line in drawn["series"]]
    assert len(set(strokes)) == len(strokes) <= len(set(drawn["color"]))
