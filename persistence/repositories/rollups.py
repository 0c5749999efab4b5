"""The rows behind the daily rollup: what it reads of an account in one snapshot, and what it commits."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date as Date
from datetime import timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import apsw

from persistence.database import DatabaseManager
from persistence.domain.money import EXACT, ZERO, canonical
from persistence.domain.rollup import ClosedTrade, Mark, NewFact, Progress, Revision, RollupRow, Withheld

FIGURE_COLUMNS = ("total_value_usd", "pnl_daily", "pnl_total", "sharpe_ratio", "sortino_ratio", "max_drawdown", "win_rate", "profit_factor", "trades_count")
#: The figures of a row as they are stored: money as canonical text.
Figures = tuple[str, str, str, float | None, float | None, float | None, float | None, float | None, int]

#: Only these categories are flows of capital; the rest is profit or loss.
_CAPITAL = "l.category IN ('external', 'transfer')"
_ROW = (
    "date, close_at, close_fact_no, value, inflow, outflow, pnl_daily, pnl_total, daily_return, profit, loss, wins, losses, trades, warnings, observations, "
    "mean, squares, downside, downside_rest, depth, drawdown, total_profit, total_loss, total_wins, total_losses, total_trades"
)
_TRADE = "symbol, direction, opened_at, closed_at, closing_fact_no, fills, peak, pnl, fees, estimated"


class Snapshot(NamedTuple):
    fact_no: int
    instant: int
    usd: Decimal


class FlowRecord(NamedTuple):
    """A deposit (positive) or withdrawal (negative) and the USD rate it is valued at; None where nothing is known."""

    fact_no: int
    instant: int
    currency: str
    amount: Decimal
    rate: Decimal | None
    given: bool
    record_id: str
    direction: str
    place: tuple[int, int, str, str]
    is_capital: bool = True


class AccountBooks:
    """One account, read within one snapshot."""

    def __init__(self, connection: apsw.Connection, account_id: str) -> None:
        self._connection = connection
        self.account_id = account_id
        #: What was derived for days before this one counts as never having been.
        self.floor = Date.min

    def _all(self, sql: str, *params: Any) -> list[Any]:
        return self._connection.execute(sql, (self.account_id, *params)).fetchall()

    def _one(self, sql: str, *params: Any) -> Any:
        return self._connection.execute(sql, (self.account_id, *params)).get

    @property
    def _least(self) -> str:
        return self.floor.isoformat()

    # -- where the account stands ------------------------------------------------------------------------------------

    def mark(self) -> Mark | None:
        row = self._one("SELECT opened_at, dirty_since, recheck_since, dirty_count, recheck_count FROM accounts WHERE account_id = ?")
        return None if row is None else Mark(*row)

    def progress(self) -> Progress | None:
        row = self._one(
            "SELECT options_digest, valuation, rolled_to, stale_from, seen_fact_no, estimates, withheld_from, generation "
            "FROM rollup_accounts WHERE account_id = ?"
        )
        if row is None:
            return None
        digest, valuation, rolled_to, stale, seen, estimates, withheld, generation = row
        return Progress(digest, valuation, Date.fromisoformat(rolled_to), _date(stale), seen, bool(estimates), _date(withheld), generation)

    def newest_fact_no(self) -> int:
        return int(self._connection.execute("SELECT coalesce(max(fact_no), 0) FROM facts").get)

    def new_facts(self, since: int, until: int, seen: int) -> list[NewFact]:
        """What was recorded after number `seen` of instants in [since, until), and what was voided since."""
        found = []
        sources = (
            (
                "SELECT l.fact_no, 'fill', l.fill_id, l.executed_at, l.symbol, l.quote_usd_rate IS NULL OR "
                "(l.fee_usd_rate IS NULL AND l.fee <> '0' AND l.fee_currency <> l.quote AND "
                "(l.fee_currency <> l.base OR l.multiplier <> '1')) "
                "FROM fills l WHERE l.account_id = ? AND l.executed_at >= ? AND l.executed_at < ? AND l.fact_no > ?"
            ),
            (
                "SELECT fact_no, direction, flow_id, occurred_at, NULL, usd_rate IS NULL FROM flows "
                "WHERE account_id = ? AND occurred_at >= ? AND occurred_at < ? AND fact_no > ?"
            ),
            (
                "SELECT fact_no, 'metrics', snapshot_id, observed_at, NULL, 0 FROM equity_snapshots "
                "WHERE account_id = ? AND observed_at >= ? AND observed_at < ? AND fact_no > ?"
            ),
            (
                "SELECT fact_no, kind, entry_id, occurred_at, NULL, 0 FROM entries "
                "WHERE account_id = ? AND occurred_at >= ? AND occurred_at < ? AND fact_no > ?"
            ),
        )  # fmt: skip
        for sql in sources:
            found += [NewFact(n, kind, record, at, symbol, bool(needs)) for n, kind, record, at, symbol, needs in self._all(sql, since, until, seen)]
        voided = self._all(
            "SELECT f.fact_no, f.kind, f.record_id, f.occurred_at, (SELECT symbol FROM fills WHERE fact_no = f.fact_no), 0 "
            "FROM voids v JOIN facts f ON f.fact_no = v.target_fact_no WHERE v.account_id = ? AND f.occurred_at >= ? AND f.occurred_at < ? AND v.fact_no > ?",
            since, until, seen,
        )  # fmt: skip
        found += [NewFact(n, f"void of {kind}", record, at, symbol, False) for n, kind, record, at, symbol, _ in voided]
        return found

    # -- facts -------------------------------------------------------------------------------------------------------

    def fills(self, start: int, end: int) -> Iterator[tuple[Any, ...]]:
        """Live fills of [start, end) in the order of facts: (fact_no, instant, symbol, side, quantity, price, cash, multiplier,
        base, quote, fee, fee currency, quote rate, fee rate, sequence, producer, id), numbers as text."""
        return self._connection.execute(
            "SELECT l.fact_no, l.executed_at, l.symbol, l.side, l.quantity, l.price, l.quote_quantity, l.multiplier, l.base, l.quote, l.fee, l.fee_currency, "
            "l.quote_usd_rate, l.fee_usd_rate, coalesce(f.sequence, -1), coalesce(f.producer, ''), l.fill_id FROM fills l JOIN facts f USING (fact_no) "
            "WHERE l.account_id = ? AND l.executed_at >= ? AND l.executed_at < ? AND f.state = 0 ORDER BY l.executed_at, 15, 16, 17",
            (self.account_id, start, end),
        )

    def next_fill_at(self, instant: int) -> int | None:
        return self._one("SELECT executed_at FROM fills WHERE account_id = ? AND executed_at >= ? ORDER BY executed_at LIMIT 1", instant)  # type: ignore[no-any-return]

    def fill_instant_after(self, start: int, count: int) -> int | None:
        """The instant of the fill that `count` others precede from `start` on."""
        return self._one("SELECT executed_at FROM fills WHERE account_id = ? AND executed_at >= ? ORDER BY executed_at LIMIT 1 OFFSET ?", start, count)  # type: ignore[no-any-return]

    def flows(self, after: int, until: int, *, capital: bool = True) -> list[FlowRecord]:
        """Live deposits and withdrawals of (after, until] in the order of facts; those that are no capital too, unless `capital`."""
        rows = self._all(
            "SELECT l.fact_no, l.occurred_at, l.currency, l.amount, l.usd_rate, r.rate, l.direction, coalesce(f.sequence, -1), coalesce(f.producer, ''), "
            f"l.flow_id, {_CAPITAL} FROM flows l JOIN facts f USING (fact_no) LEFT JOIN flow_rates r ON r.account_id = l.account_id AND r.fact_no = l.fact_no "
            "WHERE l.account_id = ? AND l.occurred_at > ? AND l.occurred_at <= ? AND f.state = 0 ORDER BY l.occurred_at, 8, 9, 10",
            after, until,
        )  # fmt: skip
        found = []
        for number, at, currency, amount, given, estimate, direction, sequence, producer, record_id, is_capital in rows:
            if capital and not is_capital:
                continue
            signed = Decimal(amount) if direction == "deposit" else -Decimal(amount)
            place = (at, sequence, producer, record_id)
            found.append(FlowRecord(number, at, currency, signed, _number(given or estimate), given is not None, record_id, direction, place, bool(is_capital)))
        return found

    def has_snapshot(self) -> bool:
        sql = "SELECT 1 FROM equity_snapshots s JOIN facts f USING (fact_no) WHERE s.account_id = ? AND f.state = 0 LIMIT 1"
        return self._one(sql) is not None

    def next_snapshot_at(self, instant: int) -> int | None:
        """The instant of the first live snapshot at or after `instant`."""
        return self._one(  # type: ignore[no-any-return]
            "SELECT s.observed_at FROM equity_snapshots s JOIN facts f USING (fact_no) WHERE s.account_id = ? AND s.observed_at >= ? AND f.state = 0 "
            "ORDER BY s.observed_at LIMIT 1", instant,
        )  # fmt: skip

    def first_snapshot(self, start: int, end: int) -> Snapshot | None:
        """The first live snapshot of [start, end) in the order of facts."""
        row = self._one(
            "SELECT s.fact_no, s.observed_at, s.total_value_usd FROM equity_snapshots s JOIN facts f USING (fact_no) WHERE s.account_id = ? "
            "AND s.observed_at >= ? AND s.observed_at < ? AND f.state = 0 "
            "ORDER BY s.observed_at, coalesce(f.sequence, -1), coalesce(f.producer, ''), s.snapshot_id LIMIT 1", start, end,
        )  # fmt: skip
        return None if row is None else Snapshot(row[0], row[1], Decimal(row[2]))

    def last_snapshot(self, start: int, end: int) -> Snapshot | None:
        """The last live snapshot of [start, end) in the order of facts: the close of that day."""
        row = self._one(
            "SELECT s.fact_no, s.observed_at, s.total_value_usd FROM equity_snapshots s JOIN facts f USING (fact_no) WHERE s.account_id = ? "
            "AND s.observed_at >= ? AND s.observed_at < ? AND f.state = 0 "
            "ORDER BY s.observed_at DESC, coalesce(f.sequence, -1) DESC, coalesce(f.producer, '') DESC, s.snapshot_id DESC LIMIT 1", start, end,
        )  # fmt: skip
        return None if row is None else Snapshot(row[0], row[1], Decimal(row[2]))

    def last_reported(self, start: int, end: int) -> str | None:
        """The figures that the last live snapshot of [start, end) to carry any reports, as JSON."""
        return self._one(  # type: ignore[no-any-return]
            "SELECT s.reported FROM equity_snapshots s JOIN facts f USING (fact_no) WHERE s.account_id = ? AND s.observed_at >= ? AND s.observed_at < ? "
            "AND f.state = 0 AND s.reported IS NOT NULL "
            "ORDER BY s.observed_at DESC, coalesce(f.sequence, -1) DESC, coalesce(f.producer, '') DESC, s.snapshot_id DESC LIMIT 1", start, end,
        )  # fmt: skip

    def opened_at(self, symbol: str, instant: int) -> int:
        """When the trade was opened that was open in a symbol before an instant; the instant itself where it was flat."""
        trade = "SELECT min(opened_at) FROM trades WHERE account_id = ? AND symbol = ? AND closed_at >= ? AND opened_at < ?"
        found = self._one(trade, symbol, instant, instant)
        if found is not None:
            return int(found)
        state = self._one("SELECT state FROM position_closes WHERE account_id = ? AND symbol = ? ORDER BY date DESC LIMIT 1", symbol)
        opened = json.loads(state)[6] if state else 0
        return int(opened) if 0 < opened < instant else instant

    def snapshot_value(self, fact_no: int) -> Decimal | None:
        """What a live snapshot says."""
        sql = "SELECT s.total_value_usd FROM equity_snapshots s JOIN facts f USING (fact_no) WHERE s.account_id = ? AND s.fact_no = ? AND f.state = 0"
        return _number(self._one(sql, fact_no))

    def snapshots_between(self, after: int, before: int) -> list[Snapshot]:
        """Live snapshots strictly inside, in the order of facts."""
        rows = self._all(
            "SELECT s.fact_no, s.observed_at, s.total_value_usd FROM equity_snapshots s JOIN facts f USING (fact_no) WHERE s.account_id = ? "
            "AND s.observed_at > ? AND s.observed_at < ? AND f.state = 0 "
            "ORDER BY s.observed_at, coalesce(f.sequence, -1), coalesce(f.producer, ''), s.snapshot_id", after, before,
        )  # fmt: skip
        return [Snapshot(number, at, Decimal(usd)) for number, at, usd in rows]

    def next_transaction_at(self, instant: int) -> int | None:
        return self._one("SELECT occurred_at FROM transactions WHERE account_id = ? AND occurred_at >= ? ORDER BY occurred_at LIMIT 1", instant)  # type: ignore[no-any-return]

    def movements(self, start: int, end: int) -> dict[str, Decimal]:
        """What each currency moved by in [start, end)."""
        sql = "SELECT currency, decimal_sum(amount) FROM transactions WHERE account_id = ? AND occurred_at >= ? AND occurred_at < ? GROUP BY currency"
        return {currency: Decimal(amount) for currency, amount in self._all(sql, start, end)}

    def movements_by_type(self, start: int, end: int) -> dict[str, list[tuple[str, Decimal]]]:
        """Per currency, what each type of transaction moved in [start, end)."""
        sql = "SELECT currency, type, decimal_sum(amount) FROM transactions WHERE account_id = ? AND occurred_at >= ? AND occurred_at < ? GROUP BY 1, 2"
        found: dict[str, list[tuple[str, Decimal]]] = {}
        for currency, kind, amount in self._all(sql, start, end):
            found.setdefault(currency, []).append((kind, Decimal(amount)))
        return found

    def moved_since(self, currency: str, instant: int) -> Decimal:
        """What a currency moved by from an instant on."""
        sql = "SELECT decimal_sum(amount) FROM transactions WHERE account_id = ? AND occurred_at >= ? AND currency = ?"
        return _number(self._one(sql, instant, currency)) or ZERO

    def balance(self, currency: str) -> Decimal:
        """Available and reserved, as the ledger keeps them."""
        row = self._one("SELECT available, reserved FROM balances WHERE account_id = ? AND currency = ?", currency)
        return ZERO if row is None else EXACT.add(Decimal(row[0]), Decimal(row[1]))

    # -- what earlier rollups left -----------------------------------------------------------------------------------

    def oldest_by_hand(self) -> Date | None:
        """The oldest day whose figures were saved by hand."""
        return _date(self._one("SELECT min(date) FROM performance_metrics WHERE account_id = ? AND source = 'manual'"))

    def rows_from(self, date: Date) -> list[RollupRow]:
        return [_row(r) for r in self._all(f"SELECT {_ROW} FROM rollup_rows WHERE account_id = ? AND date >= ? ORDER BY date", date.isoformat())]

    def row_before(self, date: Date) -> RollupRow | None:
        row = self._one(
            f"SELECT {_ROW} FROM rollup_rows WHERE account_id = ? AND date < ? AND date >= ? ORDER BY date DESC LIMIT 1", date.isoformat(), self._least
        )
        return None if row is None else _row(row)

    def figures_from(self, date: Date) -> dict[Date, tuple[str, Figures]]:
        """(source, figures) of the stored rows from `date` on."""
        sql = (
            "SELECT date, source, total_value_usd, pnl_daily, pnl_total, sharpe_ratio, sortino_ratio, max_drawdown, win_rate, profit_factor, trades_count "
            "FROM performance_metrics WHERE account_id = ? AND date >= ?"
        )
        return {Date.fromisoformat(day): (source, tuple(figures)) for day, source, *figures in self._all(sql, date.isoformat())}

    def trades(self, after: Date | None, until: Date) -> Iterator[tuple[Date, ClosedTrade]]:
        """Closed trades dated in (after, until]."""
        sql = f"SELECT date, {_TRADE} FROM trades WHERE account_id = ? AND date > ? AND date <= ? ORDER BY date, symbol, number"
        # After the day before the floor is from the floor on.
        least = "" if self.floor == Date.min else (self.floor - timedelta(days=1)).isoformat()
        for day, *trade in self._all(sql, max(least, "" if after is None else after.isoformat()), until.isoformat()):
            yield Date.fromisoformat(day), _trade(trade)

    def trades_of(self, date: Date, symbol: str) -> list[ClosedTrade]:
        sql = f"SELECT {_TRADE} FROM trades WHERE account_id = ? AND date = ? AND symbol = ? ORDER BY number"
        return [_trade(row) for row in self._all(sql, date.isoformat(), symbol)]

    def position_before(self, symbol: str, date: Date) -> str:
        """The position's state at the end of the last day before `date` on which it moved; "" for none."""
        sql = "SELECT state FROM position_closes WHERE account_id = ? AND symbol = ? AND date < ? AND date >= ? ORDER BY date DESC LIMIT 1"
        return self._one(sql, symbol, date.isoformat(), self._least) or ""

    def position_on(self, symbol: str, date: Date) -> str | None:
        """The state that was kept for the end of that very day."""
        return self._one("SELECT state FROM position_closes WHERE account_id = ? AND symbol = ? AND date = ?", symbol, date.isoformat())  # type: ignore[no-any-return]

    def rate_before(self, currency: str, date: Date) -> Decimal | None:
        sql = "SELECT rate FROM currency_rates WHERE account_id = ? AND currency = ? AND date < ? AND date >= ? ORDER BY date DESC LIMIT 1"
        return _number(self._one(sql, currency, date.isoformat(), self._least))

    def currencies(self) -> list[str]:
        """Every currency that ever moved."""
        return [c for (c,) in self._all("SELECT DISTINCT currency FROM transaction_totals WHERE account_id = ?")]

    def closing_before(self, currency: str, date: Date) -> Decimal:
        sql = "SELECT closing FROM currency_closes WHERE account_id = ? AND currency = ? AND date < ? AND date >= ? ORDER BY date DESC LIMIT 1"
        return _number(self._one(sql, currency, date.isoformat(), self._least)) or ZERO

    def moved_in(self, currency: str, first: Date, last: Date) -> dict[Date, Decimal]:
        """The movement of each day of [first, last] on which the currency moved."""
        sql = "SELECT date, moved FROM currency_closes WHERE account_id = ? AND currency = ? AND date BETWEEN ? AND ? ORDER BY date"
        return {Date.fromisoformat(day): Decimal(moved) for day, moved in self._all(sql, currency, first.isoformat(), last.isoformat())}

    def closes(self, currency: str, until: Date) -> list[tuple[Date, Decimal, Decimal]]:
        """(day, movement, closing) of every kept day up to `until`, the oldest first."""
        sql = "SELECT date, moved, closing FROM currency_closes WHERE account_id = ? AND currency = ? AND date <= ? ORDER BY date"
        return [(Date.fromisoformat(day), Decimal(moved), Decimal(closing)) for day, moved, closing in self._all(sql, currency, until.isoformat())]

    def rate_on(self, currency: str, day: Date) -> str | None:
        return self._one("SELECT rate FROM currency_rates WHERE account_id = ? AND currency = ? AND date = ?", currency, day.isoformat())  # type: ignore[no-any-return]

    def positions_kept(self, first: Date, last: Date) -> list[tuple[str, Date]]:
        """(symbol, day) of the states that are kept for [first, last]."""
        return self._kept("SELECT symbol, date FROM position_closes WHERE account_id = ? AND date BETWEEN ? AND ?", first, last)

    def rates_kept(self, first: Date, last: Date) -> list[tuple[str, Date]]:
        return self._kept("SELECT currency, date FROM currency_rates WHERE account_id = ? AND date BETWEEN ? AND ?", first, last)

    def closes_kept(self, first: Date, last: Date) -> list[tuple[str, Date]]:
        return self._kept("SELECT currency, date FROM currency_closes WHERE account_id = ? AND date BETWEEN ? AND ?", first, last)

    def _kept(self, sql: str, first: Date, last: Date) -> list[tuple[str, Date]]:
        return [(key, Date.fromisoformat(day)) for key, day in self._all(sql, first.isoformat(), last.isoformat())]


@dataclass(slots=True)
class Changes:
    """What one pass of a rollup commits. A `None` among values deletes."""

    progress: Progress
    now: int
    mark: Mark
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
    rates: dict[tuple[str, Date], Decimal | None] = field(default_factory=dict)
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

    def __init__(self, database: DatabaseManager) -> None:
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


_DERIVED = ("rollup_rows", "trades", "position_closes", "currency_closes", "currency_rates", "flow_rates", "withheld_days")


def _write(connection: apsw.Connection, account_id: str, changes: Changes) -> None:
    if changes.only_days is not None:
        since, until = changes.only_days
        for table in _DERIVED:
            connection.execute(f"DELETE FROM {table} WHERE account_id = ? AND (date < ? OR date > ?)", (account_id, since.isoformat(), until.isoformat()))
    _write_trades(connection, account_id, changes)
    positions = {k: None if v is None else (v,) for k, v in changes.positions.items()}
    _write_by_key(connection, account_id, "position_closes", "symbol", ("state",), positions)
    closes = {k: None if v is None else (canonical(v[0]), canonical(v[1])) for k, v in changes.closes.items()}
    _write_by_key(connection, account_id, "currency_closes", "currency", ("moved", "closing"), closes)
    rates = {k: None if v is None else (canonical(v),) for k, v in changes.rates.items()}
    _write_by_key(connection, account_id, "currency_rates", "currency", ("rate",), rates)
    if changes.replaced_rows is not None:
        days = tuple(d.isoformat() for d in changes.replaced_rows)
        connection.execute("DELETE FROM rollup_rows WHERE account_id = ? AND date BETWEEN ? AND ?", (account_id, *days))
    connection.executemany("DELETE FROM rollup_rows WHERE account_id = ? AND date = ?", [(account_id, d.isoformat()) for d in changes.removed_rows])
    marks = ", ".join("?" * (len(RollupRow._fields) + 1))
    connection.executemany(
        f"INSERT OR REPLACE INTO rollup_rows (account_id, {_ROW}) VALUES ({marks})", [(account_id, *map(_stored, row)) for row in changes.rows]
    )
    _write_figures(connection, account_id, changes)
    if changes.withheld_range is not None:
        first, last = changes.withheld_range
        connection.execute("DELETE FROM withheld_days WHERE account_id = ? AND date BETWEEN ? AND ?", (account_id, first.isoformat(), last.isoformat()))
    connection.executemany(
        "INSERT OR REPLACE INTO withheld_days (account_id, date, reason) VALUES (?, ?, ?)", [(account_id, d.isoformat(), why) for d, why in changes.withheld]
    )
    progress = changes.progress
    connection.execute(
        "INSERT OR REPLACE INTO rollup_accounts (account_id, options_digest, valuation, rolled_to, stale_from, seen_fact_no, estimates, withheld_from, "
        "generation, rolled_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            account_id, progress.options_digest, progress.valuation, progress.rolled_to.isoformat(), _stored(progress.stale_from), progress.seen_fact_no,
            int(progress.estimates), _stored(progress.withheld_from), progress.generation, changes.now,
        ),
    )  # fmt: skip
    _clear_marks(connection, account_id, changes)


def _clear_marks(connection: apsw.Connection, account_id: str, changes: Changes) -> None:
    """What the snapshot held has been taken; what was recorded since stays marked, and no more than that, so that an account
    that is never quiet does not drag its history along."""
    connection.execute("UPDATE accounts SET recheck_since = NULL WHERE account_id = ? AND recheck_count = ?", (account_id, changes.mark.recheck_count))
    connection.execute(
        "UPDATE accounts SET dirty_since = CASE WHEN dirty_count <> ?2 THEN (SELECT min(occurred_at) FROM ("
        "SELECT occurred_at FROM facts WHERE fact_no > ?3 AND account_id = ?1 UNION ALL "
        "SELECT f.occurred_at FROM voids v JOIN facts f ON f.fact_no = v.target_fact_no WHERE v.fact_no > ?3 AND +v.account_id = ?1)) END "
        "WHERE account_id = ?1",
        (account_id, changes.mark.dirty_count, changes.progress.seen_fact_no),
    )


def _write_trades(connection: apsw.Connection, account_id: str, changes: Changes) -> None:
    if changes.replaced_days is not None:
        first, last = (d.isoformat() for d in changes.replaced_days)
        connection.execute("DELETE FROM trades WHERE account_id = ? AND date BETWEEN ? AND ?", (account_id, first, last))
        connection.execute("DELETE FROM flow_rates WHERE account_id = ? AND date BETWEEN ? AND ?", (account_id, first, last))
    connection.executemany(
        "DELETE FROM trades WHERE account_id = ? AND date = ? AND symbol = ?", [(account_id, d.isoformat(), symbol) for d, symbol in changes.replaced_trades]
    )
    trades = [
        (
            account_id, d.isoformat(), symbol, number, t.direction, t.opened_at, t.closed_at, t.closing_fact_no, t.fills, canonical(t.peak),
            None if t.pnl is None else canonical(t.pnl), None if t.fees is None else canonical(t.fees), int(t.estimated),
        )
        for d, symbol, number, t in changes.trades
    ]  # fmt: skip
    connection.executemany(
        "INSERT INTO trades (account_id, date, symbol, number, direction, opened_at, closed_at, closing_fact_no, fills, peak, pnl, fees, estimated) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        trades,
    )
    connection.executemany(
        "INSERT OR REPLACE INTO flow_rates (account_id, fact_no, date, rate) VALUES (?, ?, ?, ?)",
        [(account_id, number, d.isoformat(), canonical(rate)) for number, d, rate in changes.flow_rates],
    )


def _write_by_key(
    connection: apsw.Connection, account_id: str, table: str, key: str, columns: tuple[str, ...], values: dict[tuple[str, Date], tuple[Any, ...] | None]
) -> None:
    """Rows of a table with the primary key (account, `key`, date); a value of None deletes its row."""
    gone = [(account_id, name, d.isoformat()) for (name, d), value in values.items() if value is None]
    connection.executemany(f"DELETE FROM {table} WHERE account_id = ? AND {key} = ? AND date = ?", gone)
    names, marks = ", ".join(columns), ", ".join("?" * (len(columns) + 3))
    kept = [(account_id, name, d.isoformat(), *value) for (name, d), value in values.items() if value is not None]
    connection.executemany(f"INSERT OR REPLACE INTO {table} (account_id, {key}, date, {names}) VALUES ({marks})", kept)


def _write_figures(connection: apsw.Connection, account_id: str, changes: Changes) -> None:
    connection.executemany("DELETE FROM performance_metrics WHERE account_id = ? AND date = ?", [(account_id, d.isoformat()) for d in changes.removed_figures])
    sets = ", ".join(f"{name} = excluded.{name}" for name in FIGURE_COLUMNS)
    names = ", ".join(FIGURE_COLUMNS)
    connection.executemany(
        f"INSERT INTO performance_metrics (account_id, date, {names}, source, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'rollup', ?, ?) "
        f"ON CONFLICT DO UPDATE SET {sets}, source = 'rollup', updated_at = excluded.updated_at",
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


def _row(row: Iterable[Any]) -> RollupRow:
    values = list(row)
    values[0] = Date.fromisoformat(values[0])
    for i in (3, 4, 5, 6, 7, 9, 10, 22, 23):
        values[i] = Decimal(values[i])
    return RollupRow._make(values)


def _trade(row: Iterable[Any]) -> ClosedTrade:
    symbol, direction, opened, closed, number, fills, peak, pnl, fees, estimated = row
    return ClosedTrade(symbol, direction, opened, closed, number, fills, Decimal(peak), _number(pnl), _number(fees), bool(estimated))


def _stored(value: Any) -> Any:
    if isinstance(value, Decimal):
        return canonical(value)
    if isinstance(value, Date):
        return value.isoformat()
    return int(value) if isinstance(value, bool) else value


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _date(text: str | None) -> Date | None:
    return None if text is None else Date.fromisoformat(text)


def _json(text: str | None) -> dict[str, Any] | None:
    return None if text is None else json.loads(text)
