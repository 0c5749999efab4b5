"""The rows of transactions, what each fact moves, and the sums that move with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from functools import reduce
from typing import Any, NamedTuple

from jarvis_client.contract.decimals import EXACT, ZERO, canonical
from jarvis_client.contract.facts import Category, Deposit, Fee, Fill, Withdrawal
from jarvis_client.contract.facts.fill import MOST_FEES, more_charges
from jarvis_client.contract.facts.flow import flow_kind
from persistence.domain.entries import Adjustment, AnyFact, ManualTransaction
from persistence.domain.transaction import TransactionType
from persistence.engine.contract import Connection

#: `transaction_no` = fact_no × LEGS + leg.
LEGS = 16
AMOUNT, BASE, QUOTE, FEE = 0, 1, 2, 3
REVERSAL = 8
#: A fill has up to five fees, a leg each.
LEG_NAMES = {AMOUNT: "amount", BASE: "base", QUOTE: "quote", FEE: "fee"} | {FEE + n: f"fee{n + 1}" for n in range(1, MOST_FEES)}
#: What a balance counts: money, or a contract by its symbol.
CURRENCY, CONTRACT = "currency", "contract"
_COLUMNS = "transaction_no, account_id, occurred_at, type, currency, kind, amount, description, reference"
INSERT = f"INSERT INTO transactions ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ROWS = f"SELECT {_COLUMNS} FROM transactions"


class TransactionRow(NamedTuple):
    """A row of `transactions`. `amount` is signed as the balance moves."""

    number: int
    account_id: str
    occurred_at: int
    type: str
    currency: str
    kind: str
    amount: str
    description: str | None = None
    reference: str | None = None


_CATEGORY_TYPES = {
    Category.EXTERNAL: (TransactionType.DEPOSIT, TransactionType.WITHDRAWAL),
    Category.FEE: (TransactionType.REBATE, TransactionType.FEE),
}
_add, _minus = EXACT.add, EXACT.minus


#: (account, currency, kind, type)
Cell = tuple[str, str, str, str]


class Totals:
    """The changes of sums that one commit makes: added up exactly in memory, written once per account, currency and type."""

    def __init__(self) -> None:
        #: What moved, by (account, currency, kind, type), until `fold` adds it up: appending is what costs least for each fill.
        self.moved: defaultdict[Cell, list[str]] = defaultdict(list)
        self._cells: dict[Cell, tuple[Decimal, int]] = {}

    def add(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Count some rows of transactions."""
        moved = self.moved
        for _, account_id, _, type_, currency, kind, amount, _, _ in rows:
            moved[account_id, currency, kind, type_].append(amount)

    def fold(self) -> None:
        """Add up what moved, so that memory does not grow with the number of facts."""
        for key, amounts in self.moved.items():
            amount, count = self._cells.get(key, (ZERO, 0))
            self._cells[key] = reduce(_add, map(Decimal, amounts), amount), count + len(amounts)
        self.moved.clear()

    def by_balance(self) -> dict[tuple[str, str, str], Decimal]:
        """The changes of balances: by account, currency and kind."""
        found: dict[tuple[str, str, str], Decimal] = {}
        for (account_id, currency, kind, _), (amount, _) in self._cells.items():
            found[account_id, currency, kind] = EXACT.add(found.get((account_id, currency, kind), ZERO), amount)
        return found

    def write(self, connection: Connection) -> None:
        self.fold()
        sql = "SELECT account_id, currency, kind, type, amount, count FROM transaction_totals WHERE account_id = ? AND currency = ? AND kind = ? AND type = ?"
        stored = {(a, c, k, t): (Decimal(amount), count) for a, c, k, t, amount, count in connection.lookup(sql, list(self._cells))}
        rows = []
        for key, (amount, counted) in self._cells.items():
            before, count = stored.get(key, (ZERO, 0))
            rows.append((*key, canonical(EXACT.add(before, amount)), count + counted))
        connection.executemany(
            "INSERT INTO transaction_totals (account_id, currency, kind, type, amount, count) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (account_id, currency, kind, type) DO UPDATE SET amount = excluded.amount, count = excluded.count",
            rows,
        )


def negated(text: str) -> str:
    """The canonical text of the opposite amount."""
    return text[1:] if text[0] == "-" else text if text == "0" else f"-{text}"


def flow_type(fact: Deposit | Withdrawal) -> str:
    """The transaction type of a deposit or withdrawal: its category's."""
    pair = _CATEGORY_TYPES.get(Category(fact.category))
    if pair is None:
        return str(TransactionType(fact.category))
    return str(pair[isinstance(fact, Withdrawal)])


def fill_rows(fact_no: int, texts: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The rows of a fill's transactions from its texts: the base, its cash, its fees. What is zero moves nothing and has no row.

    A contract's base leg is booked under the contract's own code, its cash in the currency it settles in; of an inverse one with the
    sign reversed, so that what is left when flat is the profit.
    """
    (
        account_id, _, _, _, side, quantity, _, cash, _, base, quote, settle, inverse, instrument, fee, fee_currency, _, more_fees, at, _, _, _, _, _, _, _,
    ) = texts  # fmt: skip
    number, kind = fact_no * LEGS, CURRENCY
    if settle is not None:
        base, quote, kind = instrument, settle, CONTRACT
    if side == "buy":
        rows = [(number + BASE, account_id, at, "trade_in", base, kind, quantity, None, None)]
    else:
        rows = [(number + BASE, account_id, at, "trade_out", base, kind, "-" + quantity, None, None)]
    if cash != "0":
        if (side == "buy") != bool(inverse):
            cash = negated(cash)
        rows.append((number + QUOTE, account_id, at, "trade_in" if cash[0] != "-" else "trade_out", quote, CURRENCY, cash, None, None))
    if fee is not None and fee != "0":
        fee = negated(fee)
        rows.append((number + FEE, account_id, at, "fee" if fee[0] == "-" else "rebate", fee_currency, CURRENCY, fee, None, None))
    if more_fees is not None:
        for leg, charge in enumerate(more_charges(more_fees), FEE + 1):
            rows += _charge_rows(number + leg, account_id, at, charge.currency, charge.amount)
    return rows


def _charge_rows(number: int, account_id: str, at: int, currency: str, amount: Decimal) -> list[tuple[Any, ...]]:
    """The transaction of a fee; none of a fee of zero."""
    return [(number, account_id, at, "fee" if amount > 0 else "rebate", currency, CURRENCY, canonical(_minus(amount)), None, None)] if amount else []


def flow_rows(fact_no: int, fact: AnyFact) -> list[tuple[Any, ...]]:
    """The same of a deposit, a withdrawal, a later fee or an entry by hand; other kinds move nothing."""
    number = fact_no * LEGS
    if isinstance(fact, Fee):
        return _charge_rows(number + FEE, fact.account_id, fact.occurred_at, fact.currency, fact.amount)
    kind = CURRENCY
    if isinstance(fact, Deposit | Withdrawal):
        type_, amount = flow_type(fact), fact.amount if fact.kind == "deposit" else _minus(fact.amount)
        kind = flow_kind(fact.category, fact.currency)
    elif isinstance(fact, ManualTransaction | Adjustment):
        type_, amount = fact.type, fact.amount
    else:
        return []
    rows = []
    if amount:
        rows.append((number + AMOUNT, fact.account_id, fact.occurred_at, type_, fact.currency, kind, canonical(amount), fact.description, fact.reference))
    if isinstance(fact, Deposit | Withdrawal) and fact.fee is not None:
        rows += _charge_rows(number + FEE, fact.account_id, fact.occurred_at, str(fact.fee_currency), fact.fee)
    return rows


def transactions_of(fact_no: int, fact: AnyFact) -> list[TransactionRow]:
    """What a fact moves, its reversal left out."""
    rows = fill_rows(fact_no, fact.texts()) if isinstance(fact, Fill) else flow_rows(fact_no, fact)
    return [TransactionRow._make(row) for row in rows]


def reversed_row(row: TransactionRow) -> TransactionRow:
    """What undoes a transaction."""
    return row._replace(number=row.number + REVERSAL, amount=negated(row.amount))


#: The transactions of the facts of a table.
_ROWS_OF = (
    f"SELECT {', '.join(f't.{name}' for name in _COLUMNS.split(', '))} FROM {{}} c CROSS JOIN transactions t WHERE {{}} "
    f"AND t.transaction_no BETWEEN c.fact_no * {LEGS} AND c.fact_no * {LEGS} + {LEGS - 1}"
)


def rows_of_facts(connection: Connection, table: str, after: int) -> Iterator[tuple[Any, ...]]:
    """The transactions of the facts of a table after a number, in their order: the fields of `TransactionRow`."""
    return iter(connection.stream(f"{_ROWS_OF.format(table, 'c.fact_no > ?')} ORDER BY c.fact_no, t.transaction_no", (after,)))


def rows_of_numbers(connection: Connection, table: str, numbers: Sequence[tuple[int]]) -> Sequence[tuple[Any, ...]]:
    """The same of the facts of these numbers, in no order."""
    return connection.lookup(_ROWS_OF.format(table, "c.fact_no = ?"), numbers)


def reversal_rows(connection: Connection, fact_no: int, totals: Totals) -> list[TransactionRow]:
    """What undoes a fact's transactions: the same types and instants, opposite amounts, so that every period comes out as if
    the fact had never been, whichever void came first."""
    rows: list[TransactionRow] = []
    for row in connection.execute(f"{_ROWS} WHERE transaction_no BETWEEN ? AND ?", (fact_no * LEGS, fact_no * LEGS + REVERSAL - 1)):
        opposite = reversed_row(TransactionRow._make(row))
        rows.append(opposite)
        totals.moved[opposite.account_id, opposite.currency, opposite.kind, opposite.type].append(opposite.amount)
    return rows


def transaction_id(kind: str, account_id: str, record_id: str, leg: int) -> str:
    """A fact's identity and the leg, such as `fill:acc_1:binance:BTCUSDT:42:quote`; what was saved by hand keeps its own id."""
    if kind == ManualTransaction.kind and leg == AMOUNT:
        return record_id
    escaped = account_id.replace("%", "%25").replace(":", "%3A")
    return f"{kind}:{escaped}:{record_id}:{LEG_NAMES[leg % REVERSAL]}{'.void' if leg >= REVERSAL else ''}"


def parse_transaction_id(text: str) -> tuple[str, str, str, int] | None:
    """(kind, account, record id, leg) of an id that `transaction_id` made from a fact."""
    head, _, name = text.rpartition(":")
    parts = head.split(":", 2)
    leg = next((n for n, known in LEG_NAMES.items() if known == name.removesuffix(".void")), None)
    if len(parts) != 3 or leg is None:
        return None
    account_id = parts[1].replace("%3A", ":").replace("%25", "%")
    return parts[0], account_id, parts[2], leg + (REVERSAL if name.endswith(".void") else 0)
