"""The books: exact, durable, and the only package that knows a database.

    database.py      DatabaseManager: the door. Opens the books, brings their schema up to date, backs them up, restores them
    opening.py       the books that the settings name: a file, or a server (server.py)
    exports.py       CSV, JSON, Parquet out           imports.py   NDJSON in
    domain/          the words: Money, Account, Order …, and the contracts of the repositories. No I/O
    engine/          what the books need of an engine; SQLite and PostgreSQL are two
    books/           what one commit does: Ledger.post(facts) gives an outcome for every fact
    proof/           whether the books are still what was recorded: checks, the hash chain, rebuilds
    copies/          backups, the second place, restores
    repositories/    entities in and out, above the ledger

Everything that changes money is a fact. `Ledger.post` records facts and moves what depends on them (transactions, balances,
orders) in the same commit; saving by hand through a repository records a fact too. Durable means fsynced (WAL,
synchronous=FULL): when a call that writes has returned, a power cut does not take it back.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from persistence.books.ledger import Ledger
    from persistence.database import DatabaseManager
    from persistence.repositories import (
        SQLiteAccountRepository,
        SQLiteGapRepository,
        SQLiteOrderRepository,
        SQLitePerformanceRepository,
        SQLiteQuarantineRepository,
        SQLiteStrayRepository,
        SQLiteTransactionRepository,
    )

#: Loaded when they are first asked for, so that importing a part does not load the whole.
_ROOMS = {"DatabaseManager": "persistence.database", "Ledger": "persistence.books.ledger"}

__all__ = [
    "DatabaseManager",
    "Ledger",
    "SQLiteAccountRepository",
    "SQLiteGapRepository",
    "SQLiteOrderRepository",
    "SQLitePerformanceRepository",
    "SQLiteQuarantineRepository",
    "SQLiteStrayRepository",
    "SQLiteTransactionRepository",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ROOMS.get(name, "persistence.repositories")), name)
