"""An order id that stands for several orders: venues number orders by symbol."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from books import fill, placed

from persistence.domain import Conflict, Immutable, Order, OrderSide

AT = datetime(2026, 1, 1, tzinfo=UTC)


def test_an_id_of_several_orders_asks_which_one_is_meant(engine):
    engine.ledger.post([
        placed(1, symbol="BTC/USDT"), placed(2, symbol="ETH/USDT", side="sell"), fill(1, symbol="BTC/USDT"),
        fill(2, symbol="ETHUSDT", side="sell", quantity="2"),
    ])  # fmt: skip
    orders = engine.orders
    for ask in (
        lambda: orders.find_by_id("o1"), lambda: orders.exists("o1"), lambda: orders.delete("o1"), lambda: orders.get_fills("acc", "o1"),
        lambda: orders.find_by_id("o1", "acc"),
    ):  # fmt: skip
        with pytest.raises(Conflict, match="order o1 of account acc stands for 2 orders: buy BTC/USDT, sell ETH/USDT; give symbol and side"):
            ask()
    assert orders.find_by_id("o1", symbol="BTCUSDT").side == OrderSide.BUY
    assert orders.find_by_id("o1", "acc", side="SELL").instrument == "ETH/USDT"
    assert orders.exists("o1", symbol="ETH-USDT", side="sell")
    assert not orders.exists("o1", symbol="ETH-USDT", side="buy")
    assert [f.fill_id for f in orders.get_fills("acc", "o1", symbol="ETH/USDT")] == ["f2"]
    with pytest.raises(Immutable):
        orders.delete("o1", symbol="ETH/USDT")


def test_one_of_several_orders_of_an_id_is_deleted_alone(engine):
    engine.ledger.post([placed(1, symbol="BTC/USDT"), placed(2, symbol="BTC/USDT", side="sell")])
    assert engine.orders.delete("o1", side="sell")
    assert engine.orders.find_by_id("o1").side == OrderSide.BUY
    assert engine.orders.delete("o1")
    assert not engine.orders.exists("o1")


def test_an_id_means_the_orders_of_one_account_at_a_time(engine):
    engine.ledger.post([placed(1, account_id="a"), placed(2, account_id="b", symbol="ETH/USDT")])
    assert engine.orders.find_by_id("o1").account_id == "a"
    assert engine.orders.find_by_id("o1", "b").instrument == "ETH/USDT"


def test_a_saved_order_is_compared_with_the_one_of_its_instrument_and_side(engine):
    for side in ("buy", "sell"):
        engine.orders.save(Order("o1", "acc", "BTC/USDT", side, "limit", 1, 100, created_at=AT + timedelta(seconds=1)))
    assert {o.side for o in engine.orders.find_by_account("acc")} == {OrderSide.BUY, OrderSide.SELL}
