from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from books import NEW_YEAR, SECOND, ended, fill, placed, void

from persistence.domain import Conflict, Currency, Immutable, Invalid, Money, Order, OrderSide, OrderStatus, OrderType

pytestmark = pytest.mark.every_engine


def order(number: int = 1, **changes) -> Order:
    values = {
        "order_id": f"o{number}", "account_id": "acc", "symbol": "BTCUSDT", "side": OrderSide.BUY, "order_type": OrderType.LIMIT, "quantity": 3,
        "price": 100,
    }  # fmt: skip
    return Order(**{**values, **changes})


def test_a_saved_order_is_pending_and_found(engine):
    engine.orders.save(order())

    found = engine.orders.find_by_id("o1")
    assert (found.status, found.symbol, found.side, found.quantity, found.price) == (OrderStatus.PENDING, "BTCUSDT", OrderSide.BUY, 3, 100)
    assert engine.orders.exists("o1")
    assert engine.orders.find_by_id("o1", "somebody else") is None
    assert engine.orders.find_by_id("o2") is None


def test_executions_become_fills_that_move_the_balance(engine):
    mine = order()
    engine.orders.save(mine)
    mine.execute(90, 1, fee="0.01")
    engine.orders.save(mine)
    mine.execute("90.50")
    engine.orders.save(mine)
    engine.orders.save(mine)

    found = engine.orders.find_by_id("o1")
    assert (found.status, found.filled_quantity, found.fills_count) == (OrderStatus.FILLED, 3, 2)
    assert found.average_price == mine.average_price == Decimal("90.33333333333333333333333333")
    assert [(f.quantity, f.price) for f in engine.orders.get_fills("acc", "o1")] == [(1, 90), (2, Decimal("90.50"))]
    balance = engine.accounts.find_by_id("acc").balance
    assert balance.total(Currency.BTC) == Money(3, "BTC")
    assert balance.total(Currency.USDT) == Money("-271.01", "USDT")


def test_a_new_order_may_be_executed_before_its_first_save(engine):
    mine = order()
    mine.execute(executed_price=100)
    engine.orders.save(mine)
    assert engine.orders.find_by_id("o1").status == OrderStatus.FILLED


def test_an_order_executed_by_two_is_a_conflict_not_a_double_fill(engine):
    engine.orders.save(order())
    first, second = engine.orders.find_by_id("o1"), engine.orders.find_by_id("o1")
    first.execute(100)
    engine.orders.save(first)

    second.execute(101)
    with pytest.raises(Conflict, match="load it again"):
        engine.orders.save(second)
    assert engine.orders.find_by_id("o1").average_price == 100


@pytest.mark.parametrize(("act", "status"), [("cancel", "cancelled"), ("reject", "rejected"), ("expire", "expired")])
def test_an_order_can_end_without_being_filled(engine, act, status):
    mine = order()
    engine.orders.save(mine)
    getattr(mine, act)()
    engine.orders.save(mine)
    engine.orders.save(mine)

    assert engine.orders.find_by_id("o1").status == status
    assert engine.orders.get_pending_orders("acc") == []
    with pytest.raises(Invalid, match="only a pending"):
        mine.execute(100)


def test_changed_terms_replace_the_earlier_ones(engine):
    engine.orders.save(order())
    mine = engine.orders.find_by_id("o1")
    mine.price = Decimal(99)
    engine.orders.save(mine)
    mine.quantity = Decimal(2)
    engine.orders.save(mine)

    found = engine.orders.find_by_id("o1")
    assert (found.price, found.quantity, found.status) == (99, 2, OrderStatus.PENDING)


def test_a_status_cannot_be_set_to_filled_without_an_execution(engine):
    mine = order()
    engine.orders.save(mine)
    mine.status = OrderStatus.FILLED
    with pytest.raises(Invalid, match="execute"):
        engine.orders.save(mine)
    assert engine.orders.find_by_id("o1").status == OrderStatus.PENDING


def test_an_order_without_fills_can_be_deleted_one_with_fills_cannot(engine):
    engine.orders.save_many([order(1), order(2)])
    filled = engine.orders.find_by_id("o2")
    filled.execute(100)
    engine.orders.save(filled)

    assert engine.orders.delete("o1")
    assert not engine.orders.exists("o1")
    assert not engine.orders.delete("o1")
    with pytest.raises(Immutable, match="Void"):
        engine.orders.delete("o2")


def test_queries_by_account_status_and_symbol_give_the_newest_first(engine):
    engine.ledger.post([placed(n, order_id=f"o{n}", symbol=("BTC/USDT", "ETH/USDT")[n % 2], occurred_at=NEW_YEAR + n * SECOND) for n in range(4)])
    engine.ledger.post([fill(1, order_id="o3", symbol="ETHUSDT", quantity="3", executed_at=NEW_YEAR + 9 * SECOND), ended(1, order_id="o0")])

    assert [o.order_id for o in engine.orders.find_by_account("acc")] == ["o3", "o2", "o1", "o0"]
    assert [o.order_id for o in engine.orders.find_by_account("acc", limit=1)] == ["o3"]
    assert [o.order_id for o in engine.orders.get_pending_orders("acc")] == ["o2", "o1"]
    assert [o.order_id for o in engine.orders.find_by_status("acc", OrderStatus.PENDING)] == ["o2", "o1"]
    assert [o.order_id for o in engine.orders.find_by_status("acc", OrderStatus.CANCELLED)] == ["o0"]
    assert [o.order_id for o in engine.orders.find_by_symbol("acc", "ETH/USDT")] == ["o3", "o1"]
    assert [o.order_id for o in engine.orders.get_filled_orders("acc")] == ["o3"]
    assert [o.order_id for o in engine.orders.stream("acc")] == ["o0", "o1", "o2", "o3"]
    assert len(engine.orders.find_all(limit=3)) == 3


def test_statistics_of_filled_orders(engine):
    engine.ledger.post([fill(n, order_id=f"o{n}", executed_at=NEW_YEAR + n * SECOND) for n in range(3)])
    engine.ledger.post([fill(9, order_id="x", symbol="ETH/BTC", price="0.05", executed_at=NEW_YEAR)])

    statistics = engine.orders.get_statistics("acc")
    assert (statistics.orders, statistics.fills) == (4, 4)
    assert statistics.volume == {"BTC": Decimal("0.05"), "USDT": Decimal(300)}
    assert statistics.by_symbol == {"BTC/USDT": 3, "ETH/BTC": 1}
    start = datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert engine.orders.get_statistics("acc", start, start + timedelta(seconds=1)).orders == 1


def test_a_voided_fill_no_longer_counts_in_its_order(engine):
    engine.ledger.post([placed(), fill(1), fill(2)])
    engine.ledger.post([void(1, "fill", "f1")])

    found = engine.orders.find_by_id("o1")
    assert (found.filled_quantity, found.status) == (1, OrderStatus.PARTIALLY_FILLED)
    engine.ledger.post([void(2, "fill", "f2"), void(3, "order", "e1")])
    assert not engine.orders.exists("o1"), "an order of which nothing is left has never been"


def test_an_end_whose_order_is_not_known_yet_waits_for_it(engine):
    engine.ledger.post([ended(1)])
    assert not engine.orders.exists("o1")

    engine.ledger.post([placed()])
    assert engine.orders.find_by_id("o1").status == OrderStatus.CANCELLED


def test_the_orders_of_one_id_are_told_apart_by_symbol_and_side(engine):
    engine.ledger.post([placed(1), placed(2, side="sell"), placed(3, symbol="ETH-USDT")])

    for asking in (engine.orders.find_by_id, engine.orders.exists, engine.orders.delete):
        with pytest.raises(Conflict, match="buy BTC/USDT, sell BTC/USDT, buy ETH/USDT; give symbol and side"):
            asking("o1")
    assert engine.orders.find_by_id("o1", symbol="BTCUSDT", side="SELL").side == "sell"
    assert engine.orders.delete("o1", symbol="ETHUSDT")
    assert not engine.orders.exists("o1", symbol="ETH/USDT")


def test_an_order_loaded_long_ago_does_not_undo_what_was_placed_meanwhile(engine):
    engine.ledger.post([fill(1, quantity="0.5", order_type="limit")])
    stale = engine.orders.find_by_id("o1")
    engine.ledger.post([placed(quantity="3", reserve=True)])
    engine.orders.save(stale)

    assert (engine.orders.find_by_id("o1").quantity, engine.orders.find_by_id("o1").status) == (3, OrderStatus.PARTIALLY_FILLED)


def test_changed_terms_keep_what_was_reserved(engine):
    engine.orders.save(order(reserve=True))
    mine = engine.orders.find_by_id("o1")
    mine.price = Decimal(50)
    engine.orders.save(mine)
    assert engine.accounts.find_by_id("acc").balance.reserved(Currency.USDT) == Money(150, Currency.USDT)


def test_another_order_of_the_same_id_is_a_conflict(engine):
    engine.orders.save(order())
    with pytest.raises(Conflict, match="another order"):
        engine.orders.save(order(price=99))
    engine.orders.save(order())


def test_an_order_can_be_executed_and_cancelled_again_after_a_void(engine):
    mine = order()
    mine.execute(100)
    engine.orders.save(mine)
    [first] = engine.orders.get_fills("acc", "o1")
    engine.ledger.post([void(1, "fill", first.fill_id)])
    again = engine.orders.find_by_id("o1")
    again.execute(101, 1)
    again.cancel()
    engine.orders.save(again)
    engine.ledger.post([void(2, "order", "o1:cancelled")])
    once_more = engine.orders.find_by_id("o1")
    once_more.cancel()
    engine.orders.save(once_more)

    found = engine.orders.find_by_id("o1")
    assert (found.filled_quantity, found.average_price, found.status) == (1, 101, OrderStatus.CANCELLED)


def test_an_order_whose_account_was_deleted_says_so_instead_of_losing_its_fills(engine):
    mine = order()
    mine.execute(100, 1)
    engine.orders.save(mine)
    engine.accounts.delete("acc")
    mine.execute(100, 1)
    with pytest.raises(Conflict, match="went with its account"):
        engine.orders.save(mine)
    assert not engine.accounts.exists("acc")


def test_fills_of_one_id_in_two_pairs_are_two_orders_whatever_their_symbols_say(engine):
    engine.ledger.post([fill(2, symbol="WEIRD", base="X", quote="USDT", executed_at=NEW_YEAR + 2 * SECOND)])
    engine.ledger.post([fill(1, symbol="WEIRD", base="Y", quote="EUR", executed_at=NEW_YEAR + SECOND)])
    assert [(o.instrument, o.filled_quantity) for o in engine.orders.find_by_account("acc")] == [("X/USDT", 1), ("Y/EUR", 1)]
