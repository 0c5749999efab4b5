"""Accounts and their balances."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from jarvis_client.contract.conventions import storable_text
from jarvis_client.contract.decimals import EXACT, ZERO, canonical, within_limits
from jarvis_client.contract.instants import to_datetime, to_instant
from jarvis_client.contract.showing import first_few
from persistence.books import events, facts
from persistence.books.accounts import hold, lift_tombstone
from persistence.books.ledger import Ledger
from persistence.books.movements import CONTRACT, CURRENCY
from persistence.domain.account import Account, AccountRepository, Unsaved
from persistence.domain.entries import Adjustment, AnyFact, ManualTransaction
from persistence.domain.errors import Conflict
from persistence.domain.money import Balance, Currency, Figures, changes_between
from persistence.domain.transaction import Transaction, TransactionType
from persistence.engine.contract import Connection, Database
from persistence.proof.chain import seal_within
from persistence.repositories.asked import limit_of
from persistence.repositories.transactions import SQLiteTransactionRepository, manual_fact

#: The id of what an account was opened with in a currency begins so.
_OPENING = "opening:"


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

    def page(self, limit: int, after: str | None = None) -> list[Account]:
        """In the order of ids, of those that come after an id."""
        return self._select("WHERE account_id > ?", (after or "",), limit)

    def ids(self, limit: int) -> list[str]:
        """The first ids, in order."""
        return [row[0] for row in self._database.execute_query("SELECT account_id FROM accounts ORDER BY account_id LIMIT ?", (limit,))]

    def activate(self, account_id: str) -> bool:
        return self._set_active(account_id, True)

    def deactivate(self, account_id: str) -> bool:
        return self._set_active(account_id, False)

    def delete(self, account_id: str) -> bool:
        with self._database.transaction(alone=True) as connection:
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
        saved = list(accounts)
        with self._database.transaction() as connection:
            hold(connection, (account.account_id for account in saved))
            for account in saved:
                read = account.unsaved()
                stored = self._save(connection, account, read, storable_text(reason, "reason"))
                account.count_as_saved(read, stored)
                self._database.on_rollback(lambda account=account, read=read, stored=stored: account.count_as_unsaved(read, stored))  # type: ignore[misc]
                found = stored or self.find_by_id(account.account_id)
                if found is not None:
                    account.opened_at, account.created_at, account.updated_at = found.opened_at, found.created_at, found.updated_at
                    account.contracts = found.contracts

    def _save(self, connection: Connection, account: Account, read: Unsaved, reason: str) -> Account | None:
        """Record what was read of an account. Returns the stored one where an entity that was never loaded meets it."""
        now, account_id, ledger = connection.now, account.account_id, Ledger(self._database)
        if not self.exists(account_id):
            # New to the books, or deleted since it was loaded: all that it carries is a change.
            lift_tombstone(connection, account_id, now)
            connection.execute(
                "INSERT INTO accounts (account_id, name, is_active, opened_at, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)",
                (account_id, read.name, int(read.is_active), None if account.opened_at is None else to_instant(account.opened_at), now, now),
            )
            if account.opened_at is not None or read.name != account_id or not read.is_active:
                _note_saved(connection, account_id, opened_by_hand=account.opened_at is not None)
            ledger.record(_implied_facts(account_id, read, _unexplained(read, {}), reason, now, opening=True))
            return None
        if read.saved_state is None:
            return self._meet(connection, account_id, read)
        # Only what was changed is written: a stale entity must not undo what others did.
        name, active = read.saved_state
        if read.name != name:
            self._set_name(connection, account_id, read.name)
        if read.is_active != active:
            self._set_active(account_id, read.is_active)
        ledger.record(_implied_facts(account_id, read, _unexplained(read, read.saved), reason, now))
        return None

    def _meet(self, connection: Connection, account_id: str, read: Unsaved) -> Account | None:
        """An entity that was never loaded says what the stored account was opened with, or nothing of its balance. Raises `Conflict`."""
        identities = [(t.transaction_id, account_id, ManualTransaction.kind) for t in read.pending]
        known = facts.find_known(connection, identities)
        missing = [identity[0] for identity in identities if identity not in known or known[identity].state == facts.ERASED]
        remedy = f"load it with find_by_id({account_id!r}) and change that one"
        if missing:
            raise Conflict(f"account {account_id} is in the books already, without transaction {missing[0]} of this new entity; {remedy}")
        # What is recorded under these ids may still have other content.
        Ledger(self._database).record([manual_fact(t, account_id) for t in read.pending])
        said, opened = _unexplained(read, {}), _opened_with(connection, account_id)
        if said and said != opened:
            raise Conflict(f"account {account_id} is in the books already, opened with {_told(opened)}, and this new entity says {_told(said)}; {remedy}")
        stored = self.find_by_id(account_id)
        if stored is not None and stored.name == account_id != read.name:
            self._set_name(connection, account_id, read.name)
            return self.find_by_id(account_id)
        return stored

    def _set_name(self, connection: Connection, account_id: str, name: str) -> None:
        connection.execute("UPDATE accounts SET name = ?, updated_at = ? WHERE account_id = ?", (name, connection.now, account_id))
        _note_saved(connection, account_id)

    def _set_active(self, account_id: str, active: bool) -> bool:
        sql = "UPDATE accounts SET is_active = ?1, updated_at = ?2 WHERE account_id = ?3 AND is_active <> ?1"
        with self._database.transaction() as connection:
            hold(connection, [account_id])
            if connection.execute("SELECT 1 FROM accounts WHERE account_id = ?", (account_id,)).get is None:
                return False
            found = connection.changed(sql, (int(active), connection.now, account_id)) > 0
            if found:
                _note_saved(connection, account_id)
            return True

    def _select(self, where: str, params: tuple[Any, ...], limit: int | None = None) -> list[Account]:
        sql = f"SELECT account_id, name, is_active, opened_at, created_at, updated_at FROM accounts {where} ORDER BY account_id LIMIT ?"
        # One snapshot, so that no account shows half of a commit.
        with self._database.snapshot() as connection:
            return [_entity(connection, row) for row in connection.execute(sql, (*params, limit_of(limit))).fetchall()]


def _note_saved(connection: Connection, account_id: str, *, opened_by_hand: bool = False) -> None:
    """Record what an account is called and whether it is open, which no fact explains, and the newest of its facts before that."""
    sql = "SELECT name, is_active, opened_at, last_fact_no FROM accounts WHERE account_id = ?"
    name, active, opened_at, facts_to = connection.execute(sql, (account_id,)).get
    content = {"account_id": account_id, "name": name, "is_active": bool(active), "opened_at": opened_at if opened_by_hand else None, "facts_to": facts_to}
    events.record(connection, events.ACCOUNT_SAVED, connection.now, content)


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


def _unexplained(read: Unsaved, saved: Figures) -> Figures:
    """What total and reserved changed by since they were `saved`, less what the attached transactions move."""
    explained: dict[Currency, Decimal] = {}
    for transaction in read.pending:
        movement = transaction.movement
        explained[movement.currency] = EXACT.add(explained.get(movement.currency, ZERO), movement.amount)
    changes = changes_between(saved, read.figures)
    found = {}
    for currency in sorted({*changes, *explained}):
        total, reserved = changes.get(currency, (ZERO, ZERO))
        rest = EXACT.subtract(total, explained.get(currency, ZERO))
        if rest or reserved:
            found[currency] = within_limits(rest), within_limits(reserved)
    return found


def _implied_facts(account_id: str, read: Unsaved, unexplained: Figures, reason: str, now: int, *, opening: bool = False) -> list[AnyFact]:
    """The transactions that were attached, and an adjustment for whatever else changed in the balance."""
    found: list[AnyFact] = [manual_fact(t, account_id) for t in read.pending]
    for currency, (total, reserved) in unexplained.items():
        # What an account is opened with has one identity, so that it is told from a later change.
        entry_id = f"{_OPENING}{currency}" if opening else uuid.uuid4().hex
        found.append(Adjustment(account_id, entry_id, str(TransactionType.ADJUSTMENT), str(currency), total, reserved, reason, None, now, None, None))
    return found


def _opened_with(connection: Connection, account_id: str) -> Figures:
    """What an account was opened with beside transactions, per currency in total and reserved."""
    sql = (
        "SELECT e.currency, e.amount, e.reserved FROM entries e JOIN facts f ON f.fact_no = e.fact_no "
        "WHERE f.record_id = ? || e.currency AND e.account_id = ? AND f.kind = ? ORDER BY e.currency"
    )
    rows = connection.execute(sql, (_OPENING, account_id, Adjustment.kind))
    return {Currency(currency): (Decimal(total), Decimal(reserved)) for currency, total, reserved in rows}


def _told(opened: Figures) -> str:
    told = [f"{canonical(total)} {currency}" + (f" ({canonical(reserved)} reserved)" if reserved else "") for currency, (total, reserved) in opened.items()]
    return first_few(told, 20) or "nothing"
