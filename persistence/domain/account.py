"""Accounts: whose money it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from jarvis_client.contract.conventions import identifier, storable_text
from jarvis_client.contract.errors import Invalid
from persistence.domain.money import Balance, Currency, Figures, Money, moved
from persistence.domain.transaction import Transaction, TransactionType

__all__ = ["Account", "AccountRepository", "Balance", "Currency", "Money"]


class Unsaved(NamedTuple):
    """What an account was at one moment: what a save works from, whatever other threads do to the account meanwhile."""

    name: str
    is_active: bool
    pending: tuple[Transaction, ...]
    figures: Figures
    saved: Figures
    saved_state: tuple[str, bool] | None


@dataclass(slots=True, eq=False)
class Account:
    """An account and its balance. `deposit`, `withdraw` and `record` attach transactions, which a save records. Threads may share it."""

    account_id: str
    name: str = ""
    balance: Balance = field(default_factory=Balance)
    is_active: bool = True
    opened_at: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    pending: list[Transaction] = field(default_factory=list)
    saved_state: tuple[str, bool] | None = field(default=None, repr=False)
    #: Contracts by their symbol, as the books hold them: positions, not money. Read only.
    contracts: dict[str, Decimal] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.name = self.name or identifier(self.account_id, "account_id")
        if not isinstance(self.name, str) or not isinstance(self.balance, Balance):
            wrong = ("balance", self.balance, "a Balance") if isinstance(self.name, str) else ("name", self.name, "text")
            raise Invalid(f"{wrong[0]} of account {self.account_id} is {wrong[1]!r:.60}; it must be {wrong[2]}")

    def deposit(self, money: Money, description: str = "", occurred_at: datetime | None = None) -> Transaction:
        return self.record(Transaction(TransactionType.DEPOSIT, money, description, occurred_at=occurred_at or datetime.now(UTC)))

    def withdraw(self, money: Money, description: str = "", occurred_at: datetime | None = None) -> Transaction:
        """Raises `InsufficientFunds` where less is available."""
        transaction = Transaction(TransactionType.WITHDRAWAL, money, description, occurred_at=occurred_at or datetime.now(UTC))
        with self.balance.lock:
            self.balance.subtract_available(money)
            self.pending.append(transaction)
        return transaction

    def record(self, transaction: Transaction) -> Transaction:
        """Attach any transaction and move the balance by it, below zero too."""
        # A save between the two would book the movement twice: as an adjustment, and then as the transaction.
        with self.balance.lock:
            self.balance.add_available(transaction.movement)
            self.pending.append(transaction)
        return transaction

    def activate(self) -> None:
        self.is_active = True

    def deactivate(self) -> None:
        self.is_active = False

    def unsaved(self) -> Unsaved:
        """What a save is to record. Raises `Invalid` for what no store can keep."""
        with self.balance.lock:
            identifier(self.account_id, "account_id")
            name = storable_text(self.name, "name")
            return Unsaved(name, bool(self.is_active), tuple(self.pending), self.balance.figures(), self.balance.saved, self.saved_state)

    def count_as_saved(self, read: Unsaved, stored: Account | None = None) -> None:
        """Count what was read as saved; with `stored`, take over what the books say in its place. What came meanwhile stays unsaved."""
        done = {t.transaction_id for t in read.pending}
        with self.balance.lock:
            self.pending = [t for t in self.pending if t.transaction_id not in done]
            self.saved_state = read.name, read.is_active
            if stored is None:
                self.balance.shift({}, moved(read.figures, read.saved, -1))
                return
            self.saved_state = stored.name, stored.is_active
            self.name = stored.name if self.name == read.name else self.name
            self.is_active = stored.is_active if self.is_active == read.is_active else self.is_active
            truth = stored.balance.figures()
            self.balance.shift(moved(truth, read.figures, -1), moved(truth, read.saved, -1))

    def count_as_unsaved(self, read: Unsaved, stored: Account | None = None) -> None:
        """Take back what `count_as_saved` did with the same arguments: that save came to nothing."""
        with self.balance.lock:
            self.pending = [*read.pending, *self.pending]
            self.saved_state = read.saved_state
            if stored is None:
                self.balance.shift({}, moved(read.saved, read.figures, -1))
                return
            self.name = read.name if self.name == stored.name else self.name
            self.is_active = read.is_active if self.is_active == stored.is_active else self.is_active
            truth = stored.balance.figures()
            self.balance.shift(moved(read.figures, truth, -1), moved(read.saved, truth, -1))


class AccountRepository(ABC):
    """Accounts with their balances and, through `transactions`, their history."""

    @abstractmethod
    def save(self, account: Account, reason: str = "balance changed through account_repository.save") -> None:
        """Create or update, in one commit.

        Attached transactions are recorded. Whatever else changed in the balance since it was loaded is recorded as an
        adjustment with `reason`. Only changes are written, so an account that was loaded long ago never undoes what others
        recorded meanwhile. Saving an account that was deleted opens it anew with the balance it carries.

        An entity that was never loaded opens its account, once. Where the account is stored already, the same opening balances are
        a duplicate: nothing is added, and the entity takes over what is stored (it may name an account that has no name yet).
        Raises `Conflict` for other opening balances, and for transactions that are not recorded: load the account first.
        """

    @abstractmethod
    def save_many(self, accounts: Iterable[Account]) -> None:
        """All of them in one commit, or none."""

    @abstractmethod
    def find_by_id(self, account_id: str) -> Account | None: ...

    @abstractmethod
    def find_by_name(self, name: str) -> Account | None:
        """The first by account id where several share a name."""

    @abstractmethod
    def find_all(self) -> list[Account]: ...

    @abstractmethod
    def find_all_active(self) -> list[Account]: ...

    @abstractmethod
    def activate(self, account_id: str) -> bool:
        """False where there is no such account."""

    @abstractmethod
    def deactivate(self, account_id: str) -> bool:
        """False where there is no such account."""

    @abstractmethod
    def delete(self, account_id: str) -> bool:
        """Remove it with everything that hangs on it; False where there is no such account.

        The identities of its facts stay as tombstones, so a late message does not revive it; an explicit save does.
        """

    @abstractmethod
    def exists(self, account_id: str) -> bool: ...

    @abstractmethod
    def get_transaction_history(self, account_id: str, limit: int | None = 100) -> list[Transaction]:
        """The newest first."""
