"""What an account's facts say, as the rollup reads them within one snapshot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date as Date
from decimal import Decimal
from typing import Any, NamedTuple

from persistence.domain.money import EXACT, ZERO
from persistence.engine.contract import Connection

#: Only these categories are flows of capital; the rest is profit or loss.
_CAPITAL = "l.category IN ('external', 'transfer')"


class SnapshotValue(NamedTuple):
    """What a live snapshot says an account was worth."""

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


class AccountReader:
    """One account behind one connection."""

    def __init__(self, connection: Connection, account_id: str) -> None:
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


class AccountFacts(AccountReader):
    """Live facts of one account, in the order of facts."""

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

    def first_snapshot(self, start: int, end: int) -> SnapshotValue | None:
        """The first live snapshot of [start, end) in the order of facts."""
        row = self._one(
            "SELECT s.fact_no, s.observed_at, s.total_value_usd FROM equity_snapshots s JOIN facts f USING (fact_no) WHERE s.account_id = ? "
            "AND s.observed_at >= ? AND s.observed_at < ? AND f.state = 0 "
            "ORDER BY s.observed_at, coalesce(f.sequence, -1), coalesce(f.producer, ''), s.snapshot_id LIMIT 1", start, end,
        )  # fmt: skip
        return None if row is None else SnapshotValue(row[0], row[1], Decimal(row[2]))

    def last_snapshot(self, start: int, end: int) -> SnapshotValue | None:
        """The last live snapshot of [start, end) in the order of facts: the close of that day."""
        row = self._one(
            "SELECT s.fact_no, s.observed_at, s.total_value_usd FROM equity_snapshots s JOIN facts f USING (fact_no) WHERE s.account_id = ? "
            "AND s.observed_at >= ? AND s.observed_at < ? AND f.state = 0 "
            "ORDER BY s.observed_at DESC, coalesce(f.sequence, -1) DESC, coalesce(f.producer, '') DESC, s.snapshot_id DESC LIMIT 1", start, end,
        )  # fmt: skip
        return None if row is None else SnapshotValue(row[0], row[1], Decimal(row[2]))

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

    def snapshots_between(self, after: int, before: int) -> list[SnapshotValue]:
        """Live snapshots strictly inside, in the order of facts."""
        rows = self._all(
            "SELECT s.fact_no, s.observed_at, s.total_value_usd FROM equity_snapshots s JOIN facts f USING (fact_no) WHERE s.account_id = ? "
            "AND s.observed_at > ? AND s.observed_at < ? AND f.state = 0 "
            "ORDER BY s.observed_at, coalesce(f.sequence, -1), coalesce(f.producer, ''), s.snapshot_id", after, before,
        )  # fmt: skip
        return [SnapshotValue(number, at, Decimal(usd)) for number, at, usd in rows]

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


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
