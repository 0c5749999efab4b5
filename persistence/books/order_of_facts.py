"""The order of facts in SQL, and the WHERE clause of a period."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from jarvis_client.contract.instants import to_instant

#: The columns of a fact's identity by which facts of one instant are ordered (`jarvis_client.contract.facts.place`).
_AT_ONE_INSTANT = ("coalesce(f.sequence, -1)", "coalesce(f.producer, '')", "f.sort_key")


def oldest_first(instant: str) -> str:
    """The order of facts, for ORDER BY: `instant` is the column of the instant, `f` the table of identities."""
    return ", ".join((instant, *_AT_ONE_INSTANT))


def newest_first(instant: str) -> str:
    """The order of facts backwards, for ORDER BY."""
    return ", ".join(f"{column} DESC" for column in (instant, *_AT_ONE_INSTANT))


def period(
    account_column: str | None, instant_column: str, account_id: str | None, start: datetime | None, end: datetime | None
) -> tuple[str, tuple[Any, ...]]:
    """The WHERE clause of one account (of all without a column for it) and [start, end)."""
    terms: list[tuple[str, Any]] = [] if account_column is None else [(f"{account_column} = ?", account_id)]
    if start is not None:
        terms.append((f"{instant_column} >= ?", to_instant(start)))
    if end is not None:
        terms.append((f"{instant_column} < ?", to_instant(end)))
    return f"WHERE {' AND '.join(term for term, _ in terms)}" if terms else "", tuple(value for _, value in terms)
