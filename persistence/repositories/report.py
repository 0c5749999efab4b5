"""What a report reads of an account besides its rows: fees, exposure, revisions, oddities, what is held in quarantine. All of it in the
snapshot that the rows come from."""

from __future__ import annotations

import json
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


#: Of what is counted, so many are named.
NAMED = 5


class Revised(NamedTuple):
    """A row that changed, at an instant, and the late records it changed by."""

    date: Date
    at: int
    cause: str
    records: list[str]


class Revisions(NamedTuple):
    """How many revisions there were, of how many days, and the newest of them."""

    revisions: int
    days: int
    newest: list[Revised]


class Met(NamedTuple):
    """What the rollup found odd on a day."""

    date: Date
    what: str
    subject: str
    detail: str


class HeldRecord(NamedTuple):
    number: int
    kind: str | None
    record_id: str | None
    reason: str


class Held(NamedTuple):
    """How many records of an account are held in quarantine, and the oldest of them."""

    records: int
    oldest: list[HeldRecord]


class ReportBooks(AccountBooks):
    """One account as its report reads it, within one snapshot."""

    def of(self, account_id: str) -> ReportBooks:
        """Another account in the same snapshot."""
        return ReportBooks(self._connection, account_id)

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
        placeholders = ", ".join("?" * len(days)) or "NULL"
        sql = f"SELECT date, currency, usd_number FROM v_exposure WHERE account_id = ? AND date IN ({placeholders}) ORDER BY date, currency"
        return [(Date.fromisoformat(day), name, usd) for day, name, usd in self._all(sql, *(d.isoformat() for d in days))]

    def revised(self, first: Date, last: Date) -> Revisions:
        """The revisions of the figures of [first, last], the newest by name."""
        where, params = "FROM performance_revisions WHERE account_id = ? AND date BETWEEN ? AND ?", (first.isoformat(), last.isoformat())
        [(revisions, days)] = self._all(f"SELECT count(*), count(DISTINCT date) {where}", *params)
        newest = self._all(f"SELECT date, revised_at, cause, facts {where} ORDER BY revised_at DESC, date DESC LIMIT {NAMED}", *params)
        return Revisions(int(revisions), int(days), [Revised(Date.fromisoformat(day), at, cause, _records(facts)) for day, at, cause, facts in newest])

    def met(self, first: Date, last: Date) -> list[Met]:
        """What the rollup found odd in [first, last], accepted or not."""
        sql = "SELECT date, oddity, subject, detail FROM rollup_oddities WHERE account_id = ? AND date BETWEEN ? AND ? ORDER BY date, oddity, subject, fact_no"
        return [Met(Date.fromisoformat(day), what, subject, detail) for day, what, subject, detail in self._all(sql, first.isoformat(), last.isoformat())]

    def held(self) -> Held:
        """What is held in quarantine of the account now, the oldest by name."""
        where = "FROM quarantine WHERE state = 'held' AND account_id = ?"
        [(count,)] = self._all(f"SELECT count(*) {where}")
        named = self._all(f"SELECT quarantine_no, kind, record_id, reason {where} ORDER BY quarantine_no LIMIT {NAMED}")
        return Held(int(count), [HeldRecord._make(row) for row in named])


def _records(facts: str) -> list[str]:
    """The records that a revision names, as `fill f1`."""
    return [f"{fact['kind']} {fact['id']}" if "id" in fact else f"{fact['more']:,} more" for fact in json.loads(facts)]


@contextmanager
def reading_report(database: Database, account_id: str) -> Iterator[ReportBooks]:
    """One account in one snapshot: nothing that is committed meanwhile shows."""
    with database.snapshot() as connection:
        yield ReportBooks(connection, account_id)


__all__ = ["NAMED", "FeesOfInstrument", "Held", "HeldRecord", "Met", "ReportBooks", "Revised", "Revisions", "reading_report"]
