"""Over random histories of all kinds: views show what commands say, and commands say the same however far an account is rolled up."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from datetime import date as Date
from decimal import Decimal

import pytest
from reference.histories import ACCOUNT, KINDS, arrived, history
from searching import of, searched

from jarvis_client.contract.conventions import Conventions
from jarvis_client.contract.forms import fact_of
from jarvis_client.contract.instants import to_instant
from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from persistence.repositories import SQLiteAccountRepository
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.rollup.account import roll_up
from scheduler.rollup.days import last_closed_day
from scheduler.rollup.disposals import disposals
from scheduler.rollup.options import RollupOptions
from scheduler.rollup.standing import Standing
from scheduler.rollup.tables import disposed, lots, positions

FAR = to_instant(datetime(2027, 1, 1, tzinfo=UTC))
START, END = Date(2024, 3, 1), Date(2026, 12, 30)
CONVENTIONS = Conventions()


def near(found: object, expected: Decimal | None) -> bool:
    if found is None or expected is None:
        return found is None and expected is None
    return found == pytest.approx(float(expected), rel=1e-9, abs=1e-6)


def told(database: DatabaseManager, options: RollupOptions, day: Date, since: Date) -> dict[str, list]:
    """What the commands say of a day, and of what was taken since another."""
    with SQLiteRollupRepository(database).reading(ACCOUNT) as books:
        found = {"lots": lots(books, options, day)}
    with SQLiteRollupRepository(database).reading(ACCOUNT) as books:
        found["positions"] = positions(books, options, day)
    with SQLiteRollupRepository(database).reading(ACCOUNT) as books:
        found["disposals"] = disposed(books, disposals(books, options, since, END))
    return found


def check_views(database: DatabaseManager, options: RollupOptions) -> None:
    with SQLiteRollupRepository(database).reading(ACCOUNT) as books:
        standing = Standing(books, options, END)
        open_lots, open_positions = standing.lots(), standing.positions()
    rows = [r.asdict() for r in database.execute_query("SELECT * FROM v_lots WHERE account_id = ? ORDER BY currency", (ACCOUNT,))]
    assert [r["currency"] for r in rows] == [lot.currency for lot in open_lots]
    for lot, row in zip(open_lots, rows, strict=True):
        assert (row["opened_at_us"], row["brought_by"]) == (lot.opened_at, lot.brought_by)
        assert near(row["quantity_number"], lot.quantity), (row, lot)
        assert near(row["cost_usd_number"], lot.cost_usd), (row, lot)
        assert row["quantity"] is None or Decimal(row["quantity"]) == lot.quantity
        assert row["cost_usd"] is None or Decimal(row["cost_usd"]) == lot.cost_usd
    shown = {r["instrument"]: r.asdict() for r in database.execute_query("SELECT * FROM v_positions WHERE account_id = ?", (ACCOUNT,))}
    assert sorted(shown) == sorted(p.instrument for p in open_positions)
    for position in open_positions:
        row = shown[position.instrument]
        assert (Decimal(row["quantity"]), row["opened_at_us"], row["fills"]) == (position.quantity, position.opened_at, position.fills)
        assert near(row["average_price_number"], position.average_price), (row, position)
        assert row["cash_currency"] == position.cash_currency
    worth: dict[str, list[float | None]] = defaultdict(list)
    for date, usd in database.execute_query("SELECT date, usd_number FROM v_exposure WHERE account_id = ? AND units_number <> 0", (ACCOUNT,)):
        worth[date].append(usd)
    for date, expected in database.execute_query("SELECT date, books_value_number FROM v_equity WHERE account_id = ? AND valuation = 'books'", (ACCOUNT,)):
        values = worth.get(date, [])
        assert None not in values, (date, values)
        assert sum(v for v in values if v is not None) == pytest.approx(expected, rel=1e-9, abs=1e-4), date


def check(database: DatabaseManager, seed: int) -> None:
    chance = random.Random(seed)
    options = RollupOptions(cost_basis=chance.choice(("wac", "fifo")), trade_grouping=chance.choice(("flat_to_flat", "flat_to_flat", "per_close")))
    kinds = tuple(k for k in KINDS if k != "snapshots" or chance.random() < 0.3)
    coming = arrived(history(seed, chance.randrange(5, 60), kinds, rates=chance.random() < 0.8), seed)
    day, since = (START + timedelta(days=chance.randrange(40)) for _ in range(2))
    at = 0
    while at < len(coming):
        count = chance.randrange(1, 25)
        Ledger(database).post([fact_of(str(r["type"]), {k: v for k, v in r.items() if k != "type"}, CONVENTIONS) for r in coming[at : at + count]])
        at += count
        if chance.random() < 0.3 and SQLiteAccountRepository(database).exists(ACCOUNT):
            now = to_instant(datetime(2024, 3, chance.randrange(2, 31), tzinfo=UTC))
            roll_up(database, ACCOUNT, options, last_closed_day(now, options.zone), now=now)
    before = told(database, options, day, since)
    roll_up(database, ACCOUNT, options, END, now=FAR)
    after = told(database, options, day, since)
    for name, rows in after.items():
        assert before[name] == rows, name
    check_views(database, options)


@searched
@pytest.mark.parametrize("start", range(0, 40, 10))
def test_lots_positions_and_disposals_are_told_the_same_before_and_after_a_rollup_and_by_views(another, start):
    for seed in range(start, start + of(3, 10)):
        with another() as database:
            try:
                check(database, seed)
            except AssertionError as error:
                raise AssertionError(f"seed {seed}: {error}") from error
