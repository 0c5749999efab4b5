"""The rows of orders: what the live facts of an order make of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from persistence.books import facts
from persistence.domain.facts import Fill
from persistence.domain.money import EXACT, ONE, canonical
from persistence.domain.order import OrderState
from persistence.engine.contract import Connection

_STATE = (
    "order_id, account_id, symbol, side, order_type, quantity, price, base, quote, multiplier, filled, cash, weight, fills_count, placed, "
    "reserve, quantity_given, ended_status, created_at, updated_at, executed_at"
)
_ROW = f"{_STATE}, status, reserved, reserved_currency"
_PLACEHOLDERS = ", ".join("?" * (_ROW.count(",") + 1))
_ASSIGNMENTS = ", ".join(f"{name.strip()} = ?" for name in _ROW.split(","))
OrderRow = tuple[Any, ...]


class Stored(NamedTuple):
    """An order's row as this commit found it."""

    order_no: int
    account_id: str
    state: OrderState
    reserved: Decimal
    reserved_currency: str | None


def find_states(connection: Connection, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Stored]:
    """The rows of these (order id, account), where there are any."""
    rows = connection.lookup(f"SELECT order_no, reserved, reserved_currency, {_STATE} FROM orders WHERE order_id = ? AND account_id = ?", keys)
    return {(r[3], r[4]): Stored(r[0], r[4], _state(r[3:]), Decimal(r[1]), r[2]) for r in rows}


def all_states(connection: Connection) -> Iterator[tuple[tuple[str, str], Stored]]:
    """Every order's row, by (order id, account)."""
    for r in connection.execute(f"SELECT order_no, reserved, reserved_currency, {_STATE} FROM orders ORDER BY order_id, account_id"):
        yield (r[3], r[4]), Stored(r[0], r[4], _state(r[3:]), Decimal(r[1]), r[2])


def single_fill_row(fill: Fill, texts: tuple[Any, ...]) -> OrderRow | None:
    """The row of an order of which one fill is all there is; the texts of the fill serve as they are."""
    quantity, at, asked = texts[5], texts[13], texts[18]
    weight = quantity if fill.multiplier is ONE or fill.multiplier == ONE else canonical(EXACT.multiply(fill.quantity, fill.multiplier))
    status = "filled" if asked is None or fill.quantity >= fill.order_quantity else "partially_filled"  # type: ignore[operator]
    return (
        texts[2], texts[0], texts[3], texts[4], texts[17], asked or quantity, texts[19], texts[9], texts[10], texts[8], quantity, texts[7], weight,
        1, 0, 0, 0 if asked is None else 1, None, at, at, at, status, "0", None,
    )  # fmt: skip


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
        facts.write_all(
            connection,
            [
                (f"INSERT INTO orders ({_ROW}) VALUES ({_PLACEHOLDERS})", self._inserts),
                (f"UPDATE orders SET {_ASSIGNMENTS} WHERE order_no = ?", self._updates),
                ("DELETE FROM orders WHERE order_no = ?", self._deletes),
            ],
        )


def _state(row: Sequence[Any]) -> OrderState:
    values = list(row)
    for i in (5, 6, 9, 10, 11, 12):
        values[i] = None if values[i] is None else Decimal(values[i])
    for i in (14, 15, 16):
        values[i] = bool(values[i])
    return OrderState(*values)


def _row(state: OrderState) -> OrderRow:
    reserved, currency = state.reserved()
    return (
        state.order_id, state.account_id, state.symbol, state.side, state.order_type, _text(state.quantity), _text(state.price), state.base,
        state.quote, canonical(state.multiplier), canonical(state.filled), canonical(state.cash), canonical(state.weight), state.fills_count,
        int(state.placed), int(state.reserve), int(state.quantity_given), state.ended_status, state.created_at, state.updated_at,
        state.executed_at, state.status, canonical(reserved), currency,
    )  # fmt: skip


def _text(number: Decimal | None) -> str | None:
    return None if number is None else canonical(number)


OLDEST_FIRST = "created_at, order_id"
