"""Orders: the rows that their facts make, and the entities that people hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import chain, count
from pathlib import Path
from typing import Any, NamedTuple, Self

from jarvis_client.contract.conventions import DEFAULT_CONVENTIONS, Conventions, identifier, storable_text
from jarvis_client.contract.decimals import ONE
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.facts import EventStatus, Fill, OrderEvent, Void
from jarvis_client.contract.instants import to_datetime, to_instant
from jarvis_client.contract.showing import first_few
from jarvis_client.contract.symbols import Instrument, notations
from persistence import exports
from persistence.books import facts
from persistence.books.accounts import hold
from persistence.books.ledger import Ledger
from persistence.books.order_of_facts import period
from persistence.books.orders import OLDEST_FIRST
from persistence.domain.entries import AnyFact
from persistence.domain.errors import Conflict, Immutable
from persistence.domain.order import Execution, Order, OrderRepository, OrderSide, OrderStatistics, OrderStatus
from persistence.engine.contract import Connection, Database
from persistence.repositories.asked import limit_of

_COLUMNS = (
    "order_id, account_id, instrument, symbol, side, order_type, quantity, price, cost, base, quote, settle, inverse, multiplier, filled, cash, weight, "
    "notional, fills_count, status, created_at, updated_at, executed_at, reserve"
)
#: The terms of the partial index on open orders, word for word.
_OPEN = "status <> 'filled' AND status <> 'cancelled' AND status <> 'rejected' AND status <> 'expired'"
_NEWEST_FIRST = "created_at DESC, order_id DESC, instrument DESC, side DESC, coalesce(settle, '') DESC"
_OF_SYMBOL = "(instrument = ? OR symbol = ? OR instrument = ?)"
_BEYOND = "(created_at, order_id, instrument, side, coalesce(settle, '')) < (?, ?, ?, ?, ?)"


class OrderPlace(NamedTuple):
    """Where an order stands among those of its account, whether it is still there or not."""

    created_at: int
    order_id: str
    instrument: str
    side: str
    settle: str

    @classmethod
    def of(cls, order: Order) -> Self:
        """Of an order from the books."""
        assert order.created_at is not None
        return cls(to_instant(order.created_at), order.order_id, str(order.instrument), str(order.side), order.settle or "")


class SQLiteOrderRepository(OrderRepository):
    """Orders in SQLite. A save records what the entity implies (placed, executed, ended) as facts; fills move the balances."""

    def __init__(self, database: Database, conventions: Conventions = DEFAULT_CONVENTIONS) -> None:
        self._database = database
        self._conventions = conventions

    def save(self, order: Order) -> None:
        self.save_many([order])

    def save_many(self, orders: Iterable[Order]) -> None:
        ledger, saved = Ledger(self._database), list(orders)
        with self._database.transaction() as connection:
            hold(connection, (order.account_id for order in saved))
            for order in saved:
                read = order.unsaved()
                self._save(connection, ledger, read)
                order.count_as_saved(read)
                self._database.on_rollback(lambda order=order, read=read: order.count_as_unsaved(read))  # type: ignore[misc]

    def find_by_id(self, order_id: str, account_id: str | None = None, *, symbol: str | None = None, side: OrderSide | str | None = None) -> Order | None:
        where, params = ("order_id = ?", (order_id,)) if account_id is None else ("order_id = ? AND account_id = ?", (order_id, account_id))
        found = self._select(where, params, "account_id, instrument, side, coalesce(settle, '')", None)
        return self._the_one(order_id, [o for o in found if o.account_id == found[0].account_id], symbol, side)

    def _the_one(self, order_id: str, found: list[Order], symbol: str | None, side: OrderSide | str | None) -> Order | None:
        """The order of an id that symbol and side say. Raises `Conflict`, naming them, where they fit several."""
        wanted = None if side is None else OrderSide(side)
        fitting = [o for o in found if (symbol is None or symbol in self._names(o)) and wanted in (None, o.side)]
        if len(fitting) > 1:
            named = first_few(f"{o.side} {o.instrument}" for o in fitting)
            raise Conflict(f"order {order_id} of account {fitting[0].account_id} stands for {len(fitting)} orders: {named}; give symbol and side")
        return fitting[0] if fitting else None

    def _names(self, order: Order) -> set[str]:
        names = {order.symbol, str(order.instrument)}
        return names if order.settle is not None else names.union(notations(str(order.base), str(order.quote)))

    def find_all(self, limit: int | None = 1000) -> list[Order]:
        return self._select("TRUE", (), _NEWEST_FIRST, limit)

    def find_by_account(self, account_id: str, limit: int | None = 1000) -> list[Order]:
        return self._select("account_id = ?", (account_id,), _NEWEST_FIRST, limit)

    def exists(self, order_id: str, account_id: str | None = None, *, symbol: str | None = None, side: OrderSide | str | None = None) -> bool:
        return self.find_by_id(order_id, account_id, symbol=symbol, side=side) is not None

    def delete(self, order_id: str, account_id: str | None = None, *, symbol: str | None = None, side: OrderSide | str | None = None) -> bool:
        with self._database.transaction() as connection:
            found = self.find_by_id(order_id, account_id, symbol=symbol, side=side)
            if found is None:
                return False
            hold(connection, [found.account_id])
            order = self.find_by_id(order_id, found.account_id, symbol=symbol, side=side)
            if order is None:
                return False
            if order.fills_count:
                raise Immutable(f"order {order_id} has {order.fills_count} fills that moved money; record a Void of each, then delete it")
            events = self._events_of(connection, order)
            Ledger(self._database).record([_void_of(event, "order deleted", connection.now) for event in events])
            return True

    def get_pending_orders(self, account_id: str) -> list[Order]:
        return self._select(f"account_id = ? AND {_OPEN}", (account_id,), _NEWEST_FIRST, None)

    def get_filled_orders(self, account_id: str, limit: int | None = 1000) -> list[Order]:
        return self.find_by_status(account_id, OrderStatus.FILLED, limit)

    def find_by_status(self, account_id: str, status: OrderStatus, limit: int | None = 1000) -> list[Order]:
        wanted = OrderStatus(status)
        opened = f" AND {_OPEN}" if wanted.is_open else ""
        return self._select(f"account_id = ? AND status = ?{opened}", (account_id, str(wanted)), _NEWEST_FIRST, limit)

    def page(
        self,
        account_id: str,
        limit: int,
        after: OrderPlace | None = None,
        *,
        status: str | None = None,
        symbol: str | None = None,
        since: OrderPlace | None = None,
    ) -> list[Order]:
        """The newest first, of those that come after a place. `status` may also be "open"; `symbol` in any notation. None is older than `since`,
        a place that `reach` gave."""
        terms, params = ["account_id = ?"], [account_id]
        if since is not None:
            terms, params = [*terms, "created_at >= ?"], [*params, since.created_at]  # type: ignore[list-item]
        if status is not None:
            terms += [_OPEN] if status == "open" or OrderStatus(status).is_open else []
            terms, params = (terms, params) if status == "open" else ([*terms, "status = ?"], [*params, str(OrderStatus(status))])
        if symbol is not None:
            terms, params = [*terms, _OF_SYMBOL], [*params, *self._notations(symbol)]
        if after is not None:
            # The index begins at the instant; the rest of the place tells those of one instant apart.
            terms, params = [*terms, "created_at <= ?", _BEYOND], [*params, after.created_at, *after]  # type: ignore[list-item]
        return self._select(" AND ".join(terms), tuple(params), _NEWEST_FIRST, limit)

    def reach(self, account_id: str, orders: int, after: OrderPlace | None = None) -> OrderPlace | None:
        """Where a search ends that looks through so many orders that are older than a place, and the next one goes on: before all of that instant.
        None where there are fewer."""
        where, params = ("account_id = ?", [account_id]) if after is None else ("account_id = ? AND created_at < ?", [account_id, after.created_at])
        with self._database.get_connection() as connection:
            sql = f"SELECT created_at FROM orders WHERE {where} ORDER BY created_at DESC LIMIT 1 OFFSET ?"
            found = connection.execute(sql, (*params, limit_of(orders))).get
        return None if found is None else OrderPlace(int(found), "", "", "", "")

    def find_by_symbol(self, account_id: str, symbol: str, limit: int | None = 1000) -> list[Order]:
        """By any notation of its instrument."""
        return self._select(f"account_id = ? AND {_OF_SYMBOL}", (account_id, *self._notations(symbol)), _NEWEST_FIRST, limit)

    def _notations(self, symbol: str) -> tuple[str, str, str]:
        """What `_OF_SYMBOL` takes."""
        pair = self._conventions.split(storable_text(symbol, "symbol"))
        return symbol if pair is None else "/".join(pair), symbol, self._conventions.pairs.get(symbol, symbol)

    def get_fills(self, account_id: str, order_id: str, *, symbol: str | None = None, side: OrderSide | str | None = None) -> list[Fill]:
        order = self.find_by_id(order_id, account_id, symbol=symbol, side=side)
        if order is None:
            return []
        with self._database.get_connection() as connection:
            found = facts.facts_of_order(connection, order_id, account_id)
        return sorted((f for f in found if isinstance(f, Fill) and _key_of(f) == _key(order)), key=lambda f: f.place)

    def get_statistics(self, account_id: str, start: datetime | None = None, end: datetime | None = None) -> OrderStatistics:
        where, params = period("account_id", "executed_at", account_id, start, end)
        with self._database.get_connection() as connection:
            sql = f"SELECT count(*), CAST(coalesce(sum(fills_count), 0) AS BIGINT) FROM orders {where} AND fills_count > 0"
            orders, fills = connection.execute(sql, params).get
            volume = connection.execute(
                f"SELECT coalesce(settle, quote), decimal_sum(cash) FROM orders {where} AND fills_count > 0 GROUP BY 1 ORDER BY 1", params
            )
            volumes = {quote: Decimal(text) for quote, text in volume}
            symbols = dict(
                connection.execute(f"SELECT instrument, count(*) FROM orders {where} AND fills_count > 0 GROUP BY instrument ORDER BY instrument", params)
            )
        return OrderStatistics(orders, fills, volumes, symbols)

    def stream(self, account_id: str, start: datetime | None = None, end: datetime | None = None) -> Iterator[Order]:
        where, params = period("account_id", "created_at", account_id, start, end)
        with self._database.get_connection() as connection:
            for row in connection.stream(f"SELECT {_COLUMNS} FROM orders {where} ORDER BY {OLDEST_FIRST}", params):
                yield _entity(row)

    def export_to_csv(self, account_id: str, path: str | Path) -> None:
        exports.to_file(self._database, "orders", account_id, "csv", path)

    def export_to_json(self, account_id: str, path: str | Path) -> None:
        exports.to_file(self._database, "orders", account_id, "json", path)

    def _select(self, where: str, params: tuple[Any, ...], order: str, limit: int | None) -> list[Order]:
        with self._database.get_connection() as connection:
            sql = f"SELECT {_COLUMNS} FROM orders WHERE {where} ORDER BY {order} LIMIT ?"
            return [_entity(row) for row in connection.execute(sql, (*params, limit_of(limit)))]

    def _save(self, connection: Connection, ledger: Ledger, order: Order) -> None:
        identifier(order.order_id, "order_id")
        identifier(order.account_id, "account_id")
        instrument = self._instrument(order)
        known = self._known(order, instrument)
        recorded = facts.facts_of_order(connection, order.order_id, order.account_id) if known else []
        implied: list[AnyFact] = []
        if known is not None and order.saved_terms is None and not _same_terms(known, order, instrument):
            raise Conflict(f"another order {order.order_id} is in the books with other terms; load and change that one, or choose another id")
        if known is None and order.fills_count > len(order.executions):
            raise Conflict(f"the fills of order {order.order_id} went with its account; build the order anew to save it")
        if known is None or (order.saved_terms is not None and order.terms != order.saved_terms):
            placed = [f for f in recorded if isinstance(f, OrderEvent) and f.status == EventStatus.PLACED and _key_of(f) == _key(order)]
            implied += [_void_of(event, "terms changed by a save", connection.now) for event in placed]
            implied.append(self._placed(order, connection))
        executed = [e for e in order.executions if not _is_recorded(connection, e.fill_id, order.account_id, Fill.kind)]
        if known is not None and known.fills_count + len(executed) != order.fills_count:
            raise Conflict(f"order {order.order_id} was executed by somebody else meanwhile; load it again")
        implied += [self._fill(order, execution) for execution in executed]
        if order.status in (OrderStatus.CANCELLED, OrderStatus.REJECTED, OrderStatus.EXPIRED) and (known is None or known.status != order.status):
            at = connection.now if order.updated_at is None else to_instant(order.updated_at)
            implied.append(
                OrderEvent(
                    event_id=_unused_event_id(connection, f"{order.order_id}:{order.status}", order.account_id),
                    order_id=order.order_id, account_id=order.account_id, status=str(order.status), symbol=order.symbol, side=order.side,
                    occurred_at=max(at, to_instant(order.created_at or to_datetime(at))),
                )
            )  # fmt: skip
        ledger.record(implied)
        found = self._known(order, instrument)
        by_hand = order.status in (OrderStatus.FILLED, OrderStatus.PARTIALLY_FILLED) and order.status != order.saved_status
        if found is not None and found.status != order.status and not executed and by_hand:
            raise Invalid(f"order {order.order_id} is {found.status} in the books; call execute(executed_price=…) instead of setting its status")
        if found is not None:
            order.instrument = found.instrument

    def _instrument(self, order: Order) -> Instrument | None:
        """What an entity trades; None where its symbol does not say it, which recording it will refuse."""
        try:
            return self._conventions.instrument(order.symbol, order.base, order.quote, order.settle, order.contract, order.inverse, order.multiplier != ONE)
        except Invalid:
            return None

    def _known(self, order: Order, instrument: Instrument | None) -> Order | None:
        """The order in the books that an entity stands for."""
        if instrument is None or order.side is None:
            return None
        where = "order_id = ? AND account_id = ? AND instrument = ? AND side = ? AND coalesce(settle, '') = ?"
        params = (order.order_id, order.account_id, instrument.name, str(order.side), instrument.settle or "")
        return next(iter(self._select(where, params, "order_no", 1)), None)

    def _events_of(self, connection: Connection, order: Order) -> list[OrderEvent]:
        """The placed events of an order, and of its id all others if it is the only order of it."""
        found = facts.facts_of_order(connection, order.order_id, order.account_id)
        events = [f for f in found if isinstance(f, OrderEvent)]
        alone = len({_key_of(f) for f in found if isinstance(f, Fill) or f.status == EventStatus.PLACED}) == 1
        return [e for e in events if alone or (e.status == EventStatus.PLACED and _key_of(e) == _key(order))]

    def _placed(self, order: Order, connection: Connection) -> OrderEvent:
        return OrderEvent(
            event_id=_unused_event_id(connection, f"{order.order_id}:placed", order.account_id),
            order_id=order.order_id, account_id=order.account_id, status=EventStatus.PLACED,
            occurred_at=order.created_at or connection.now, symbol=order.symbol, side=order.side,
            order_type=None if order.order_type is None else str(order.order_type), quantity=order.quantity, price=order.price, cost=order.cost,
            base=order.base, quote=order.quote, settle=order.settle, contract=order.contract, inverse=order.inverse, multiplier=order.multiplier,
            reserve=order.reserve, conventions=self._conventions,
        )  # fmt: skip

    def _fill(self, order: Order, execution: Execution) -> Fill:
        if order.side is None or not order.symbol:
            raise Invalid(f"order {order.order_id} has no symbol and side yet, so its execution cannot be recorded")
        return Fill(
            fill_id=execution.fill_id, account_id=order.account_id, order_id=order.order_id, symbol=order.symbol, side=order.side,
            quantity=execution.quantity, price=execution.price, fee=execution.fee, fee_currency=execution.fee_currency,
            quote_quantity=execution.quote_quantity, executed_at=execution.executed_at, base=order.base, quote=order.quote, settle=order.settle,
            contract=order.contract, inverse=order.inverse, multiplier=order.multiplier, conventions=self._conventions,
        )  # fmt: skip


def _key(order: Order) -> tuple[str | None, str | None, str]:
    return order.instrument, order.settle, str(order.side)


def _key_of(fact: Fill | OrderEvent) -> tuple[str | None, str | None, str]:
    return fact.instrument, fact.settle, str(fact.side)


def _same_terms(known: Order, order: Order, instrument: Instrument | None) -> bool:
    """Whether a new entity describes the recorded order; what it leaves to the symbol counts as the same."""
    if instrument is None:
        return False
    asked = order.order_type, order.quantity, order.price, order.cost, order.multiplier, order.reserve
    return asked == (known.order_type, known.quantity, known.price, known.cost, known.multiplier, known.reserve) and instrument[1:] == (
        known.base, known.quote, known.settle, bool(known.inverse),
    )  # fmt: skip


def _unused_event_id(connection: Connection, stem: str, account_id: str) -> str:
    """The stem, or the first of its numbered variants that no recorded event has, voided ones included."""
    ids = chain([stem], (f"{stem}:{n}" for n in count(2)))
    return next(i for i in ids if not _is_recorded(connection, i, account_id, OrderEvent.kind))


def _is_recorded(connection: Connection, record_id: str, account_id: str, kind: str) -> bool:
    known = facts.find_known(connection, [(record_id, account_id, kind)])
    return any(record.state != facts.ERASED for record in known.values())


def _void_of(event: OrderEvent, reason: str, now: int) -> Void:
    return Void(void_id=f"{event.event_id}:void", account_id=event.account_id, kind=event.kind, id=event.event_id, reason=reason, occurred_at=now)


def _entity(row: Sequence[Any]) -> Order:
    (
        order_id, account_id, instrument, symbol, side, kind, quantity, price, cost, base, quote, settle, inverse, multiplier, filled, cash, weight, notional,
        fills, status, created, updated, executed, reserve,
    ) = row  # fmt: skip
    order = Order(
        order_id, account_id, symbol, OrderSide(side), None, _number(quantity), _number(price), cost=_number(cost), base=base, quote=quote, settle=settle,
        contract=settle is not None or None, inverse=bool(inverse) or None, multiplier=Decimal(multiplier), created_at=to_datetime(created),
    )  # fmt: skip
    order.set_order_type(kind)
    order.instrument = instrument
    order.status, order.filled_quantity, order.cash, order.weight = OrderStatus(status), Decimal(filled), Decimal(cash), Decimal(weight)
    order.notional, order.fills_count, order.reserve = Decimal(notional), fills, bool(reserve)
    order.updated_at, order.executed_at = to_datetime(updated), None if executed is None else to_datetime(executed)
    order.saved_terms, order.saved_status = order.terms, order.status
    return order


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


__all__ = ["OrderPlace", "SQLiteOrderRepository"]
