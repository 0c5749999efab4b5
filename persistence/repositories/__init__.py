"""Rows in, entities out. One repository per entity, each the SQLite side of a contract in `persistence.domain`.

The ledger writes through the batch functions that stand beside each repository (`transactions.INSERT`, `orders.StateWriter`,
`accounts.move_balances`, `facts.INSERT_FILL` …); a save through a repository records a fact with the ledger.
"""

from persistence.repositories.accounts import SQLiteAccountRepository
from persistence.repositories.gaps import SQLiteGapRepository
from persistence.repositories.orders import SQLiteOrderRepository
from persistence.repositories.performance import SQLitePerformanceRepository
from persistence.repositories.quarantine import SQLiteQuarantineRepository
from persistence.repositories.transactions import SQLiteTransactionRepository

__all__ = [
    "SQLiteAccountRepository",
    "SQLiteGapRepository",
    "SQLiteOrderRepository",
    "SQLitePerformanceRepository",
    "SQLiteQuarantineRepository",
    "SQLiteTransactionRepository",
]
