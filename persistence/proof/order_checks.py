"""Whether every order is what its facts make of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from jarvis_client.contract.decimals import canonical
from persistence.books import facts, orders
from persistence.books.orders import OrderId, OrderRow
from persistence.domain.finding import Finding
from persistence.domain.order_state import OrderKey, OrderState, derive_orders
from persistence.engine.contract import Connection
from persistence.proof.plain_orders import plain_rows

#: Orders whose facts are read together.
IDS_AT_ONCE = 1_000

#: An order's (number, row): more than one where a row is there twice, or an id stands for several orders.
Rows = list[tuple[int, OrderRow]]


def orders_match_their_facts(connection: Connection) -> Iterator[Finding]:
    """Every order is what the live facts of its id make of it, and every live fact of an order has one."""
    unlike: dict[OrderId, Rows] = {}
    for order_id, derived, rows in _side_by_side(connection):
        if derived is None or [row for _, row in rows] != [derived]:
            unlike[order_id] = rows
            if len(unlike) == IDS_AT_ONCE:
                yield from _differences(connection, unlike)
                unlike.clear()
    yield from _differences(connection, unlike)


def _side_by_side(connection: Connection) -> Iterator[tuple[OrderId, OrderRow | None, Rows]]:
    """Every order id of facts or of orders: what its facts make where a few sums tell it, and the rows that are stored."""
    # Both streams come in the order of the identity, so one pass over each compares them.
    derived, stored = plain_rows(connection), orders.all_rows(connection)
    left, right = next(derived, None), next(stored, None)
    while left is not None or right is not None:
        order_id = min(side[0] for side in (left, right) if side is not None)
        row, rows = None, Rows()
        if left is not None and left[0] == order_id:
            row, left = left[1], next(derived, None)
        if right is not None and right[0] == order_id:
            rows, right = right[1], next(stored, None)
        yield order_id, row, rows


def _differences(connection: Connection, unlike: Mapping[OrderId, Rows]) -> Iterator[Finding]:
    found = facts.facts_of_orders(connection, list(unlike))
    for order_id, rows in unlike.items():
        stored = {row.state.key: row for row in (orders.stored(*row) for row in rows)}
        if len(rows) > len(stored):
            where = f"order {order_id[0]} of {order_id[1]}"
            yield Finding("orders match their facts", where, f"{len(stored)} rows", f"{len(rows)} rows", f"jarvis orders --account {order_id[1]}")
        yield from order_findings(order_id, derive_orders(found.get(order_id, [])).orders, stored)


def order_findings(order_id: OrderId, expected: Sequence[OrderState], found: Mapping[OrderKey, orders.Stored]) -> Iterator[Finding]:
    """Whether the orders of an id are stored as its facts make them."""
    states = {state.key: state for state in expected}
    for key in sorted({*states, *found}):
        state, stored = states.get(key), found.get(key)
        if state is None or stored is None or state != stored.state or (state.status, *state.reserved()) != (stored.status, *stored[2:4]):
            where, look = f"order {order_id[0]} of {order_id[1]}, {key.side} {key.instrument}", f"jarvis orders --account {order_id[1]}"
            yield Finding("orders match their facts", where, _order(state), _order(stored.state if stored else None, stored and stored.status), look)


def _order(state: OrderState | None, status: str | None = None) -> str:
    return (
        "no order"
        if state is None
        else f"{status or state.status}, {canonical(state.filled)} of {'?' if state.quantity is None else canonical(state.quantity)}"
    )


__all__ = ["IDS_AT_ONCE", "order_findings", "orders_match_their_facts"]
