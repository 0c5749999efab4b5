"""What a report needs of the books, read in one snapshot: the summary of the period, and what lies behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date as Date
from datetime import timedelta
from itertools import pairwise
from typing import NamedTuple

from jarvis.report.series import Point, every
from jarvis_client.contract.instants import end_of_day, start_of_day
from persistence.domain.rollup import RollupRow, Withheld
from persistence.engine.contract import Database
from persistence.repositories.gaps import Missing, SQLiteGapRepository
from persistence.repositories.report import FeesOfInstrument, ReportBooks, reading_report
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.rollup.converted import Exchange, row_figures, trade_figures
from scheduler.rollup.days import ONE_DAY
from scheduler.rollup.options import RollupOptions
from scheduler.rollup.period import DayFigures, TradeFigures
from scheduler.rollup.standing import OpenLot, OpenPosition, Standing
from scheduler.rollup.summary import Summary, summarise

#: Days of which the exposure is drawn, and of which a benchmark's rate is looked up.
DAYS_OF_EXPOSURE, DAYS_OF_BENCHMARK = 120, 500

Days = tuple[Date | None, Date | None]


class Quality(NamedTuple):
    """How complete the figures are. `missing` are days without a row among the observed ones, (first, last) each; `gaps` are of all producers."""

    missing: list[tuple[Date, Date]]
    withheld: list[Withheld]
    gaps: Missing
    warnings: list[tuple[Date, str]]
    oddities: list[tuple[str, int]]
    flows_estimated: int
    trades_estimated: int
    revisions: tuple[int, int]


@dataclass(frozen=True)
class Report:
    """Everything a page tells of an account and a period. `benchmark` is the worth of one of its currency; `fees` are by month, under its first day."""

    account: str
    options: RollupOptions
    summary: Summary
    rows: list[DayFigures]
    trades: list[TradeFigures]
    fees: list[tuple[Date, list[FeesOfInstrument]]]
    exposure: list[tuple[Date, dict[str, float | None]]]
    positions: list[OpenPosition]
    lots: list[OpenLot]
    quality: Quality
    benchmark_currency: str | None
    benchmark: list[Point]


def report_of(
    database: Database,
    account: str,
    options: RollupOptions,
    days: Days,
    benchmark: str | None = None,
    *,
    rows_alone: bool = False,
    fees_of: Callable[[ReportBooks, int, int], list[FeesOfInstrument]] = ReportBooks.fees,
) -> Report | None:
    """The report of the rows of [first, last]; None where there is none. Positions, lots and exposure are those at the end of the last row.

    `rows_alone`: nothing that takes the longer the more was traded, so without trades, fees, exposure, positions and lots, which are empty.
    `fees_of`: the fees of [start, end), for who has them already.
    """
    gaps, withheld = SQLiteGapRepository(database).missing(), SQLiteRollupRepository(database).withheld(account)
    with reading_report(database, account) as books:
        summary = summarise(books, options, *days, with_trades=not rows_alone)
        if summary is None:
            return None
        first, last = summary.figures.first, summary.figures.last
        rows = [r for r in books.rows_from(first) if r.date <= last]
        trades = [] if rows_alone else [*books.trades(first - ONE_DAY, last)]
        beside = [(d, worth) for d in every([r.date for r in rows], DAYS_OF_BENCHMARK) if (worth := _worth(books, options, benchmark, d)) is not None]
        fees = [] if rows_alone else [(month, fees_of(books, start, end)) for month, start, end in _months(first, last, options)]
        exposure = [] if rows_alone else _by_day(books.exposure(every([r.date for r in rows], DAYS_OF_EXPOSURE)))
        quality = Quality(
            _missing(books, rows, summary, options), [w for w in withheld if first <= w.date <= last], gaps,
            [(r.date, r.warnings) for r in rows if r.warnings], books.oddities(first, last), _estimated_flows(books, first, last, options),
            sum(trade.estimated for _, trade in trades), books.revised(first, last),
        )  # fmt: skip
        # Last: where options have changed since the last rollup it reads everything anew, and from then on the books show nothing of before.
        standing = None if rows_alone else Standing(books, options, last)
        return Report(
            account, options, summary, [row_figures(r) for r in rows], [trade_figures(day, trade, None) for day, trade in trades], fees, exposure,
            [] if standing is None else standing.positions(), [] if standing is None else standing.lots(), quality, benchmark, beside,
        )  # fmt: skip


def _worth(books: ReportBooks, options: RollupOptions, currency: str | None, day: Date) -> float | None:
    if currency is None:
        return None
    rate = Exchange(books, options, currency).at_end(day)
    return None if rate is None else float(rate.usd) / float(rate.per)


def _months(first: Date, last: Date, options: RollupOptions) -> Iterable[tuple[Date, int, int]]:
    """(first day of the month, its first instant within the period, the one beyond its last)."""
    month = first.replace(day=1)
    while month <= last:
        following = (month + timedelta(days=31)).replace(day=1)
        yield month, start_of_day(max(month, first), options.zone), end_of_day(min(following - ONE_DAY, last), options.zone) + 1
        month = following


def _by_day(found: Iterable[tuple[Date, str, float | None]]) -> list[tuple[Date, dict[str, float | None]]]:
    days: dict[Date, dict[str, float | None]] = {}
    for day, name, usd in found:
        days.setdefault(day, {})[name] = usd
    return [*days.items()]


def _missing(books: ReportBooks, rows: Sequence[RollupRow], summary: Summary, options: RollupOptions) -> list[tuple[Date, Date]]:
    """The days that the summary counts as without a row, in stretches."""
    start, until = summary.looked_at
    before = books.row_before(start)
    # Where the books are valued, a day on which nothing moved has no row and lacks none.
    owed = start if before is not None and before.close_fact_no is not None else next((r.date for r in rows if r.close_fact_no is not None), None)
    if owed is None:
        return []
    there = [owed - ONE_DAY, *(r.date for r in rows if r.date >= owed), until + ONE_DAY]
    stretches = []
    for earlier, later in pairwise(there):
        between = [day for n in range(1, (later - earlier).days) if options.observes(day := earlier + timedelta(n))]
        if between:
            stretches.append((between[0], between[-1]))
    return stretches


def _estimated_flows(books: ReportBooks, first: Date, last: Date, options: RollupOptions) -> int:
    flows = books.flows_shown(start_of_day(first, options.zone) - 1, end_of_day(last, options.zone))
    return sum(not f.given and f.currency not in {"USD", *options.usd_like} for f in flows)


__all__ = ["Quality", "Report", "report_of"]
