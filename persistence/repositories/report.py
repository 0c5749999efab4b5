"""What a report reads of an account besides its rows: fees, exposure, revisions, oddities. All of it in the snapshot that the rows come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date as Date
from typing import NamedTuple

from persistence.books.account_history import AccountBooks
from persistence.engine.contract import NO_LIMIT, Database


class FeesOfInstrument(NamedTuple):
    """The fees of an instrument's fills; `without_rate` fills are in no sum. `usd` is a float: for looking, not for books."""

    instrument: str
    usd: float
    fills: int
    without_rate: int


class ReportBooks(AccountBooks):
    """One account as its report reads it, within one snapshot."""

    def fees(self, start: int, end: int) -> list[FeesOfInstrument]:
        """The fees of the fills in [start, end), instants; rebates are below zero."""
        sql = (
            # Each fee worked out once: without the bound that bounds nothing, the sum and the count would each do it.
            "SELECT instrument, coalesce(sum(usd), 0.0), count(*), sum(CASE WHEN usd IS NULL THEN 1 ELSE 0 END) FROM ("
            "SELECT instrument, fee_usd_number AS usd FROM v_fills "
            "WHERE account_id = ? AND executed_at_us >= ? AND executed_at_us < ? AND is_voided = 0 "
            f"LIMIT {NO_LIMIT}) AS each_once GROUP BY instrument ORDER BY instrument"
        )
        return [FeesOfInstrument._make(row) for row in self._all(sql, start, end)]

    def exposure(self, days: Sequence[Date]) -> list[tuple[Date, str, float | None]]:
        """(day, currency or contract, USD) of what was held on these days; None without a rate."""
        wanted = ", ".join("?" * len(days)) or "NULL"
        sql = f"SELECT date, currency, usd_number FROM v_exposure WHERE account_id = ? AND date IN ({wanted}) ORDER BY date, currency"
        return [(Date.fromisoformat(day), name, usd) for day, name, usd in self._all(sql, *(d.isoformat() for d in days))]

    def revised(self, first: Date, last: Date) -> tuple[int, int]:
        """(revisions, days) of the figures of [first, last]."""
        sql = "SELECT count(*), count(DISTINCT date) FROM performance_revisions WHERE account_id = ? AND date BETWEEN ? AND ?"
        [(revisions, days)] = self._all(sql, first.isoformat(), last.isoformat())
        return int(revisions), int(days)

    def oddities(self, first: Date, last: Date) -> list[tuple[str, int]]:
        """(what, how often) of what the rollup found odd in [first, last]."""
        sql = "SELECT oddity, count(*) FROM rollup_oddities WHERE account_id = ? AND date BETWEEN ? AND ? GROUP BY oddity ORDER BY oddity"
        return [(what, int(count)) for what, count in self._all(sql, first.isoformat(), last.isoformat())]


@contextmanager
def reading_report(database: Database, account_id: str) -> Iterator[ReportBooks]:
    """One account in one snapshot: nothing that is committed meanwhile shows."""
    with database.snapshot() as connection:
        yield ReportBooks(connection, account_id)


__all__ = ["FeesOfInstrument", "ReportBooks", "reading_report"]
