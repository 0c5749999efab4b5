"""From each figure of a row down to the closes, flows, trades and fills it comes from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date as Date
from decimal import Decimal
from typing import Any

from jarvis_client.contract.instants import end_of_day, start_of_day
from persistence.books.account_history import AccountBooks, FlowShown
from persistence.domain.rollup import FIGURE_COLUMNS, ClosedTrade, RollupRow, Withheld
from persistence.engine.contract import LiveBooks
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.rollup.disposals import realised_by_fact
from scheduler.rollup.options import RollupOptions


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a row of figures comes from. `figures` and `source` are the stored row's; `reported` what the engine said itself."""

    account_id: str
    date: Date
    source: str | None
    valuation: str | None
    figures: dict[str, Any]
    reported: dict[str, Any]
    row: RollupRow | None
    previous: RollupRow | None
    flows: list[FlowShown]
    trades: list[tuple[Date, ClosedTrade]]
    fills: list[dict[str, Any]]
    withheld: list[Withheld]


def explain(database: LiveBooks, account_id: str, options: RollupOptions, date: Date) -> Explanation:
    """Everything behind the row of a day; what there is where it has no row."""
    repository = SQLiteRollupRepository(database)
    withheld = [w for w in repository.withheld(account_id) if w.date <= date]
    with repository.reading(account_id) as books:
        source, figures = books.figures_from(date).get(date, (None, None))
        row = next(iter(r for r in books.rows_from(date) if r.date == date), None)
        previous = books.row_before(date)
        start, end = start_of_day(date, options.zone), end_of_day(date, options.zone)
        flows = _flows(books, options, previous, row) if row is not None else books.flows_shown(start - 1, end)
        trades = list(books.trades(previous and previous.date, date))
        valuation = None if row is None else "books" if row.close_fact_no is None else "snapshots"
        return Explanation(
            account_id, date, source, valuation, dict(zip(FIGURE_COLUMNS, figures, strict=True)) if figures else {},
            reported_figures(books, start, end + 1), row, previous, flows, trades, _fills(books, options, date, start, end + 1), withheld,
        )  # fmt: skip


def _flows(books: AccountBooks, options: RollupOptions, previous: RollupRow | None, row: RollupRow) -> list[FlowShown]:
    """The flows of the row's interval."""
    if previous is not None:
        return books.flows_shown(previous.close_at, row.close_at)
    found = books.flows_shown(-1, row.close_at)
    first = None if row.close_fact_no is None else books.first_snapshot(start_of_day(row.date, options.zone), row.close_at + 1)
    opened_at = row.close_at if first is None else first.instant
    if options.opening_value is not None or any(f.amount > 0 and f.instant <= opened_at for f in found):
        return found
    # What an account held before its record begins is in its opening value.
    return [f for f in found if f.instant > opened_at]


def reported_figures(books: AccountBooks, start: int, end: int) -> dict[str, Any]:
    """The figures that the engine computed itself: those of the last snapshot of [start, end) that carries any."""
    text = books.last_reported(start, end)
    return {} if text is None else json.loads(text, parse_float=Decimal, parse_int=Decimal)


def _fills(books: AccountBooks, options: RollupOptions, date: Date, start: int, end: int) -> list[dict[str, Any]]:
    """The fills of a day with what each realised, by the cost basis of the options."""
    today = list(books.fills(start, end))
    gains = realised_by_fact(books, options, date, date)
    return [
        {
            "fill_id": row.fill_id, "instant": row.instant, "symbol": row.symbol, "side": row.side, "quantity": row.quantity, "price": row.price,
            "cash": row.cash, "fee": row.fee, "fee_currency": row.fee_currency, "realised_usd": gains.get(row.fact_no),
        }
        for row in today
    ]  # fmt: skip
