"""The rows of orders: what the live facts of an order make of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from jarvis_client.contract.decimals import EXACT, canonical
from jarvis_client.contract.symbols import Instrument
from persistence.domain.order_state import OrderKey, OrderState
from persistence.engine.contract import Connection

_NAMES = tuple(field.name for field in fields(OrderState))
#: Where the status stands in a row: after what the facts say.
_STATUS_AT = len(_NAMES)
_STATE = ", ".join(_NAMES)
_ROW = f"{_STATE}, status, reserved, reserved_currency"
_PLACEHOLDERS = ", ".join("?" * (len(_NAMES) + 3))
_ASSIGNMENTS = ", ".join(f"{name.strip()} = ?" for name in _ROW.split(","))
_TYPES = {field.name: field.type for field in fields(OrderState)}
_NUMBERS = tuple(i for i, name in enumerate(_NAMES) if "Decimal" in str(_TYPES[name]))
_FLAGS = tuple(i for i, name in enumerate(_NAMES) if _TYPES[name] == "bool")
#: The oldest order first; orders of one instant by their key.
OLDEST_FIRST = "created_at, order_id, instrument, side, coalesce(settle, '')"

OrderRow = tuple[Any, ...]
#: Where all orders of one account and order id are kept together.
OrderId = tuple[str, str]


class Stored(NamedTuple):
    """An order's row as this commit found it."""

    order_no: int
    state: OrderState
    reserved: Decimal
    reserved_currency: str | None
    status: str


def find_states(connection: Connection, ids: Sequence[OrderId]) -> dict[OrderId, dict[OrderKey, Stored]]:
    """The rows of these (order id, account), by what tells the orders of one id apart."""
    sql = f"SELECT order_no, reserved, reserved_currency, status, {_STATE} FROM orders WHERE order_id = ? AND account_id = ?"
    found: dict[OrderId, dict[OrderKey, Stored]] = {}
    for order in map(_stored, connection.lookup(sql, ids)):
        found.setdefault((order.state.order_id, order.state.account_id), {})[order.state.key] = order
    return found


def all_rows(connection: Connection) -> Iterator[tuple[OrderId, list[tuple[int, OrderRow]]]]:
    """Every order's (number, row), by (order id, account)."""
    rows = connection.stream(f"SELECT order_no, {_ROW} FROM orders ORDER BY order_id, account_id")
    for key, found in groupby(rows, itemgetter(1, 2)):
        yield key, [(row[0], row[1:]) for row in found]


def stored(order_no: int, row: OrderRow) -> Stored:
    """An order from its row."""
    status, reserved, currency = row[_STATUS_AT:]
    return Stored(order_no, _state(row[:_STATUS_AT]), Decimal(reserved), currency, status)


def events_wait(connection: Connection) -> bool:
    """True if some event fits no order of its id yet."""
    return connection.execute("SELECT 1 FROM order_events WHERE waiting = 1 LIMIT 1").get is not None


def waiting_ids(connection: Connection, ids: Sequence[OrderId]) -> set[OrderId]:
    """Which of these (order id, account) have an event that fits no order yet."""
    sql = "SELECT order_id, account_id FROM order_events WHERE order_id = ? AND account_id = ? AND waiting = 1"
    return {(order_id, account_id) for order_id, account_id in connection.lookup(sql, ids)}


def mark_waiting(connection: Connection, order_id: OrderId, waiting: set[str]) -> None:
    """Note which events of an order id fit no order of it."""
    for event_id, marked in connection.execute("SELECT event_id, waiting FROM order_events WHERE order_id = ? AND account_id = ?", order_id).fetchall():
        if bool(marked) != (event_id in waiting):
            sql = "UPDATE order_events SET waiting = ? WHERE order_id = ? AND account_id = ? AND event_id = ?"
            connection.execute(sql, (int(event_id in waiting), *order_id, event_id))


def single_fill_row(texts: tuple[Any, ...]) -> OrderRow:
    """The row of an order of which one fill is all there is; the texts of the fill (`Fill.texts`) serve as they are."""
    (
        account_id, _, order_id, symbol, side, quantity, price, cash, multiplier, base, quote, settle, inverse, instrument, _, _, _, _, at, _, _, order_type,
        asked, order_price, _, _,
    ) = texts  # fmt: skip
    weight = quantity if multiplier == "1" else _product(quantity, multiplier)
    notional = _product(quantity, price) if settle is not None and Instrument(instrument, base, quote, settle, bool(inverse)).is_quanto else "0"
    row = (
        order_id, account_id, instrument, symbol, side, order_type, asked or quantity, order_price, None, base, quote, settle, inverse, multiplier, quantity,
        cash, weight, notional, 1, 0, 0, 0 if asked is None else 1, 0, None, at, at, at, "filled", "0", None,
    )  # fmt: skip
    return row if asked is None else (*row[:_STATUS_AT], _state(row[:_STATUS_AT]).status, *row[_STATUS_AT + 1 :])


def _product(one: str, other: str) -> str:
    return canonical(EXACT.multiply(Decimal(one), Decimal(other)))


class StateWriter:
    """The order rows of one commit, written together."""

    def __init__(self) -> None:
        self._inserts: list[OrderRow] = []
        self._updates: list[OrderRow] = []
        self._deletes: list[tuple[int]] = []

    def insert(self, row: OrderRow) -> None:
        self._inserts.append(row)

    def put(self, known: Stored | None, state: OrderState | None) -> None:
        """Write a state over what is known; no state at all means that every fact of the order was voided."""
        if state is None:
            if known is not None:
                self._deletes.append((known.order_no,))
        elif known is None:
            self._inserts.append(_row(state))
        else:
            self._updates.append((*_row(state), known.order_no))

    def write(self, connection: Connection) -> None:
        connection.executemany("DELETE FROM orders WHERE order_no = ?", self._deletes)
        connection.executemany(f"UPDATE orders SET {_ASSIGNMENTS} WHERE order_no = ?", self._updates)
        connection.insert_many(f"INSERT INTO orders ({_ROW}) VALUES ({_PLACEHOLDERS})", self._inserts)


def _stored(row: Sequence[Any]) -> Stored:
    order_no, reserved, currency, status, *state = row
    return Stored(order_no, _state(state), Decimal(reserved), currency, status)


def _state(row: Sequence[Any]) -> OrderState:
    values = list(row)
    for i in _NUMBERS:
        values[i] = None if values[i] is None else Decimal(values[i])
    for i in _FLAGS:
        values[i] = bool(values[i])
    return OrderState(*values)


def _row(state: OrderState) -> OrderRow:
    reserved, currency = state.reserved()
    values = [getattr(state, name) for name in _NAMES]
    texts = (canonical(v) if type(v) is Decimal else int(v) if type(v) is bool else v for v in values)
    return (*texts, state.status, canonical(reserved), currency)
