"""A client may hold thousands of currencies that nobody gave a rate for; what is said of them fits on a line."""

from __future__ import annotations

from datetime import date

import pytest
from books import NEW_YEAR, deposit

from scheduler.rollup.account import roll_up
from scheduler.rollup.options import RollupOptions

pytestmark = pytest.mark.every_engine
DAY = 86_400_000_000


def test_the_first_currencies_without_a_rate_are_named_and_the_others_counted(database, ledger):
    ledger.post([deposit(n, currency=f"C{n:04}", usd_rate=None, category="bonus") for n in range(1_000)])
    [(_, why), *_] = roll_up(database, "acc", RollupOptions(), date(2026, 1, 1), now=NEW_YEAR + 40 * DAY).withheld
    assert why == "no USD rate is known for C0000, C0001, C0002, C0003, C0004 and 995 more: publish a rate of it, or snapshots"
