"""One account as the rollup reads it, within one snapshot: its facts, and what earlier rollups left."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import date as Date
from datetime import timedelta
from decimal import Decimal
from typing import Any, NamedTuple, get_type_hints

from jarvis_client.contract.decimals import EXACT, ONE, QUOTIENT, ZERO
from persistence.books.account_facts import AccountFacts
from persistence.domain.rollup import (
    ClosedTrade,
    DirtyMark,
    Figures,
    FlowValue,
    KnownRate,
    Lot,
    NewFact,
    Progress,
    RollupRow,
    UsdRate,
)

_ROW = (
    "date, close_at, close_fact_no, value, inflow, outflow, pnl_daily, pnl_total, daily_return, profit, loss, wins, losses, trades, untold, unrated, "
    "books_value, warnings, observations, mean, squares, downside, downside_rest, depth, max_drawdown, total_profit, total_loss, total_wins, total_losses, "
    "total_trades, total_untold"
)
_TRADE = "position, direction, opened_at, closed_at, closing_fact_no, fills, peak, pnl, fees, estimated"


_NEWEST_RATE = (
    "SELECT coalesce(max(fact_no), 0) FROM (SELECT max(fact_no) AS fact_no FROM rates UNION ALL SELECT max(fact_no) FROM voids WHERE account_id = '') AS newest"
)


class ContractValue(NamedTuple):
    """What one contract is worth, value / per, in the currency that it settles in."""

    value: Decimal
    per: Decimal
    settle: str

    def of(self, quantity: Decimal) -> Decimal:
        """What so many contracts are worth."""
        product = EXACT.multiply(quantity, self.value)
        return product if self.per == 1 else QUOTIENT.divide(product, self.per)


class FlowShown(NamedTuple):
    """Capital that came or left, as people read it: `given` where its record carries the rate."""

    instant: int
    record_id: str
    amount: Decimal
    currency: str
    usd: Decimal | None
    given: bool


class DayClose(NamedTuple):
    """An asset at the end of a day: what it moved, what is held and what of it is borrowed, and the state of its positions and lots."""

    moved: Decimal
    closing: Decimal
    debt: Decimal
    state: str
    depends: bool


class AccountBooks(AccountFacts):
    """One account, read within one snapshot."""

    def mark(self) -> DirtyMark | None:
        row = self._one("SELECT opened_at, dirty_since, recheck_since, dirty_count, recheck_count FROM accounts WHERE account_id = ?")
        return None if row is None else DirtyMark(*row)

    def progress(self) -> Progress | None:
        names = "options_digest, snapshots_from, rolled_to, stale_from, seen_fact_no, seen_rate_no, generation, usd_like"
        row = self._one(f"SELECT {names} FROM rollup_accounts WHERE account_id = ?")
        if row is None:
            return None
        digest, snapshots_from, rolled_to, stale, seen, seen_rate, generation, usd_like = row
        return Progress(digest, _date(snapshots_from), Date.fromisoformat(rolled_to), _date(stale), seen, seen_rate, generation, tuple(json.loads(usd_like)))

    def newest_fact_no(self) -> int:
        """The newest number of the account's facts: whatever this snapshot does not see of it has a higher one."""
        return int(self._one("SELECT last_fact_no FROM accounts WHERE account_id = ?") or 0)

    def newest_rate_no(self) -> int:
        """The same of rates and their voids, of all currencies."""
        return int(self._connection.execute(_NEWEST_RATE).get)

    def new_facts(self, since: int, until: int, seen: int) -> list[NewFact]:
        """What was recorded after number `seen` of instants in [since, until), and what was voided since. A fee counts at its own
        instant and at that of its fill."""
        found: list[NewFact] = []
        later = "account_id = ? AND {0} >= ? AND {0} < ? AND fact_no > ? ORDER BY 4, 1"
        for sql in (
            "SELECT fact_no, 'fill', fill_id, executed_at FROM fills WHERE " + later.format("executed_at"),
            "SELECT fact_no, direction, flow_id, occurred_at FROM flows WHERE " + later.format("occurred_at"),
            "SELECT fact_no, 'metrics', snapshot_id, observed_at FROM equity_snapshots WHERE " + later.format("observed_at"),
            "SELECT fact_no, kind, entry_id, occurred_at FROM entries WHERE " + later.format("occurred_at"),
        ):
            found += [NewFact(number, kind, record, at) for number, kind, record, at in self._all(sql, since, until, seen)]
        for number, kind, record, at in self._all(
            "SELECT f.fact_no, f.kind, f.record_id, f.occurred_at FROM voids v JOIN facts f ON f.fact_no = v.target_fact_no "
            "WHERE v.account_id = ? AND f.occurred_at >= ? AND f.occurred_at < ? AND v.fact_no > ? ORDER BY 4, 1",
            since, until, seen,
        ):  # fmt: skip
            found.append(NewFact(number, kind, record, at, voided=True))
        # Fees that came, that were voided, or whose fill was.
        for number, record, at, executed_at, voided in self._all(
            "SELECT e.fact_no, e.fee_id, e.occurred_at, l.executed_at, f.state FROM fees e JOIN facts f USING (fact_no) "
            "LEFT JOIN facts g ON g.record_id = e.fill_id AND g.account_id = e.account_id AND g.kind = 'fill' LEFT JOIN fills l ON l.fact_no = g.fact_no "
            "WHERE e.account_id = ?1 AND (e.fact_no > ?2 OR EXISTS (SELECT 1 FROM voids v WHERE v.account_id = e.account_id AND v.fact_no > ?2 "
            "AND ((v.target_kind = 'fee' AND v.target_id = e.fee_id) OR (v.target_kind = 'fill' AND v.target_id = e.fill_id)))) ORDER BY 3, 1",
            seen,
        ):
            found += [
                NewFact(number, "fee", record, moment, voided=bool(voided)) for moment in (at, executed_at) if moment is not None and since <= moment < until
            ]
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
        sql = f"SELECT date, {_TRADE} FROM trades WHERE account_id = ? AND date > ? AND date <= ? ORDER BY date, position, number"
        # After the day before the floor is from the floor on.
        least = "" if self.floor == Date.min else (self.floor - timedelta(days=1)).isoformat()
        for day, *trade in self._all(sql, max(least, "" if after is None else after.isoformat()), until.isoformat()):
            yield Date.fromisoformat(day), _trade(trade)

    def trades_of(self, date: Date, position: str) -> list[ClosedTrade]:
        sql = f"SELECT {_TRADE} FROM trades WHERE account_id = ? AND date = ? AND position = ? ORDER BY number"
        return [_trade(row) for row in self._all(sql, date.isoformat(), position)]

    def close_before(self, asset: str, date: Date) -> tuple[Decimal, str]:
        """What was held of an asset, and its state, at the end of the last day before `date` on which something concerned it."""
        sql = "SELECT closing, state FROM asset_closes WHERE account_id = ? AND asset = ? AND date < ? AND date >= ? ORDER BY date DESC LIMIT 1"
        row = self._one(sql, asset, date.isoformat(), self._least)
        return (ZERO, "") if row is None else (Decimal(row[0]), row[1])

    def held_before(self, asset: str, date: Date) -> Decimal:
        """What was held of an asset, without what was borrowed, at the end of the last day before `date`."""
        sql = "SELECT closing, debt FROM asset_closes WHERE account_id = ? AND asset = ? AND date < ? AND date >= ? ORDER BY date DESC LIMIT 1"
        row = self._one(sql, asset, date.isoformat(), self._least)
        return ZERO if row is None else EXACT.subtract(Decimal(row[0]), Decimal(row[1]))

    def closes_from(self, date: Date) -> Iterator[tuple[str, Date, DayClose]]:
        """(asset, day, close) of what is stored from a day on."""
        sql = "SELECT asset, date, moved, closing, debt, state, depends FROM asset_closes WHERE account_id = ? AND date >= ?"
        for asset, day, moved, closing, debt, state, depends in self._all(sql, date.isoformat()):
            yield asset, Date.fromisoformat(day), DayClose(Decimal(moved), Decimal(closing), Decimal(debt), state, bool(depends))

    def closes(self, asset: str, until: Date) -> list[tuple[Date, Decimal, Decimal]]:
        """(day, movement, closing) of every kept day of an asset up to `until`, the oldest first."""
        sql = "SELECT date, moved, closing FROM asset_closes WHERE account_id = ? AND asset = ? AND date <= ? ORDER BY date"
        return [(Date.fromisoformat(day), Decimal(moved), Decimal(closing)) for day, moved, closing in self._all(sql, asset, until.isoformat())]

    def lots_after(self, asset: str, date: Date, number: int, before: Date, count: int = 200) -> list[Lot]:
        """The next lots of an asset after one, of days before `before`."""
        sql = (
            "SELECT date, number, opened_at, quantity, cost, brought_by, fact_no FROM lots "
            "WHERE account_id = ? AND asset = ? AND (date, number) > (?, ?) AND date < ? ORDER BY date, number LIMIT ?"
        )
        rows = self._all(sql, asset, date.isoformat(), number, before.isoformat(), count)
        return [Lot(Date.fromisoformat(day), n, at, Decimal(quantity), _number(cost), by, fact) for day, n, at, quantity, cost, by, fact in rows]

    def rate_before(self, currency: str, date: Date) -> KnownRate | None:
        """The last rate that the account's records carried or told before a day."""
        sql = "SELECT at, rate, per, carried FROM currency_rates WHERE account_id = ? AND currency = ? AND date < ? AND date >= ? ORDER BY date DESC LIMIT 1"
        row = self._one(sql, currency, date.isoformat(), self._least)
        return None if row is None else _rate(*row)

    def rates_from(self, date: Date) -> Iterator[tuple[str, Date, KnownRate]]:
        sql = "SELECT currency, date, at, rate, per, carried FROM currency_rates WHERE account_id = ? AND date >= ?"
        for currency, day, *rate in self._all(sql, date.isoformat()):
            yield currency, Date.fromisoformat(day), _rate(*rate)

    def said_at(self, currency: str, at: int) -> tuple[KnownRate | None, int | None]:
        """The newest rate record of a currency at or before an instant, and the instant of the first after it; at one instant the first source by
        code point counts."""
        source = "FROM rates r JOIN facts f USING (fact_no) WHERE r.currency = ? AND f.state = 0 AND r.observed_at"
        newest = f"SELECT r.observed_at, r.usd_rate {source} <= ? ORDER BY r.observed_at DESC, coalesce(r.source, '') LIMIT 1"
        found = self._connection.execute(newest, (currency, at)).get
        until = self._connection.execute(f"SELECT r.observed_at {source} > ? ORDER BY r.observed_at LIMIT 1", (currency, at)).get
        return None if found is None else KnownRate(found[0], UsdRate(Decimal(found[1]))), until

    def rates_since(self, seen: int) -> list[tuple[str, int, int]]:
        """(currency, first, last instant) of the rate records of the account's currencies that came, or were voided, after number `seen`."""
        names = "(SELECT currency FROM transaction_totals WHERE account_id = ?1)"
        return self._all(
            "SELECT currency, min(observed_at), max(observed_at) FROM ("
            f"SELECT r.currency, r.observed_at FROM rates r WHERE r.currency IN {names} AND r.fact_no > ?2 UNION ALL "
            "SELECT r.currency, r.observed_at FROM voids v JOIN rates r ON r.fact_no = v.target_fact_no "
            f"WHERE v.fact_no > ?2 AND v.account_id = '' AND r.currency IN {names}) AS said GROUP BY currency ORDER BY currency",
            seen,
        )

    def flow_values(self, after: int, until: int) -> list[tuple[Date, FlowValue]]:
        """Capital that came or left in (after, until], each with its day."""
        sql = "SELECT date, fact_no, at, amount, usd FROM flow_values WHERE account_id = ? AND at > ? AND at <= ? AND date >= ? ORDER BY at, fact_no"
        rows = self._all(sql, after, until, self._least)
        return [(Date.fromisoformat(day), FlowValue(number, at, Decimal(amount), _number(usd))) for day, number, at, amount, usd in rows]

    def flows_shown(self, after: int, until: int) -> list[FlowShown]:
        """Capital that came or left in (after, until], as it is stored."""
        sql = (
            "SELECT v.at, l.flow_id, v.amount, l.currency, v.usd, l.usd_rate FROM flow_values v JOIN flows l USING (fact_no) "
            "WHERE v.account_id = ? AND v.at > ? AND v.at <= ? ORDER BY v.at, v.fact_no"
        )
        rows = self._all(sql, after, until)
        return [FlowShown(at, record, Decimal(amount), currency, _number(usd), rate is not None) for at, record, amount, currency, usd, rate in rows]

    def contract_value_before(self, contract: str, date: Date) -> ContractValue | None:
        """What one contract was last worth before a day."""
        sql = "SELECT value, per, settle FROM contract_values WHERE account_id = ? AND contract = ? AND date < ? AND date >= ? ORDER BY date DESC LIMIT 1"
        row = self._one(sql, contract, date.isoformat(), self._least)
        return None if row is None else ContractValue(Decimal(row[0]), Decimal(row[1]), row[2])

    def contract_values_from(self, date: Date) -> Iterator[tuple[str, Date, ContractValue]]:
        sql = "SELECT contract, date, value, per, settle FROM contract_values WHERE account_id = ? AND date >= ?"
        for contract, day, value, per, settle in self._all(sql, date.isoformat()):
            yield contract, Date.fromisoformat(day), ContractValue(Decimal(value), Decimal(per), settle)


_MONEY = tuple(i for i, kind in enumerate(get_type_hints(RollupRow).values()) if kind is Decimal or kind == Decimal | None)


def _row(row: Iterable[Any]) -> RollupRow:
    values = list(row)
    values[0] = Date.fromisoformat(values[0])
    for i in _MONEY:
        values[i] = _number(values[i])
    return RollupRow._make(values)


def _trade(row: Iterable[Any]) -> ClosedTrade:
    position, direction, opened, closed, number, fills, peak, pnl, fees, estimated = row
    return ClosedTrade(position, direction, opened, closed, number, fills, Decimal(peak), _number(pnl), _number(fees), bool(estimated))


def _rate(at: int, usd: str, per: str, carried: int) -> KnownRate:
    return KnownRate(at, UsdRate(Decimal(usd), ONE if per == "1" else Decimal(per)), bool(carried))


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _date(text: str | None) -> Date | None:
    return None if text is None else Date.fromisoformat(text)
