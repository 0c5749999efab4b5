"""The contracts of the repositories, held against every engine there is (`ENGINES` in the conftest.py above)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import pytest

from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from persistence.domain import AccountRepository, OrderRepository, PerformanceRepository, TransactionRepository
from persistence.repositories import (
    SQLiteAccountRepository,
    SQLiteOrderRepository,
    SQLitePerformanceRepository,
    SQLiteTransactionRepository,
)


@dataclass
class Engine:
    """Everything a contract needs of an engine."""

    accounts: AccountRepository
    transactions: TransactionRepository
    orders: OrderRepository
    performance: PerformanceRepository
    ledger: Ledger
    unit_of_work: Callable[[], AbstractContextManager[object]]


@pytest.fixture
def unit_of_work(engine: Engine) -> Callable[[], AbstractContextManager[object]]:
    """Several saves as one commit."""
    return engine.unit_of_work


@pytest.fixture
def engine(database: DatabaseManager, ledger: Ledger) -> Engine:
    return Engine(
        SQLiteAccountRepository(database), SQLiteTransactionRepository(database), SQLiteOrderRepository(database),
        SQLitePerformanceRepository(database), ledger, database.transaction,
    )  # fmt: skip
