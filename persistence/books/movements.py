"""The rows of transactions, what each fact moves, and the sums that move with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from persistence.domain.facts import Adjustment, AnyFact, Category, Deposit, Fill, ManualTransaction, Withdrawal
from persistence.domain.money import EXACT, ZERO, canonical
from persistence.domain.transaction import TransactionType
from persistence.engine.contract import Connection

#: `transaction_no` = fact_no × LEGS + leg.
LEGS = 16
AMOUNT, BASE, QUOTE, FEE = 0, 1, 2, 3
REVERSAL = 8
LEG_NAMES = {AMOUNT: "amount", BASE: "base", QUOTE: "quote", FEE: "fee"}
INSERT = "INSERT INTO transactions (transaction_no, account_id, occurred_at, type, currency, amount, description, reference) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_ROWS = "SELECT transaction_no, account_id, occurred_at, type, currency, amount, description, reference FROM transactions"
#: (transaction_no, account, instant, type, currency, amount, description, reference)
TransactionRow = tuple[int, str, int, str, str, str, str | None, str | None]
_CATEGORY_TYPES = {
    Category.EXTERNAL: (TransactionType.DEPOSIT, TransactionType.WITHDRAWAL),
    Category.FEE: (TransactionType.REBATE, TransactionType.FEE),
}
_add, _minus = EXACT.add, EXACT.minus


class Totals:
    """The changes of sums that one commit makes: added up exactly in memory, written once per account, currency and type."""

    def __init__(self) -> None:
        # (account, currency, type) → [sum, count]
        self._cells: dict[tuple[str, str, str], list[Any]] = {}

    def add(self, account_id: str, currency: str, kind: str, amount: Decimal) -> None:
        key = (account_id, currency, kind)
        cell = self._cells.get(key)
        if cell is None:
            self._cells[key] = [amount, 1]
        else:
            cell[0] = _add(cell[0], amount)
            cell[1] += 1

    def by_currency(self) -> dict[tuple[str, str], Decimal]:
        found: dict[tuple[str, str], Decimal] = {}
        for (account_id, currency, _), (amount, _) in self._cells.items():
            found[account_id, currency] = EXACT.add(found.get((account_id, currency), ZERO), amount)
        return found

    def write(self, connection: Connection) -> None:
        sql = "SELECT account_id, currency, type, amount, count FROM transaction_totals WHERE account_id = ? AND currency = ? AND type = ?"
        stored = {(a, c, t): (Decimal(amount), count) for a, c, t, amount, count in connection.lookup(sql, list(self._cells))}
        rows = []
        for key, (amount, counted) in self._cells.items():
            before, count = stored.get(key, (ZERO, 0))
            rows.append((*key, canonical(EXACT.add(before, amount)), count + counted))
        connection.executemany(
            "INSERT INTO transaction_totals (account_id, currency, type, amount, count) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (account_id, currency, type) DO UPDATE SET amount = excluded.amount, count = excluded.count",
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


def fill_transactions(fact_no: int, fill: Fill, texts: Sequence[Any], totals: Totals, rows: list[TransactionRow]) -> None:
    """Up to three movements: the base, its cash in quote, the fee. What is zero moves nothing and has no row."""
    account_id, side, quantity, cash, base, quote, fee, at = fill[0], fill[4], fill[5], fill[7], fill[9], fill[10], fill[11], fill[13]
    number = fact_no * LEGS
    cash_text = texts[7]
    if side == "buy":
        rows.append((number + BASE, account_id, at, "trade_in", base, texts[5], None, None))
        totals.add(account_id, base, "trade_in", quantity)
        cash, cash_text = _minus(cash), negated(cash_text)
    else:
        rows.append((number + BASE, account_id, at, "trade_out", base, "-" + texts[5], None, None))
        totals.add(account_id, base, "trade_out", _minus(quantity))
    if cash:
        kind = "trade_in" if cash_text[0] != "-" else "trade_out"
        rows.append((number + QUOTE, account_id, at, kind, quote, cash_text, None, None))
        totals.add(account_id, quote, kind, cash)
    if fee:
        fee_text = negated(texts[11])
        kind = "fee" if fee_text[0] == "-" else "rebate"
        rows.append((number + FEE, account_id, at, kind, fill[12], fee_text, None, None))
        totals.add(account_id, fill[12], kind, _minus(fee))


def flow_transaction(fact_no: int, fact: Deposit | Withdrawal | ManualTransaction | Adjustment, totals: Totals, rows: list[TransactionRow]) -> None:
    """The one movement of a deposit or withdrawal, or of what was saved by hand."""
    if isinstance(fact, Deposit | Withdrawal):
        kind, amount = flow_type(fact), fact.amount if fact.kind == "deposit" else _minus(fact.amount)
    else:
        kind, amount = fact.type, fact.amount
    if amount:
        rows.append((fact_no * LEGS + AMOUNT, fact.account_id, fact.occurred_at, kind, fact.currency, canonical(amount), fact.description, fact.reference))
        totals.add(fact.account_id, fact.currency, kind, amount)


def transactions_of(fact_no: int, fact: AnyFact) -> list[TransactionRow]:
    """What a fact moves, its reversal left out."""
    rows: list[TransactionRow] = []
    if isinstance(fact, Fill):
        fill_transactions(fact_no, fact, fact.texts(), Totals(), rows)
    elif isinstance(fact, Deposit | Withdrawal | ManualTransaction | Adjustment):
        flow_transaction(fact_no, fact, Totals(), rows)
    return rows


def reversed_row(row: TransactionRow) -> TransactionRow:
    """What undoes a transaction."""
    number, account_id, at, kind, currency, amount, description, reference = row
    return number + REVERSAL, account_id, at, kind, currency, negated(amount), description, reference


def rows_after(connection: Connection, fact_no: int) -> Iterator[TransactionRow]:
    """The rows of the facts after a number, in their order."""
    return iter(connection.execute(f"{_ROWS} WHERE transaction_no >= ? ORDER BY transaction_no", ((fact_no + 1) * LEGS,)))


def reversal_rows(connection: Connection, fact_no: int, totals: Totals) -> list[TransactionRow]:
    """What undoes a fact's transactions: the same types and instants, opposite amounts, so that every period comes out as if
    the fact had never been, whichever void came first."""
    rows: list[TransactionRow] = []
    for row in connection.execute(f"{_ROWS} WHERE transaction_no BETWEEN ? AND ?", (fact_no * LEGS, fact_no * LEGS + REVERSAL - 1)):
        opposite = reversed_row(row)
        rows.append(opposite)
        totals.add(opposite[1], opposite[4], opposite[3], Decimal(opposite[5]))
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


#: The order of facts, then the leg: total, and independent of arrival.
OLDEST_FIRST = "t.occurred_at, coalesce(f.sequence, -1), coalesce(f.producer, ''), f.record_id, f.kind, t.leg"
