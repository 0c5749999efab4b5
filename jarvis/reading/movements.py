"""Orders, and transactions."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from jarvis_client.contract.decimals import canonical
from jarvis_client.contract.instants import to_instant, to_text
from persistence.domain.order import Order
from persistence.domain.transaction import Transaction

ORDER = ("created_at", "order_id", "instrument", "side", "status", "quantity", "filled", "price", "average_price", "symbol")
TRANSACTION = ("occurred_at", "type", "amount", "currency", "transaction_id", "description")


def order(o: Order) -> tuple[Any, ...]:
    """The values of `ORDER`."""
    return (
        o.created_at and to_text(to_instant(o.created_at)), o.order_id, o.instrument, o.side and str(o.side), str(o.status), _number(o.quantity),
        _number(o.filled_quantity), _number(o.price), _number(o.average_price), o.symbol,
    )  # fmt: skip


def transaction(t: Transaction) -> tuple[Any, ...]:
    """The values of `TRANSACTION`. `amount` is signed as the balance moves."""
    return (
        to_text(to_instant(t.occurred_at)), str(t.transaction_type), canonical(t.movement.amount), str(t.currency), t.transaction_id, t.description,
    )  # fmt: skip


def _number(value: Decimal | None) -> str | None:
    return None if value is None else canonical(value)
