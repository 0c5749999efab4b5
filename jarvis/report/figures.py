"""What a report needs of the books, read in one snapshot: the summary of the period, and what lies behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date as Date
from datetime import timedelta

from jarvis.report.beside import Beside, Reported, beside, check_days
from jarvis.report.quality import Around, Quality, quality_of
from jarvis.report.series import Point, every
from jarvis_client.contract.instants import end_of_day, start_of_day
from persistence.domain.finding import Note
from persistence.engine.contract import Database
from persistence.repositories.gaps import SQLiteGapRepository
from persistence.repositories.report import FeesOfInstrument, ReportBooks, reading_report
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.rollup.converted import Exchange, row_figures
from scheduler.rollup.days import ONE_DAY
from scheduler.rollup.options import RollupOptions
from scheduler.rollup.period import DayFigures, TradeFigures
from scheduler.rollup.standing import OpenLot, OpenPosition, Standing
from scheduler.rollup.summary import Summary, summarise

#: Days of which the exposure is drawn, and of which a benchmark's rate is looked up.
DAYS_OF_EXPOSURE, DAYS_OF_BENCHMARK = 120, 500

Days = tuple[Date | None, Date | None]


@dataclass(frozen=True)
class Report:
    """Everything a page tells of an account and a period. `benchmark` is the worth of one of its currency, from the close on that the
    first return is of; `fees` are by month, under its first day."""

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
    beside: Beside | None


def report_of(
    database: Database,
    account: str,
    options: RollupOptions,
    days: Days,
    benchmark: str | None = None,
    *,
    other: Reported | None = None,
    notes: Sequence[Note] | None = None,
    rows_alone: bool = False,
    fees_of: Callable[[ReportBooks, int, int], list[FeesOfInstrument]] = ReportBooks.fees,
) -> Report | None:
    """The report of the rows of [first, last]; None where there is none. Positions, lots and exposure are those at the end of the last row.

    `other` is an account to stand beside it, `notes` are the open ones of all accounts, where somebody looked. `rows_alone`: nothing that
    takes the longer the more was traded, so without trades, fees, exposure, positions and lots, which are empty. `fees_of`: the fees of
    [start, end), for who has them already. Raises `Invalid` where the days of the other account are not those of this one.
    """
    own = Reported(account, options)
    if other is not None:
        check_days(own, other)
    gaps = SQLiteGapRepository(database)
    around = Around(notes, SQLiteRollupRepository(database).withheld(account), gaps.find_open(), gaps.missing())
    with reading_report(database, account) as books:
        summary = summarise(books, options, *days, with_trades=not rows_alone)
        if summary is None:
            return None
        first, last = summary.figures.first, summary.figures.last
        rows = [r for r in books.rows_from(first) if r.date <= last]
        # The first return is of what the day before closed with, and so has to be that of the benchmark.
        before = books.row_before(first)
        drawn = [first - ONE_DAY if before is None else before.date, *every([r.date for r in rows], DAYS_OF_BENCHMARK)]
        worths = [(d, worth) for d in drawn if (worth := _worth(books, options, benchmark, d)) is not None]
        fees = [] if rows_alone else [(month, fees_of(books, start, end)) for month, start, end in _months(*summary.looked_at, options)]
        exposure = [] if rows_alone else _by_day(books.exposure(every([r.date for r in rows], DAYS_OF_EXPOSURE)))
        quality = quality_of(books, rows, summary, options, around)
        both = None if other is None else beside(books, own, books.of(other.id), other, summary)
        # Last: where options have changed since the last rollup it reads everything anew, and from then on the books show nothing of before.
        standing = None if rows_alone else Standing(books, options, last)
        return Report(
            account, options, summary, [row_figures(r) for r in rows], summary.trades, fees, exposure, [] if standing is None else standing.positions(),
            [] if standing is None else standing.lots(), quality, benchmark, worths, both,
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


__all__ = ["Beside", "Quality", "Report", "Reported", "report_of"]
