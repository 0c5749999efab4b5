"""Does it slow down as the books grow? Ingestion and queries over a large book against an empty one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from persistence.domain import Currency, TransactionType
from persistence.repositories import SQLiteTransactionRepository

from .common import COMMIT, fill_facts, fresh_books, median, seconds


def measure(transactions: int) -> dict[str, float]:
    """Ratios large : empty. Ingestion as speed (1 is as fast), queries as time (1 is as quick)."""
    found: dict[str, float] = {}
    with fresh_books() as small, fresh_books() as large:
        fills = transactions // 3
        ledger = Ledger(large)
        for n in range(0, fills, 20_000):
            facts = fill_facts(min(20_000, fills - n), first=n)
            for i in range(0, len(facts), COMMIT):
                ledger.post(facts[i : i + COMMIT])
        for name, ids in (("time-ordered ids", "ordered"), ("random ids", "random")):
            rates: dict[str, list[float]] = {"small": [], "large": []}
            for turn in range(3):
                facts = fill_facts(5_000, ids=ids, first=10**9 + turn * 10_000 + (5 * 10**6 if ids == "random" else 0))
                for key, database in (("small", small), ("large", large)):
                    rates[key].append(len(facts) / seconds(lambda facts=facts, database=database: _post(database, facts)))
            found[f"ingestion, {name}"] = median(rates["large"]) / median(rates["small"])
        for name, query in QUERIES.items():
            found[name] = _time(large, query) / _time(small, query)
    return found


def _post(database: DatabaseManager, facts: list[Any]) -> None:
    ledger = Ledger(database)
    for n in range(0, len(facts), COMMIT):
        ledger.post(facts[n : n + COMMIT])


QUERIES: dict[str, Callable[[SQLiteTransactionRepository], Any]] = {
    "recent 100 of an account": lambda r: r.find_by_account("bench", 100),
    "sum by type": lambda r: r.get_sum_by_type("bench", TransactionType.FEE, Currency.USDT),
    "sum by currency": lambda r: r.get_sum_by_currency("bench", Currency.USDT),
    "point look-up": lambda r: r.find_by_id("fill:bench:venue:BTCUSDT:001000000001:quote"),
}


def _time(database: DatabaseManager, query: Callable[[SQLiteTransactionRepository], Any]) -> float:
    repository = SQLiteTransactionRepository(database)
    query(repository)
    taken = []
    for _ in range(30):
        started = time.perf_counter()
        query(repository)
        taken.append(time.perf_counter() - started)
    return median(taken)
