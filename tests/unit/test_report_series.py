"""Series for pictures: few points that keep what matters, rolling ratios, spreads, round steps."""

from __future__ import annotations

import random
import re
from datetime import date, timedelta
from statistics import fmean, stdev

import pytest

from jarvis.report import pictures
from jarvis.report.pictures import Bar, Line
from jarvis.report.series import MOST_POINTS, by_week, every, rolling, sampled, spread_of, step_of
from scheduler.rollup.options import RollupOptions
from scheduler.rollup.period import DatedReturn

START = date(2016, 1, 1)


def walk(count: int) -> list[tuple[date, float]]:
    chance = random.Random(count)
    return [(START + timedelta(n), chance.gauss(0, 1)) for n in range(count)]


@pytest.mark.parametrize("count", [0, 1, 2, MOST_POINTS, MOST_POINTS + 1, 3_650, 20_000])
def test_a_sampled_series_is_short_enough_and_keeps_its_ends_and_extremes(count):
    points = walk(count)
    shown = sampled(points)
    assert len(shown) <= MOST_POINTS
    assert [*dict.fromkeys(shown)] == sorted({*shown}), "in the order of time"
    if points:
        assert (shown[0], shown[-1]) == (points[0], points[-1])
        assert {min(v for _, v in points), max(v for _, v in points)} <= {v for _, v in shown}


def test_weeks_hold_what_their_days_hold():
    points = walk(100)
    weeks = by_week(points)
    assert sum(v for _, v in weeks) == pytest.approx(sum(v for _, v in points))
    assert {day.weekday() for day, _ in weeks} == {0}


@pytest.mark.parametrize("most", [1, 3, 120, 1_000])
def test_every_nth_ends_with_the_last(most):
    found = every(range(365), most)
    assert len(found) <= most
    assert found[-1] == 364


@pytest.mark.parametrize(("count", "window"), [(40, 14), (200, 30), (800, 90)])
def test_rolling_figures_are_those_of_the_last_returns(count, window):
    returns = [DatedReturn(day, value / 100) for day, value in walk(count)]
    found = rolling(returns, RollupOptions())
    last = [r.value for r in returns[-window:]]
    assert found.window == window
    assert found.sharpe[-1] == (returns[-1].date, pytest.approx(fmean(last) / stdev(last) * 365**0.5))
    assert found.volatility[-1] == (returns[-1].date, pytest.approx(stdev(last) * 365**0.5))


def test_every_return_lies_in_one_bin_and_none_of_them_spans_zero():
    returns = [value / 100 for _, value in walk(500)]
    bins = spread_of(returns)
    assert sum(b.days for b in bins) == 500
    assert not [b for b in bins if b.least < -1e-12 and b.beyond > 1e-12]
    assert spread_of([]) == []
    assert [b.days for b in spread_of([0.0, 0.0])] == [2]


@pytest.mark.parametrize(("about", "step"), [(0.7, 1), (1, 1), (1.1, 2), (3, 5), (6, 10), (0.013, 0.02), (0, 0.001)])
def test_steps_are_round(about, step):
    assert step_of(about) == pytest.approx(step)


def test_texts_in_pictures_are_escaped():
    drawn = pictures.bars("<b>", [Bar([("up", 1.0)], "<script>")], lambda v: "<i>", ["<u>"])
    assert not re.search(r"<(b|script|i|u)>", drawn)
    assert "&lt;script&gt;" in drawn


@pytest.mark.parametrize("values", [[0.0], [5.0], [5.0, 5.0], [-1e9, 1e9], [1e-9, 2e-9]])
def test_every_series_can_be_drawn(values):
    drawn = pictures.lines("value", [Line("value", [(START + timedelta(n), v) for n, v in enumerate(values)])], str, area=True)
    assert drawn.startswith("<svg")
    assert not re.search("nan|inf", drawn)
