"""Another account beside the one that is reported: both over the days that both have, so that the figures of each say something of the other.

All accounts are told in USD, so there is nothing to convert. Days are another matter: those of two zones, or that end at two hours, hold
different hours, and figures of them would only look alike.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import NamedTuple

from jarvis.report.series import Point, linked_points
from jarvis_client.contract.errors import Invalid
from persistence.books.account_history import AccountBooks
from scheduler.rollup.converted import row_figures
from scheduler.rollup.options import RollupOptions
from scheduler.rollup.period import DayFigures, PeriodFigures
from scheduler.rollup.summary import Summary, summarise


class Reported(NamedTuple):
    """An account that is told of, and the options that its figures follow."""

    id: str
    options: RollupOptions


class Beside(NamedTuple):
    """The figures of both over the days of `theirs`, what their returns come to, day by day, and how much these go together (None where
    that cannot be told)."""

    other: Reported
    ours: PeriodFigures
    theirs: PeriodFigures
    our_points: list[Point]
    their_points: list[Point]
    correlation: float | None


def check_days(account: Reported, other: Reported) -> None:
    """Raises `Invalid` where the days of the two are not the same."""
    if account.options.day_zone != other.options.day_zone:
        raise Invalid(
            f"the days of {other.id} end at {_end(other.options)}, those of {account.id} at {_end(account.options)}: they hold different hours, so "
            "their figures cannot stand beside each other; rollup.accounts in scheduler.yaml can give both one timezone and day_ends"
        )


def _end(options: RollupOptions) -> str:
    return f"{'midnight' if options.day_ends == '00:00' else options.day_ends} in {options.timezone}"


def beside(books: AccountBooks, account: Reported, others_books: AccountBooks, other: Reported, summary: Summary) -> Beside | None:
    """Both accounts over the days of the summary that both have; None where there are none."""
    whole = summary.figures
    found = summarise(others_books, other.options, whole.first, whole.last)
    if found is None:
        return None
    theirs = found.figures
    again = summary if (theirs.first, theirs.last) == (whole.first, whole.last) else summarise(books, account.options, theirs.first, theirs.last)
    if again is None:
        return None
    our_rows, their_rows = (_rows(of, theirs) for of in (books, others_books))
    return Beside(other, again.figures, theirs, linked_points(our_rows), linked_points(their_rows), _correlation(our_rows, their_rows))


def _rows(books: AccountBooks, figures: PeriodFigures) -> list[DayFigures]:
    return [row_figures(r) for r in books.rows_from(figures.first) if r.date <= figures.last]


def _correlation(ours: Iterable[DayFigures], theirs: Iterable[DayFigures]) -> float | None:
    """Of the returns of the days on which both have one."""
    return_of = {r.date: r.daily_return for r in theirs}
    pairs = [(r.daily_return, other) for r in ours if r.daily_return is not None and (other := return_of.get(r.date)) is not None]
    try:
        return statistics.correlation(*zip(*pairs, strict=True)) if pairs else None
    except statistics.StatisticsError:  # one day alone, or an account that stood still
        return None


__all__ = ["Beside", "Reported", "beside", "check_days"]
