"""Transactions: what moves money, and the sums that move with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from jarvis_client.contract.conventions import identifier, storable_text
from jarvis_client.contract.decimals import EXACT, ZERO, within_limits
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.instants import to_datetime, to_instant
from persistence import exports
from persistence.books.ledger import Ledger
from persistence.books.movements import CONTRACT, CURRENCY, LEGS, REVERSAL, parse_transaction_id, transaction_id
from persistence.books.order_of_facts import newest_first, oldest_first, period
from persistence.domain.entries import ManualTransaction
from persistence.domain.errors import Immutable
from persistence.domain.money import ContractCode, Currency, Money
from persistence.domain.transaction import DEBITS, Transaction, TransactionRepository, TransactionType
from persistence.engine.contract import Connection, Database
from persistence.repositories.asked import limit_of

_COLUMNS = "t.transaction_no, t.account_id, t.occurred_at, t.type, t.currency, t.kind, t.amount, t.description, t.reference, f.kind, f.record_id"
_FROM = "FROM transactions t JOIN facts f ON f.fact_no = t.fact_no"
#: The order of facts, then the leg: total, and independent of arrival.
_OLDEST_FIRST = f"{oldest_first('t.occurred_at')}, t.leg"
_NEWEST_FIRST = f"{newest_first('t.occurred_at')}, t.leg DESC"
#: Types of which there are too many for an index of their own.
FREQUENT = ("trade_in", "trade_out", "fee", "rebate")
#: How many columns an entity is made of.
_ENTITY = len(_COLUMNS.split(", "))
_PLACE = "t.occurred_at, coalesce(f.sequence, -1), coalesce(f.producer, ''), f.sort_key, t.leg"
_BEYOND = f"({_PLACE}) < (?, ?, ?, ?, ?)"


class TransactionPlace(NamedTuple):
    """Where a transaction stands among those of its account."""

    occurred_at: int
    sequence: int
    producer: str
    sort_key: bytes
    leg: int


class SQLiteTransactionRepository(TransactionRepository):
    """Transactions in SQLite. What is saved here is recorded as a fact and moves the balance in the same commit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, transaction: Transaction, account_id: str) -> None:
        self.save_many([transaction], account_id)

    def save_many(self, transactions: Iterable[Transaction], account_id: str) -> None:
        with self._database.transaction() as connection:
            # A transaction that a fact made is recorded already, under an id of its own form.
            fresh = [t for t in transactions if not _is_recorded_leg(connection, t)]
            Ledger(self._database).record([manual_fact(t, account_id) for t in fresh])

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
        wanted = TransactionType(transaction_type)
        # The terms of the partial index, word for word, so that the planner may use it.
        rare = "" if wanted in FREQUENT else "".join(f" AND t.type <> '{name}'" for name in FREQUENT)
        return self._select(f"WHERE t.account_id = ? AND t.type = ?{rare}", (account_id, str(wanted)), f"ORDER BY {_NEWEST_FIRST}", limit)

    def find_by_currency(self, account_id: str, currency: Currency, limit: int | None = 1000) -> list[Transaction]:
        code = currency if isinstance(currency, Currency) else Currency(currency)
        if not self.ever_had(account_id, code):
            return []
        where = "WHERE t.account_id = ? AND t.currency = ? AND t.kind = ?"
        return self._select(where, (account_id, str(code), kind_of(code)), f"ORDER BY {_NEWEST_FIRST}", limit)

    def page(
        self,
        account_id: str,
        limit: int,
        after: TransactionPlace | None = None,
        *,
        transaction_type: TransactionType | None = None,
        currency: Currency | None = None,
        since: TransactionPlace | None = None,
    ) -> list[tuple[Transaction, TransactionPlace]]:
        """The newest first, of those that come after a place, each with its own. None is older than `since`, a place that `reach` gave."""
        if not self.ever_had(account_id, currency, transaction_type):
            return []
        terms, params = ["t.account_id = ?"], [account_id]
        if since is not None:
            terms, params = [*terms, "t.occurred_at >= ?"], [*params, since.occurred_at]  # type: ignore[list-item]
        if transaction_type is not None:
            rare = [] if transaction_type in FREQUENT else [f"t.type <> '{name}'" for name in FREQUENT]
            terms, params = [*terms, "t.type = ?", *rare], [*params, str(transaction_type)]
        if currency is not None:
            terms, params = [*terms, "t.currency = ?", "t.kind = ?"], [*params, str(currency), kind_of(currency)]
        if after is not None:
            # The index begins at the instant; the rest of the place tells those of one instant apart.
            terms, params = [*terms, "t.occurred_at <= ?", _BEYOND], [*params, after.occurred_at, *after]  # type: ignore[list-item]
        where = " AND ".join(terms)
        with self._database.get_connection() as connection:
            sql = f"SELECT {_COLUMNS}, {_PLACE} {_FROM} WHERE {where} ORDER BY {_NEWEST_FIRST} LIMIT ?"
            rows = connection.execute(sql, (*params, limit_of(limit))).fetchall()
        return [(_entity(row[:_ENTITY]), TransactionPlace(*row[_ENTITY:])) for row in rows]

    def ever_had(self, account_id: str, code: Currency | None = None, of_type: TransactionType | None = None) -> bool:
        """Whether anything moved in a currency, or as a type: without, every row of the account would be read in vain."""
        where, params = "account_id = ?", [account_id]
        if code is not None:
            where, params = f"{where} AND currency = ? AND kind = ?", [*params, str(code), kind_of(code)]
        if of_type is not None:
            where, params = f"{where} AND type = ?", [*params, str(of_type)]
        with self._database.get_connection() as connection:
            return connection.execute(f"SELECT 1 FROM transaction_totals WHERE {where} LIMIT 1", tuple(params)).get is not None

    def reach(self, account_id: str, transactions: int, after: TransactionPlace | None = None) -> TransactionPlace | None:
        """Where a search ends that looks through so many transactions that are older than a place, and the next one goes on: before all of that
        instant. None where there are fewer."""
        where, params = ("account_id = ?", [account_id]) if after is None else ("account_id = ? AND occurred_at < ?", [account_id, after.occurred_at])
        with self._database.get_connection() as connection:
            sql = f"SELECT occurred_at FROM transactions WHERE {where} ORDER BY occurred_at DESC LIMIT 1 OFFSET ?"
            found = connection.execute(sql, (*params, limit_of(transactions))).get
        # Below every number: a fact without one counts as -1.
        return None if found is None else TransactionPlace(int(found), -2, "", b"", 0)

    def find_by_period(self, account_id: str, start: datetime, end: datetime, limit: int | None = None) -> list[Transaction]:
        where = "WHERE t.account_id = ? AND t.occurred_at >= ? AND t.occurred_at < ?"
        return self._select(where, (account_id, to_instant(start), to_instant(end)), f"ORDER BY {_OLDEST_FIRST}", limit)

    def stream(self, account_id: str, start: datetime | None = None, end: datetime | None = None) -> Iterator[Transaction]:
        where, params = period("t.account_id", "t.occurred_at", account_id, start, end)
        with self._database.get_connection() as connection:
            for row in connection.stream(f"SELECT {_COLUMNS} {_FROM} {where} ORDER BY {_OLDEST_FIRST}", params):
                yield _entity(row)

    def count(self, account_id: str) -> int:
        with self._database.get_connection() as connection:
            return int(connection.execute("SELECT coalesce(sum(count), 0) FROM transaction_totals WHERE account_id = ?", (account_id,)).get)

    def get_sum_by_type(self, account_id: str, transaction_type: TransactionType, currency: Currency) -> Money:
        wanted, code = TransactionType(transaction_type), currency if isinstance(currency, Currency) else Currency(currency)
        with self._database.get_connection() as connection:
            text = connection.execute(
                "SELECT amount FROM transaction_totals WHERE account_id = ? AND currency = ? AND kind = ? AND type = ?",
                (account_id, str(code), kind_of(code), str(wanted)),
            ).get
        signed = Money(Decimal(text or "0"), code)
        return -signed if wanted in DEBITS and signed else signed

    def get_sum_by_currency(self, account_id: str, currency: Currency) -> Money:
        code = currency if isinstance(currency, Currency) else Currency(currency)
        total = ZERO
        for (kind, held), amount in self.get_sums(account_id).items():
            if held == code:
                total = EXACT.add(total, EXACT.minus(amount) if kind in DEBITS else amount)
        return Money(total, code)

    def get_sums(self, account_id: str) -> dict[tuple[TransactionType, Currency], Decimal]:
        with self._database.get_connection() as connection:
            rows: list[Any] = connection.execute(
                "SELECT type, currency, kind, amount FROM transaction_totals WHERE account_id = ? ORDER BY currency, kind, type", (account_id,)
            ).fetchall()
        found = {}
        for name, currency, kind, text in rows:
            type_, amount = TransactionType(name), Decimal(text)
            found[type_, code_of(currency, kind)] = EXACT.minus(amount) if type_ in DEBITS else amount
        return found

    def export_to_csv(self, account_id: str, path: str | Path) -> None:
        exports.to_file(self._database, "transactions", account_id, "csv", path)

    def export_to_json(self, account_id: str, path: str | Path) -> None:
        exports.to_file(self._database, "transactions", account_id, "json", path)

    def _select(self, where: str, params: tuple[Any, ...], order: str, limit: int | None) -> list[Transaction]:
        with self._database.get_connection() as connection:
            rows = connection.execute(f"SELECT {_COLUMNS} {_FROM} {where} {order} LIMIT ?", (*params, limit_of(limit))).fetchall()
        return [_entity(row) for row in rows]


def manual_fact(transaction: Transaction, account_id: str) -> ManualTransaction:
    """The fact that a transaction saved by hand is recorded as. Raises `Invalid` for ids and amounts that the books do not take."""
    if transaction.reverses is not None:
        raise Invalid(f"transaction {transaction.transaction_id} is a reversal; record a Void of what it reverses instead")
    movement = transaction.movement
    within_limits(movement.amount)
    for name in ("description", "reference"):
        storable_text(getattr(transaction, name) or "", name)
    return ManualTransaction(
        identifier(account_id, "account_id"), identifier(transaction.transaction_id, "transaction_id"),
        str(transaction.transaction_type), str(movement.currency), movement.amount, ZERO,
        transaction.description or None, transaction.reference or None, to_instant(transaction.occurred_at), None, None,
    )  # fmt: skip


def kind_of(currency: Currency | str) -> str:
    """What a code counts: money, or a contract."""
    return CONTRACT if isinstance(currency, ContractCode) else CURRENCY


def code_of(currency: str, kind: str) -> Currency:
    """The code of a balance: of a currency, or of a contract."""
    return ContractCode(currency) if kind == CONTRACT else Currency(currency)


def _find(connection: Connection, text: str) -> Transaction | None:
    storable_text(text, "transaction_id")
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


def _is_recorded_leg(connection: Connection, transaction: Transaction) -> bool:
    if parse_transaction_id(transaction.transaction_id) is None:
        return False
    return _find(connection, transaction.transaction_id) == transaction


def _entity(row: Sequence[Any]) -> Transaction:
    number, account_id, at, name, currency, balance_kind, text, description, reference, kind, record_id = row
    leg = number % LEGS
    type_ = TransactionType(name)
    amount = Decimal(text)
    reverses = transaction_id(kind, account_id, record_id, leg - REVERSAL) if leg >= REVERSAL else None
    return Transaction(
        type_, Money(EXACT.minus(amount) if type_ in DEBITS else amount, code_of(currency, balance_kind)), description or "",
        transaction_id(kind, account_id, record_id, leg), to_datetime(at), reference, reverses,
    )  # fmt: skip
