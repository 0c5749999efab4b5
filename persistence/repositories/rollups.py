"""The rows behind the daily rollup: what it reads of an account in one snapshot, and what it commits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date as Date
from decimal import Decimal
from typing import Any

from persistence.books import derived
from persistence.books.account_history import _ROW, AccountBooks, ContractValue, KnownRate
from persistence.domain.money import canonical
from persistence.domain.rollup import FIGURE_COLUMNS, ClosedTrade, DirtyMark, Figures, Progress, Revision, RollupRow, Withheld
from persistence.engine.contract import Connection, Database


@dataclass(slots=True)
class Changes:
    """What one pass of a rollup commits. A `None` among values deletes."""

    progress: Progress
    now: int
    mark: DirtyMark
    #: Everything derived outside these days (both included) goes.
    only_days: tuple[Date, Date] | None = None
    #: Rows of these days are replaced whole.
    replaced_rows: tuple[Date, Date] | None = None
    #: Trades and flow rates of these days (both included) are replaced whole.
    replaced_days: tuple[Date, Date] | None = None
    replaced_trades: list[tuple[Date, str]] = field(default_factory=list)
    trades: list[tuple[Date, str, int, ClosedTrade]] = field(default_factory=list)
    positions: dict[tuple[str, Date], str | None] = field(default_factory=dict)
    closes: dict[tuple[str, Date], tuple[Decimal, Decimal] | None] = field(default_factory=dict)
    rates: dict[tuple[str, Date], KnownRate | None] = field(default_factory=dict)
    contract_values: dict[tuple[str, Date], ContractValue | None] = field(default_factory=dict)
    flow_rates: list[tuple[int, Date, Decimal]] = field(default_factory=list)
    rows: list[RollupRow] = field(default_factory=list)
    removed_rows: list[Date] = field(default_factory=list)
    figures: dict[Date, Figures] = field(default_factory=dict)
    removed_figures: list[Date] = field(default_factory=list)
    withheld: list[tuple[Date, str]] = field(default_factory=list)
    withheld_range: tuple[Date, Date] | None = None
    revisions: list[Revision] = field(default_factory=list)


class SQLiteRollupRepository:
    """Reads accounts for the rollup and commits what it made of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def reading(self, account_id: str) -> Iterator[AccountBooks]:
        """One account in one snapshot: nothing that is committed meanwhile shows."""
        with self._database.snapshot() as connection:
            yield AccountBooks(connection, account_id)

    def account_ids(self) -> list[str]:
        return [row[0] for row in self._database.execute_query("SELECT account_id FROM accounts ORDER BY account_id")]

    def commit(self, account_id: str, changes: Changes, expected_generation: int | None) -> bool:
        """All of it or, where another rollup of the account came first, nothing and False."""
        with self._database.transaction() as connection:
            sql = "SELECT r.generation FROM accounts a LEFT JOIN rollup_accounts r USING (account_id) WHERE a.account_id = ?"
            found = connection.execute(sql, (account_id,)).fetchall()
            if not found or found[0][0] != expected_generation:
                return False
            with derived.followed(connection, account_id, anew=changes.only_days is not None):
                _write(connection, account_id, changes)
            return True

    def revisions(self, account_id: str, date: Date) -> list[Revision]:
        """How a row of figures changed, the oldest first."""
        rows = self._database.execute_query(
            "SELECT revised_at, before, after, cause, facts FROM performance_revisions WHERE account_id = ? AND date = ? ORDER BY revision_no",
            (account_id, date.isoformat()),
        )
        return [Revision(account_id, date, at, _json(before), _json(after), cause, json.loads(facts)) for at, before, after, cause, facts in rows]

    def withheld(self, account_id: str | None = None) -> list[Withheld]:
        """Observed days without a row, of one account or of all."""
        sql = "SELECT account_id, date, reason FROM withheld_days WHERE account_id = coalesce(?, account_id) ORDER BY account_id, date"
        return [Withheld(account, Date.fromisoformat(day), reason) for account, day, reason in self._database.execute_query(sql, (account_id,))]


_SETS = ", ".join(f"{name} = excluded.{name}" for name in _ROW.split(", ")[1:])
_PLACEHOLDERS = ", ".join("?" * (len(RollupRow._fields) + 1))
_INSERT_ROW = f"INSERT INTO rollup_rows (account_id, {_ROW}) VALUES ({_PLACEHOLDERS}) ON CONFLICT (account_id, date) DO UPDATE SET {_SETS}"


def _write(connection: Connection, account_id: str, changes: Changes) -> None:
    if changes.only_days is not None:
        since, until = changes.only_days
        for table in derived.DERIVED:
            connection.execute(f"DELETE FROM {table} WHERE account_id = ? AND (date < ? OR date > ?)", (account_id, since.isoformat(), until.isoformat()))
    _write_trades(connection, account_id, changes)
    positions = {k: None if v is None else (v,) for k, v in changes.positions.items()}
    _write_by_key(connection, account_id, "position_closes", "position", ("state",), positions)
    closes = {k: None if v is None else (canonical(v[0]), canonical(v[1])) for k, v in changes.closes.items()}
    _write_by_key(connection, account_id, "currency_closes", "currency", ("moved", "closing"), closes)
    rates = {k: None if v is None else (v.at, canonical(v.usd)) for k, v in changes.rates.items()}
    _write_by_key(connection, account_id, "currency_rates", "currency", ("at", "rate"), rates)
    worth = {k: None if v is None else (canonical(v.value), v.settle) for k, v in changes.contract_values.items()}
    _write_by_key(connection, account_id, "contract_values", "contract", ("value", "settle"), worth)
    if changes.replaced_rows is not None:
        days = tuple(d.isoformat() for d in changes.replaced_rows)
        connection.execute("DELETE FROM rollup_rows WHERE account_id = ? AND date BETWEEN ? AND ?", (account_id, *days))
    connection.executemany("DELETE FROM rollup_rows WHERE account_id = ? AND date = ?", [(account_id, d.isoformat()) for d in changes.removed_rows])
    connection.executemany(_INSERT_ROW, [(account_id, *map(_stored, row)) for row in changes.rows])
    _write_figures(connection, account_id, changes)
    if changes.withheld_range is not None:
        first, last = changes.withheld_range
        connection.execute("DELETE FROM withheld_days WHERE account_id = ? AND date BETWEEN ? AND ?", (account_id, first.isoformat(), last.isoformat()))
    connection.executemany(
        "INSERT INTO withheld_days (account_id, date, reason) VALUES (?, ?, ?) ON CONFLICT (account_id, date) DO UPDATE SET reason = excluded.reason",
        [(account_id, d.isoformat(), why) for d, why in changes.withheld],
    )
    progress = changes.progress
    connection.execute(
        "INSERT INTO rollup_accounts (account_id, options_digest, valuation, rolled_to, stale_from, seen_fact_no, estimates, withheld_from, "
        "generation, rolled_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (account_id) DO UPDATE SET options_digest = excluded.options_digest, "
        "valuation = excluded.valuation, rolled_to = excluded.rolled_to, stale_from = excluded.stale_from, seen_fact_no = excluded.seen_fact_no, "
        "estimates = excluded.estimates, withheld_from = excluded.withheld_from, generation = excluded.generation, rolled_at = excluded.rolled_at",
        (
            account_id, progress.options_digest, progress.valuation, progress.rolled_to.isoformat(), _stored(progress.stale_from), progress.seen_fact_no,
            int(progress.estimates), _stored(progress.withheld_from), progress.generation, changes.now,
        ),
    )  # fmt: skip
    _clear_marks(connection, account_id, changes)


def _clear_marks(connection: Connection, account_id: str, changes: Changes) -> None:
    """Clear the dirty mark for the facts that this rollup has seen. If facts came meanwhile, set it to the earliest of those only;
    otherwise a busy account would be redone from its beginning every night."""
    connection.execute("UPDATE accounts SET recheck_since = NULL WHERE account_id = ? AND recheck_count = ?", (account_id, changes.mark.recheck_count))
    connection.execute(
        "UPDATE accounts SET dirty_since = CASE WHEN dirty_count <> ?2 THEN (SELECT min(occurred_at) FROM ("
        "SELECT occurred_at FROM facts WHERE fact_no > ?3 AND account_id = ?1 UNION ALL "
        "SELECT f.occurred_at FROM voids v JOIN facts f ON f.fact_no = v.target_fact_no WHERE v.fact_no > ?3 AND v.account_id || '' = ?1 UNION ALL "
        # A fee counts in the trade of its fill, too, and goes with it.
        "SELECT min(e.occurred_at, coalesce(l.executed_at, e.occurred_at)) FROM fees e LEFT JOIN facts g ON g.record_id = e.fill_id "
        "AND g.account_id = e.account_id AND g.kind = 'fill' LEFT JOIN fills l ON l.fact_no = g.fact_no WHERE e.account_id = ?1 AND (e.fact_no > ?3 "
        "OR EXISTS (SELECT 1 FROM voids v WHERE v.account_id = e.account_id AND v.fact_no > ?3 AND ((v.target_kind = 'fee' AND v.target_id = e.fee_id) "
        "OR (v.target_kind = 'fill' AND v.target_id = e.fill_id))))) AS moved) END "
        "WHERE account_id = ?1",
        (account_id, changes.mark.dirty_count, changes.progress.seen_fact_no),
    )


def _write_trades(connection: Connection, account_id: str, changes: Changes) -> None:
    if changes.replaced_days is not None:
        first, last = (d.isoformat() for d in changes.replaced_days)
        connection.execute("DELETE FROM trades WHERE account_id = ? AND date BETWEEN ? AND ?", (account_id, first, last))
        connection.execute("DELETE FROM flow_rates WHERE account_id = ? AND date BETWEEN ? AND ?", (account_id, first, last))
    connection.executemany(
        "DELETE FROM trades WHERE account_id = ? AND date = ? AND position = ?", [(account_id, d.isoformat(), key) for d, key in changes.replaced_trades]
    )
    trades = [
        (
            account_id, d.isoformat(), position, number, t.direction, t.opened_at, t.closed_at, t.closing_fact_no, t.fills, canonical(t.peak),
            None if t.pnl is None else canonical(t.pnl), None if t.fees is None else canonical(t.fees), int(t.estimated),
        )
        for d, position, number, t in changes.trades
    ]  # fmt: skip
    connection.executemany(
        "INSERT INTO trades (account_id, date, position, number, direction, opened_at, closed_at, closing_fact_no, fills, peak, pnl, fees, estimated) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        trades,
    )
    connection.executemany(
        "INSERT INTO flow_rates (account_id, fact_no, date, rate) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (account_id, fact_no) DO UPDATE SET date = excluded.date, rate = excluded.rate",
        [(account_id, number, d.isoformat(), canonical(rate)) for number, d, rate in changes.flow_rates],
    )


def _write_by_key(
    connection: Connection, account_id: str, table: str, key: str, columns: tuple[str, ...], values: dict[tuple[str, Date], tuple[Any, ...] | None]
) -> None:
    """Rows of a table with the primary key (account, `key`, date); a value of None deletes its row."""
    gone = [(account_id, name, d.isoformat()) for (name, d), value in values.items() if value is None]
    connection.executemany(f"DELETE FROM {table} WHERE account_id = ? AND {key} = ? AND date = ?", gone)
    names, placeholders = ", ".join(columns), ", ".join("?" * (len(columns) + 3))
    kept = [(account_id, name, d.isoformat(), *value) for (name, d), value in values.items() if value is not None]
    sets = ", ".join(f"{name} = excluded.{name}" for name in columns)
    connection.executemany(
        f"INSERT INTO {table} (account_id, {key}, date, {names}) VALUES ({placeholders}) ON CONFLICT (account_id, {key}, date) DO UPDATE SET {sets}", kept
    )


def _write_figures(connection: Connection, account_id: str, changes: Changes) -> None:
    connection.executemany("DELETE FROM performance_metrics WHERE account_id = ? AND date = ?", [(account_id, d.isoformat()) for d in changes.removed_figures])
    sets = ", ".join(f"{name} = excluded.{name}" for name in FIGURE_COLUMNS)
    names = ", ".join(FIGURE_COLUMNS)
    connection.executemany(
        f"INSERT INTO performance_metrics (account_id, date, {names}, source, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'rollup', ?, ?) "
        f"ON CONFLICT (account_id, date) DO UPDATE SET {sets}, source = 'rollup', updated_at = excluded.updated_at",
        [(account_id, d.isoformat(), *figures, changes.now, changes.now) for d, figures in changes.figures.items()],
    )
    connection.executemany(
        "INSERT INTO performance_revisions (account_id, date, revision_no, revised_at, before, after, cause, facts) "
        "SELECT ?1, ?2, coalesce(max(revision_no), 0) + 1, ?3, ?4, ?5, ?6, ?7 FROM performance_revisions WHERE account_id = ?1 AND date = ?2",
        [
            (account_id, r.date.isoformat(), r.revised_at, r.before and json.dumps(r.before), r.after and json.dumps(r.after), r.cause, json.dumps(r.facts))
            for r in changes.revisions
        ],
    )


def _stored(value: Any) -> Any:
    if isinstance(value, Decimal):
        return canonical(value)
    if isinstance(value, Date):
        return value.isoformat()
    return int(value) if isinstance(value, bool) else value


def _json(text: str | None) -> dict[str, Any] | None:
    return None if text is None else json.loads(text)
