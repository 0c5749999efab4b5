"""From each figure of a row down to the closes, flows, trades and fills it comes from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date as Date
from decimal import Decimal
from typing import Any

from persistence.books.account_facts import FillRow, FlowRecord
from persistence.books.account_history import AccountBooks
from persistence.database import DatabaseManager
from persistence.domain.facts import Charge
from persistence.domain.instants import end_of_day, start_of_day
from persistence.domain.money import ONE
from persistence.domain.rollup import FIGURE_COLUMNS, ClosedTrade, RollupRow, Withheld
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.rollup.options import RollupOptions
from scheduler.rollup.trades import TradeFill, realised


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
    flows: list[FlowRecord]
    trades: list[tuple[Date, ClosedTrade]]
    fills: list[dict[str, Any]]
    withheld: list[Withheld]


def explain(database: DatabaseManager, account_id: str, options: RollupOptions, date: Date) -> Explanation:
    """Everything behind the row of a day; what there is where it has no row."""
    repository = SQLiteRollupRepository(database)
    withheld = [w for w in repository.withheld(account_id) if w.date <= date]
    with repository.reading(account_id) as books:
        source, figures = books.figures_from(date).get(date, (None, None))
        row = next(iter(r for r in books.rows_from(date) if r.date == date), None)
        previous = books.row_before(date)
        progress = books.progress()
        start, end = start_of_day(date, options.zone), end_of_day(date, options.zone)
        flows = _flows(books, options, previous, row) if row is not None else books.flows(start - 1, end, options.usd_like)
        trades = list(books.trades(previous and previous.date, date))
        return Explanation(
            account_id, date, source, progress and progress.valuation, dict(zip(FIGURE_COLUMNS, figures, strict=True)) if figures else {},
            reported_figures(books, start, end + 1), row, previous, flows, trades, _fills(books, options, start, end + 1), withheld,
        )  # fmt: skip


def _flows(books: AccountBooks, options: RollupOptions, previous: RollupRow | None, row: RollupRow) -> list[FlowRecord]:
    """The flows of the row's interval."""
    if previous is not None:
        return books.flows(previous.close_at, row.close_at, options.usd_like)
    found = books.flows(-1, row.close_at, options.usd_like)
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


def _fills(books: AccountBooks, options: RollupOptions, start: int, end: int) -> list[dict[str, Any]]:
    """The fills of a day with what each realised, by the cost basis of the options."""
    today = list(books.fills(start, end))
    gains: dict[int, Decimal | None] = {}
    for position in sorted({row.position for row in today}):
        history = (_trade_fill(row, options) for row in books.fills(books.opened_at(position, start), end) if row.position == position)
        gains.update((r.fact_no, r.usd) for r in realised(history, options.cost_basis))
    return [
        {
            "fill_id": row.fill_id, "instant": row.instant, "symbol": row.symbol, "side": row.side, "quantity": row.quantity, "price": row.price,
            "cash": row.cash, "fee": row.fee, "fee_currency": row.fee_currency, "realised_usd": gains.get(row.fact_no),
        }
        for row in today
    ]  # fmt: skip


def _trade_fill(row: FillRow, options: RollupOptions) -> TradeFill:
    cash_currency = row.settle or row.quote
    rate = Decimal(row.quote_rate) if row.quote_rate is not None else ONE if cash_currency in options.usd_like else None
    fee = () if row.fee in (None, "0") else (Charge(row.fee_currency, Decimal(str(row.fee)), None if row.fee_rate is None else Decimal(row.fee_rate)),)
    return TradeFill(
        row.fact_no, row.instant, row.position, row.side == "buy", Decimal(row.quantity), Decimal(row.price), Decimal(row.cash),
        ONE if row.multiplier == "1" else Decimal(row.multiplier), row.base, cash_currency, fee, rate, row.settle is not None, bool(row.inverse),
    )  # fmt: skip
