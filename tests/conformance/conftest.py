"""The contracts of the repositories, held against every engine there is. A second engine joins by one more entry here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

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


@pytest.fixture(params=["sqlite"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    assert request.param == "sqlite"
    database = DatabaseManager(tmp_path / "books.db")
    database.initialize()
    yield Engine(
        SQLiteAccountRepository(database), SQLiteTransactionRepository(database), SQLiteOrderRepository(database),
        SQLitePerformanceRepository(database), Ledger(database), database.transaction,
    )  # fmt: skip
    database.close()
