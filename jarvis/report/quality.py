"""How complete the figures of a report are: what is missing, estimated, held back, odd or revised, each by its name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date as Date
from datetime import timedelta
from itertools import pairwise
from typing import NamedTuple

from jarvis_client.contract.instants import end_of_day, start_of_day
from persistence.books.account_history import FlowShown
from persistence.domain.finding import Note
from persistence.domain.rollup import RollupRow, Withheld
from persistence.repositories.gaps import Gap, Missing
from persistence.repositories.report import Held, Met, ReportBooks, Revisions
from scheduler.rollup.days import ONE_DAY
from scheduler.rollup.options import RollupOptions
from scheduler.rollup.period import TradeFigures
from scheduler.rollup.summary import Summary


class Around(NamedTuple):
    """What is known beside the account's own rows: its open notes (None: nobody looked), its withheld days, and the gaps of all producers."""

    notes: Sequence[Note] | None
    withheld: Sequence[Withheld]
    gaps: Sequence[Gap]
    missing: Missing


class Quality(NamedTuple):
    """How complete the figures are. `missing` are days without a row among the observed ones, (first, last) each; `gaps` and `numbers` that
    never arrived are of all producers; `notes` is None where nobody looked for them. The notes are those of now, all else is of the period."""

    missing: list[tuple[Date, Date]]
    withheld: list[Withheld]
    warnings: list[tuple[Date, str]]
    flows_estimated: list[FlowShown]
    trades_estimated: list[TradeFigures]
    revisions: Revisions
    met: list[Met]
    notes: list[Note] | None
    held: Held
    gaps: list[Gap]
    numbers: int


def quality_of(books: ReportBooks, rows: Sequence[RollupRow], summary: Summary, options: RollupOptions, around: Around) -> Quality:
    """The quality of the rows of a summary, and of its trades."""
    first, last = summary.figures.first, summary.figures.last
    notes = None if around.notes is None else [n for n in around.notes if n.account_id == books.account_id]
    return Quality(
        _missing(books, rows, summary, options), [w for w in around.withheld if first <= w.date <= last], [(r.date, r.warnings) for r in rows if r.warnings],
        _estimated_flows(books, first, last, options), [t for t in summary.trades if t.estimated],
        books.revised(first, last), books.met(first, last), notes, books.held(), [*around.gaps], around.missing.numbers,
    )  # fmt: skip


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


def _estimated_flows(books: ReportBooks, first: Date, last: Date, options: RollupOptions) -> list[FlowShown]:
    flows = books.flows_shown(start_of_day(first, options.zone) - 1, end_of_day(last, options.zone))
    return [f for f in flows if not f.given and f.currency not in {"USD", *options.usd_like}]


__all__ = ["Around", "Quality", "quality_of"]
