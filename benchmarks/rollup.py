"""What a day's rollup costs early and late in an account's life, a rebuild of all of it, and a night of many accounts."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from jarvis_client.contract.facts import Deposit, EquitySnapshot
from jarvis_client.contract.forms import fact_of
from jarvis_client.contract.instants import to_datetime
from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from scheduler.jobs import roll_up_accounts
from scheduler.rollup.account import roll_up
from scheduler.rollup.options import RollupOptions, RollupPlan

from .common import START, fresh_books, median, seconds

DAY = 86_400_000_000
FILLS_A_DAY = 500
SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT", "BNB/USDT")


def day_of_facts(day: int, account: str = "bench", fills: int = FILLS_A_DAY) -> list[Any]:
    """One day of one account: fills that open and close positions, a snapshot an hour."""
    chance = random.Random(day)
    found: list[Any] = []
    step = DAY // (fills + 1)
    for n in range(fills):
        at = START + day * DAY + (n + 1) * step
        record = {
            "fill_id": f"{day}:{n}", "account_id": account, "order_id": f"o{day}:{n}", "symbol": SYMBOLS[n // 2 % len(SYMBOLS)],
            "side": ("buy", "sell")[n % 2], "quantity": "0.5", "price": f"{chance.randrange(9_000, 11_000) / 100:.2f}", "fee": "0.05", "executed_at": at,
        }  # fmt: skip
        found.append(fact_of("fill", record))
    found += [
        EquitySnapshot(
            account_id=account,
            observed_at=START + day * DAY + hour * DAY // 24 + 1,
            snapshot_id=f"m{day}:{hour}",
            total_value_usd=10_000 + chance.randrange(500),
        )
        for hour in range(24)
    ]
    return found


def _roll(database: DatabaseManager, day: int, *, rebuild: bool = False) -> None:
    roll_up(database, "bench", RollupOptions(), (to_datetime(START) + timedelta(days=day)).date(), now=START + (day + 1) * DAY, rebuild=rebuild)


def _days(database: DatabaseManager, first: int, count: int) -> float:
    """Milliseconds a day, the median of some consecutive days, each recorded first and rolled up then."""
    taken = []
    for day in range(first, first + count):
        Ledger(database).post(day_of_facts(day))
        taken.append(seconds(lambda day=day: _roll(database, day)) * 1e3)
    return median(taken)


def one_account(days: int) -> dict[str, float]:
    """A day early and late, and a rebuild, of an account with 500 fills a day."""
    with fresh_books() as database:
        Ledger(database).post([Deposit(deposit_id="d", account_id="bench", currency="USDT", amount=10_000, occurred_at=START)])
        early = _days(database, 0, 20)
        for day in range(20, days - 20):
            Ledger(database).post(day_of_facts(day))
        _roll(database, days - 21)
        late = _days(database, days - 20, 20)
        rebuild = seconds(lambda: _roll(database, days - 1, rebuild=True))
        return {"early ms": early, "late ms": late, "rebuild s": rebuild, "us a fill": rebuild / (days * FILLS_A_DAY) * 1e6}


def many_accounts(count: int = 1_000, fills: int = 20) -> float:
    """Seconds for a night of many accounts, each with some fills."""
    with fresh_books() as database:
        for day in range(2):
            for n in range(count):
                Ledger(database).post(day_of_facts(day, f"acc{n:04d}", fills))
            taken = seconds(lambda day=day: roll_up_accounts(database, RollupPlan(), START + (day + 1) * DAY + DAY // 2))
        return taken
