"""Rate records in the figures: the newest of what was said and of what the account's fills tell, in whatever order they came."""

from __future__ import annotations

import random
from datetime import date
from decimal import Decimal

import pytest
from books import NEW_YEAR, deposit, fill, rate, void

from persistence.books.ledger import Ledger
from persistence.repositories import SQLitePerformanceRepository
from scheduler.rollup.account import roll_up
from scheduler.rollup.options import RollupOptions

pytestmark = pytest.mark.every_engine

DAY = 86_400_000_000
UNTIL = date(2026, 1, 6)
LATER = NEW_YEAR + 9 * DAY

FACTS = [
    deposit(1, currency="BTC", amount="2", usd_rate="40000", occurred_at=NEW_YEAR + 1),
    rate(0, usd_rate="50000", observed_at=NEW_YEAR + DAY + 5),
    deposit(2, currency="BTC", amount="1", occurred_at=NEW_YEAR + DAY + 6),
    fill(1, quantity="1", price="60000", side="sell", fee=0, executed_at=NEW_YEAR + 2 * DAY),
    rate(0, usd_rate="70000", observed_at=NEW_YEAR + 2 * DAY, source="b"),
    rate(0, usd_rate="71000", observed_at=NEW_YEAR + 2 * DAY, source="a"),
    rate(0, usd_rate="30000", observed_at=NEW_YEAR + 3 * DAY),
    deposit(3, amount="1", occurred_at=NEW_YEAR + 3 * DAY + 9),
    fill(2, symbol="EUR/USDT", quantity="10", price="1.1", fee="1", fee_currency="BNB", executed_at=NEW_YEAR + 4 * DAY),
    rate(0, currency="BNB", usd_rate="600", observed_at=NEW_YEAR + 4 * DAY - 1),
]


def values(database):
    return {r.date.day: (r.total_value_usd, r.pnl_daily) for r in SQLitePerformanceRepository(database).find_all("acc")}


def roll(database, until=UNTIL):
    return roll_up(database, "acc", RollupOptions(), until, now=LATER)


def test_the_newest_of_what_was_said_and_told_values_flows_and_holdings(database, ledger):
    ledger.post(FACTS)
    roll(database)
    assert values(database) == {
        1: (80_000, 0),
        2: (150_000, 20_000),  # two of them from 40,000 to 50,000; the third came at what was said last
        3: (202_000, 52_000),  # of two sources at one instant the first; it counts over the fill of that instant
        4: (120_001, -82_000),
        5: (Decimal(119401), -600),  # the fee in BNB; ten euros cost eleven dollars, and are worth that
    }


def test_rates_mend_rows_in_whatever_order_they_come(another):
    expected = None
    for seed in range(12):
        found = list(FACTS)
        random.Random(seed).shuffle(found)
        with another() as database:
            for fact in found:
                Ledger(database).post([fact])
                if seed:
                    roll(database)
            roll(database)
            expected = expected or values(database)
            assert values(database) == expected


def test_a_void_of_a_rate_takes_it_out_of_the_rows(database, ledger):
    ledger.post(FACTS[:3])
    roll(database)
    said = FACTS[1]
    ledger.post([void(1, "rate", said.rate_id, account_id=None, occurred_at=LATER)])
    roll(database)
    assert values(database)[2] == (120_000, 0), "the rate of the first deposit is the newest again"


def test_a_rate_of_another_currency_leaves_an_account_alone(database, ledger):
    ledger.post(FACTS)
    roll(database)
    ledger.post([rate(0, currency="DOGE", usd_rate="1", observed_at=NEW_YEAR + 5)])
    assert (roll(database).revised, roll(database).through) == (0, None)
