"""Series as pictures want them: few enough points, rolling ratios, spreads. Figures for the eye, in floats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date as Date
from datetime import timedelta
from typing import NamedTuple, TypeVar

from scheduler.rollup.options import RollupOptions
from scheduler.rollup.period import DatedReturn, DayFigures, volatility
from scheduler.rollup.ratios import series_of, sharpe_ratio

Point = tuple[Date, float]
T = TypeVar("T")

#: More than a screen has columns; a file of ten years stays small.
MOST_POINTS = 2_000
#: Bars narrower than two pixels are no bars: beyond so many days, one stands for a week.
MOST_BARS = 400
#: Observations that a rolling figure looks back, each from so many returns on: a fortnight, a month, a quarter once there are years.
WINDOWS = ((730, 90), (90, 30), (0, 14))
ROLLING_POINTS = 500
BINS = 24


def sampled(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """At most so many of the points; the lowest and the highest of each stretch stay, and so do the ends."""
    if len(points) <= most:
        return [*points]
    stretch = math.ceil(2 * len(points) / (most - 2))
    kept = [points[0]]
    for start in range(0, len(points), stretch):
        part = points[start : start + stretch]
        kept += sorted({min(part, key=lambda p: p[1]), max(part, key=lambda p: p[1])})
    return [*kept, points[-1]]


def linked_points(rows: Sequence[DayFigures]) -> list[Point]:
    """What the returns so far come to, day by day; until they are beyond what a float holds."""
    points: list[Point] = []
    index = 1.0
    for row in rows:
        if row.daily_return is not None:
            index *= 1.0 + row.daily_return
            if math.isinf(index):
                break
            points.append((row.date, index - 1))
    return points


def below_peak(points: Sequence[Point]) -> list[Point]:
    """How far linked returns lie below their highest so far; the start counts as the first peak."""
    found: list[Point] = []
    peak = 1.0
    for day, value in points:
        peak = max(peak, 1.0 + value)
        found.append((day, (1.0 + value) / peak - 1))
    return found


def every(all_of: Sequence[T], most: int) -> list[T]:
    """At most so many of them, evenly spread, the last one among them."""
    step = max(1, math.ceil(len(all_of) / most))
    return [*all_of[::-1][::step]][::-1]


def by_week(points: Sequence[Point]) -> list[Point]:
    """The sums of weeks, each under its Monday."""
    sums: dict[Date, float] = {}
    for day, value in points:
        monday = day - timedelta(days=day.weekday())
        sums[monday] = sums.get(monday, 0.0) + value
    return [*sums.items()]


class Rolling(NamedTuple):
    """Ratios of the last `window` observations, day by day."""

    window: int
    sharpe: list[Point]
    volatility: list[Point]


def rolling(returns: Sequence[DatedReturn], options: RollupOptions) -> Rolling:
    """The Sharpe ratio and the volatility of the observations that end with a day."""
    window = next(window for least, window in WINDOWS if len(returns) >= least)
    ends = range(window, len(returns) + 1)
    sharpe: list[Point] = []
    spread: list[Point] = []
    for end in every(ends, ROLLING_POINTS):
        series = series_of((r.value for r in returns[end - window : end]), options.daily_risk_free)
        for found, value in ((sharpe, sharpe_ratio(series, options)), (spread, volatility(series, options))):
            if value is not None:
                found.append((returns[end - 1].date, value))
    return Rolling(window, sharpe, spread)


class Bin(NamedTuple):
    """Returns of how many days lie in [least, beyond)."""

    least: float
    beyond: float
    days: int


def spread_of(returns: Sequence[float]) -> list[Bin]:
    """How often returns of which size came, in bins of one width, zero at the edge of one."""
    if not returns:
        return []
    width = step_of((max(returns) - min(returns)) / BINS)
    first = math.floor(min(returns) / width)
    counts = [0] * (math.floor(max(returns) / width) - first + 1)
    for value in returns:
        counts[math.floor(value / width) - first] += 1
    return [Bin((first + n) * width, (first + n + 1) * width, count) for n, count in enumerate(counts)]


def step_of(about: float) -> float:
    """The least round number (1, 2 or 5 and noughts) that is not below this; of nothing, a small one."""
    if about <= 0:
        return 0.001
    power = 10.0 ** math.floor(math.log10(about))
    return float(next(n for n in (power, 2 * power, 5 * power, 10 * power) if n >= about * (1 - 1e-9)))
