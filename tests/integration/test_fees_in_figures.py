"""Fees that come after their fill, in the figures of the day of the fill: whenever they come, whenever they go."""

from __future__ import annotations

from datetime import date

import pytest
from books import NEW_YEAR, deposit, fee, fill, rate, snapshot, void

from persistence.books.ledger import Ledger
from persistence.repositories import SQLitePerformanceRepository
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.rollup.account import roll_up
from scheduler.rollup.options import RollupOptions

pytestmark = pytest.mark.every_engine

DAY = 86_400_000_000
HOUR = DAY // 24
LATER = NEW_YEAR + 9 * DAY
TRADE = [
    snapshot(1), fill("a", fee=0, executed_at=NEW_YEAR + HOUR), fill("b", side="sell", price="110", fee=None, executed_at=NEW_YEAR + 2 * HOUR),
    snapshot(2, observed_at=NEW_YEAR + 4 * DAY),
]  # fmt: skip


def roll(database, **options):
    return roll_up(database, "acc", RollupOptions(**options), date(2026, 1, 6), now=LATER)


def trades(database):
    with SQLiteRollupRepository(database).reading("acc") as books:
        return [(str(trade.pnl), str(trade.fees)) for _, trade in books.trades(None, date(2026, 2, 1))]


def values(database):
    return {row.date.day: row.total_value_usd for row in SQLitePerformanceRepository(database).find_all("acc")}


def test_a_later_fee_counts_in_its_trade_and_its_void_takes_it_out_again(database, ledger):
    ledger.post(TRADE)
    roll(database)
    assert trades(database) == [("10", "0")]
    ledger.post([fee(1, fill_id="fb", amount="50", occurred_at=NEW_YEAR + 3 * DAY)])
    roll(database)
    assert trades(database) == [("-40", "50")]
    ledger.post([void(1, "fee", "x1", occurred_at=LATER)])
    roll(database)
    assert trades(database) == [("10", "0")]


def test_a_fee_that_comes_while_a_rollup_computes_is_in_the_next_one(database, ledger, monkeypatch):
    ledger.post(TRADE)
    roll(database)
    commit = SQLiteRollupRepository.commit

    def interrupted(self, *args):
        monkeypatch.setattr(SQLiteRollupRepository, "commit", commit)
        Ledger(database).post([fee(1, fill_id="fa", amount="3", occurred_at=NEW_YEAR + 3 * DAY)])
        return commit(self, *args)

    monkeypatch.setattr(SQLiteRollupRepository, "commit", interrupted)
    ledger.post([snapshot(3, observed_at=NEW_YEAR + 4 * DAY + 1)])
    roll(database)
    roll(database)
    assert trades(database) == [("7", "3")]


def test_a_fee_of_which_only_a_rate_tells_the_worth_takes_the_rate_of_its_fill(database, ledger):
    ledger.post(
        [*TRADE, rate(0, currency="BNB", usd_rate="600", observed_at=NEW_YEAR), rate(0, currency="BNB", usd_rate="700", observed_at=NEW_YEAR + 2 * HOUR)]
    )
    ledger.post([fee(1, fill_id="fb", currency="BNB", amount="0.01", occurred_at=NEW_YEAR + 3 * DAY)])
    roll(database)
    assert trades(database) == [("3", "7")]


def test_a_rate_of_exactly_one_is_a_rate_like_any_other(database, ledger):
    ledger.post([
        fill("a", symbol="BTC/EUR", side="sell", fee=0, quote_usd_rate="1.2", executed_at=NEW_YEAR),
        fill("b", symbol="BTC/EUR", side="sell", fee=0, quote_usd_rate="1", executed_at=NEW_YEAR + DAY),
    ])  # fmt: skip
    roll(database)
    assert values(database) == {1: 0, 2: 0}


def test_a_day_in_another_zone_leaves_no_row_behind(database, ledger):
    ledger.post([deposit(occurred_at=NEW_YEAR + 20 * HOUR)])
    roll(database, valuation="books", timezone="Asia/Tokyo")
    assert list(values(database)) == [2]
    roll(database, valuation="books")
    assert list(values(database)) == [1]
