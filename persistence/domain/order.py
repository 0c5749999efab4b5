"""Orders: what was asked for, and what its fills made of it.

An order is a function of the set of its facts (`OrderState.derive`), so partial fills, cancellations and the order itself may
arrive in any order and give the same row. `Order` is the entity that people hold; `OrderState` is what the ledger computes with.
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

from persistence.domain.conventions import positive
from persistence.domain.errors import Invalid
from persistence.domain.facts import Fill, OrderEvent, OrderSide, OrderType
from persistence.domain.money import EXACT, ONE, SHOWN, ZERO, Number, canonical, exact

__all__ = ["Execution", "Order", "OrderRepository", "OrderSide", "OrderState", "OrderStatistics", "OrderStatus", "OrderType"]


class OrderStatus(StrEnum):
    PENDING = "pending"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"

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


@dataclass(slots=True, eq=False)
class Order:
    """An order: pending → partially filled → filled, or cancelled, rejected, expired.

    `cash` and `weight` are Σ cash and Σ quantity × multiplier of its fills; `average_price` is their quotient. `symbol`,
    `side` and `quantity` are empty only on an order of which nothing but its end has arrived.
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
    base: str | None = None
    quote: str | None = None
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
        base: str | None = None,
        quote: str | None = None,
        multiplier: Number = 1,
        reserve: bool = False,
        created_at: datetime | None = None,
    ) -> None:
        self.order_id, self.account_id, self.symbol = order_id, account_id, symbol
        self.side = None if side is None else OrderSide(side)
        self.order_type = _known_type(order_type)
        self.quantity = None if quantity is None else positive(quantity, "quantity")
        self.price = None if price is None else exact(price, "price")
        if self.order_type == OrderType.LIMIT and self.price is None and self.quantity is not None:
            raise Invalid(f"the limit order {order_id} needs its price")
        self.base, self.quote, self.multiplier = base, quote, positive(multiplier, "multiplier")
        self.status, self.filled_quantity, self.cash, self.weight, self.fills_count = OrderStatus.PENDING, ZERO, ZERO, ZERO, 0
        self.created_at, self.updated_at, self.executed_at = created_at or datetime.now(UTC), None, None
        self.reserve, self.executions, self.saved_terms, self.saved_status = reserve, [], None, None

    @property
    def terms(self) -> tuple[object, ...]:
        """What was asked for: what a save records as placed, and records anew where it was changed since."""
        return self.symbol, self.side, self.order_type, self.quantity, self.price, self.base, self.quote, self.multiplier, self.reserve

    @property
    def remaining_quantity(self) -> Decimal:
        return max(ZERO, EXACT.subtract(self.quantity or ZERO, self.filled_quantity))

    @property
    def average_price(self) -> Decimal | None:
        """Σ cash / Σ (quantity × multiplier), to 28 digits; None before the first fill."""
        return average_price(self.cash, self.weight)

    #: The name that the persistence summary gives it.
    executed_price = average_price

    @property
    def is_open(self) -> bool:
        return self.status.is_open

    def execute(
        self,
        executed_price: Number,
        executed_quantity: Number | None = None,
        *,
        fee: Number = 0,
        fee_currency: str | None = None,
        executed_at: datetime | None = None,
    ) -> Execution:
        """Fill what remains, or `executed_quantity` of it. A save records the fill that this implies.

        Raises `Invalid` on an order that is no longer open, and for more than what remains.
        """
        if not self.is_open:
            raise Invalid(f"order {self.order_id} is {self.status}; only a pending or partially filled order can be executed")
        quantity = self.remaining_quantity if executed_quantity is None else positive(executed_quantity, "executed_quantity")
        if quantity > self.remaining_quantity:
            raise Invalid(f"{canonical(quantity)} is more than the {canonical(self.remaining_quantity)} that remains of order {self.order_id}")
        execution = Execution(
            f"{self.order_id}:{uuid.uuid4().hex[:16]}", quantity, exact(executed_price, "executed_price"), exact(fee, "fee"), fee_currency,
            executed_at or datetime.now(UTC),
        )  # fmt: skip
        self.fills_count += 1
        self.filled_quantity = EXACT.add(self.filled_quantity, quantity)
        contracts = EXACT.multiply(quantity, self.multiplier)
        self.weight = EXACT.add(self.weight, contracts)
        self.cash = EXACT.add(self.cash, EXACT.multiply(contracts, execution.price))
        self.status = OrderStatus.PARTIALLY_FILLED if self.remaining_quantity else OrderStatus.FILLED
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
        if not self.is_open:
            raise Invalid(f"order {self.order_id} is {self.status}; only a pending or partially filled order can become {status}")
        self.status = status
        self.updated_at = occurred_at or datetime.now(UTC)


def average_price(cash: Decimal, weight: Decimal) -> Decimal | None:
    return SHOWN.divide(cash, weight) if weight else None


def _known_type(name: OrderType | str | None) -> OrderType | str | None:
    try:
        return None if name is None else OrderType(name)
    except ValueError:
        return name


@dataclass(slots=True)
class OrderState:
    """An order as its facts make it: the columns of its row, in their order (`order_no` apart)."""

    order_id: str
    account_id: str
    symbol: str | None
    side: str | None
    order_type: str | None
    quantity: Decimal | None
    price: Decimal | None
    base: str | None
    quote: str | None
    multiplier: Decimal
    filled: Decimal
    cash: Decimal
    weight: Decimal
    fills_count: int
    placed: bool
    reserve: bool
    quantity_given: bool
    ended_status: str | None
    created_at: int
    updated_at: int
    executed_at: int | None

    @classmethod
    def derive(cls, facts: Iterable[Fill | OrderEvent]) -> OrderState | None:
        """The order that this set of live facts makes, whatever order they came in; None of none."""
        ordered = sorted(facts, key=lambda fact: fact.place)
        if not ordered:
            return None
        fills = [f for f in ordered if isinstance(f, Fill)]
        events = [f for f in ordered if isinstance(f, OrderEvent)]
        placed = next((e for e in events if e.status == "placed"), None)
        ended = next((e for e in events if e.status != "placed"), None)
        first = fills[0] if fills else None
        asked = [f.order_quantity for f in fills if f.order_quantity is not None]
        state = cls(
            order_id=ordered[0].order_id,
            account_id=ordered[0].account_id,
            symbol=placed.symbol if placed else first and first.symbol,
            side=placed.side if placed else first and first.side,
            order_type=placed.order_type if placed else first and first.order_type,
            quantity=placed.quantity if placed else max(asked, default=None),
            price=placed.price if placed else first and first.order_price,
            base=(placed and placed.base) or (first and first.base) or None,
            quote=(placed and placed.quote) or (first and first.quote) or None,
            multiplier=placed.multiplier if placed and placed.multiplier != ONE else first.multiplier if first else ONE,
            filled=ZERO, cash=ZERO, weight=ZERO, fills_count=0,
            placed=placed is not None,
            reserve=placed is not None and placed.reserve,
            quantity_given=placed is not None or bool(asked),
            ended_status=ended.status if ended else None,
            created_at=ordered[0].instant, updated_at=ordered[-1].instant, executed_at=None,
        )  # fmt: skip
        for fill in fills:
            state._count(fill)
        return state

    def add(self, fill: Fill) -> bool:
        """Take one more fill into account; False where its effect depends on the other facts, so that all must be read again."""
        if self.multiplier != fill.multiplier or (self.base, self.quote) != (fill.base, fill.quote):
            return False
        if not self.placed:
            if (self.symbol, self.side, self.order_type, self.price) != (fill.symbol, fill.side, fill.order_type, fill.order_price):
                return False
            if fill.order_quantity is not None:
                self.quantity = max(fill.order_quantity, self.quantity or ZERO) if self.quantity_given else fill.order_quantity
                self.quantity_given = True
        self._count(fill)
        return True

    def _count(self, fill: Fill) -> None:
        self.filled = EXACT.add(self.filled, fill.quantity)
        self.cash = EXACT.add(self.cash, fill.quote_quantity)
        self.weight = EXACT.add(self.weight, EXACT.multiply(fill.quantity, fill.multiplier))
        self.fills_count += 1
        if not self.quantity_given:
            self.quantity = self.filled
        instant = fill.executed_at
        self.created_at, self.updated_at = min(self.created_at, instant), max(self.updated_at, instant)
        self.executed_at = instant if self.executed_at is None else max(self.executed_at, instant)

    @property
    def status(self) -> str:
        if self.quantity is not None and self.fills_count and self.filled >= self.quantity:
            return "filled"
        if self.ended_status is not None:
            return self.ended_status
        return "partially_filled" if self.fills_count else "pending"

    def reserved(self) -> tuple[Decimal, str | None]:
        """What the order sets aside, and of which currency: the remainder's cost (buy) or the remainder itself (sell)."""
        if not self.reserve or self.status not in ("pending", "partially_filled") or self.quantity is None:
            return ZERO, None
        remainder = EXACT.subtract(self.quantity, self.filled)
        if self.side == "sell":
            return remainder, self.base
        return EXACT.multiply(EXACT.multiply(remainder, self.price or ZERO), self.multiplier), self.quote


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
    def find_by_id(self, order_id: str, account_id: str | None = None) -> Order | None:
        """Without an account the first by account id."""

    @abstractmethod
    def find_all(self, limit: int | None = 1000) -> list[Order]: ...

    @abstractmethod
    def find_by_account(self, account_id: str, limit: int | None = 1000) -> list[Order]:
        """The newest first."""

    @abstractmethod
    def exists(self, order_id: str) -> bool: ...

    @abstractmethod
    def delete(self, order_id: str) -> bool:
        """Void an order that has no fills; raises `Immutable` for one that has (void its fills first)."""

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
    def get_fills(self, account_id: str, order_id: str) -> list[Fill]:
        """Its live fills, in the order of facts."""

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
