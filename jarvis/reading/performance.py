"""Daily rows of figures, and the summary of a period."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from datetime import date as Date
from decimal import Decimal
from typing import Any

from jarvis_client.contract.decimals import canonical
from persistence.books.account_history import AccountBooks
from persistence.domain.rollup import FIGURE_COLUMNS, Figures, RollupRow, Withheld
from scheduler.rollup.converted import ConvertedRow
from scheduler.rollup.options import RollupOptions
from scheduler.rollup.period import DatedReturn, Drawdown, TradeSummary
from scheduler.rollup.summary import Summary

#: What the rollup's own row adds to the figures of a day; a row that was saved by hand has none of it.
_BEHIND = ("daily_return", "drawdown", "inflow", "outflow", "warnings")


def days_between(books: AccountBooks, first: Date | None, last: Date | None) -> tuple[dict[Date, tuple[str, Figures]], dict[Date, RollupRow]]:
    """The figures of [first, last], each with its source, and the rollup's rows from `first` on."""
    figures = {d: f for d, f in books.figures_from(first or Date.min).items() if last is None or d <= last}
    return figures, {r.date: r for r in books.rows_from(first or Date.min)}


def daily_rows(books: AccountBooks, first: Date | None, last: Date | None) -> list[dict[str, Any]]:
    """The rows of [first, last] in USD, the oldest first."""
    figures, rows = days_between(books, first, last)
    return [
        {"date": day, "source": source, **dict(zip(FIGURE_COLUMNS, values, strict=True)), **_behind(rows.get(day))}
        for day, (source, values) in sorted(figures.items())
    ]


def _behind(row: RollupRow | None) -> dict[str, Any]:
    if row is None:
        return dict.fromkeys(_BEHIND)
    return dict(zip(_BEHIND, (row.daily_return, row.depth - 1, canonical(row.inflow), canonical(row.outflow), row.warnings), strict=True))


def converted_row(row: ConvertedRow, currency: str) -> dict[str, Any]:
    """A day's row in another currency than USD."""
    figures, rate = row.figures, row.rate
    named = {
        "date": figures.date, "currency": currency, "usd_rate": None if rate is None else {"usd": canonical(rate.usd), "per": canonical(rate.per)},
        "total_value": figures.value, "pnl_daily": figures.pnl, "pnl_total": row.pnl_total, "daily_return": figures.daily_return,
        "drawdown": row.below_peak, "inflow": figures.inflow, "outflow": figures.outflow, "sharpe_ratio": row.sharpe, "sortino_ratio": row.sortino,
        "max_drawdown": row.drawdown, "win_rate": row.win_rate, "profit_factor": row.profit_factor, "trades_count": row.trades,
    }  # fmt: skip
    return {name: _plain(value) for name, value in named.items()}


def summary(account: str, options: RollupOptions, found: Summary, withheld: Iterable[Withheld]) -> dict[str, Any]:
    """The figures of a period, and what of it is withheld."""
    figures = found.figures
    plain = {f.name: _plain(getattr(figures, f.name)) for f in fields(figures) if f.name not in ("trades", "by_instrument")}
    return {
        "account_id": account, "currency": found.currency, "days_in": options.day_zone, "days_without_row": found.days_without_row,
        "days_without_rate": found.days_without_rate, "rows_by_hand": found.by_hand, **plain, "trades": _trades(figures.trades),
        "by_instrument": [{"instrument": name, "side": side, **_trades(trades)} for name, side, trades in figures.by_instrument],
        "withheld": [{"date": w.date, "reason": w.reason} for w in withheld],
    }  # fmt: skip


def withheld_in(all_withheld: Iterable[Withheld], found: Summary, first: Date | None, last: Date | None) -> list[Withheld]:
    """What is withheld of the days that a summary is of."""
    return [w for w in all_withheld if (first or found.figures.first) <= w.date <= (last or found.figures.last)]


def _trades(trades: TradeSummary) -> dict[str, Any]:
    plain = {name: _plain(value) for name, value in trades._asdict().items()}
    for name in ("average_holding", "median_holding"):
        microseconds = plain.pop(name)
        plain[f"{name}_seconds"] = None if microseconds is None else microseconds / 1_000_000
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return canonical(value)
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return value._asdict() if isinstance(value, DatedReturn | Drawdown) else value
