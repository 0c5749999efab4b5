"""The tables of a report: months, trades by what they have in common, the best and the worst of them, fees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import NamedTuple

from jarvis.report.figures import Report
from jarvis_client.contract.decimals import EXACT, ZERO
from persistence.repositories.report import FeesOfInstrument
from scheduler.rollup.period import DatedReturn, TradeFigures, TradeSummary, summary_of

#: Steps of colour of the heat map, in each direction.
HEAT = 4
EXTREMES = 5
MOST_LISTED = 40


class Cell(NamedTuple):
    """The return of a month, and the class that colours it."""

    value: float | None
    heat: str


class Year(NamedTuple):
    year: int
    months: list[Cell]
    whole: Cell


def months(report: Report) -> list[Year]:
    """The returns by month and year; the deeper the colour, the greater the return beside the greatest there was."""
    figures = report.summary.figures
    return_of = {(r.date.year, r.date.month): r.value for r in figures.months}
    scale, scale_of_years = _greatest(figures.months), _greatest(figures.years)
    return [
        Year(r.date.year, [_cell(return_of.get((r.date.year, n)), scale) for n in range(1, 13)], _cell(r.value, scale_of_years)) for r in figures.years
    ]  # fmt: skip


def _greatest(returns: Sequence[DatedReturn]) -> float:
    return max((abs(r.value) for r in returns), default=0.0)


def _cell(value: float | None, greatest: float) -> Cell:
    if not value:
        return Cell(value, "")
    return Cell(value, f"{'gain' if value > 0 else 'fall'}-{max(1, round(abs(value) / greatest * HEAT))}")


def grouped(trades: Sequence[TradeFigures], key: Callable[[TradeFigures], str]) -> list[tuple[str, TradeSummary]]:
    """Closed trades by what they have in common, the greatest profit first; those whose profit cannot be told last."""
    groups: dict[str, list[TradeFigures]] = {}
    for trade in trades:
        groups.setdefault(key(trade), []).append(trade)
    return sorted(((name, summary_of(found)) for name, found in groups.items()), key=lambda g: (g[1].pnl is None, EXACT.minus(g[1].pnl or ZERO), g[0]))


def extremes(trades: Sequence[TradeFigures], *, best: bool) -> list[TradeFigures]:
    """The trades with the greatest profit, or with the greatest loss."""

    def rank(trade: TradeFigures) -> Decimal:
        assert trade.pnl is not None
        return EXACT.minus(trade.pnl) if best else trade.pnl

    told = [t for t in trades if t.pnl is not None and (t.pnl > 0 if best else t.pnl < 0)]
    return sorted(told, key=rank)[:EXTREMES]


class Fees(NamedTuple):
    """Fees of months, by instrument: the columns, a row of sums for each month that has some, and the sums of all. `without_rate` fills
    are in no sum."""

    columns: list[str]
    months: list[tuple[str, list[float], float]]
    whole: list[float]
    total: float
    without_rate: int


#: Instruments with a column of their own.
COLUMNS = 6


def fees(report: Report) -> Fees:
    sums: dict[str, float] = {}
    for _, found in report.fees:
        for of in found:
            sums[of.instrument] = sums.get(of.instrument, 0.0) + of.usd
    names = sorted(sums, key=lambda name: (-abs(sums[name]), name))
    own = names if len(names) <= COLUMNS else names[: COLUMNS - 1]
    rest = names[len(own) :]
    heads = [*own, *([f"{len(rest)} others"] if rest else [])]

    def row(found: Sequence[FeesOfInstrument]) -> list[float]:
        of = {f.instrument: f.usd for f in found}
        return [*(of.get(name, 0.0) for name in own), *([sum(of.get(name, 0.0) for name in rest)] if rest else [])]

    rows = [(f"{month:%Y-%m}", row(found), sum(f.usd for f in found)) for month, found in report.fees if found]
    whole = [*(sums[name] for name in own), *([sum(sums[name] for name in rest)] if rest else [])]
    return Fees(heads, rows, whole, sum(sums.values()), sum(f.without_rate for _, found in report.fees for f in found))


__all__ = ["Cell", "Fees", "Year", "extremes", "fees", "grouped", "months"]
