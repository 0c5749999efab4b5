"""The words of the books: entities, values and facts, and the contracts of their repositories.

    money.py        Money, Currency, Balance: exact decimals; two currencies refuse to mix
    entries.py      ManualTransaction, Adjustment: what somebody saved by hand is a fact, too
    ready.py        ReadyFill: a fill with everything worked out that depends on it alone
    account.py      Account and the contract of its repository
    transaction.py  Transaction, TransactionType: one signed movement of money
    order.py        Order: what was asked for and what its fills made of it; order_state.py derives it from facts
    performance.py  PerformanceMetrics: one row per account and day

What a record is and what it states (Fill, Deposit, …, Conventions, Outcome, Invalid) stands in `jarvis_client.contract`, which engines
have as well. Standard library only, no I/O. Nothing here knows SQLite, Redis or the wire.
"""

from jarvis_client.contract.conventions import Conventions
from jarvis_client.contract.errors import BooksError, Invalid, Unavailable
from jarvis_client.contract.facts import (
    BalanceReport,
    Category,
    Charge,
    Deposit,
    EquitySnapshot,
    EventStatus,
    Fact,
    Fee,
    Fill,
    OrderEvent,
    OrderSide,
    OrderType,
    Rate,
    Void,
    Withdrawal,
)
from jarvis_client.contract.outcome import Outcome, Refusal
from persistence.domain.account import Account, AccountRepository
from persistence.domain.entries import Adjustment, AnyFact, ManualTransaction
from persistence.domain.errors import AccountDeleted, CommitUnknown, Conflict, CurrencyMismatch, Immutable, InsufficientFunds, WrongDatabase
from persistence.domain.money import Balance, Currency, Money
from persistence.domain.order import Order, OrderRepository, OrderStatus
from persistence.domain.performance import PerformanceMetrics, PerformanceRepository
from persistence.domain.transaction import Transaction, TransactionRepository, TransactionType

__all__ = [
    "Account", "AccountDeleted", "AccountRepository", "Adjustment", "AnyFact", "Balance", "BalanceReport", "BooksError", "Category", "Charge", "CommitUnknown",
    "Conflict",
    "Conventions", "Currency", "CurrencyMismatch", "Deposit", "EquitySnapshot", "EventStatus", "Fact", "Fee", "Fill", "Immutable", "InsufficientFunds",
    "Invalid", "ManualTransaction", "Money", "Order", "OrderEvent", "OrderRepository", "OrderSide", "OrderStatus", "OrderType", "Outcome",
    "PerformanceMetrics", "PerformanceRepository", "Rate", "Refusal", "Transaction", "TransactionRepository", "TransactionType", "Unavailable", "Void",
    "Withdrawal", "WrongDatabase",
]  # fmt: skip
