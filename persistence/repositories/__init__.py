"""Rows in, entities out. One repository per entity, each the SQLite side of a contract in `persistence.domain`.

A save through a repository records a fact with the ledger. The rows that a commit writes belong to `persistence.books`.
"""

from persistence.repositories.accounts import SQLiteAccountRepository
from persistence.repositories.gaps import SQLiteGapRepository
from persistence.repositories.orders import SQLiteOrderRepository
from persistence.repositories.performance import SQLitePerformanceRepository
from persistence.repositories.quarantine import SQLiteQuarantineRepository
from persistence.repositories.rates import SQLiteRateRepository
from persistence.repositories.strays import SQLiteStrayRepository
from persistence.repositories.transactions import SQLiteTransactionRepository

__all__ = [
    "SQLiteAccountRepository",
    "SQLiteGapRepository",
    "SQLiteOrderRepository",
    "SQLitePerformanceRepository",
    "SQLiteQuarantineRepository",
    "SQLiteRateRepository",
    "SQLiteStrayRepository",
    "SQLiteTransactionRepository",
]
