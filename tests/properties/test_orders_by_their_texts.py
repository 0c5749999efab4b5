"""What is made of a fill's texts is what is made of the fill, whatever the fills."""

from __future__ import annotations

import itertools
from contextlib import closing
from decimal import Decimal

import pytest
from books import NEW_YEAR
from hypothesis import given
from hypothesis import strategies as st

from jarvis_client.contract.decimals import EXACT, ZERO
from jarvis_client.contract.facts import Fill, OrderEvent
from persistence.books import movements, orders
from persistence.books.ledger import Ledger
from persistence.domain.order_state import _in_order, derive_orders
from persistence.engine.sqlite.database import SQLiteDatabase
from persistence.proof.plain_orders import plain_rows

_AMOUNTS = st.decimals(Decimal("0.00000001"), 99_999, places=8)
_SAME = {"account_id": st.just("a"), "order_id": st.just("o")}
_FILLS = st.fixed_dictionaries({
    **_SAME, "fill_id": st.from_regex("[a-c]?[0-9]{1,3}", fullmatch=True), "symbol": st.sampled_from(("BTC/USDT", "BTC/USDT:USDT", "BTC-USDT")),
    "side": st.sampled_from(("buy", "sell")), "quantity": _AMOUNTS, "price": st.decimals(-1, 9_999, places=2), "executed_at": st.integers(NEW_YEAR, NEW_YEAR + 3),
    "fee": st.none() | st.decimals(-1, 1, places=3), "order_type": st.none() | st.just("limit"), "order_price": st.none() | st.just("1.50"),
    "order_quantity": st.none() | st.integers(1, 3), "multiplier": st.sampled_from((1, 10)), "sequence": st.none() | st.integers(1, 2), "producer": st.none() | st.just("p"),
}).map(lambda fields: Fill(**fields))  # fmt: skip
_SAME_TERMS = st.fixed_dictionaries({
    **_SAME, "fill_id": st.integers(0, 999).map(str), "symbol": st.just("BTC/USDT"), "side": st.just("buy"), "quantity": st.integers(1, 3) | _AMOUNTS, "price": _AMOUNTS,
    "executed_at": st.integers(NEW_YEAR, NEW_YEAR + 3),
}).map(lambda fields: Fill(**fields))  # fmt: skip
_PLACED = st.fixed_dictionaries({
    **_SAME, "event_id": st.just("e"), "status": st.just("placed"), "occurred_at": st.integers(NEW_YEAR, NEW_YEAR + 3), "symbol": st.just("BTC/USDT"),
    "side": st.just("buy"), "order_type": st.just("limit"), "quantity": st.integers(1, 3) | _AMOUNTS, "price": _AMOUNTS, "reserve": st.booleans(),
}).map(lambda fields: OrderEvent(**fields))  # fmt: skip
_NUMBERS = itertools.count()
_EVENTS = st.fixed_dictionaries({
    **_SAME, "event_id": st.integers(0, 99).map(str), "status": st.just("cancelled"), "occurred_at": st.integers(NEW_YEAR, NEW_YEAR + 3),
}).map(lambda fields: OrderEvent(**fields))  # fmt: skip


@pytest.fixture(scope="module")
def books():
    with closing(SQLiteDatabase(":memory:")) as database:
        database.open_up()
        yield database


@given(st.lists(_FILLS, max_size=5) | st.lists(_SAME_TERMS, max_size=5), st.lists(_PLACED, max_size=2))
def test_a_plain_order_has_the_row_that_its_facts_derive(books, fills, placed):
    order_id = f"o{next(_NUMBERS)}"
    facts = [f._replace(order_id=order_id, **{f._fields[1]: f"{order_id}:{n}"}) for n, f in enumerate([*fills, *placed])]
    Ledger(books).post(facts)
    with books.snapshot() as connection:
        found = {of[0]: row for of, row in plain_rows(connection)}
    derived = derive_orders(facts).orders
    row = found.get(order_id)
    if row is not None:
        assert [row] == [orders._row(order) for order in derived]
    else:
        assert not facts or not _is_plain(fills, placed), "only what sums cannot tell is left to the facts"


def _is_plain(fills: list[Fill], placed: list[OrderEvent]) -> bool:
    """Fills of the same terms that fill what was asked for, if anything was, placed by nobody."""
    terms = {(f.symbol, f.side, f.order_type, f.order_price, f.order_quantity, f.multiplier) for f in fills}
    filled = sum((f.quantity for f in fills), ZERO)
    return not placed and len(terms) == 1 and all(f.order_quantity in (None, filled) for f in fills)


@given(st.lists(_FILLS | _EVENTS, max_size=6))
def test_facts_come_in_the_order_of_their_places(facts):
    assert [f.place for f in _in_order(facts)] == sorted(f.place for f in facts)


@given(_FILLS)
def test_the_rows_of_a_fill_add_up_to_what_it_moves(fill):
    rows = [movements.TransactionRow._make(row) for row in movements.fill_rows(7, fill.texts())]
    cash = EXACT.minus(fill.quote_quantity) if (fill.side == "buy") != fill.inverse else fill.quote_quantity
    moved = {0: fill.quantity if fill.side == "buy" else EXACT.minus(fill.quantity), 1: cash, 2: EXACT.minus(fill.fee or ZERO)}
    assert {row.number - 7 * movements.LEGS - movements.BASE: Decimal(row.amount) for row in rows} == {leg: amount for leg, amount in moved.items() if amount}
