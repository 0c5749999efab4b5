"""A contract's size in books and rollup: a fee in its base, what an order sets aside, amounts of many decimals."""

from __future__ import annotations

from decimal import Decimal

import pytest
from books import NEW_YEAR, SECOND, deposit, fill, placed

from jarvis_client.contract.errors import Invalid
from persistence.repositories import SQLiteAccountRepository
from scheduler.jobs import roll_up_accounts
from scheduler.rollup.options import RollupOptions, RollupPlan

PLAN = RollupPlan(RollupOptions())
DAY = 86_400_000_000


def test_a_fee_in_the_coin_moves_no_contract_in_books_and_rollup_alike(database, ledger):
    ten = {"symbol": "BTC/USDT", "multiplier": "10", "fee_currency": "BTC", "order_id": None}
    ledger.post([deposit(1, amount="100000"), deposit(2, currency="BTC", amount="1", usd_rate="100")])
    ledger.post([fill(1, **ten, quantity="5", fee="0.5"), fill(2, **ten, quantity="5", fee="0", side="sell", price="110", executed_at=NEW_YEAR + SECOND)])
    roll_up_accounts(database, PLAN, NEW_YEAR + 2 * DAY)
    account = SQLiteAccountRepository(database).find_by_id("acc")
    assert account.contracts == {"BTC/USDT": Decimal(0)}
    assert account.balance.total("BTC").amount == Decimal("0.5"), "the fee is paid in the coin"
    assert database.execute_query("SELECT direction, fills, peak FROM trades") == [("long", 2, "5")]
    assert database.execute_query("SELECT state FROM asset_closes WHERE asset LIKE 'contract %'") == [("",)]


def test_what_is_set_aside_follows_the_orders_own_multiplier(database, ledger):
    ledger.post([deposit(1, amount="100000"), placed(quantity="3", price="100", reserve=True), fill(1, multiplier="100", fee="0")])
    [reserved] = [str(r) for (r,) in database.execute_query("SELECT reserved FROM balances WHERE currency = 'USDT'")]
    assert reserved == "300", "a fill of another size is of a contract, and of another order"
    assert database.execute_query("SELECT settle, filled FROM orders ORDER BY settle") == [(None, "0"), ("USDT", "1")]


@pytest.mark.parametrize("text", ["32.91619938588614064988164371914712459711", "0." + "0" * 20 + "1" * 40])
def test_a_number_of_forty_digits_and_sixty_places_is_kept_to_the_last(database, ledger, text):
    ledger.post([deposit(1, amount=text)])
    assert database.execute_query("SELECT available FROM balances") == [(text,)]


@pytest.mark.parametrize("text", ["1." + "0" * 60 + "1", "1" * 41])
def test_a_number_beyond_that_is_refused(text):
    with pytest.raises(Invalid):
        deposit(1, amount=text)
