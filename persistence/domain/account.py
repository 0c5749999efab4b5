"""Accounts: whose money it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from persistence.domain.money import Balance, Currency, Money
from persistence.domain.transaction import Transaction, TransactionType

__all__ = ["Account", "AccountRepository", "Balance", "Currency", "Money"]


@dataclass(slots=True, eq=False)
class Account:
    """An account and its balance. `deposit`, `withdraw` and `record` attach transactions, which a save records."""

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
        self.name = self.name or self.account_id

    def deposit(self, money: Money, description: str = "", occurred_at: datetime | None = None) -> Transaction:
        return self.record(Transaction(TransactionType.DEPOSIT, money, description, occurred_at=occurred_at or datetime.now(UTC)))

    def withdraw(self, money: Money, description: str = "", occurred_at: datetime | None = None) -> Transaction:
        """Raises `InsufficientFunds` where less is available."""
        transaction = Transaction(TransactionType.WITHDRAWAL, money, description, occurred_at=occurred_at or datetime.now(UTC))
        self.balance.subtract_available(money)
        self.pending.append(transaction)
        return transaction

    def record(self, transaction: Transaction) -> Transaction:
        """Attach any transaction and move the balance by it, below zero too."""
        self.balance.add_available(transaction.movement)
        self.pending.append(transaction)
        return transaction

    def activate(self) -> None:
        self.is_active = True

    def deactivate(self) -> None:
        self.is_active = False

    def snapshot(self) -> tuple[object, ...]:
        """What a save changes of the entity, for `restore` where that save comes to nothing."""
        return self.pending, self.balance.saved, self.saved_state

    def restore(self, snapshot: tuple[object, ...]) -> None:
        self.pending, self.balance.saved, self.saved_state = snapshot  # type: ignore[assignment]


class AccountRepository(ABC):
    """Accounts with their balances and, through `transactions`, their history."""

    @abstractmethod
    def save(self, account: Account, reason: str = "balance changed through account_repository.save") -> None:
        """Create or update, in one commit.

        Attached transactions are recorded. Whatever else changed in the balance since it was loaded is recorded as an
        adjustment with `reason`. Only changes are written, so an account that was loaded long ago never undoes what others
        recorded meanwhile. Saving an account that was deleted opens it anew with the balance it carries.
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
