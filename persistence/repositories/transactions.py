"""Transactions: what moves money, and the sums that move with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw

from persistence.database import DatabaseManager
from persistence.domain.conventions import identifier
from persistence.domain.errors import Immutable, Invalid
from persistence.domain.facts import Adjustment, AnyFact, Category, Deposit, Fill, ManualTransaction, Withdrawal
from persistence.domain.instants import to_datetime, to_instant
from persistence.domain.money import EXACT, ZERO, Currency, Money, canonical, within_limits
from persistence.domain.transaction import DEBITS, Transaction, TransactionRepository, TransactionType

if TYPE_CHECKING:
    from persistence.ledger import Ledger

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

    def write(self, connection: apsw.Connection) -> None:
        rows = []
        for key, (amount, counted) in self._cells.items():
            row = connection.execute("SELECT amount, count FROM transaction_totals WHERE account_id = ? AND currency = ? AND type = ?", key).get
            before, count = (Decimal(row[0]), row[1]) if row else (ZERO, 0)
            rows.append((*key, canonical(EXACT.add(before, amount)), count + counted))
        connection.executemany(
            "INSERT INTO transaction_totals (account_id, currency, type, amount, count) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET amount = excluded.amount, count = excluded.count",
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


def rows_after(connection: apsw.Connection, fact_no: int) -> Iterator[TransactionRow]:
    """The rows of the facts after a number, in their order."""
    return iter(connection.execute(f"{_ROWS} WHERE transaction_no >= ? ORDER BY transaction_no", ((fact_no + 1) * LEGS,)))


def reversal_rows(connection: apsw.Connection, fact_no: int, totals: Totals) -> list[TransactionRow]:
    """What undoes a fact's transactions: the same types and instants, opposite amounts, so that every period comes out as if
    the fact had never been, whichever void came first."""
    rows: list[TransactionRow] = []
    for row in connection.execute(f"{_ROWS} WHERE transaction_no BETWEEN ? AND ?", (fact_no * LEGS, fact_no * LEGS + REVERSAL - 1)):
        opposite = reversed_row(row)
        rows.append(opposite)
        totals.add(opposite[1], opposite[4], opposite[3], Decimal(opposite[5]))
    return rows


# -- ids ------------------------------------------------------------------------------------------------------------------


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


# -- the repository -------------------------------------------------------------------------------------------------------

_COLUMNS = "t.transaction_no, t.account_id, t.occurred_at, t.type, t.currency, t.amount, t.description, t.reference, f.kind, f.record_id"
_FROM = "FROM transactions t JOIN facts f ON f.fact_no = t.fact_no"
#: The order of facts, then the leg: total, and independent of arrival.
OLDEST_FIRST = "t.occurred_at, coalesce(f.sequence, -1), coalesce(f.producer, ''), f.record_id, f.kind, t.leg"
_NEWEST_FIRST = "t.occurred_at DESC, coalesce(f.sequence, -1) DESC, coalesce(f.producer, '') DESC, f.record_id DESC, f.kind DESC, t.leg DESC"
_FREQUENT = ("trade_in", "trade_out", "fee", "rebate")


class SQLiteTransactionRepository(TransactionRepository):
    """Transactions in SQLite. What is saved here is recorded as a fact and moves the balance in the same commit."""

    def __init__(self, database: DatabaseManager) -> None:
        self._database = database

    def save(self, transaction: Transaction, account_id: str) -> None:
        self.save_many([transaction], account_id)

    def save_many(self, transactions: Iterable[Transaction], account_id: str) -> None:
        with self._database.transaction() as connection:
            # A transaction that a fact made is recorded already, under an id of its own form.
            fresh = [t for t in transactions if not _is_recorded_leg(connection, t)]
            self._ledger().record([manual_fact(t, account_id) for t in fresh])

    def find_by_id(self, transaction_id: str) -> Transaction | None:
        with self._database.get_connection() as connection:
            return _find(connection, transaction_id)

    def find_all(self, limit: int | None = 1000) -> list[Transaction]:
        return self._select("", (), f"ORDER BY {_NEWEST_FIRST}", limit)

    def exists(self, transaction_id: str) -> bool:
        return self.find_by_id(transaction_id) is not None

    def delete(self, transaction_id: str) -> bool:
        raise Immutable(
            f"transaction {transaction_id} is never deleted: record a Void of its fact (kind and id), which reverses it, and a new fact if one is due"
        )

    def find_by_account(self, account_id: str, limit: int | None = 100) -> list[Transaction]:
        return self._select("WHERE t.account_id = ?", (account_id,), f"ORDER BY {_NEWEST_FIRST}", limit)

    def find_by_type(self, account_id: str, transaction_type: TransactionType, limit: int | None = 1000) -> list[Transaction]:
        # The terms of the partial index, word for word, so that the planner may use it.
        rare = "" if transaction_type in _FREQUENT else "".join(f" AND t.type <> '{name}'" for name in _FREQUENT)
        return self._select(f"WHERE t.account_id = ? AND t.type = ?{rare}", (account_id, str(transaction_type)), f"ORDER BY {_NEWEST_FIRST}", limit)

    def find_by_currency(self, account_id: str, currency: Currency, limit: int | None = 1000) -> list[Transaction]:
        with self._database.get_connection() as connection:
            held = connection.execute("SELECT 1 FROM transaction_totals WHERE account_id = ? AND currency = ? LIMIT 1", (account_id, str(currency))).get
        if held is None:
            return []
        return self._select("WHERE t.account_id = ? AND t.currency = ?", (account_id, str(currency)), f"ORDER BY {_NEWEST_FIRST}", limit)

    def find_by_period(self, account_id: str, start: datetime, end: datetime, limit: int | None = None) -> list[Transaction]:
        where = "WHERE t.account_id = ? AND t.occurred_at >= ? AND t.occurred_at < ?"
        return self._select(where, (account_id, to_instant(start), to_instant(end)), f"ORDER BY {OLDEST_FIRST}", limit)

    def stream(self, account_id: str, start: datetime | None = None, end: datetime | None = None) -> Iterator[Transaction]:
        where, params = period("t.account_id", "t.occurred_at", account_id, start, end)
        with self._database.get_connection() as connection:
            for row in connection.execute(f"SELECT {_COLUMNS} {_FROM} {where} ORDER BY {OLDEST_FIRST}", params):
                yield _entity(row)

    def count(self, account_id: str) -> int:
        with self._database.get_connection() as connection:
            return int(connection.execute("SELECT coalesce(sum(count), 0) FROM transaction_totals WHERE account_id = ?", (account_id,)).get)

    def get_sum_by_type(self, account_id: str, transaction_type: TransactionType, currency: Currency) -> Money:
        with self._database.get_connection() as connection:
            text = connection.execute(
                "SELECT amount FROM transaction_totals WHERE account_id = ? AND currency = ? AND type = ?",
                (account_id, str(currency), str(transaction_type)),
            ).get
        signed = Money(Decimal(text or "0"), currency)
        return -signed if transaction_type in DEBITS and signed else signed

    def get_sum_by_currency(self, account_id: str, currency: Currency) -> Money:
        sums = self.get_sums(account_id)
        total = ZERO
        for (kind, held), amount in sums.items():
            if held == currency:
                total = EXACT.add(total, EXACT.minus(amount) if kind in DEBITS else amount)
        return Money(total, currency)

    def get_sums(self, account_id: str) -> dict[tuple[TransactionType, Currency], Decimal]:
        with self._database.get_connection() as connection:
            rows: list[Any] = connection.execute("SELECT type, currency, amount FROM transaction_totals WHERE account_id = ?", (account_id,)).fetchall()
        found = {}
        for name, currency, text in rows:
            kind, amount = TransactionType(name), Decimal(text)
            found[kind, Currency(currency)] = EXACT.minus(amount) if kind in DEBITS else amount
        return found

    def export_to_csv(self, account_id: str, path: str | Path) -> None:
        from persistence import exports

        exports.to_file(self._database, "transactions", account_id, "csv", path)

    def export_to_json(self, account_id: str, path: str | Path) -> None:
        from persistence import exports

        exports.to_file(self._database, "transactions", account_id, "json", path)

    def _ledger(self) -> Ledger:
        from persistence.ledger import Ledger

        return Ledger(self._database)

    def _select(self, where: str, params: tuple[Any, ...], order: str, limit: int | None) -> list[Transaction]:
        with self._database.get_connection() as connection:
            rows = connection.execute(f"SELECT {_COLUMNS} {_FROM} {where} {order} LIMIT ?", (*params, -1 if limit is None else limit)).fetchall()
        return [_entity(row) for row in rows]


def manual_fact(transaction: Transaction, account_id: str) -> ManualTransaction:
    """The fact that a transaction saved by hand is recorded as. Raises `Invalid` for ids and amounts that the books do not take."""
    if transaction.reverses is not None:
        raise Invalid(f"transaction {transaction.transaction_id} is a reversal; record a Void of what it reverses instead")
    movement = transaction.movement
    within_limits(movement.amount)
    return ManualTransaction(
        identifier(account_id, "account_id"), identifier(transaction.transaction_id, "transaction_id"),
        str(transaction.transaction_type), str(movement.currency), movement.amount, ZERO,
        transaction.description or None, transaction.reference or None, to_instant(transaction.occurred_at), None, None,
    )  # fmt: skip


def period(account_column: str, instant_column: str, account_id: str, start: datetime | None, end: datetime | None) -> tuple[str, tuple[Any, ...]]:
    """The WHERE clause of one account and [start, end)."""
    where, params = f"WHERE {account_column} = ?", [account_id]
    if start is not None:
        where, params = f"{where} AND {instant_column} >= ?", [*params, to_instant(start)]  # type: ignore[list-item]
    if end is not None:
        where, params = f"{where} AND {instant_column} < ?", [*params, to_instant(end)]  # type: ignore[list-item]
    return where, tuple(params)


def _find(connection: apsw.Connection, text: str) -> Transaction | None:
    by_hand = connection.execute(
        f"SELECT {_COLUMNS} FROM facts f JOIN transactions t ON t.transaction_no = f.fact_no * {LEGS} "
        "WHERE f.record_id = ? AND f.kind = 'transaction' ORDER BY f.account_id LIMIT 1",
        (text,),
    ).get
    if by_hand is not None:
        return _entity(by_hand)
    parsed = parse_transaction_id(text)
    if parsed is None:
        return None
    kind, account_id, record_id, leg = parsed
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM facts f JOIN transactions t ON t.transaction_no = f.fact_no * {LEGS} + ? "
        "WHERE f.record_id = ? AND f.account_id = ? AND f.kind = ?",
        (leg, record_id, account_id, kind),
    ).get
    return None if row is None else _entity(row)


def _is_recorded_leg(connection: apsw.Connection, transaction: Transaction) -> bool:
    if parse_transaction_id(transaction.transaction_id) is None:
        return False
    return _find(connection, transaction.transaction_id) == transaction


def _entity(row: Sequence[Any]) -> Transaction:
    number, account_id, at, name, currency, text, description, reference, kind, record_id = row
    leg = number % LEGS
    type_ = TransactionType(name)
    amount = Decimal(text)
    reverses = transaction_id(kind, account_id, record_id, leg - REVERSAL) if leg >= REVERSAL else None
    return Transaction(
        type_, Money(EXACT.minus(amount) if type_ in DEBITS else amount, Currency(currency)), description or "",
        transaction_id(kind, account_id, record_id, leg), to_datetime(at), reference, reverses,
    )  # fmt: skip
