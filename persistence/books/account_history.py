"""One account as the rollup reads it, within one snapshot: its facts, and what earlier rollups left."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from datetime import date as Date
from datetime import timedelta
from decimal import Decimal
from typing import Any, NamedTuple, get_type_hints

from persistence.books.account_facts import AccountFacts
from persistence.domain.money import ZERO
from persistence.domain.rollup import ClosedTrade, DirtyMark, Figures, NewFact, Progress, RollupRow, holding_key

_ROW = (
    "date, close_at, close_fact_no, value, inflow, outflow, pnl_daily, pnl_total, daily_return, profit, loss, wins, losses, trades, warnings, observations, "
    "mean, squares, downside, downside_rest, depth, drawdown, total_profit, total_loss, total_wins, total_losses, total_trades"
)
_TRADE = "position, direction, opened_at, closed_at, closing_fact_no, fills, peak, pnl, fees, estimated"


class ContractValue(NamedTuple):
    """What one contract is worth, in the currency that it settles in."""

    value: Decimal
    settle: str


class KnownRate(NamedTuple):
    """What a unit of a currency was worth in USD, and since when."""

    at: int
    usd: Decimal


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

    def new_facts(self, since: int, until: int, seen: int, usd_like: Collection[str]) -> list[NewFact]:
        """What was recorded after number `seen` of instants in [since, until), and what was voided since. A fee counts at its own
        instant and at that of its fill."""
        found: list[NewFact] = []

        def position(instrument: str | None, settle: str | None) -> str | None:
            return None if instrument is None else holding_key(instrument, "currency" if settle is None else "contract")

        fills = self._all(
            "SELECT l.fact_no, l.fill_id, l.executed_at, l.instrument, l.settle, l.base, l.quote, l.quote_usd_rate, l.fee, l.fee_currency, l.fee_usd_rate, "
            "l.more_fees, EXISTS (SELECT 1 FROM fees e WHERE e.account_id = l.account_id AND e.fill_id = l.fill_id) FROM fills l "
            "WHERE l.account_id = ? AND l.executed_at >= ? AND l.executed_at < ? AND l.fact_no > ? ORDER BY 3, 1",
            since, until, seen,
        )  # fmt: skip
        for number, record, at, instrument, settle, base, quote, quote_rate, fee, fee_currency, fee_rate, more, has_later in fills:
            cash = settle or quote
            apart = fee not in (None, "0") and fee_currency != cash and (settle is not None or fee_currency != base)
            needs = quote_rate is None and cash not in usd_like
            needs = needs or (apart and fee_rate is None and fee_currency not in usd_like) or more is not None or bool(has_later)
            found.append(NewFact(number, "fill", record, at, position(instrument, settle), needs))
        for number, kind, record, at, rate, currency in self._all(
            "SELECT fact_no, direction, flow_id, occurred_at, usd_rate, currency FROM flows "
            "WHERE account_id = ? AND occurred_at >= ? AND occurred_at < ? AND fact_no > ? ORDER BY 4, 1",
            since, until, seen,
        ):  # fmt: skip
            found.append(NewFact(number, kind, record, at, None, rate is None and currency not in usd_like))
        later = "account_id = ? AND {} AND fact_no > ? ORDER BY 4, 1"
        for sql in (
            "SELECT fact_no, 'metrics', snapshot_id, observed_at FROM equity_snapshots WHERE " + later.format("observed_at >= ? AND observed_at < ?"),
            "SELECT fact_no, kind, entry_id, occurred_at FROM entries WHERE " + later.format("occurred_at >= ? AND occurred_at < ?"),
        ):
            found += [NewFact(number, kind, record, at, None, False) for number, kind, record, at in self._all(sql, since, until, seen)]
        for number, kind, record, at, instrument, settle in self._all(
            "SELECT f.fact_no, f.kind, f.record_id, f.occurred_at, l.instrument, l.settle FROM voids v JOIN facts f ON f.fact_no = v.target_fact_no "
            "LEFT JOIN fills l ON l.fact_no = f.fact_no WHERE v.account_id = ? AND f.occurred_at >= ? AND f.occurred_at < ? AND v.fact_no > ? ORDER BY 4, 1",
            since, until, seen,
        ):  # fmt: skip
            found.append(NewFact(number, kind, record, at, position(instrument, settle), False, voided=True))
        # Fees that came, that were voided, or whose fill was.
        for number, record, at, executed_at, instrument, settle, voided in self._all(
            "SELECT e.fact_no, e.fee_id, e.occurred_at, l.executed_at, l.instrument, l.settle, f.state FROM fees e JOIN facts f USING (fact_no) "
            "LEFT JOIN facts g ON g.record_id = e.fill_id AND g.account_id = e.account_id AND g.kind = 'fill' LEFT JOIN fills l ON l.fact_no = g.fact_no "
            "WHERE e.account_id = ?1 AND (e.fact_no > ?2 OR EXISTS (SELECT 1 FROM voids v WHERE v.account_id = e.account_id AND v.fact_no > ?2 "
            "AND ((v.target_kind = 'fee' AND v.target_id = e.fee_id) OR (v.target_kind = 'fill' AND v.target_id = e.fill_id)))) ORDER BY 3, 1",
            seen,
        ):
            found += [
                NewFact(number, "fee", record, moment, key, True, voided=bool(voided))
                for moment, key in ((at, None), (executed_at, position(instrument, settle)))
                if moment is not None and since <= moment < until
            ]
        return found

    def opened_at(self, position: str, instant: int) -> int:
        """When the trade was opened that was open in a position before an instant; the instant itself where it was flat."""
        trade = "SELECT min(opened_at) FROM trades WHERE account_id = ? AND position = ? AND closed_at >= ? AND opened_at < ?"
        found = self._one(trade, position, instant, instant)
        if found is not None:
            return int(found)
        state = self._one("SELECT state FROM position_closes WHERE account_id = ? AND position = ? ORDER BY date DESC LIMIT 1", position)
        opened = json.loads(state)[6] if state else 0
        return int(opened) if 0 < opened < instant else instant

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
        sql = f"SELECT date, {_TRADE} FROM trades WHERE account_id = ? AND date > ? AND date <= ? ORDER BY date, position, number"
        # After the day before the floor is from the floor on.
        least = "" if self.floor == Date.min else (self.floor - timedelta(days=1)).isoformat()
        for day, *trade in self._all(sql, max(least, "" if after is None else after.isoformat()), until.isoformat()):
            yield Date.fromisoformat(day), _trade(trade)

    def trades_of(self, date: Date, position: str) -> list[ClosedTrade]:
        sql = f"SELECT {_TRADE} FROM trades WHERE account_id = ? AND date = ? AND position = ? ORDER BY number"
        return [_trade(row) for row in self._all(sql, date.isoformat(), position)]

    def position_before(self, position: str, date: Date) -> str:
        """The position's state at the end of the last day before `date` on which it moved; "" for none."""
        sql = "SELECT state FROM position_closes WHERE account_id = ? AND position = ? AND date < ? AND date >= ? ORDER BY date DESC LIMIT 1"
        return self._one(sql, position, date.isoformat(), self._least) or ""

    def position_on(self, position: str, date: Date) -> str | None:
        """The state that was kept for the end of that very day."""
        return self._one("SELECT state FROM position_closes WHERE account_id = ? AND position = ? AND date = ?", position, date.isoformat())  # type: ignore[no-any-return]

    def rate_before(self, currency: str, date: Date) -> KnownRate | None:
        """The last rate that the account's records told before a day."""
        sql = "SELECT at, rate FROM currency_rates WHERE account_id = ? AND currency = ? AND date < ? AND date >= ? ORDER BY date DESC LIMIT 1"
        row = self._one(sql, currency, date.isoformat(), self._least)
        return None if row is None else KnownRate(row[0], Decimal(row[1]))

    def said_rates(self, currency: str, since: int) -> list[KnownRate]:
        """What rate records say of a currency from an instant on, and the last of them before it, the oldest first; at one instant the
        first source by code point comes last, because it counts."""
        rates = "SELECT r.observed_at, r.usd_rate, coalesce(r.source, '') FROM rates r JOIN facts f USING (fact_no) WHERE r.currency = ? AND f.state = 0 AND "
        before = self._connection.execute(f"{rates} r.observed_at < ? ORDER BY 1 DESC, 3 LIMIT 1", (currency, since)).fetchall()
        found = self._connection.execute(f"{rates} r.observed_at >= ? ORDER BY 1, 3 DESC", (currency, since)).fetchall()
        return [KnownRate(at, Decimal(usd)) for at, usd, _ in (*before, *found)]

    def rates_since(self, seen: int) -> int | None:
        """The least instant of the rate records of the account's currencies that came, or were voided, after fact number `seen`."""
        return self._one(  # type: ignore[no-any-return]
            "SELECT min(r.observed_at) FROM rates r WHERE r.currency IN (SELECT currency FROM transaction_totals WHERE account_id = ?1) "
            "AND (r.fact_no > ?2 OR EXISTS (SELECT 1 FROM voids v WHERE v.target_kind = 'rate' AND v.target_fact_no = r.fact_no AND v.fact_no > ?2))",
            seen,
        )

    def holdings(self) -> list[str]:
        """The keys of every currency and contract that ever moved."""
        rows = self._all("SELECT DISTINCT currency, kind FROM transaction_totals WHERE account_id = ? ORDER BY currency, kind")
        return [holding_key(code, kind) for code, kind in rows]

    def contract_value_before(self, contract: str, date: Date) -> ContractValue | None:
        """What one contract was last worth before a day."""
        sql = "SELECT value, settle FROM contract_values WHERE account_id = ? AND contract = ? AND date < ? AND date >= ? ORDER BY date DESC LIMIT 1"
        row = self._one(sql, contract, date.isoformat(), self._least)
        return None if row is None else ContractValue(Decimal(row[0]), row[1])

    def contract_values_kept(self, first: Date, last: Date) -> list[tuple[str, Date]]:
        return self._kept("SELECT contract, date FROM contract_values WHERE account_id = ? AND date BETWEEN ? AND ?", first, last)

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

    def positions_kept(self, first: Date, last: Date) -> list[tuple[str, Date]]:
        """(position, day) of the states that are kept for [first, last]."""
        return self._kept("SELECT position, date FROM position_closes WHERE account_id = ? AND date BETWEEN ? AND ?", first, last)

    def rates_kept(self, first: Date, last: Date) -> list[tuple[str, Date]]:
        return self._kept("SELECT currency, date FROM currency_rates WHERE account_id = ? AND date BETWEEN ? AND ?", first, last)

    def closes_kept(self, first: Date, last: Date) -> list[tuple[str, Date]]:
        return self._kept("SELECT currency, date FROM currency_closes WHERE account_id = ? AND date BETWEEN ? AND ?", first, last)

    def _kept(self, sql: str, first: Date, last: Date) -> list[tuple[str, Date]]:
        return [(key, Date.fromisoformat(day)) for key, day in self._all(sql, first.isoformat(), last.isoformat())]


_MONEY = tuple(i for i, kind in enumerate(get_type_hints(RollupRow).values()) if kind is Decimal)


def _row(row: Iterable[Any]) -> RollupRow:
    values = list(row)
    values[0] = Date.fromisoformat(values[0])
    for i in _MONEY:
        values[i] = Decimal(values[i])
    return RollupRow._make(values)


def _trade(row: Iterable[Any]) -> ClosedTrade:
    position, direction, opened, closed, number, fills, peak, pnl, fees, estimated = row
    return ClosedTrade(position, direction, opened, closed, number, fills, Decimal(peak), _number(pnl), _number(fees), bool(estimated))


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _date(text: str | None) -> Date | None:
    return None if text is None else Date.fromisoformat(text)
