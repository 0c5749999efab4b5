"""Accounts and their balances."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from persistence.books import events, facts
from persistence.books.accounts import lift_tombstone
from persistence.books.ledger import Ledger
from persistence.books.movements import CONTRACT, CURRENCY
from persistence.domain.account import Account, AccountRepository
from persistence.domain.conventions import identifier
from persistence.domain.facts import Adjustment, AnyFact
from persistence.domain.instants import to_datetime, to_instant
from persistence.domain.money import EXACT, ZERO, Balance, Currency, within_limits
from persistence.domain.transaction import Transaction, TransactionType
from persistence.engine.contract import Connection, Database
from persistence.proof.chain import seal_within
from persistence.repositories.transactions import SQLiteTransactionRepository, manual_fact


class SQLiteAccountRepository(AccountRepository):
    """Accounts in SQLite. A save records transactions and adjustments as facts, so a rebuild keeps what was done by hand."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, account: Account, reason: str = "balance changed through account_repository.save") -> None:
        self._save_all([account], reason)

    def save_many(self, accounts: Iterable[Account]) -> None:
        self._save_all(accounts, "balance changed through account_repository.save_many")

    def find_by_id(self, account_id: str) -> Account | None:
        return next(iter(self._select("WHERE account_id = ?", (account_id,))), None)

    def find_by_name(self, name: str) -> Account | None:
        return next(iter(self._select("WHERE name = ?", (name,))), None)

    def find_all(self) -> list[Account]:
        return self._select("", ())

    def find_all_active(self) -> list[Account]:
        return self._select("WHERE is_active = 1", ())

    def activate(self, account_id: str) -> bool:
        return self._set_active(account_id, True)

    def deactivate(self, account_id: str) -> bool:
        return self._set_active(account_id, False)

    def delete(self, account_id: str) -> bool:
        with self._database.transaction() as connection:
            if not self.exists(account_id):
                return False
            now = connection.now
            # The chain keeps the identities and digests of what goes, and that it went.
            seal_within(connection, now)
            erased = facts.erase(connection, account_id)
            connection.execute("DELETE FROM accounts WHERE account_id = ?", (account_id,))
            connection.execute(
                "INSERT INTO account_tombstones (account_id, deleted_at) VALUES (?, ?) ON CONFLICT (account_id) DO UPDATE SET deleted_at = excluded.deleted_at",
                (account_id, now),
            )
            events.record(connection, events.ACCOUNT_DELETED, now, {"account_id": account_id, "facts": erased})
            seal_within(connection, now)
            return True

    def exists(self, account_id: str) -> bool:
        with self._database.get_connection() as connection:
            return connection.execute("SELECT 1 FROM accounts WHERE account_id = ?", (account_id,)).get is not None

    def get_transaction_history(self, account_id: str, limit: int | None = 100) -> list[Transaction]:
        return SQLiteTransactionRepository(self._database).find_by_account(account_id, limit)

    def _save_all(self, accounts: Iterable[Account], reason: str) -> None:
        with self._database.transaction() as connection:
            for account in accounts:
                before = account.snapshot()
                self._database.on_rollback(lambda account=account, before=before: account.restore(before))  # type: ignore[misc]
                self._save(connection, account, reason)
                self._settle(account)

    def _save(self, connection: Connection, account: Account, reason: str) -> None:
        now = connection.now
        identifier(account.account_id, "account_id")
        if not self.exists(account.account_id):
            # New to the books, or deleted since it was loaded: all that it carries is a change.
            account.balance.forget_saved()
            lift_tombstone(connection, account.account_id, now)
            connection.execute(
                "INSERT INTO accounts (account_id, name, is_active, opened_at, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)",
                (account.account_id, account.name, int(account.is_active), None if account.opened_at is None else to_instant(account.opened_at), now, now),
            )
        else:
            # Only what was changed is written: a stale entity must not undo what others did.
            name, active = account.saved_state or (None, None)
            if account.name != name:
                connection.execute("UPDATE accounts SET name = ?, updated_at = ? WHERE account_id = ?", (account.name, now, account.account_id))
            if account.is_active != active:
                self._set_active(account.account_id, account.is_active)
        Ledger(self._database).record(_implied_facts(account, reason, now))

    def _settle(self, account: Account) -> None:
        """From here the entity counts its changes anew; a rollback restores what it was."""
        account.pending = []
        account.balance.mark_saved()
        account.saved_state = account.name, account.is_active
        found = self.find_by_id(account.account_id)
        if found is not None:
            account.opened_at, account.created_at, account.updated_at = found.opened_at, found.created_at, found.updated_at

    def _set_active(self, account_id: str, active: bool) -> bool:
        sql = "UPDATE accounts SET is_active = ?, updated_at = ? WHERE account_id = ?"
        with self._database.transaction() as connection:
            return connection.changed(sql, (int(active), connection.now, account_id)) > 0

    def _select(self, where: str, params: tuple[Any, ...]) -> list[Account]:
        sql = f"SELECT account_id, name, is_active, opened_at, created_at, updated_at FROM accounts {where} ORDER BY account_id"
        # One snapshot, so that no account shows half of a commit.
        with self._database.snapshot() as connection:
            return [_entity(connection, row) for row in connection.execute(sql, params).fetchall()]


def balance_of(connection: Connection, account_id: str) -> Balance:
    """What an account holds of currencies."""
    available, reserved = {}, {}
    sql = "SELECT currency, available, reserved FROM balances WHERE account_id = ? AND kind = ? ORDER BY currency"
    for currency, free, held in connection.execute(sql, (account_id, CURRENCY)):
        available[Currency(currency)], reserved[Currency(currency)] = Decimal(free), Decimal(held)
    balance = Balance(available, reserved)
    balance.mark_saved()
    return balance


def _contracts_of(connection: Connection, account_id: str) -> dict[str, Decimal]:
    sql = "SELECT currency, available FROM balances WHERE account_id = ? AND kind = ? ORDER BY currency"
    return {symbol: Decimal(held) for symbol, held in connection.execute(sql, (account_id, CONTRACT))}


def _entity(connection: Connection, row: Sequence[Any]) -> Account:
    account_id, name, active, opened, created, updated = row
    return Account(
        account_id, name, balance_of(connection, account_id), bool(active), None if opened is None else to_datetime(opened),
        to_datetime(created), to_datetime(updated), saved_state=(name, bool(active)), contracts=_contracts_of(connection, account_id),
    )  # fmt: skip


def _implied_facts(account: Account, reason: str, now: int) -> list[AnyFact]:
    """The transactions that were attached, and an adjustment for whatever else changed in the balance."""
    found: list[AnyFact] = [manual_fact(t, account.account_id) for t in account.pending]
    explained: dict[Currency, Decimal] = {}
    for transaction in account.pending:
        movement = transaction.movement
        explained[movement.currency] = EXACT.add(explained.get(movement.currency, ZERO), movement.amount)
    changes = account.balance.changes()
    for currency in sorted({*changes, *explained}):
        total, reserved = changes.get(currency, (ZERO, ZERO))
        rest = EXACT.subtract(total, explained.get(currency, ZERO))
        if rest or reserved:
            for amount in (rest, reserved):
                within_limits(amount)
            found.append(
                Adjustment(account.account_id, uuid.uuid4().hex, str(TransactionType.ADJUSTMENT), str(currency), rest, reserved, reason, None, now, None, None)
            )
    return found
