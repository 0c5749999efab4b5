"""Transactions: signed movements of money, immutable once recorded."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from jarvis_client.contract.choice import Choice
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.instants import to_instant
from persistence.domain.money import Currency, Money


class TransactionType(Choice):
    """Its type decides a transaction's direction: a withdrawal of 100 debits 100. Two-way types move by the sign of their amount."""

    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    TRADE_IN = "trade_in"
    TRADE_OUT = "trade_out"
    FEE = "fee"
    REBATE = "rebate"
    TRANSFER = "transfer"
    FUNDING = "funding"
    INTEREST = "interest"
    DIVIDEND = "dividend"
    BONUS = "bonus"
    SPLIT = "split"
    LOAN = "loan"
    RENAME = "rename"
    OTHER = "other"
    ADJUSTMENT = "adjustment"

    @property
    def debits(self) -> bool:
        return self in DEBITS

    @property
    def two_way(self) -> bool:
        return self not in DEBITS and self not in CREDITS


CREDITS = frozenset({TransactionType.DEPOSIT, TransactionType.TRADE_IN, TransactionType.REBATE})
DEBITS = frozenset({TransactionType.WITHDRAWAL, TransactionType.TRADE_OUT, TransactionType.FEE})


@dataclass(frozen=True, slots=True)
class Transaction:
    """One movement. `amount` is in the direction of its type; `movement` is signed as the balance moves.

    A reversal (`reverses` names what it undoes) has the type of its target and the opposite amount.
    """

    transaction_type: TransactionType
    amount: Money
    description: str = ""
    transaction_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    occurred_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    reference: str | None = None
    reverses: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.amount, Money):
            raise Invalid(f"amount is {self.amount!r:.60}; it must be Money, which says its currency: Money(100, Currency.USDT)")
        if type(self.transaction_type) is not TransactionType:
            object.__setattr__(self, "transaction_type", TransactionType(self.transaction_type))
        to_instant(self.occurred_at)
        if not self.amount:
            raise Invalid(f"a {self.transaction_type} of {self.amount} moves nothing; leave it out")
        if self.amount.amount < 0 and not self.transaction_type.two_way and self.reverses is None:
            raise Invalid(f"a {self.transaction_type} of {self.amount}: its type decides the direction, so the amount must be above zero")

    @property
    def movement(self) -> Money:
        return -self.amount if self.transaction_type.debits else self.amount

    @property
    def currency(self) -> Currency:
        return self.amount.currency


class TransactionRepository(ABC):
    """Every movement of money, in the order of its instant. Nothing here is ever updated or deleted."""

    @abstractmethod
    def save(self, transaction: Transaction, account_id: str) -> None:
        """Record it and move the balance; an unknown account is opened. The same transaction again is a no-op.

        Raises `Conflict` where the id is recorded with other content.
        """

    @abstractmethod
    def save_many(self, transactions: Iterable[Transaction], account_id: str) -> None:
        """All of them in one commit, or none."""

    @abstractmethod
    def find_by_id(self, transaction_id: str) -> Transaction | None: ...

    @abstractmethod
    def find_all(self, limit: int | None = 1000) -> list[Transaction]: ...

    @abstractmethod
    def exists(self, transaction_id: str) -> bool: ...

    @abstractmethod
    def delete(self, transaction_id: str) -> bool:
        """Always raises `Immutable`: record a void instead."""

    @abstractmethod
    def find_by_account(self, account_id: str, limit: int | None = 100) -> list[Transaction]:
        """The newest first."""

    @abstractmethod
    def find_by_type(self, account_id: str, transaction_type: TransactionType, limit: int | None = 1000) -> list[Transaction]:
        """The newest first."""

    @abstractmethod
    def find_by_currency(self, account_id: str, currency: Currency, limit: int | None = 1000) -> list[Transaction]:
        """The newest first."""

    @abstractmethod
    def find_by_period(self, account_id: str, start: datetime, end: datetime, limit: int | None = None) -> list[Transaction]:
        """Those with start ≤ instant < end, the oldest first."""

    @abstractmethod
    def stream(self, account_id: str, start: datetime | None = None, end: datetime | None = None) -> Iterator[Transaction]:
        """The same one by one, the oldest first, in constant memory."""

    @abstractmethod
    def count(self, account_id: str) -> int: ...

    @abstractmethod
    def get_sum_by_type(self, account_id: str, transaction_type: TransactionType, currency: Currency) -> Money:
        """In the direction of the type: two withdrawals of 100 and 50 sum to 150. Voided ones cancel out."""

    @abstractmethod
    def get_sum_by_currency(self, account_id: str, currency: Currency) -> Money:
        """Of all movements, signed: what the balance's total is."""

    @abstractmethod
    def get_sums(self, account_id: str) -> dict[tuple[TransactionType, Currency], Decimal]:
        """Every sum by type and currency at once, each in the direction of its type."""

    @abstractmethod
    def export_to_csv(self, account_id: str, path: str | Path) -> None: ...

    @abstractmethod
    def export_to_json(self, account_id: str, path: str | Path) -> None: ...
