"""Orders: the rows that their facts make, and the entities that people hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import apsw

from persistence.database import DatabaseManager
from persistence.domain.conventions import DEFAULT_CONVENTIONS, Conventions
from persistence.domain.errors import Conflict, Immutable, Invalid
from persistence.domain.facts import AnyFact, EventStatus, Fill, OrderEvent, Void
from persistence.domain.instants import to_datetime, to_instant
from persistence.domain.money import EXACT, ONE, canonical
from persistence.domain.order import Execution, Order, OrderRepository, OrderSide, OrderState, OrderStatistics, OrderStatus
from persistence.repositories import facts
from persistence.repositories.transactions import period

if TYPE_CHECKING:
    from persistence.ledger import Ledger

_STATE = (
    "order_id, account_id, symbol, side, order_type, quantity, price, base, quote, multiplier, filled, cash, weight, fills_count, placed, "
    "reserve, quantity_given, ended_status, created_at, updated_at, executed_at"
)
_ROW = f"{_STATE}, status, reserved, reserved_currency"
_MARKS = ", ".join("?" * (_ROW.count(",") + 1))
_ASSIGNMENTS = ", ".join(f"{name.strip()} = ?" for name in _ROW.split(","))

OrderRow = tuple[Any, ...]


class Stored(NamedTuple):
    """An order's row as this commit found it."""

    order_no: int
    account_id: str
    state: OrderState
    reserved: Decimal
    reserved_currency: str | None


def find_states(connection: apsw.Connection, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Stored]:
    """The rows of these (order id, account), where there are any."""
    rows = connection.executemany(f"SELECT order_no, reserved, reserved_currency, {_STATE} FROM orders WHERE order_id = ? AND account_id = ?", keys)
    return {(r[3], r[4]): Stored(r[0], r[4], _state(r[3:]), Decimal(r[1]), r[2]) for r in rows}


def all_states(connection: apsw.Connection) -> Iterator[tuple[tuple[str, str], Stored]]:
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

    def write(self, connection: apsw.Connection) -> None:
        facts.write_all(
            connection,
            [
                (f"INSERT INTO orders ({_ROW}) VALUES ({_MARKS})", self._inserts),
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


_COLUMNS = (
    "order_id, account_id, symbol, side, order_type, quantity, price, base, quote, multiplier, filled, cash, weight, fills_count, status, "
    "created_at, updated_at, executed_at, reserve"
)
#: The terms of the partial index on open orders, word for word.
_OPEN = "status <> 'filled' AND status <> 'cancelled' AND status <> 'rejected' AND status <> 'expired'"
OLDEST_FIRST = "created_at, order_id"
_NEWEST_FIRST = "created_at DESC, order_id DESC"


class SQLiteOrderRepository(OrderRepository):
    """Orders in SQLite. A save records what the entity implies (placed, executed, ended) as facts; fills move the balances."""

    def __init__(self, database: DatabaseManager, conventions: Conventions = DEFAULT_CONVENTIONS) -> None:
        self._database = database
        self._conventions = conventions

    def save(self, order: Order) -> None:
        self.save_many([order])

    def save_many(self, orders: Iterable[Order]) -> None:
        from persistence.ledger import Ledger

        ledger = Ledger(self._database)
        with self._database.transaction() as connection:
            for order in orders:
                before = order.executions, order.saved_terms, order.saved_status
                self._database.on_rollback(lambda order=order, before=before: _restore(order, before))  # type: ignore[misc]
                self._save(connection, ledger, order)
                order.executions, order.saved_terms, order.saved_status = [], order.terms, order.status

    def find_by_id(self, order_id: str, account_id: str | None = None) -> Order | None:
        where, params = ("order_id = ?", (order_id,)) if account_id is None else ("order_id = ? AND account_id = ?", (order_id, account_id))
        return next(iter(self._select(where, params, "account_id", 1)), None)

    def find_all(self, limit: int | None = 1000) -> list[Order]:
        return self._select("1", (), _NEWEST_FIRST, limit)

    def find_by_account(self, account_id: str, limit: int | None = 1000) -> list[Order]:
        return self._select("account_id = ?", (account_id,), _NEWEST_FIRST, limit)

    def exists(self, order_id: str) -> bool:
        return self.find_by_id(order_id) is not None

    def delete(self, order_id: str) -> bool:
        from persistence.ledger import Ledger

        with self._database.transaction() as connection:
            order = self.find_by_id(order_id)
            if order is None:
                return False
            if order.fills_count:
                raise Immutable(f"order {order_id} has {order.fills_count} fills that moved money; record a Void of each, then delete it")
            events = facts.facts_of_order(connection, order_id, order.account_id)
            Ledger(self._database).record([_void_of(event, "order deleted") for event in events if isinstance(event, OrderEvent)])
            return True

    def get_pending_orders(self, account_id: str) -> list[Order]:
        return self._select(f"account_id = ? AND {_OPEN}", (account_id,), _NEWEST_FIRST, None)

    def get_filled_orders(self, account_id: str, limit: int | None = 1000) -> list[Order]:
        return self.find_by_status(account_id, OrderStatus.FILLED, limit)

    def find_by_status(self, account_id: str, status: OrderStatus, limit: int | None = 1000) -> list[Order]:
        opened = f" AND {_OPEN}" if OrderStatus(status).is_open else ""
        return self._select(f"account_id = ? AND status = ?{opened}", (account_id, str(status)), _NEWEST_FIRST, limit)

    def find_by_symbol(self, account_id: str, symbol: str, limit: int | None = 1000) -> list[Order]:
        return self._select("account_id = ? AND symbol = ?", (account_id, symbol), _NEWEST_FIRST, limit)

    def get_fills(self, account_id: str, order_id: str) -> list[Fill]:
        with self._database.get_connection() as connection:
            found = facts.facts_of_order(connection, order_id, account_id)
        return sorted((f for f in found if isinstance(f, Fill)), key=lambda f: f.place)

    def get_statistics(self, account_id: str, start: datetime | None = None, end: datetime | None = None) -> OrderStatistics:
        where, params = period("account_id", "executed_at", account_id, start, end)
        with self._database.get_connection() as connection:
            sql = f"SELECT count(*), coalesce(sum(fills_count), 0) FROM orders {where} AND fills_count > 0"
            orders, fills = connection.execute(sql, params).get
            volume = connection.execute(f"SELECT quote, decimal_sum(cash) FROM orders {where} AND fills_count > 0 GROUP BY quote ORDER BY quote", params)
            volumes = {quote: Decimal(text) for quote, text in volume}
            symbols = dict(connection.execute(f"SELECT symbol, count(*) FROM orders {where} AND fills_count > 0 GROUP BY symbol ORDER BY symbol", params))
        return OrderStatistics(orders, fills, volumes, symbols)

    def stream(self, account_id: str, start: datetime | None = None, end: datetime | None = None) -> Iterator[Order]:
        where, params = period("account_id", "created_at", account_id, start, end)
        with self._database.get_connection() as connection:
            for row in connection.execute(f"SELECT {_COLUMNS} FROM orders {where} ORDER BY {OLDEST_FIRST}", params):
                yield _entity(row)

    def export_to_csv(self, account_id: str, path: str | Path) -> None:
        from persistence import exports

        exports.to_file(self._database, "orders", account_id, "csv", path)

    def export_to_json(self, account_id: str, path: str | Path) -> None:
        from persistence import exports

        exports.to_file(self._database, "orders", account_id, "json", path)

    def _select(self, where: str, params: tuple[Any, ...], order: str, limit: int | None) -> list[Order]:
        with self._database.get_connection() as connection:
            sql = f"SELECT {_COLUMNS} FROM orders WHERE {where} ORDER BY {order} LIMIT ?"
            return [_entity(row) for row in connection.execute(sql, (*params, -1 if limit is None else limit))]

    def _save(self, connection: apsw.Connection, ledger: Ledger, order: Order) -> None:
        known = self.find_by_id(order.order_id, order.account_id)
        recorded = facts.facts_of_order(connection, order.order_id, order.account_id) if known else []
        implied: list[AnyFact] = []
        if known is not None and order.saved_terms is None and not _same_terms(known, order):
            raise Conflict(f"another order {order.order_id} is in the books with other terms; load and change that one, or choose another id")
        if known is None and order.fills_count > len(order.executions):
            raise Conflict(f"the fills of order {order.order_id} went with its account; build the order anew to save it")
        if known is None or (order.saved_terms is not None and order.terms != order.saved_terms):
            placed = [f for f in recorded if isinstance(f, OrderEvent) and f.status == EventStatus.PLACED]
            implied += [_void_of(event, "terms changed by a save") for event in placed]
            implied.append(self._placed(order, connection))
        executed = [e for e in order.executions if not _is_recorded(connection, e.fill_id, order.account_id, Fill.kind)]
        if known is not None and known.fills_count + len(executed) != order.fills_count:
            raise Conflict(f"order {order.order_id} was executed by somebody else meanwhile; load it again")
        implied += [self._fill(order, execution) for execution in executed]
        if order.status in (OrderStatus.CANCELLED, OrderStatus.REJECTED, OrderStatus.EXPIRED) and (known is None or known.status != order.status):
            at = to_instant(order.updated_at or datetime.now(UTC))
            implied.append(
                OrderEvent(
                    event_id=_unused_event_id(connection, f"{order.order_id}:{order.status}", order.account_id),
                    order_id=order.order_id, account_id=order.account_id, status=str(order.status),
                    occurred_at=max(at, to_instant(order.created_at or to_datetime(at))),
                )
            )  # fmt: skip
        ledger.record(implied)
        found = self.find_by_id(order.order_id, order.account_id)
        by_hand = order.status in (OrderStatus.FILLED, OrderStatus.PARTIALLY_FILLED) and order.status != order.saved_status
        if found is not None and found.status != order.status and not executed and by_hand:
            raise Invalid(f"order {order.order_id} is {found.status} in the books; call execute(executed_price=…) instead of setting its status")

    def _placed(self, order: Order, connection: apsw.Connection) -> OrderEvent:
        return OrderEvent(
            event_id=_unused_event_id(connection, f"{order.order_id}:placed", order.account_id),
            order_id=order.order_id, account_id=order.account_id, status=EventStatus.PLACED,
            occurred_at=order.created_at or datetime.now(UTC), symbol=order.symbol, side=order.side,
            order_type=None if order.order_type is None else str(order.order_type), quantity=order.quantity, price=order.price, base=order.base,
            quote=order.quote, multiplier=order.multiplier, reserve=order.reserve, conventions=self._conventions,
        )  # fmt: skip

    def _fill(self, order: Order, execution: Any) -> Fill:
        if order.side is None or not order.symbol:
            raise Invalid(f"order {order.order_id} has no symbol and side yet, so its execution cannot be recorded")
        return Fill(
            fill_id=execution.fill_id, account_id=order.account_id, order_id=order.order_id, symbol=order.symbol, side=order.side,
            quantity=execution.quantity, price=execution.price, fee=execution.fee, fee_currency=execution.fee_currency,
            executed_at=execution.executed_at, base=order.base, quote=order.quote, multiplier=order.multiplier, conventions=self._conventions,
        )  # fmt: skip


def _restore(order: Order, before: tuple[list[Execution], tuple[object, ...] | None, OrderStatus | None]) -> None:
    order.executions, order.saved_terms, order.saved_status = before


def _same_terms(known: Order, order: Order) -> bool:
    """Whether a new entity describes the recorded order; what it leaves to the symbol counts as the same."""
    pair = order.base or known.base, order.quote or known.quote
    return known.terms == (order.symbol, order.side, order.order_type, order.quantity, order.price, *pair, order.multiplier, order.reserve)


def _unused_event_id(connection: apsw.Connection, stem: str, account_id: str) -> str:
    """The stem, or the first of its numbered variants that no recorded event has, voided ones included."""
    ids = chain([stem], (f"{stem}:{n}" for n in count(2)))
    return next(i for i in ids if not _is_recorded(connection, i, account_id, OrderEvent.kind))


def _is_recorded(connection: apsw.Connection, record_id: str, account_id: str, kind: str) -> bool:
    known = facts.find_known(connection, [(record_id, account_id, kind)])
    return any(record.state != facts.ERASED for record in known.values())


def _void_of(event: OrderEvent, reason: str) -> Void:
    return Void(void_id=f"{event.event_id}:void", account_id=event.account_id, kind=event.kind, id=event.event_id, reason=reason, occurred_at=datetime.now(UTC))


def _entity(row: Sequence[Any]) -> Order:
    (
        order_id,
        account_id,
        symbol,
        side,
        kind,
        quantity,
        price,
        base,
        quote,
        multiplier,
        filled,
        cash,
        weight,
        fills,
        status,
        created,
        updated,
        executed,
        reserve,
    ) = row
    order = Order(
        order_id, account_id, symbol or "", None if side is None else OrderSide(side), None, None if quantity is None else Decimal(quantity),
        None if price is None else Decimal(price), base=base, quote=quote, multiplier=Decimal(multiplier), created_at=to_datetime(created),
    )  # fmt: skip
    order.set_order_type(kind)
    order.status, order.filled_quantity, order.cash, order.weight = OrderStatus(status), Decimal(filled), Decimal(cash), Decimal(weight)
    order.fills_count, order.reserve = fills, bool(reserve)
    order.updated_at, order.executed_at = to_datetime(updated), None if executed is None else to_datetime(executed)
    order.saved_terms, order.saved_status = order.terms, order.status
    return order


__all__ = ["SQLiteOrderRepository", "StateWriter", "Stored", "find_states", "single_fill_row"]
