"""What the facts of an order id make of its orders.

An order is the facts of one account, order id, instrument and side: venues number orders per symbol, and one id may stand for several
legs. Whatever order the facts came in, the same set makes the same orders.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple, TypeVar

from jarvis_client.contract.decimals import EXACT, ONE, SHOWN, ZERO
from jarvis_client.contract.facts import EventStatus, Fill, OrderEvent
from jarvis_client.contract.symbols import notations

#: A remainder below this part of the order's quantity is none: sums of floats do not keep an order open.
NO_REMAINDER = Decimal("1e-9")
#: An order placed by its cost is filled at this part of it: venues fill whole lots.
COST_FILLED = Decimal("0.999")

_F = TypeVar("_F", bound=Fill | OrderEvent)
_ENDS = (EventStatus.CANCELLED, EventStatus.REJECTED, EventStatus.EXPIRED)


class OrderKey(NamedTuple):
    """What tells the orders of one account and order id apart."""

    instrument: str
    is_contract: bool
    side: str


@dataclass(slots=True)
class OrderState:
    """An order as its facts make it: the columns of its row, in their order (`order_no` apart).

    `cash` is Σ cash, `weight` Σ quantity × multiplier, `notional` Σ quantity × price (of quanto contracts alone).
    """

    order_id: str
    account_id: str
    instrument: str
    symbol: str
    side: str
    order_type: str | None
    quantity: Decimal | None
    price: Decimal | None
    cost: Decimal | None
    base: str
    quote: str
    settle: str | None
    inverse: bool
    multiplier: Decimal
    filled: Decimal
    cash: Decimal
    weight: Decimal
    notional: Decimal
    fills_count: int
    placed: bool
    reserve: bool
    quantity_given: bool
    amended: bool
    ended_status: str | None
    created_at: int
    updated_at: int
    executed_at: int | None

    @property
    def key(self) -> OrderKey:
        return OrderKey(self.instrument, self.settle is not None, self.side)

    def add(self, fill: Fill) -> bool:
        """Take one more fill into account; False where its effect depends on the other facts, so that all must be read again."""
        if self.amended or self.multiplier != fill.multiplier or (self.base, self.quote, self.settle, self.inverse) != fill.traded[1:]:
            return False
        if not self.placed:
            if (self.symbol, self.order_type, self.price) != (fill.symbol, fill.order_type, fill.order_price):
                return False
            if fill.order_quantity is not None:
                self.quantity = max(fill.order_quantity, self.quantity or ZERO) if self.quantity_given else fill.order_quantity
                self.quantity_given = True
        self.count(fill)
        return True

    def count(self, fill: Fill) -> None:
        """Add a fill to the sums."""
        self.filled = EXACT.add(self.filled, fill.quantity)
        self.cash = EXACT.add(self.cash, fill.quote_quantity)
        self.weight = EXACT.add(self.weight, EXACT.multiply(fill.quantity, fill.multiplier))
        if self.is_quanto:
            self.notional = EXACT.add(self.notional, EXACT.multiply(fill.quantity, fill.price))
        self.fills_count += 1
        if not self.quantity_given and self.cost is None:
            self.quantity = self.filled
        instant = fill.executed_at
        self.created_at, self.updated_at = min(self.created_at, instant), max(self.updated_at, instant)
        self.executed_at = instant if self.executed_at is None else max(self.executed_at, instant)

    @property
    def is_quanto(self) -> bool:
        return self.settle is not None and not self.inverse and self.settle not in (self.base, self.quote)

    @property
    def average_price(self) -> Decimal | None:
        """Linear Σ cash / Σ (quantity × multiplier), inverse the reciprocal, quanto Σ (quantity × price) / Σ quantity, to 28 digits."""
        return average_price(self.cash, self.weight, self.notional, self.filled, inverse=self.inverse, quanto=self.is_quanto)

    @property
    def is_complete(self) -> bool:
        """True if nothing remains to be filled."""
        if not self.fills_count:
            return False
        if self.cost is not None:
            return self.cash >= EXACT.multiply(self.cost, COST_FILLED)
        return self.quantity is not None and not self.remainder

    @property
    def remainder(self) -> Decimal:
        """What remains of the quantity."""
        if self.quantity is None:
            return ZERO
        rest = EXACT.subtract(self.quantity, self.filled)
        return ZERO if rest <= EXACT.multiply(self.quantity, NO_REMAINDER) else rest

    @property
    def status(self) -> str:
        if self.ended_status == EventStatus.FILLED or self.is_complete:
            return "filled"
        if self.ended_status is not None:
            return self.ended_status
        return "partially_filled" if self.fills_count else "pending"

    def reserved(self) -> tuple[Decimal, str | None]:
        """What the order sets aside, and of which currency: what is left of its cost (buy), or the remainder itself (sell)."""
        if not self.reserve or self.status not in ("pending", "partially_filled"):
            return ZERO, None
        if self.side == "sell":
            return self.remainder, self.base
        if self.cost is not None:
            return max(ZERO, EXACT.subtract(self.cost, self.cash)), self.quote
        return EXACT.multiply(EXACT.multiply(self.remainder, self.price or ZERO), self.multiplier), self.quote


class Derived(NamedTuple):
    """The orders of one account and order id, and the numbers of its events that fit none of them yet."""

    orders: list[OrderState]
    waiting: set[str]


def derive_orders(facts: Iterable[Fill | OrderEvent]) -> Derived:
    """The orders that this set of live facts of one account and order id makes."""
    ordered = _in_order(list(facts))
    groups: dict[OrderKey, list[Fill | OrderEvent]] = {}
    others: list[OrderEvent] = []
    for fact in ordered:
        if isinstance(fact, Fill):
            groups.setdefault(OrderKey(fact.instrument, fact.settle is not None, fact.side), []).append(fact)
        elif fact.status == EventStatus.PLACED:
            groups.setdefault(OrderKey(str(fact.instrument), fact.settle is not None, str(fact.side)), []).append(fact)
        else:
            others.append(fact)
    names = {key: _names(key, found) for key, found in groups.items()} if others else {}
    waiting = set()
    for event in others:
        fitting = [key for key in groups if event.side in (None, key.side) and (event.symbol is None or event.symbol in names[key])]
        if not fitting:
            waiting.add(event.event_id)
        if event.status == EventStatus.AMENDED and len(fitting) > 1 and event.symbol is None and event.side is None:
            continue  # nobody can tell which of the orders it means: it changes none
        for key in fitting:
            groups[key].append(event)
    return Derived([_derived(key, found) for key, found in groups.items()], waiting)


def _in_order(facts: list[_F]) -> list[_F]:
    """Facts in the order of facts."""
    if len(facts) < 2:
        return facts
    # Ids are taken apart, which takes most of the time of a place, only where nothing before them decides.
    whens = [(fact.instant, -1 if fact.sequence is None else fact.sequence, fact.producer or "") for fact in facts]
    if len({*whens}) < len(whens):
        return sorted(facts, key=lambda fact: fact.place)
    return [fact for _, fact in sorted(zip(whens, facts, strict=True), key=lambda pair: pair[0])]


def _names(key: OrderKey, facts: Sequence[Fill | OrderEvent]) -> set[str]:
    """Every text that names the instrument of an order: what its facts wrote, and each notation of a pair."""
    found = {key.instrument, *(str(fact.symbol) for fact in facts)}
    return found if key.is_contract else found.union(*(notations(str(fact.base), str(fact.quote)) for fact in facts))


def _derived(key: OrderKey, facts: Sequence[Fill | OrderEvent]) -> OrderState:
    """The order that these facts make; its fills come in their order."""
    fills = [f for f in facts if isinstance(f, Fill)]
    events = _in_order([f for f in facts if isinstance(f, OrderEvent)])
    placed = next((e for e in events if e.status == EventStatus.PLACED), None)
    ends = [e.status for e in events if e.status in _ENDS or e.status == EventStatus.FILLED]
    amendments = [e for e in events if e.status == EventStatus.AMENDED]
    asked = [f.order_quantity for f in fills if f.order_quantity is not None]
    first = placed or fills[0]
    instants = [fact.instant for fact in facts]
    state = OrderState(
        order_id=str(first.order_id), account_id=first.account_id, instrument=key.instrument, symbol=str(first.symbol), side=key.side,
        order_type=first.order_type, quantity=placed.quantity if placed else max(asked, default=None),
        price=placed.price if placed else fills[0].order_price, cost=placed.cost if placed else None, base=str(first.base), quote=str(first.quote),
        settle=first.settle, inverse=first.inverse, multiplier=first.multiplier, filled=ZERO, cash=ZERO, weight=ZERO, notional=ZERO, fills_count=0,
        placed=placed is not None, reserve=placed is not None and placed.reserve,
        quantity_given=bool(asked) if placed is None else placed.quantity is not None, amended=bool(amendments),
        ended_status=EventStatus.FILLED.value if EventStatus.FILLED in ends else next(iter(ends), None),
        created_at=min(instants), updated_at=max(instants), executed_at=None,
    )  # fmt: skip
    if placed and fills:
        # What fills say of a contract counts: an order may be placed by its name alone.
        state.settle, state.inverse = fills[0].settle, fills[0].inverse
        if placed.multiplier == ONE:
            state.multiplier = fills[0].multiplier
    for amendment in amendments:
        _amend(state, amendment, fills)
    for fill in fills:
        state.count(fill)
    return state


def _amend(state: OrderState, amendment: OrderEvent, fills: Sequence[Fill]) -> None:
    """Take the terms that an amendment gives; below what was filled before it, it means that."""
    before = [f for f in fills if f.place < amendment.place]
    if amendment.quantity is not None:
        filled = ZERO
        for fill in before:
            filled = EXACT.add(filled, fill.quantity)
        state.quantity, state.quantity_given, state.cost = max(amendment.quantity, filled), True, None
    if amendment.cost is not None:
        spent = ZERO
        for fill in before:
            spent = EXACT.add(spent, fill.quote_quantity)
        state.cost, state.quantity, state.quantity_given = max(amendment.cost, spent), None, False
    if amendment.price is not None:
        state.price = amendment.price


def average_price(cash: Decimal, weight: Decimal, notional: Decimal, filled: Decimal, *, inverse: bool, quanto: bool) -> Decimal | None:
    """The average price of an order's fills, to 28 digits; None before the first."""
    numerator, denominator = (notional, filled) if quanto else (weight, cash) if inverse else (cash, weight)
    return SHOWN.divide(numerator, denominator) if denominator else None


__all__ = ["Derived", "OrderKey", "OrderState", "average_price", "derive_orders"]
