"""Steps in an order's life that are no executions."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar, NamedTuple, Self

from jarvis_client.contract.conventions import DEFAULT_CONVENTIONS, Conventions, Moment, identifier, instant_of, positive, text_or_empty
from jarvis_client.contract.decimals import ONE, Number, canonical, exact
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.facts.base import SEPARATOR, EventStatus, Fact, OrderSide, OrderType
from jarvis_client.contract.facts.fill import order_type_of
from jarvis_client.contract.symbols import Instrument


class _OrderEventFields(NamedTuple):
    account_id: str
    event_id: str
    order_id: str
    status: str
    occurred_at: int
    symbol: str | None
    side: str | None
    order_type: str | None
    quantity: Decimal | None
    price: Decimal | None
    cost: Decimal | None
    closes_position: bool
    reserve: bool
    base: str | None
    quote: str | None
    settle: str | None
    inverse: bool
    multiplier: Decimal
    instrument: str | None
    extra: str | None
    given_time: str | None
    producer: str | None
    sequence: int | None


class OrderEvent(_OrderEventFields, Fact):
    """A step in an order's life that is no execution: placed, amended, cancelled, rejected, expired or filled.

    `placed` says what was asked for: a quantity; for a market order its `cost` in quote instead; or `closes_position`, whose quantity
    is what is filled. An amendment gives those of quantity, price and cost that are others from its instant on. An event other than
    `placed` belongs to each order of its id that its symbol and side fit; what it leaves out fits all.
    """

    __slots__ = ()
    kind = "order"
    _NOT_ON_THE_WIRE: ClassVar = (*Fact._NOT_ON_THE_WIRE, "inverse", "reserve", "closes_position", "multiplier")

    def __new__(
        cls,
        *,
        event_id: str,
        order_id: str,
        account_id: str,
        status: EventStatus | str,
        occurred_at: Moment,
        symbol: str | None = None,
        side: OrderSide | str | None = None,
        order_type: OrderType | str | None = None,
        quantity: Number | None = None,
        price: Number | None = None,
        cost: Number | None = None,
        closes_position: bool = False,
        reserve: bool = False,
        base: str | None = None,
        quote: str | None = None,
        settle: str | None = None,
        contract: bool | None = None,
        inverse: bool | None = None,
        multiplier: Number = 1,
        extra: str | None = None,
        producer: str | None = None,
        sequence: int | None = None,
        conventions: Conventions = DEFAULT_CONVENTIONS,
    ) -> Self:
        status, kind = EventStatus(status), order_type_of(order_type)
        side = None if side is None else OrderSide(side)
        quantity, price, cost = _known(quantity, "quantity"), None if price is None else exact(price, "price"), _known(cost, "cost")
        multiplier = positive(multiplier, "multiplier")
        found = Instrument("", "", "")
        if status == EventStatus.PLACED:
            missing = [n for n, v in (("symbol", symbol), ("side", side), ("order_type", kind)) if v is None]
            if missing or symbol is None:
                raise Invalid(f"a placed order needs {', '.join(missing)}")
            found = conventions.instrument(symbol, base, quote, settle, contract, inverse, multiplier != ONE)
            _refuse_terms(found, str(kind), side, quantity, price, cost, closes_position=closes_position, reserve=reserve)
        else:
            kind, reserve, closes_position, multiplier = None, False, False, ONE
            if status != EventStatus.AMENDED:
                quantity = price = cost = None
            elif quantity is None and price is None and cost is None:
                raise Invalid("an amended order needs what is amended: any of quantity, price and cost")
            elif quantity is not None and cost is not None:
                raise Invalid("quantity and cost are both given; an order is amended to one of them")
        return cls._make((
            identifier(account_id, "account_id"), identifier(event_id, "event_id"), identifier(order_id, "order_id"), str(status),
            instant_of(occurred_at), None if symbol is None else identifier(symbol, "symbol"), None if side is None else str(side), kind, quantity, price, cost,
            bool(closes_position), bool(reserve), found.base or None, found.quote or None, found.settle, found.inverse, multiplier, found.name or None,
            extra, None, producer, sequence,
        ))  # fmt: skip

    @property
    def record_id(self) -> str:
        return self.event_id

    @property
    def instant(self) -> int:
        return self.occurred_at

    def record(self) -> dict[str, Any]:
        found = super().record()
        if self.settle is not None:
            found |= {"contract": True, "inverse": self.inverse, "multiplier": canonical(self.multiplier)}
        return found | {name: True for name in ("reserve", "closes_position") if getattr(self, name)}

    def content(self) -> str:
        return SEPARATOR.join((
            "order", self.account_id, self.event_id, self.order_id, self.status, str(self.occurred_at), self.symbol or "", self.side or "",
            self.order_type or "", text_or_empty(self.quantity), text_or_empty(self.price), text_or_empty(self.cost),
            "1" if self.closes_position else "", "1" if self.reserve else "", self.base or "", self.quote or "", self.settle or "",
            "1" if self.inverse else "", canonical(self.multiplier), self.extra or "",
        ))  # fmt: skip


def _refuse_terms(
    instrument: Instrument,
    kind: str,
    side: OrderSide | None,
    quantity: Decimal | None,
    price: Decimal | None,
    cost: Decimal | None,
    *,
    closes_position: bool,
    reserve: bool,
) -> None:
    """Raises `Invalid` for terms that say too little or too much of what was asked for."""
    if quantity is None and cost is None and not closes_position:
        raise Invalid("a placed order needs quantity; a market order may give its cost instead, and one that closes a position closes_position: true")
    if quantity is not None and cost is not None:
        raise Invalid("quantity and cost are both given; an order is placed by one of them")
    if cost is not None and kind != OrderType.MARKET:
        raise Invalid(f"a {kind} order is placed by quantity; only a market order may be placed by its cost")
    if kind == OrderType.LIMIT and price is None:
        raise Invalid("a limit order needs its price")
    if cost is not None and closes_position:
        raise Invalid("cost and closes_position are both given; what closes a position has no cost of its own: leave one out")
    if cost is not None and (instrument.inverse or instrument.is_quanto):
        raise Invalid(f"cost is refused for {instrument.name}: it is in quote, and the contract settles in {instrument.settle}; give quantity")
    if reserve and quantity is None and (cost is None or side == OrderSide.SELL):
        raise Invalid("reserve is refused without a quantity: how much is set aside is unknown; leave reserve out")
    if reserve and side == OrderSide.BUY and price is not None and price < 0:
        raise Invalid(f"reserve is refused at the price {canonical(price)}: nothing is paid; leave reserve out")
    if reserve and instrument.is_contract:
        raise Invalid("reserve is refused for a contract: its margin is not quantity × price; leave reserve out")
    if reserve and side == OrderSide.BUY and price is None and cost is None:
        raise Invalid(f"reserve is refused for a {kind} buy without a price: its cost is unknown; leave reserve out")


def _known(number: Number | None, name: str) -> Decimal | None:
    return None if number is None else positive(number, name)
