"""The figures of a period: values in, figures out. What is undefined is None, never an infinite or invented number.

| figure | formula |
| --- | --- |
| `total_return` | Π(1 + r) - 1 over the daily returns |
| `cagr` | (1 + total)^(365 / calendar days) - 1, where they are 365 or more |
| `volatility` | sample deviation × √A |
| `calmar` | CAGR / \\|max drawdown\\| |
| a drawdown | index / its peak - 1, the start of the period counting as the first peak |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date as Date
from decimal import Decimal
from statistics import median
from typing import NamedTuple

from jarvis_client.contract.decimals import EXACT, QUOTIENT, ZERO
from scheduler.rollup.options import RollupOptions
from scheduler.rollup.ratios import NO_DISPERSION, Series, TradeSums, profit_factor, series_of, sharpe_ratio, sortino_ratio, win_rate

#: Calendar days from which on growth is told per year: less would be extrapolated.
YEAR = 365
DRAWDOWNS_TOLD = 5


class DayFigures(NamedTuple):
    """What the row of a day says, in the currency of the summary; None where that cannot be told."""

    date: Date
    value: Decimal | None
    pnl: Decimal | None
    daily_return: float | None
    inflow: Decimal | None
    outflow: Decimal | None


class TradeFigures(NamedTuple):
    """A closed trade; `pnl`, net of fees, and `fees` in the currency of the summary, None where that cannot be told; `estimated` where a rate
    was not given by a record."""

    date: Date
    instrument: str
    side: str
    opened_at: int
    closed_at: int
    pnl: Decimal | None
    fees: Decimal | None
    estimated: bool


class Drawdown(NamedTuple):
    """A fall below a peak: the days of the peak (None: before the first row), of the trough, and on which the peak was reached again
    (None: not yet)."""

    depth: float
    peak: Date | None
    trough: Date
    recovery: Date | None


class DatedReturn(NamedTuple):
    """A return, and the first day of what it is of."""

    date: Date
    value: float


class TradeSummary(NamedTuple):
    """Closed trades. Money in the currency of the summary; None where it cannot be told of one of them, averages also where there is none.
    Holding times in microseconds."""

    trades: int
    wins: int
    losses: int
    untold: int
    win_rate: float | None
    profit_factor: float | None
    pnl: Decimal | None
    average_win: Decimal | None
    average_loss: Decimal | None
    fees: Decimal | None
    average_holding: int | None
    median_holding: int | None


@dataclass(frozen=True, slots=True)
class PeriodFigures:
    """The figures of the rows of a period. `rows_without_return` and `rows_without_pnl` are left out of what they are missing in: returns
    are linked over the others, `pnl` is None. `revalued` is what is left of closing - opening - pnl - inflow + outflow: where the valuation
    changes from books to snapshots."""

    first: Date
    last: Date
    rows: int
    calendar_days: int
    rows_without_return: int
    rows_without_pnl: int
    opening_value: Decimal | None
    closing_value: Decimal | None
    pnl: Decimal | None
    inflow: Decimal | None
    outflow: Decimal | None
    revalued: Decimal | None
    total_return: float | None
    cagr: float | None
    no_cagr: str | None
    volatility: float | None
    sharpe: float | None
    sortino: float | None
    max_drawdown: float | None
    calmar: float | None
    drawdowns: list[Drawdown]
    best_day: DatedReturn | None
    worst_day: DatedReturn | None
    best_month: DatedReturn | None
    worst_month: DatedReturn | None
    months: list[DatedReturn]
    years: list[DatedReturn]
    trades: TradeSummary
    by_instrument: list[tuple[str, str, TradeSummary]]


def figures_of_period(rows: Sequence[DayFigures], trades: Sequence[TradeFigures], before: DayFigures | None, options: RollupOptions) -> PeriodFigures:
    """The figures of the rows of a period (one at least, in order) and of the trades closed in it; `before` is the row before the first."""
    returns = [DatedReturn(r.date, r.daily_return) for r in rows if r.daily_return is not None]
    series = series_of((r.value for r in returns), options.daily_risk_free)
    total = linked([r.value for r in returns])
    days = calendar_days(rows, before)
    annual, why = cagr(total, days)
    first, last = rows[0], rows[-1]
    months, years = linked_by(returns, lambda day: day.replace(day=1)), linked_by(returns, lambda day: day.replace(month=1, day=1))
    without_pnl = sum(r.pnl is None for r in rows)
    opening, pnl, inflow, outflow = _opening(first, before), _sum(r.pnl for r in rows), _sum(r.inflow for r in rows), _sum(r.outflow for r in rows)
    return PeriodFigures(
        first.date, last.date, len(rows), days, len(rows) - len(returns), without_pnl, opening, last.value, pnl, inflow, outflow,
        _sum((last.value, _less(opening), _less(pnl), _less(inflow), outflow)), total, annual, why, volatility(series, options),
        finite(sharpe_ratio(series, options)), finite(sortino_ratio(series, options)), series.drawdown if returns else None, calmar(annual, series.drawdown),
        worst(drawdowns(returns, None if before is None else before.date)), _extreme(max, returns), _extreme(min, returns), _extreme(max, months),
        _extreme(min, months), months, years, summary_of(trades), _by_instrument(trades),
    )  # fmt: skip


def linked(returns: Sequence[float]) -> float | None:
    """What daily returns make together: Π(1 + r) - 1; None without any, or beyond what a float can hold."""
    return finite(math.prod(1.0 + r for r in returns) - 1.0) if returns else None


def linked_by(returns: Sequence[DatedReturn], first_day: Callable[[Date], Date]) -> list[DatedReturn]:
    """The returns of months or years, whose first day `first_day` gives, in order."""
    groups: dict[Date, list[float]] = {}
    for day, value in returns:
        groups.setdefault(first_day(day), []).append(value)
    return [DatedReturn(day, whole) for day, values in groups.items() if (whole := linked(values)) is not None]


def calendar_days(rows: Sequence[DayFigures], before: DayFigures | None) -> int:
    """The days that the returns span: from the end of the day of the row before, without one the first row's own day included."""
    first, last = rows[0].date, rows[-1].date
    return (last - first).days + 1 if before is None else (last - before.date).days


def cagr(total: float | None, days: int) -> tuple[float | None, str | None]:
    """The yearly growth; None, with the reason, where less than a year is covered."""
    if total is None:
        return None, "no row has a return"
    if days < YEAR:
        return None, f"{days} {'day is' if days == 1 else 'days are'} covered, less than a year"
    return (1.0 + total) ** (YEAR / days) - 1.0, None


def volatility(series: Series, options: RollupOptions) -> float | None:
    """The sample deviation of a year; None for too few returns."""
    if series.count < max(2, options.min_observations):
        return None
    return finite(math.sqrt(series.squares / (series.count - 1)) * math.sqrt(options.annualization))


def calmar(annual: float | None, max_drawdown: float) -> float | None:
    """CAGR / |max drawdown|; None without either."""
    return None if annual is None or max_drawdown > -NO_DISPERSION else annual / -max_drawdown


def drawdowns(returns: Sequence[DatedReturn], start: Date | None) -> list[Drawdown]:
    """Every fall below a peak up to its recovery, in order; they do not overlap. `start` is the day at whose end the first return begins."""
    found: list[Drawdown] = []
    depth, lowest, peak, trough = 1.0, 1.0, start, start
    for day, value in returns:
        depth *= 1.0 + value
        if depth > 1.0 - NO_DISPERSION:
            # What is below the peak by rounding alone has reached it.
            depth = 1.0
        if depth < lowest:
            lowest, trough = depth, day
        if depth == 1.0:
            if lowest < 1.0:
                assert trough is not None
                found.append(Drawdown(lowest - 1.0, peak, trough, day))
            lowest, peak = 1.0, day
    if lowest < 1.0:
        assert trough is not None
        found.append(Drawdown(lowest - 1.0, peak, trough, None))
    return found


def worst(found: Sequence[Drawdown], count: int = DRAWDOWNS_TOLD) -> list[Drawdown]:
    """The deepest, the deepest first; of equal ones the earlier."""
    return sorted(found, key=lambda d: (d.depth, d.trough))[:count]


def summary_of(trades: Sequence[TradeFigures]) -> TradeSummary:
    """What closed trades add up to."""
    sums = TradeSums().with_all(t.pnl for t in trades)
    held = [t.closed_at - t.opened_at for t in trades]
    told = not sums.untold
    return TradeSummary(
        sums.trades, sums.wins, sums.losses, sums.untold, win_rate(sums), profit_factor(sums), EXACT.subtract(sums.profit, sums.loss) if told else None,
        QUOTIENT.divide(sums.profit, Decimal(sums.wins)) if told and sums.wins else None,
        QUOTIENT.divide(sums.loss, Decimal(sums.losses)) if told and sums.losses else None,
        _sum(t.fees for t in trades), sum(held) // len(held) if held else None, int(median(held)) if held else None,
    )  # fmt: skip


def _by_instrument(trades: Sequence[TradeFigures]) -> list[tuple[str, str, TradeSummary]]:
    groups: dict[tuple[str, str], list[TradeFigures]] = {}
    for trade in trades:
        groups.setdefault((trade.instrument, trade.side), []).append(trade)
    return [(*key, summary_of(groups[key])) for key in sorted(groups)]


def _opening(first: DayFigures, before: DayFigures | None) -> Decimal | None:
    """What there was before the first row: the close before it, else what its own profit says."""
    if before is not None:
        return before.value
    if first.value is None or first.pnl is None or first.inflow is None or first.outflow is None:
        return None
    return EXACT.add(EXACT.subtract(EXACT.subtract(first.value, first.pnl), first.inflow), first.outflow)


def _extreme(choose: Callable[..., DatedReturn], returns: Sequence[DatedReturn]) -> DatedReturn | None:
    return choose(returns, key=lambda r: r.value) if returns else None


def finite(value: float | None) -> float | None:
    """The same number; None where it is none."""
    return value if value is not None and math.isfinite(value) else None


def _less(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else EXACT.minus(amount)


def _sum(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """The sum; None where one of them cannot be told."""
    total = ZERO
    for amount in amounts:
        if amount is None:
            return None
        total = EXACT.add(total, amount)
    return total


__all__ = ["DatedReturn", "DayFigures", "Drawdown", "PeriodFigures", "TradeFigures", "TradeSummary", "figures_of_period"]
