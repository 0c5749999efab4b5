"""Orders as the steps of their lives: what `fetch_order`, `fetch_orders` and `watch_orders` return."""

from __future__ import annotations

from decimal import Decimal
from typing import cast

from jarvis_client.ccxt.markets import Traded, traded
from jarvis_client.ccxt.structures import Record, Structure, Unsaid, instant, moment, needed_instant, needed_text, number, text, written
from jarvis_client.contract.decimals import EXACT, Number, exact
from jarvis_client.contract.errors import Invalid
from jarvis_client.fields import OrderFields

_ENDS = {"closed": "filled", "canceled": "cancelled", "cancelled": "cancelled", "expired": "expired", "rejected": "rejected"}
_OPEN = frozenset({None, "open", "pending", "canceling"})
#: The share of an order that counts as none left: floats do not keep it open. The same as the books'.
_NONE_LEFT = Decimal("1e-9")


def order_from_ccxt(
    order: Structure,
    market: Structure | None = None,
    *,
    account_id: str,
    exchange: str,
    before: Structure | None = None,
    cost: Number | None = None,
    closes_position: bool = False,
) -> list[OrderFields]:
    """The order records that an order states: that it was placed, and how it ended. What was filled, its fills say.

    `before` is the same order as it was last seen: then only what happened since is returned, an amendment included. `cost` is what a
    market order was placed by instead of a quantity, in quote: ccxt's own `cost` is what was filled. `market` is required for contracts.

    An end counts at the order's last update or last trade; at its own time where the exchange gives neither. An order that ccxt calls closed
    with something remaining was cancelled. Raises `Invalid` where the terms are not known, as in the short answer of `create_order`.
    """
    what = f"the order {order.get('id') or 'without an id'}"
    instrument, order_id, side = traded(order, market, exchange, what), needed_text(order, "id", what), needed_text(order, "side", what)
    common: Record = {"account_id": account_id, "order_id": order_id}
    name = f"{exchange}:{instrument.symbol}:{order_id}"
    terms = _terms(order, what, cost=cost, closes_position=closes_position)
    found: list[Record] = []
    if before is None:
        placed = {**instrument.fields(), "side": side, **terms, "occurred_at": moment(needed_instant(order, what))}
        found.append({"event_id": f"{name}:placed", **common, "status": "placed", **placed})
    else:
        if text(before, "id") != order_id:
            raise Invalid(f"before is the order {before.get('id')!r:.80}, and this is {what}; give the same order as it was")
        found += _amendment(terms, _terms(before, what, cost=cost, closes_position=closes_position), order, what, name, common)
    if (ended := _end(order, what)) is not None and (before is None or _end(before, what) != ended):
        # The last of what can have ended it. An exchange that gives no such time leaves the order's own.
        names = ("lastTradeTimestamp", "lastUpdateTimestamp") if ended == "filled" else ("lastUpdateTimestamp", "lastTradeTimestamp")
        at = instant(order, *names) or needed_instant(order, what)
        found.append({"event_id": f"{name}:{ended}", **common, "status": ended, **_named(instrument, side), "occurred_at": moment(at)})
    return cast(list[OrderFields], found)


def _named(instrument: Traded, side: str) -> Record:
    """One id may stand for several orders: the step belongs to the one of this symbol and side."""
    return {"symbol": instrument.symbol, "side": side}


def _terms(order: Structure, what: str, *, cost: Number | None, closes_position: bool) -> Record:
    kind = needed_text(order, "type", what).lower()
    terms: Record = {"order_type": kind}
    quantity, price = number(order, "amount"), number(order, "price")
    if cost is not None:
        terms["cost"] = written(exact(cost, "cost"))
    elif closes_position:
        terms["closes_position"] = True
    elif quantity:
        terms["quantity"] = written(quantity)
    else:
        raise Unsaid(
            f"{what} has no amount", "cost", "fetch it again, or say what it was placed by: cost=… for a market order by its cost, closes_position=True"
        )
    if "limit" in kind:
        # Of another order ccxt's price is what it was filled at.
        if price is None:
            raise Invalid(f"{what} is a {kind} order without a price; put its price there")
        terms["price"] = written(price)
    return terms


def _amendment(terms: Record, former: Record, order: Structure, what: str, name: str, common: Record) -> list[Record]:
    changed: Record = {field: terms[field] for field in ("quantity", "price", "cost") if field in terms and terms[field] != former.get(field)}
    if not changed:
        return []
    at = instant(order, "lastUpdateTimestamp")
    if at is None:
        raise Invalid(f"{what} was amended, and nothing says when; put the milliseconds of it into lastUpdateTimestamp")
    return [{"event_id": f"{name}:amended:{at // 1_000}", **common, "status": "amended", **changed, "occurred_at": moment(at)}]


def _end(order: Structure, what: str) -> str | None:
    """The status of our own that ended an order; None while it is open."""
    status = text(order, "status")
    if status in _OPEN:
        return None
    if status not in _ENDS:
        raise Invalid(f"the status of {what} is {status!r:.40}; ccxt's are open, closed, canceled, expired and rejected: put the one that is meant")
    amount, remaining = number(order, "amount"), number(order, "remaining")
    if status == "closed" and amount and remaining and remaining > EXACT.multiply(amount, _NONE_LEFT):
        return "cancelled"
    return _ENDS[status]
