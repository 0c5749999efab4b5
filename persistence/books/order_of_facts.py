"""The order of facts in SQL, and the WHERE clause of a period."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from persistence.domain.instants import to_instant


def period(account_column: str, instant_column: str, account_id: str, start: datetime | None, end: datetime | None) -> tuple[str, tuple[Any, ...]]:
    """The WHERE clause of one account and [start, end)."""
    where, params = f"WHERE {account_column} = ?", [account_id]
    if start is not None:
        where, params = f"{where} AND {instant_column} >= ?", [*params, to_instant(start)]  # type: ignore[list-item]
    if end is not None:
        where, params = f"{where} AND {instant_column} < ?", [*params, to_instant(end)]  # type: ignore[list-item]
    return where, tuple(params)
