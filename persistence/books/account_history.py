"""One account as the rollup reads it, within one snapshot: its facts, and what earlier rollups left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date as Date
from datetime import timedelta
from decimal import Decimal
from typing import Any

from persistence.books.account_facts import AccountFacts
from persistence.domain.money import ZERO
from persistence.domain.rollup import ClosedTrade, DirtyMark, Figures, NewFact, Progress, RollupRow

_ROW = (
    "date, close_at, close_fact_no, value, inflow, outflow, pnl_daily, pnl_total, daily_return, profit, loss, wins, losses, trades, warnings, observations, "
    "mean, squares, downside, downside_rest, depth, drawdown, total_profit, total_loss, total_wins, total_losses, total_trades"
)
_TRADE = "symbol, direction, opened_at, closed_at, closing_fact_no, fills, peak, pnl, fees, estimated"


class AccountBooks(AccountFacts):
    """One account, read within one snapshot."""

    def mark(self) -> DirtyMark | None:
        row = self._one("SELECT opened_at, dirty_since, recheck_since, dirty_count, recheck_count FROM accounts WHERE account_id = ?")
        return None if row is None else DirtyMark(*row)

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


def _row(row: Iterable[Any]) -> RollupRow:
    values = list(row)
    values[0] = Date.fromisoformat(values[0])
    for i in (3, 4, 5, 6, 7, 9, 10, 22, 23):
        values[i] = Decimal(values[i])
    return RollupRow._make(values)


def _trade(row: Iterable[Any]) -> ClosedTrade:
    symbol, direction, opened, closed, number, fills, peak, pnl, fees, estimated = row
    return ClosedTrade(symbol, direction, opened, closed, number, fills, Decimal(peak), _number(pnl), _number(fees), bool(estimated))


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _date(text: str | None) -> Date | None:
    return None if text is None else Date.fromisoformat(text)
