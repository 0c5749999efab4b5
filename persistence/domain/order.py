"""Orders: what was asked for, and what its fills made of it.

`Order` is the entity that people hold. What its facts make of it is computed in `persistence.domain.order_state`.
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Self

from jarvis_client.contract.choice import Choice
from jarvis_client.contract.conventions import positive
from jarvis_client.contract.decimals import EXACT, ONE, ZERO, Number, canonical, exact
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.facts import Fill, OrderSide, OrderType
from jarvis_client.contract.instants import to_instant
from persistence.domain.order_state import NO_REMAINDER, average_price
from persistence.domain.sharing import Shared

__all__ = ["Execution", "Order", "OrderRepository", "OrderSide", "OrderStatistics", "OrderStatus", "OrderType"]


class OrderStatus(Choice):
    PENDING = "pending"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"

    @classmethod
    def _synonyms(cls) -> dict[str, Self]:
        return super()._synonyms() | {"canceled": cls.CANCELLED}

    @property
    def is_open(self) -> bool:
        return self in (OrderStatus.PENDING, OrderStatus.PARTIALLY_FILLED)


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill that `Order.execute` made and a save will record."""

    fill_id: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_currency: str | None
    executed_at: datetime
    quote_quantity: Decimal | None = None


@dataclass(slots=True, eq=False)
class Order(Shared):
    """An order: pending → partially filled → filled, or cancelled, rejected, expired. Threads may share it.

    `cash`, `weight` and `notional` are Σ cash, Σ quantity × multiplier and Σ quantity × price of its fills; `average_price` is their
    quotient. A market order may be placed by its `cost` in quote instead of a quantity. `instrument` is what the books say it trades.
    """

    order_id: str
    account_id: str
    symbol: str
    side: OrderSide | None
    order_type: OrderType | str | None
    quantity: Decimal | None
    price: Decimal | None = None
    status: OrderStatus = OrderStatus.PENDING
    filled_quantity: Decimal = ZERO
    cash: Decimal = ZERO
    weight: Decimal = ZERO
    notional: Decimal = ZERO
    cost: Decimal | None = None
    base: str | None = None
    quote: str | None = None
    settle: str | None = None
    contract: bool | None = None
    inverse: bool | None = None
    instrument: str | None = None
    multiplier: Decimal = ONE
    reserve: bool = False
    fills_count: int = 0
    created_at: datetime | None = None
    updated_at: datetime | None = None
    executed_at: datetime | None = None
    executions: list[Execution] = field(default_factory=list)
    saved_terms: tuple[object, ...] | None = field(default=None, repr=False)
    saved_status: OrderStatus | None = field(default=None, repr=False)

    def __init__(
        self,
        order_id: str,
        account_id: str,
        symbol: str,
        side: OrderSide | str | None,
        order_type: OrderType | str | None,
        quantity: Number | None,
        price: Number | None = None,
        *,
        cost: Number | None = None,
        base: str | None = None,
        quote: str | None = None,
        settle: str | None = None,
        contract: bool | None = None,
        inverse: bool | None = None,
        multiplier: Number = 1,
        reserve: bool = False,
        created_at: datetime | None = None,
    ) -> None:
        self.order_id, self.account_id, self.symbol = order_id, account_id, symbol
        self.side, self.order_type, self.quantity, self.price, self.cost = side, order_type, quantity, price, cost  # type: ignore[assignment]
        self.multiplier, self.status = multiplier, OrderStatus.PENDING  # type: ignore[assignment]
        self.check()
        if self.order_type == OrderType.LIMIT and self.price is None and self.quantity is not None:
            raise Invalid(f"the limit order {order_id} needs its price")
        self.base, self.quote = base, quote
        self.settle, self.contract, self.inverse, self.instrument = settle, contract, inverse, None
        self.filled_quantity, self.cash, self.weight, self.fills_count = ZERO, ZERO, ZERO, 0
        self.notional = ZERO
        self.created_at, self.updated_at, self.executed_at = created_at or datetime.now(UTC), None, None
        to_instant(self.created_at)
        self.reserve, self.executions, self.saved_terms, self.saved_status = reserve, [], None, None

    def check(self) -> None:
        """Make exact numbers and known words of whatever the fields were set to. Raises `Invalid`."""
        if type(self.status) is not OrderStatus:
            self.status = OrderStatus(self.status)
        self.side = None if self.side is None else OrderSide(self.side)
        self.order_type = _known_type(self.order_type)
        self.quantity = None if self.quantity is None else positive(self.quantity, "quantity")
        self.price = None if self.price is None else exact(self.price, "price")
        self.cost = None if self.cost is None else positive(self.cost, "cost")
        self.multiplier = positive(self.multiplier, "multiplier")

    @property
    def terms(self) -> tuple[object, ...]:
        """What was asked for: what a save records as placed, and records anew where it was changed since."""
        return (
            self.symbol, self.side, self.order_type, self.quantity, self.price, self.cost, self.base, self.quote, self.settle, bool(self.contract),
            bool(self.inverse), self.multiplier, self.reserve,
        )  # fmt: skip

    @property
    def remaining_quantity(self) -> Decimal:
        """What is left to fill; less than one part in 10^9 of the quantity is nothing."""
        quantity = ZERO if self.quantity is None else exact(self.quantity, "quantity")
        rest = EXACT.subtract(quantity, self.filled_quantity)
        return ZERO if rest <= EXACT.multiply(quantity, NO_REMAINDER) else rest

    @property
    def average_price(self) -> Decimal | None:
        """Σ cash / Σ (quantity × multiplier), to 28 digits; of inverse contracts the reciprocal. None before the first fill."""
        quanto = self.settle is not None and not self.inverse and self.settle not in (self.base, self.quote)
        return average_price(self.cash, self.weight, self.notional, self.filled_quantity, inverse=bool(self.inverse), quanto=quanto)

    #: The name that the persistence summary gives it.
    executed_price = average_price

    @property
    def is_open(self) -> bool:
        return OrderStatus(self.status).is_open

    def execute(
        self,
        executed_price: Number,
        executed_quantity: Number | None = None,
        *,
        fee: Number = 0,
        fee_currency: str | None = None,
        executed_at: datetime | None = None,
        quote_quantity: Number | None = None,
    ) -> Execution:
        """Fill what remains, or `executed_quantity` of it. A save records the fill that this implies.

        `quote_quantity` is the venue's own cash amount, which inverse and quanto contracts need.

        Raises `Invalid` on an order that is no longer open, and for more than what remains.
        """
        moment = executed_at or datetime.now(UTC)
        to_instant(moment)
        with self.lock:
            self.check()
            return self._execute(executed_price, executed_quantity, fee, fee_currency, moment, quote_quantity)

    def _execute(
        self, executed_price: Number, executed_quantity: Number | None, fee: Number, fee_currency: str | None, moment: datetime, quote_quantity: Number | None
    ) -> Execution:
        if not self.is_open:
            raise Invalid(f"order {self.order_id} is {self.status}; only a pending or partially filled order can be executed")
        if executed_quantity is None and self.quantity is None:
            raise Invalid(f"order {self.order_id} has no quantity; say how much was executed: execute(price, quantity)")
        quantity = self.remaining_quantity if executed_quantity is None else positive(executed_quantity, "executed_quantity")
        if self.quantity is not None and quantity > self.remaining_quantity:
            raise Invalid(f"{canonical(quantity)} is more than the {canonical(self.remaining_quantity)} that remains of order {self.order_id}")
        execution = Execution(
            f"{self.order_id}:{uuid.uuid4().hex[:16]}", quantity, exact(executed_price, "executed_price"), exact(fee, "fee"), fee_currency,
            moment, None if quote_quantity is None else exact(quote_quantity, "quote_quantity"),
        )  # fmt: skip
        self.fills_count += 1
        self.filled_quantity = EXACT.add(self.filled_quantity, quantity)
        contracts = EXACT.multiply(quantity, self.multiplier)
        self.weight = EXACT.add(self.weight, contracts)
        self.notional = EXACT.add(self.notional, EXACT.multiply(quantity, execution.price))
        self.cash = EXACT.add(self.cash, EXACT.multiply(contracts, execution.price) if execution.quote_quantity is None else execution.quote_quantity)
        self.status = OrderStatus.PARTIALLY_FILLED if self.remaining_quantity or self.quantity is None else OrderStatus.FILLED
        self.executed_at = self.updated_at = execution.executed_at
        self.executions.append(execution)
        return execution

    def set_order_type(self, name: OrderType | str | None) -> None:
        """Take a type as the books hold it, without the rules for placing (a limit order known only by its fills has no price)."""
        self.order_type = _known_type(name)

    def cancel(self, occurred_at: datetime | None = None) -> None:
        self._end(OrderStatus.CANCELLED, occurred_at)

    def reject(self, occurred_at: datetime | None = None) -> None:
        self._end(OrderStatus.REJECTED, occurred_at)

    def expire(self, occurred_at: datetime | None = None) -> None:
        self._end(OrderStatus.EXPIRED, occurred_at)

    def _end(self, status: OrderStatus, occurred_at: datetime | None) -> None:
        moment = occurred_at or datetime.now(UTC)
        to_instant(moment)
        with self.lock:
            if not self.is_open:
                raise Invalid(f"order {self.order_id} is {self.status}; only a pending or partially filled order can become {status}")
            self.status, self.updated_at = status, moment

    def unsaved(self) -> Order:
        """A copy of one moment for a save to work from, whatever other threads do to the order meanwhile."""
        with self.lock:
            self.check()
            read = copy(self)
            read.executions = list(self.executions)
            return read

    def count_as_saved(self, read: Order) -> None:
        """Count what was read as saved; what came meanwhile stays unsaved."""
        done = {e.fill_id for e in read.executions}
        with self.lock:
            self.executions = [e for e in self.executions if e.fill_id not in done]
            self.saved_terms, self.saved_status, self.instrument = read.terms, read.status, read.instrument

    def count_as_unsaved(self, read: Order) -> None:
        """Take back what `count_as_saved` did: that save came to nothing."""
        with self.lock:
            self.executions = [*read.executions, *self.executions]
            self.saved_terms, self.saved_status = read.saved_terms, read.saved_status


_USUAL_TYPES = frozenset(OrderType)


def _known_type(name: OrderType | str | None) -> OrderType | str | None:
    if name is not None and not isinstance(name, str):
        raise Invalid(f"order_type is {name!r:.60}; it must be text, such as {', '.join(OrderType)}")
    word = name.strip().lower() if name else ""
    return None if not word else OrderType(word) if word in _USUAL_TYPES else word


@dataclass(frozen=True, slots=True)
class OrderStatistics:
    """Analytics over an account's filled and partially filled orders. Volumes are cash by quote currency."""

    orders: int
    fills: int
    volume: dict[str, Decimal]
    by_symbol: dict[str, int]


class OrderRepository(ABC):
    """Orders as their facts make them."""

    @abstractmethod
    def save(self, order: Order) -> None:
        """Record what the entity implies and is not recorded yet: that it was placed, its executions, its end.

        An unknown account is opened. Changed terms replace the earlier ones by a void. Raises `Conflict` where another order
        has the same id, or somebody else executed the same order meanwhile (load it again).
        """

    @abstractmethod
    def save_many(self, orders: Iterable[Order]) -> None:
        """All of them in one commit, or none."""

    @abstractmethod
    def find_by_id(self, order_id: str, account_id: str | None = None, *, symbol: str | None = None, side: OrderSide | str | None = None) -> Order | None:
        """The order of an id. Without an account that of the first by account id. Where the id stands for several orders, `symbol` and `side`
        say which one; raises `Conflict`, naming them, where they do not."""

    @abstractmethod
    def find_all(self, limit: int | None = 1000) -> list[Order]: ...

    @abstractmethod
    def find_by_account(self, account_id: str, limit: int | None = 1000) -> list[Order]:
        """The newest first."""

    @abstractmethod
    def exists(self, order_id: str, account_id: str | None = None, *, symbol: str | None = None, side: OrderSide | str | None = None) -> bool:
        """Raises `Conflict` as `find_by_id` does."""

    @abstractmethod
    def delete(self, order_id: str, account_id: str | None = None, *, symbol: str | None = None, side: OrderSide | str | None = None) -> bool:
        """Void an order that has no fills; raises `Immutable` for one that has (void its fills first), `Conflict` as `find_by_id`
        does."""

    @abstractmethod
    def get_pending_orders(self, account_id: str) -> list[Order]:
        """Those still open: pending and partially filled."""

    @abstractmethod
    def get_filled_orders(self, account_id: str, limit: int | None = 1000) -> list[Order]: ...

    @abstractmethod
    def find_by_status(self, account_id: str, status: OrderStatus, limit: int | None = 1000) -> list[Order]: ...

    @abstractmethod
    def find_by_symbol(self, account_id: str, symbol: str, limit: int | None = 1000) -> list[Order]: ...

    @abstractmethod
    def get_fills(self, account_id: str, order_id: str, *, symbol: str | None = None, side: OrderSide | str | None = None) -> list[Fill]:
        """Its live fills, in the order of facts. Raises `Conflict` as `find_by_id` does."""

    @abstractmethod
    def get_statistics(self, account_id: str, start: datetime | None = None, end: datetime | None = None) -> OrderStatistics:
        """Over orders with fills whose last fill lies in [start, end)."""

    @abstractmethod
    def stream(self, account_id: str, start: datetime | None = None, end: datetime | None = None) -> Iterator[Order]:
        """By creation time, the oldest first, in constant memory."""

    @abstractmethod
    def export_to_csv(self, account_id: str, path: str | Path) -> None: ...

    @abstractmethod
    def export_to_json(self, account_id: str, path: str | Path) -> None: ...
