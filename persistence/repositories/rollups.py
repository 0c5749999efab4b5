"""The rows behind the daily rollup: what it reads of an account in one snapshot, and what it commits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date as Date
from decimal import Decimal
from typing import Any

from jarvis_client.contract.decimals import canonical
from persistence.books import accounts, derived
from persistence.books.account_history import _ROW, AccountBooks, ContractValue, DayClose
from persistence.domain.rollup import (
    FIGURE_COLUMNS,
    ClosedTrade,
    DirtyMark,
    Figures,
    FlowValue,
    KnownRate,
    Lot,
    Oddity,
    Progress,
    Revision,
    RollupRow,
    Withheld,
)
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
    #: What was replayed: everything below that is of these days (both included) is replaced whole.
    replaced_days: tuple[Date, Date] | None = None
    trades: list[tuple[Date, str, int, ClosedTrade]] = field(default_factory=list)
    closes: list[tuple[str, Date, DayClose]] = field(default_factory=list)
    lots: list[tuple[str, Lot]] = field(default_factory=list)
    rates: list[tuple[str, Date, KnownRate]] = field(default_factory=list)
    contract_values: list[tuple[str, Date, ContractValue]] = field(default_factory=list)
    flow_values: list[tuple[Date, FlowValue]] = field(default_factory=list)
    oddities: list[tuple[Date, Oddity]] = field(default_factory=list)
    #: Closings of later days that differ although nothing else of them does.
    shifted: list[tuple[str, Date, Decimal]] = field(default_factory=list)
    rows: list[RollupRow] = field(default_factory=list)
    removed_rows: list[Date] = field(default_factory=list)
    figures: dict[Date, Figures] = field(default_factory=dict)
    removed_figures: list[Date] = field(default_factory=list)
    withheld: list[tuple[Date, str]] = field(default_factory=list)
    #: Currencies for want of whose rate a day is withheld.
    unknown: list[tuple[Date, str]] = field(default_factory=list)
    withheld_range: tuple[Date, Date] | None = None
    revisions: list[Revision] = field(default_factory=list)

    @classmethod
    def none(cls, rolled_to: Date) -> Changes:
        """Nothing to commit, for who only reads."""
        return cls(Progress("", None, rolled_to, None, 0, 0, 0, ()), 0, DirtyMark(None, None, None, 0, 0))


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
            accounts.hold(connection, [account_id])
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
        """Observed days without a row, and figures that are missing from rows, for want of a rate; of one account or of all."""
        sql = (
            "SELECT account_id, date, reason FROM withheld_days WHERE account_id = coalesce(?1, account_id) UNION ALL "
            "SELECT account_id, date, detail FROM rollup_oddities WHERE oddity = 'rate missing' AND account_id = coalesce(?1, account_id) ORDER BY 1, 2, 3"
        )
        return [Withheld(account, Date.fromisoformat(day), reason) for account, day, reason in self._database.execute_query(sql, (account_id,))]


_SETS = ", ".join(f"{name} = excluded.{name}" for name in _ROW.split(", ")[1:])
_PLACEHOLDERS = ", ".join("?" * (len(RollupRow._fields) + 1))
_INSERT_ROW = f"INSERT INTO rollup_rows (account_id, {_ROW}) VALUES ({_PLACEHOLDERS}) ON CONFLICT (account_id, date) DO UPDATE SET {_SETS}"


def _write(connection: Connection, account_id: str, changes: Changes) -> None:
    if changes.only_days is not None:
        since, until = changes.only_days
        for table in derived.DERIVED:
            connection.execute(f"DELETE FROM {table} WHERE account_id = ? AND (date < ? OR date > ?)", (account_id, since.isoformat(), until.isoformat()))
    _write_replayed(connection, account_id, changes)
    if changes.replaced_rows is not None:
        days = tuple(d.isoformat() for d in changes.replaced_rows)
        connection.execute("DELETE FROM rollup_rows WHERE account_id = ? AND date BETWEEN ? AND ?", (account_id, *days))
    connection.executemany("DELETE FROM rollup_rows WHERE account_id = ? AND date = ?", [(account_id, d.isoformat()) for d in changes.removed_rows])
    connection.executemany(_INSERT_ROW, [(account_id, *map(_stored, row)) for row in changes.rows])
    _write_figures(connection, account_id, changes)
    if changes.withheld_range is not None:
        days = tuple(d.isoformat() for d in changes.withheld_range)
        for table in ("withheld_days", "withheld_currencies"):
            connection.execute(f"DELETE FROM {table} WHERE account_id = ? AND date BETWEEN ? AND ?", (account_id, *days))
    connection.executemany(
        "INSERT INTO withheld_days (account_id, date, reason) VALUES (?, ?, ?) ON CONFLICT (account_id, date) DO UPDATE SET reason = excluded.reason",
        [(account_id, d.isoformat(), why) for d, why in changes.withheld],
    )
    connection.executemany(
        "INSERT INTO withheld_currencies (account_id, date, currency) VALUES (?, ?, ?) ON CONFLICT (account_id, date, currency) DO NOTHING",
        [(account_id, d.isoformat(), currency) for d, currency in changes.unknown],
    )
    progress = changes.progress
    connection.execute(
        "INSERT INTO rollup_accounts "
        "(account_id, options_digest, snapshots_from, rolled_to, stale_from, seen_fact_no, seen_rate_no, generation, usd_like, rolled_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (account_id) DO UPDATE SET options_digest = excluded.options_digest, "
        "snapshots_from = excluded.snapshots_from, rolled_to = excluded.rolled_to, stale_from = excluded.stale_from, seen_fact_no = excluded.seen_fact_no, "
        "seen_rate_no = excluded.seen_rate_no, generation = excluded.generation, usd_like = excluded.usd_like, rolled_at = excluded.rolled_at",
        (
            account_id, progress.options_digest, _stored(progress.snapshots_from), progress.rolled_to.isoformat(), _stored(progress.stale_from),
            progress.seen_fact_no, progress.seen_rate_no, progress.generation, json.dumps(progress.usd_like), changes.now,
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
        "SELECT CASE WHEN l.executed_at < e.occurred_at THEN l.executed_at ELSE e.occurred_at END FROM fees e LEFT JOIN facts g ON g.record_id = e.fill_id "
        "AND g.account_id = e.account_id AND g.kind = 'fill' LEFT JOIN fills l ON l.fact_no = g.fact_no WHERE e.account_id = ?1 AND (e.fact_no > ?3 "
        "OR EXISTS (SELECT 1 FROM voids v WHERE v.account_id = e.account_id AND v.fact_no > ?3 AND ((v.target_kind = 'fee' AND v.target_id = e.fee_id) "
        "OR (v.target_kind = 'fill' AND v.target_id = e.fill_id))))) AS moved) END "
        "WHERE account_id = ?1",
        (account_id, changes.mark.dirty_count, changes.progress.seen_fact_no),
    )


def _write_replayed(connection: Connection, account_id: str, changes: Changes) -> None:
    """What replaying facts gave, in place of what an earlier replay had left for these days."""
    if changes.replaced_days is not None:
        days = tuple(d.isoformat() for d in changes.replaced_days)
        for table in derived.REPLAYED:
            connection.execute(f"DELETE FROM {table} WHERE account_id = ? AND date BETWEEN ? AND ?", (account_id, *days))
    text = _text
    rows: dict[str, list[tuple[Any, ...]]] = {
        "trades (account_id, date, position, number, direction, opened_at, closed_at, closing_fact_no, fills, peak, pnl, fees, estimated)": [
            (
                account_id, d.isoformat(), position, number, t.direction, t.opened_at, t.closed_at, t.closing_fact_no, t.fills, canonical(t.peak),
                text(t.pnl), text(t.fees), int(t.estimated),
            )
            for d, position, number, t in changes.trades
        ],
        "asset_closes (account_id, asset, date, moved, closing, debt, state, depends)": [
            (account_id, asset, d.isoformat(), canonical(c.moved), canonical(c.closing), canonical(c.debt), c.state, int(c.depends))
            for asset, d, c in changes.closes
        ],
        "lots (account_id, asset, date, number, opened_at, quantity, cost, brought_by, fact_no)": [
            (account_id, asset, lot.date.isoformat(), lot.number, lot.opened_at, canonical(lot.quantity), text(lot.cost), lot.brought_by, lot.fact_no)
            for asset, lot in changes.lots
        ],
        "currency_rates (account_id, currency, date, at, rate, per, carried)": [
            (account_id, currency, d.isoformat(), known.at, canonical(known.rate.usd), canonical(known.rate.per), int(known.carried))
            for currency, d, known in changes.rates
        ],
        "contract_values (account_id, contract, date, value, per, settle)": [
            (account_id, contract, d.isoformat(), canonical(value.value), canonical(value.per), value.settle)
            for contract, d, value in changes.contract_values
        ],
        "flow_values (account_id, at, fact_no, date, amount, usd)": [
            (account_id, flow.instant, flow.fact_no, d.isoformat(), canonical(flow.amount), text(flow.usd)) for d, flow in changes.flow_values
        ],
        "rollup_oddities (account_id, date, oddity, subject, fact_no, detail)": [
            (account_id, d.isoformat(), odd.check, odd.subject, odd.fact_no, odd.detail) for d, odd in changes.oddities
        ],
    }  # fmt: skip
    for head, values in rows.items():
        if values:
            connection.insert_many(f"INSERT INTO {head} VALUES ({', '.join('?' * len(values[0]))})", values)
    connection.executemany(
        "UPDATE asset_closes SET closing = ? WHERE account_id = ? AND asset = ? AND date = ?",
        [(canonical(closing), account_id, asset, d.isoformat()) for asset, d, closing in changes.shifted],
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


def _text(number: Decimal | None) -> str | None:
    return None if number is None else canonical(number)


def _stored(value: Any) -> Any:
    if isinstance(value, Decimal):
        return canonical(value)
    if isinstance(value, Date):
        return value.isoformat()
    return int(value) if isinstance(value, bool) else value


def _json(text: str | None) -> dict[str, Any] | None:
    return None if text is None else json.loads(text)
