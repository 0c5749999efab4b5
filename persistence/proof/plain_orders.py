"""Orders that a few sums tell: what the store adds up of each order id, and the row that it makes.

Nine orders of ten are fills of one instrument, side and price, placed beforehand or not. Reading and deriving them one by one took three
quarters of the time of checking and of rebuilding all orders. Whatever is not that plain is left to `derive_orders`, which alone says what an
order is: a cancelled or amended one, one that sets money aside, a quanto, one that is not filled to the end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import cache, lru_cache
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from jarvis_client.contract.decimals import EXACT, canonical
from jarvis_client.contract.facts import EventStatus
from persistence.books.orders import OrderId, OrderRow
from persistence.engine.contract import Connection
from persistence.engine.dialect import Dialect


class _Terms(NamedTuple):
    """The terms of an order, as each fill or the placing says them."""

    instrument: str
    side: str
    base: str
    quote: str
    settle: str | None
    inverse: int
    multiplier: str
    symbol: str
    order_type: str | None
    price: str | None
    quantity: str | None

    @property
    def traded(self) -> tuple[Any, ...]:
        """What has to be the same where an order was placed and filled."""
        return self[:7]


class _Filled(NamedTuple):
    """The live fills of an order id: least and greatest text of their terms, and their sums."""

    terms: str
    other_terms: str
    fills: int
    quantity: str
    cash: str
    first_at: int
    last_at: int


class _Placed(NamedTuple):
    """The live events of an order id: how many, and what the only one says."""

    events: int
    status: str
    terms: str
    cost: str | None
    reserve: int
    at: int


def plain_rows(connection: Connection) -> Iterator[tuple[OrderId, OrderRow | None]]:
    """Every (order id, account) that a live fact names, in their order, with the row of its one order; None where its facts have to be read."""
    fills, events = (iter(connection.execute(sql)) for sql in _statements(connection.dialect))
    for order_id, found in groupby(merge(fills, events, key=_ID), _ID):
        filled = placed = None
        for _, _, kind, *sums in found:
            if kind == "fill":
                filled = _Filled._make(sums)
            else:
                placed = _Placed._make(sums)
        yield order_id, _row(order_id, filled, placed)


_ID = itemgetter(0, 1)


def _row(order_id: OrderId, filled: _Filled | None, placed: _Placed | None) -> OrderRow | None:
    fills = asked = None
    if filled is not None:
        fills = _terms(filled.terms)
        if filled.terms != filled.other_terms:
            return None
    if placed is not None:
        asked = _terms(placed.terms)
        if (placed.events, placed.status, placed.cost, placed.reserve) != (1, EventStatus.PLACED, None, 0) or asked.quantity is None:
            return None
        if fills is not None and fills.traded != asked.traded:
            return None
    terms = asked or fills
    if terms is None or (terms.settle is not None and not terms.inverse and terms.settle not in (terms.base, terms.quote)):
        return None
    sums = ("0", "0", 0) if filled is None else (_canonical(filled.quantity), _canonical(filled.cash), filled.fills)
    quantity = sums[0] if terms.quantity is None else _canonical(terms.quantity)
    if filled is not None and quantity != sums[0]:
        return None
    multiplier = _canonical(terms.multiplier)
    weight = sums[0] if multiplier == "1" else canonical(EXACT.multiply(Decimal(sums[0]), Decimal(multiplier)))
    price = None if terms.price is None else _canonical(terms.price)
    instants = [at for at in (placed and placed.at, filled and filled.first_at, filled and filled.last_at) if at is not None]
    return (
        *order_id, terms.instrument, terms.symbol, terms.side, terms.order_type, quantity, price, None, terms.base, terms.quote, terms.settle,
        terms.inverse, multiplier, sums[0], sums[1], weight, "0", sums[2], 0 if placed is None else 1, 0, 0 if terms.quantity is None else 1, 0, None,
        min(instants), max(instants), None if filled is None else filled.last_at, "pending" if filled is None else "filled", "0", None,
    )  # fmt: skip


def _canonical(text: str) -> str:
    return canonical(Decimal(text))


@lru_cache(maxsize=1_024)  # orders without a price of their own share their terms
def _terms(text: str) -> _Terms:
    return _Terms._make(json.loads(text))


@cache
def _statements(dialect: Dialect) -> Sequence[str]:
    names = ("instrument", "side", "base", "quote", "settle", "inverse", "multiplier", "symbol", "order_type")
    of_fill = dialect.array(*(f"c.{name}" for name in (*names, "order_price", "order_quantity")))
    of_event = dialect.array(*(f"c.{name}" for name in (*names, "price", "quantity")))
    source = "FROM {} c JOIN facts f ON f.fact_no = c.fact_no WHERE c.order_id IS NOT NULL AND f.state = 0 GROUP BY c.order_id, c.account_id ORDER BY 1, 2"
    sums = f"min({of_fill}), max({of_fill}), count(*), decimal_sum(c.quantity), decimal_sum(c.quote_quantity), min(c.executed_at), max(c.executed_at)"
    said = f"count(*), min(c.status), min({of_event}), min(c.cost), max(c.reserve), min(c.occurred_at)"
    return (
        f"SELECT c.order_id, c.account_id, 'fill', {sums} {source.format('fills')}",
        f"SELECT c.order_id, c.account_id, 'order', {said} {source.format('order_events')}",
    )


__all__ = ["plain_rows"]
