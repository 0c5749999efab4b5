"""What an account's facts say, as the rollup reads them within one snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date as Date
from decimal import Decimal
from typing import Any, NamedTuple

from jarvis_client.contract.decimals import EXACT, ZERO
from jarvis_client.contract.facts import Charge
from jarvis_client.contract.facts.flow import flow_kind
from persistence.books.order_of_facts import newest_first, oldest_first
from persistence.domain.rollup import holding_key, name_and_kind
from persistence.engine.contract import Connection


class FillRow(NamedTuple):
    """What of a live fill matters to trades, numbers as text. The last three say its place in the order of facts."""

    fact_no: int
    instant: int
    fill_id: str
    symbol: str
    instrument: str
    side: str
    quantity: str
    price: str
    cash: str
    multiplier: str
    base: str
    quote: str
    settle: str | None
    inverse: int
    fee: str | None
    fee_currency: str
    fee_rate: str | None
    more_fees: str | None
    quote_rate: str | None
    sequence: int
    producer: str
    sort_key: bytes

    @property
    def place(self) -> tuple[int, int, str, bytes]:
        return self.instant, self.sequence, self.producer, self.sort_key

    @property
    def position(self) -> str:
        """The key of the position that it moves."""
        return holding_key(self.instrument, "currency" if self.settle is None else "contract")


_FILL = (
    "l.fact_no, l.executed_at, l.fill_id, l.symbol, l.instrument, l.side, l.quantity, l.price, l.quote_quantity, l.multiplier, l.base, l.quote, l.settle, "
    "l.inverse, l.fee, l.fee_currency, l.fee_usd_rate, l.more_fees, l.quote_usd_rate, coalesce(f.sequence, -1), coalesce(f.producer, ''), f.sort_key"
)


class SnapshotValue(NamedTuple):
    """What a live snapshot says an account was worth."""

    fact_no: int
    instant: int
    usd: Decimal


class FlowRow(NamedTuple):
    """A live deposit or withdrawal, numbers as text."""

    fact_no: int
    instant: int
    direction: str
    record_id: str
    currency: str
    amount: str
    category: str
    usd_rate: str | None
    fee: str | None
    fee_currency: str | None
    reference: str | None
    symbol: str | None
    sequence: int
    producer: str
    sort_key: bytes

    @property
    def place(self) -> tuple[int, int, str, bytes]:
        return self.instant, self.sequence, self.producer, self.sort_key

    @property
    def kind(self) -> str:
        return flow_kind(self.category, self.currency)

    @property
    def key(self) -> str:
        """The key of what it moves."""
        return holding_key(self.currency, self.kind)


_FLOW = (
    "l.fact_no, l.occurred_at, l.direction, l.flow_id, l.currency, l.amount, l.category, l.usd_rate, l.fee, l.fee_currency, l.reference, l.symbol, "
    "coalesce(f.sequence, -1), coalesce(f.producer, ''), f.sort_key"
)


class FeeRow(NamedTuple):
    """A live fee record, numbers as text."""

    fact_no: int
    instant: int
    currency: str
    amount: str
    usd_rate: str | None
    sequence: int
    producer: str
    sort_key: bytes

    @property
    def place(self) -> tuple[int, int, str, bytes]:
        return self.instant, self.sequence, self.producer, self.sort_key


class EntryRow(NamedTuple):
    """A live entry by hand: the signed amount as text."""

    fact_no: int
    instant: int
    currency: str
    amount: str
    sequence: int
    producer: str
    sort_key: bytes

    @property
    def place(self) -> tuple[int, int, str, bytes]:
        return self.instant, self.sequence, self.producer, self.sort_key


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

    def fills(self, start: int, end: int) -> Iterator[FillRow]:
        """Live fills of [start, end) in the order of facts."""
        rows = self._connection.stream(
            f"SELECT {_FILL} FROM fills l JOIN facts f USING (fact_no) WHERE l.account_id = ? AND l.executed_at >= ? AND l.executed_at < ? "
            f"AND f.state = 0 ORDER BY {oldest_first('l.executed_at')}",
            (self.account_id, start, end),
        )
        return map(FillRow._make, rows)

    def later_fees(self, start: int, end: int) -> dict[int, list[Charge]]:
        """The live fee records of the fills of [start, end), by the fill's number."""
        if self._one("SELECT 1 FROM fees WHERE account_id = ? LIMIT 1") is None:
            return {}
        found: dict[int, list[Charge]] = {}
        rows = self._all(
            "SELECT l.fact_no, e.currency, e.amount, e.usd_rate FROM fees e JOIN facts f USING (fact_no) "
            "JOIN facts g ON g.record_id = e.fill_id AND g.account_id = e.account_id AND g.kind = 'fill' JOIN fills l ON l.fact_no = g.fact_no "
            f"WHERE e.account_id = ? AND f.state = 0 AND l.executed_at >= ? AND l.executed_at < ? ORDER BY {oldest_first('e.occurred_at')}",
            start, end,
        )  # fmt: skip
        for number, currency, amount, rate in rows:
            found.setdefault(number, []).append(Charge(currency, Decimal(amount), _number(rate)))
        return found

    def fill_instant_after(self, start: int, count: int) -> int | None:
        """The instant of the fill that `count` others precede from `start` on."""
        return self._one("SELECT executed_at FROM fills WHERE account_id = ? AND executed_at >= ? ORDER BY executed_at LIMIT 1 OFFSET ?", start, count)  # type: ignore[no-any-return]

    def flow_rows(self, start: int, end: int) -> Iterator[FlowRow]:
        """Live deposits and withdrawals of [start, end) in the order of facts."""
        sql = f"SELECT {_FLOW} FROM flows l JOIN facts f USING (fact_no) WHERE l.account_id = ? AND l.occurred_at >= ? AND l.occurred_at < ? AND f.state = 0 "
        return map(FlowRow._make, self._connection.stream(f"{sql}ORDER BY {oldest_first('l.occurred_at')}", (self.account_id, start, end)))

    def other_half(self, row: FlowRow) -> FlowRow | None:
        """The other half of a rename: the one flow of the other direction with the same reference and instant."""
        if row.reference is None:
            return None
        where = "l.account_id = ? AND l.occurred_at = ? AND l.category = 'rename' AND l.reference = ? AND f.state = 0"
        rows = self._all(f"SELECT {_FLOW} FROM flows l JOIN facts f USING (fact_no) WHERE {where}", row.instant, row.reference)
        found = [FlowRow._make(other) for other in rows]
        others = [other for other in found if other.direction != row.direction]
        return others[0] if len(found) == 2 and len(others) == 1 else None

    def fee_rows(self, start: int, end: int) -> Iterator[FeeRow]:
        """Live fee records of [start, end) in the order of facts."""
        sql = (
            "SELECT e.fact_no, e.occurred_at, e.currency, e.amount, e.usd_rate, coalesce(f.sequence, -1), coalesce(f.producer, ''), f.sort_key "
            "FROM fees e JOIN facts f USING (fact_no) WHERE e.account_id = ? AND e.occurred_at >= ? AND e.occurred_at < ? AND f.state = 0 "
        )
        return map(FeeRow._make, self._connection.execute(f"{sql}ORDER BY {oldest_first('e.occurred_at')}", (self.account_id, start, end)))

    def entry_rows(self, start: int, end: int) -> Iterator[EntryRow]:
        """Live entries by hand of [start, end) in the order of facts."""
        sql = (
            "SELECT e.fact_no, e.occurred_at, e.currency, e.amount, coalesce(f.sequence, -1), coalesce(f.producer, ''), f.sort_key "
            "FROM entries e JOIN facts f USING (fact_no) WHERE e.account_id = ? AND e.occurred_at >= ? AND e.occurred_at < ? AND f.state = 0 "
        )
        return map(EntryRow._make, self._connection.execute(f"{sql}ORDER BY {oldest_first('e.occurred_at')}", (self.account_id, start, end)))

    def holdings(self) -> list[str]:
        """The keys of every currency and contract that ever moved."""
        rows = self._all("SELECT DISTINCT currency, kind FROM transaction_totals WHERE account_id = ? ORDER BY currency, kind")
        return [holding_key(code, kind) for code, kind in rows]

    def instruments_of(self, symbol: str, pairs: Iterable[tuple[str, str]] = ()) -> list[tuple[str, str]]:
        """The instruments that a symbol may name in any notation, each as (asset, position): a contract of that very symbol, spot pairs, then
        contracts that are written otherwise."""
        codes = [name_and_kind(key) for key in self.holdings()]
        named = {symbol, *(instrument for notation, instrument in pairs if notation == symbol)}
        plain = {_plain(name) for name in named}
        contracts = [name for name, kind in codes if kind == "contract"]
        currencies = {_plain(name): name for name, kind in codes if kind == "currency"}
        found = [holding_key(name, "contract") for name in contracts if name in named]
        spot = [
            (base, f"{base}/{currencies[text.removeprefix(start)]}")
            for text in sorted(plain)
            for start, base in currencies.items()
            if text.startswith(start) and text.removeprefix(start) in currencies
        ]
        written = [holding_key(name, "contract") for name in contracts if name not in named and plain & {_plain(name), _plain(name.partition(":")[0])}]
        return [*((key, key) for key in found), *spot, *((key, key) for key in written)]

    def identity_of(self, fact_no: int) -> tuple[str, str]:
        """The kind and id of a record."""
        kind, record_id = self._connection.execute("SELECT kind, record_id FROM facts WHERE fact_no = ?", (fact_no,)).get
        return kind, record_id

    def first_snapshot_at(self) -> int | None:
        """The instant of the account's first live snapshot."""
        return self.next_snapshot_at(-(2**62))

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
            f"ORDER BY {oldest_first('s.observed_at')} LIMIT 1", start, end,
        )  # fmt: skip
        return None if row is None else SnapshotValue(row[0], row[1], Decimal(row[2]))

    def last_snapshot(self, start: int, end: int) -> SnapshotValue | None:
        """The last live snapshot of [start, end) in the order of facts: the close of that day."""
        row = self._one(
            "SELECT s.fact_no, s.observed_at, s.total_value_usd FROM equity_snapshots s JOIN facts f USING (fact_no) WHERE s.account_id = ? "
            "AND s.observed_at >= ? AND s.observed_at < ? AND f.state = 0 "
            f"ORDER BY {newest_first('s.observed_at')} LIMIT 1", start, end,
        )  # fmt: skip
        return None if row is None else SnapshotValue(row[0], row[1], Decimal(row[2]))

    def last_reported(self, start: int, end: int) -> str | None:
        """The figures that the last live snapshot of [start, end) to carry any reports, as JSON."""
        return self._one(  # type: ignore[no-any-return]
            "SELECT s.reported FROM equity_snapshots s JOIN facts f USING (fact_no) WHERE s.account_id = ? AND s.observed_at >= ? AND s.observed_at < ? "
            "AND f.state = 0 AND s.reported IS NOT NULL "
            f"ORDER BY {newest_first('s.observed_at')} LIMIT 1", start, end,
        )  # fmt: skip

    def snapshot_value(self, fact_no: int) -> Decimal | None:
        """What a live snapshot says."""
        sql = "SELECT s.total_value_usd FROM equity_snapshots s JOIN facts f USING (fact_no) WHERE s.account_id = ? AND s.fact_no = ? AND f.state = 0"
        return _number(self._one(sql, fact_no))

    def snapshots_between(self, after: int, before: int) -> list[SnapshotValue]:
        """Live snapshots strictly inside, in the order of facts."""
        rows = self._all(
            "SELECT s.fact_no, s.observed_at, s.total_value_usd FROM equity_snapshots s JOIN facts f USING (fact_no) WHERE s.account_id = ? "
            "AND s.observed_at > ? AND s.observed_at < ? AND f.state = 0 "
            f"ORDER BY {oldest_first('s.observed_at')}", after, before,
        )  # fmt: skip
        return [SnapshotValue(number, at, Decimal(usd)) for number, at, usd in rows]

    def next_transaction_at(self, instant: int) -> int | None:
        return self._one("SELECT occurred_at FROM transactions WHERE account_id = ? AND occurred_at >= ? ORDER BY occurred_at LIMIT 1", instant)  # type: ignore[no-any-return]

    def movements(self, start: int, end: int) -> dict[str, Decimal]:
        """What each holding moved by in [start, end), by its key."""
        sql = "SELECT currency, kind, decimal_sum(amount) FROM transactions WHERE account_id = ? AND occurred_at >= ? AND occurred_at < ? GROUP BY 1, 2"
        return {holding_key(code, kind): Decimal(amount) for code, kind, amount in self._all(sql, start, end)}

    def movements_by_type(self, start: int, end: int) -> dict[str, list[tuple[str, Decimal]]]:
        """Per holding, what each type of transaction moved in [start, end)."""
        sql = (
            "SELECT currency, kind, type, decimal_sum(amount) FROM transactions WHERE account_id = ? AND occurred_at >= ? AND occurred_at < ? "
            "GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
        )
        found: dict[str, list[tuple[str, Decimal]]] = {}
        for code, kind, type_, amount in self._all(sql, start, end):
            found.setdefault(holding_key(code, kind), []).append((type_, Decimal(amount)))
        return found

    def moved_since(self, holding: str, instant: int) -> Decimal:
        """What a holding moved by from an instant on."""
        sql = "SELECT decimal_sum(amount) FROM transactions WHERE account_id = ? AND occurred_at >= ? AND currency = ? AND kind = ?"
        return _number(self._one(sql, instant, *name_and_kind(holding))) or ZERO

    def balance(self, holding: str) -> Decimal:
        """Available and reserved, as the ledger keeps them."""
        row = self._one("SELECT available, reserved FROM balances WHERE account_id = ? AND currency = ? AND kind = ?", *name_and_kind(holding))
        return ZERO if row is None else EXACT.add(Decimal(row[0]), Decimal(row[1]))


def _plain(symbol: str) -> str:
    """A symbol without what notations differ in."""
    return "".join(c for c in symbol.upper() if c not in "/-_: ")


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
