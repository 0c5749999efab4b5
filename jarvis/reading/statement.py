"""Periods by their names, and the statement of one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date as Date
from datetime import timedelta
from typing import Any

from jarvis_client.contract.decimals import canonical
from persistence.books.account_history import AccountBooks
from scheduler.rollup.days import day_of, last_closed_day
from scheduler.rollup.options import RollupOptions
from scheduler.rollup.statement import StatementLine

#: Of which records can be (`jarvis_client.contract.conventions`).
FIRST_YEAR, LAST_YEAR = 2000, 2099


def day(text: str) -> Date:
    """The day that an ISO text names, in that one form. Raises ValueError."""
    if len(text) != 10:
        raise ValueError(text)
    return Date.fromisoformat(text)


def days_of_month(text: str) -> tuple[Date, Date]:
    """The first and the last day of a month such as 2026-03. Raises ValueError."""
    first = day(f"{text}-01")
    return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def days_of_year(text: str) -> tuple[Date, Date]:
    """The first and the last day of a year such as 2026. Raises ValueError."""
    first = day(f"{text}-01-01")
    return first, first.replace(month=12, day=31)


def bounds(books: AccountBooks, options: RollupOptions, first: Date | None, last: Date | None, now: int) -> tuple[Date, Date]:
    """The days of a period of which one end or both are left out: without any, yesterday; else from the first record on, up to yesterday."""
    yesterday, mark = last_closed_day(now, options.zone), books.mark()
    opened = yesterday if last is None or mark is None or mark.opened_at is None else day_of(mark.opened_at, options.zone)
    return first or opened, last or yesterday


def statement(account: str, options: RollupOptions, first: Date, last: Date, lines: Iterable[StatementLine]) -> dict[str, Any]:
    rows = [dict(zip(StatementLine._fields, (line.currency, *map(canonical, line[1:])), strict=True)) for line in lines]
    return {"account_id": account, "from": first, "to": last, "days_in": options.day_zone, "currencies": rows}
