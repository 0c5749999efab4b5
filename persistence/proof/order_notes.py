"""What is odd of orders. Suspects are the order ids that new facts, or voids of older ones, belong to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from jarvis_client.contract.decimals import EXACT, ZERO
from persistence.domain.order_state import COST_FILLED, NO_REMAINDER
from persistence.proof.notes import Look, NoteCheck, Oddity, Slice, Suspect

_TOUCHED = (
    "SELECT order_id, account_id FROM fills WHERE fact_no > ?1 AND fact_no <= ?2 AND order_id IS NOT NULL UNION "
    "SELECT order_id, account_id FROM order_events WHERE fact_no > ?1 AND fact_no <= ?2 UNION "
    "SELECT f.order_id, f.account_id FROM voids v JOIN fills f ON f.fact_no = v.target_fact_no WHERE v.fact_no > ?1 AND v.fact_no <= ?2 "
    "AND f.order_id IS NOT NULL UNION "
    "SELECT e.order_id, e.account_id FROM voids v JOIN order_events e ON e.fact_no = v.target_fact_no WHERE v.fact_no > ?1 AND v.fact_no <= ?2"
)
_SUSPECTED = "SELECT name, account_id FROM note_suspects WHERE check_name = ?"

Row = Any


class Orders(NamedTuple):
    """Orders that may be odd: a statement over `t (order_id, account_id)`, the ids to look at. Its first columns are these two.

    `odd` makes of a row what is odd about it: (extent, found, what tells several of one id apart); None where nothing is.
    """

    sql: str
    odd: Callable[[Row], tuple[Decimal | int, str, str] | None]

    def suspects(self, new: Slice) -> Iterator[Suspect]:
        for row in new.connection.execute(f"WITH t (order_id, account_id) AS ({_TOUCHED}) {self.sql}", (new.after, new.to)):
            if self.odd(row) is not None:
                yield Suspect(row[1], row[0], 0)

    def find(self, look: Look) -> Iterator[Oddity]:
        for row in look.connection.execute(f"WITH t (order_id, account_id) AS ({_SUSPECTED}) {self.sql}", (look.name,)):
            said = self.odd(row)
            if said is not None:
                order_id, account_id = row[:2]
                yield Oddity(account_id, f"order {order_id}{said[2]}", said[0], said[1], None, Suspect(account_id, order_id, 0))


def _check(name: str, expected: str, settled_by: str, orders: Orders) -> NoteCheck:
    return NoteCheck(name, expected, settled_by, orders.find, orders.suspects)


def _leg(side: str, instrument: str) -> str:
    return f", {side} {instrument}"


def _beyond(row: Row) -> tuple[Decimal, str, str] | None:
    _, _, instrument, side, filled, quantity = row
    over = EXACT.subtract(Decimal(filled), Decimal(quantity))
    if over <= EXACT.multiply(Decimal(quantity), NO_REMAINDER):
        return None
    return over, f"{filled} filled of {quantity}", _leg(side, instrument)


BEYOND = _check(
    "an order is filled beyond its quantity", "no more than its quantity", "void what was sent twice, or send the amendment that is missing",
    Orders(
        "SELECT o.order_id, o.account_id, o.instrument, o.side, o.filled, o.quantity FROM t CROSS JOIN orders o ON o.order_id = t.order_id "
        "AND o.account_id = t.account_id WHERE o.quantity_given = 1 AND CAST(o.filled AS DOUBLE PRECISION) > CAST(o.quantity AS DOUBLE PRECISION)",
        _beyond,
    ),
)  # fmt: skip


def _lacking(row: Row) -> tuple[Decimal, str, str] | None:
    _, _, instrument, side, filled, quantity, cost, cash = row
    if cost is not None:
        missing = EXACT.subtract(EXACT.multiply(Decimal(cost), COST_FILLED), Decimal(cash))
        return (missing, f"{cash} recorded of a cost of {cost}", _leg(side, instrument)) if missing > ZERO else None
    if quantity is None:
        return None
    missing = EXACT.subtract(Decimal(quantity), Decimal(filled))
    if missing <= EXACT.multiply(Decimal(quantity), NO_REMAINDER):
        return None
    return missing, f"{filled} recorded of {quantity}", _leg(side, instrument)


LACKING = _check(
    "an order is filled, and less is recorded than its quantity", "fills of its whole quantity", "publish the fill that is missing",
    Orders(
        "SELECT o.order_id, o.account_id, o.instrument, o.side, o.filled, o.quantity, o.cost, o.cash FROM t CROSS JOIN orders o ON o.order_id = t.order_id "
        "AND o.account_id = t.account_id WHERE o.ended_status = 'filled' AND (o.quantity_given = 1 OR o.cost IS NOT NULL)",
        _lacking,
    ),
)  # fmt: skip


#: The terms of a placed event, as one text.
_TERMS = " || ' / ' || ".join(
    f"coalesce(CAST(e.{name} AS TEXT), '')" for name in ("order_type", "quantity", "price", "cost", "closes_position", "reserve", "multiplier")
)
TWO_PLACED = _check(
    "an order was placed twice with other terms", "one placed event, and amendments after it", "void the one that is wrong, or send it as amended",
    Orders(
        f"SELECT e.order_id, e.account_id, e.instrument, e.side, count(DISTINCT {_TERMS}), group_concat(e.event_id, ', ') FROM t "
        "CROSS JOIN order_events e ON e.order_id = t.order_id "
        "AND e.account_id = t.account_id JOIN facts f ON f.fact_no = e.fact_no WHERE e.status = 'placed' AND f.state = 0 "
        f"GROUP BY e.order_id, e.account_id, e.instrument, e.settle IS NULL, e.side HAVING count(DISTINCT {_TERMS}) > 1",
        lambda row: (row[4], f"events {row[5]} placed it with {row[4]} different terms", _leg(row[3], row[2])),
    ),
)  # fmt: skip


AMENDS_SEVERAL = _check(
    "an amendment names none of several orders of its id", "the symbol or the side of the one it means", "void it and send it again with symbol and side",
    Orders(
        "SELECT e.order_id, e.account_id, max(e.fact_no), group_concat(e.event_id, ', ') FROM t CROSS JOIN order_events e ON e.order_id = t.order_id "
        "AND e.account_id = t.account_id JOIN facts f ON f.fact_no = e.fact_no WHERE e.status = 'amended' AND e.symbol IS NULL AND e.side IS NULL "
        "AND f.state = 0 AND (SELECT count(*) FROM orders o WHERE o.order_id = e.order_id AND o.account_id = e.account_id) > 1 "
        "GROUP BY e.order_id, e.account_id",
        lambda row: (row[2], f"amendment {row[3]} changed none of them", ""),
    ),
)  # fmt: skip


SPOT_AND_CONTRACT = _check(
    "one id has a spot and a contract order of one symbol", "one of the two", "void what lacks its settle, or what has it wrongly",
    Orders(
        "SELECT DISTINCT o.order_id, o.account_id, o.symbol FROM t CROSS JOIN orders o ON o.order_id = t.order_id AND o.account_id = t.account_id "
        "JOIN orders c ON c.order_id = o.order_id AND c.account_id = o.account_id AND c.symbol = o.symbol WHERE o.settle IS NULL AND c.settle IS NOT NULL",
        lambda row: (1, f"spot and contract orders of {row[2]}", ""),
    ),
)  # fmt: skip

ORDER_NOTES: Iterable[NoteCheck] = (BEYOND, TWO_PLACED, AMENDS_SEVERAL, LACKING, SPOT_AND_CONTRACT)
