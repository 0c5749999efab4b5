"""What the benchmarks share: seeded fills, fresh books, ratios."""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jarvis_client.contract.forms import fact_of
from persistence.database import DatabaseManager

START = 1_767_225_600_000_000
COMMIT = 1_000


def fill_records(count: int, *, ids: str = "ordered", first: int = 0, account: str = "bench") -> list[dict[str, Any]]:
    """Fills of one account, each of an order of its own, with a fee: three transactions, an order and two balances each."""
    chance = random.Random(first + 1)
    symbols = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
    records = []
    for n in range(first, first + count):
        number = f"{n:012d}" if ids == "ordered" else f"{chance.getrandbits(96):024x}"
        records.append({
            "fill_id": f"venue:BTCUSDT:{number}", "account_id": account, "order_id": f"o-{number}", "symbol": symbols[n % 3], "side": ("buy", "sell")[n % 2],
            "quantity": f"0.{chance.randrange(1, 10**6):06d}", "price": f"{chance.randrange(10**4, 10**7) / 100:.2f}",
            "fee": f"0.{chance.randrange(1, 10**5):08d}", "executed_at": START + n * 1000,
        })  # fmt: skip
    return records


def fill_facts(count: int, **options: Any) -> list[Any]:
    return [fact_of("fill", record) for record in fill_records(count, **options)]


@contextmanager
def fresh_books() -> Iterator[DatabaseManager]:
    folder = Path(tempfile.mkdtemp(prefix="jarvis-bench-"))
    database = DatabaseManager(folder / "books.db")
    database.initialize()
    try:
        yield database
    finally:
        database.close()
        shutil.rmtree(folder)


def seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
