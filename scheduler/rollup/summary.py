"""The summary of a period of an account: its rows and trades brought together, and what is missing among them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date as Date
from datetime import timedelta

from persistence.books.account_history import AccountBooks
from scheduler.rollup.converted import Converter, row_figures, trade_figures
from scheduler.rollup.days import ONE_DAY
from scheduler.rollup.options import RollupOptions
from scheduler.rollup.period import DayFigures, PeriodFigures, TradeFigures, figures_of_period


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of a period in a currency, and the trades that they are of. Of the observed days of `looked_at`, `days_without_row` ought to
    have a row and have none, and `days_without_rate` have no rate of the currency; `by_hand` rows were saved by hand, of which the summary
    is not."""

    figures: PeriodFigures
    currency: str
    looked_at: tuple[Date, Date]
    days_without_row: int
    days_without_rate: int
    by_hand: int
    trades: list[TradeFigures]


def summarise(
    books: AccountBooks, options: RollupOptions, first: Date | None, last: Date | None, currency: str = "USD", *, with_trades: bool = True
) -> Summary | None:
    """The summary of [first, last], by default of everything; None where it has no row. Without trades it tells none of their figures."""
    progress = books.progress()
    if progress is None:
        return None
    until = progress.rolled_to if last is None else min(last, progress.rolled_to)
    rows, before, trades, without_rate = (
        _in_usd(books, first, until, with_trades) if currency == "USD" else _converted(books, options, first, until, currency, with_trades)
    )
    if not rows:
        return None
    # Days before the first row of all are no gap.
    start = first if first is not None and before is not None else rows[0].date
    # Where the books are valued, a day on which nothing moved has no row and lacks none: from the first snapshot on, every day has one.
    reported = next((r.date for r in books.rows_from(Date.min) if r.close_fact_no is not None), None)
    owed = None if reported is None else max(start, reported)
    without = 0 if owed is None else sum(options.observes(owed + timedelta(n)) for n in range((until - owed).days + 1)) - sum(r.date >= owed for r in rows)
    manual = sum(source == "manual" and start <= day <= until for day, (source, _) in books.figures_from(start).items())
    return Summary(figures_of_period(rows, trades, before, options), currency, (start, until), without, without_rate, manual, trades)


_Parts = tuple[list[DayFigures], DayFigures | None, list[TradeFigures], int]


def _in_usd(books: AccountBooks, first: Date | None, until: Date, with_trades: bool) -> _Parts:
    start = first or Date.min
    before = books.row_before(start) if first is not None else None
    rows = [row_figures(r) for r in books.rows_from(start) if r.date <= until]
    trades = [trade_figures(day, trade, None) for day, trade in books.trades(_day_before(first), until)] if with_trades else []
    return rows, None if before is None else row_figures(before), trades, 0


def _converted(books: AccountBooks, options: RollupOptions, first: Date | None, until: Date, currency: str, with_trades: bool) -> _Parts:
    converter = Converter(books, options, currency)
    rows = [r for r in converter.rows() if r.figures.date <= until]
    inside = [r for r in rows if first is None or r.figures.date >= first]
    before = rows[len(rows) - len(inside) - 1].figures if len(inside) < len(rows) else None
    trades = converter.trades(_day_before(first), until) if with_trades else []
    return [r.figures for r in inside], before, trades, sum(r.rate is None for r in inside)


def _day_before(first: Date | None) -> Date | None:
    return None if first is None or first == Date.min else first - ONE_DAY


__all__ = ["Summary", "summarise"]
