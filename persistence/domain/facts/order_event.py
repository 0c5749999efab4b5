"""Steps in an order's life that are no executions."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple, Self

from persistence.domain.conventions import DEFAULT_CONVENTIONS, Conventions, Moment, base_and_quote, code, identifier, instant_of, positive, text_or_empty
from persistence.domain.errors import Invalid
from persistence.domain.facts.base import SEPARATOR, EventStatus, Fact, OrderSide, OrderType
from persistence.domain.money import ONE, Number, canonical, exact


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
    reserve: bool
    base: str | None
    quote: str | None
    multiplier: Decimal
    extra: str | None
    given_time: str | None
    producer: str | None
    sequence: int | None


class OrderEvent(_OrderEventFields, Fact):
    """A step in an order's life that is no execution: placed, cancelled, rejected or expired."""

    __slots__ = ()
    kind = "order"

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
        reserve: bool = False,
        base: str | None = None,
        quote: str | None = None,
        multiplier: Number = 1,
        extra: str | None = None,
        producer: str | None = None,
        sequence: int | None = None,
        conventions: Conventions = DEFAULT_CONVENTIONS,
    ) -> Self:
        status = str(EventStatus(status))
        if status == EventStatus.PLACED:
            missing = [n for n, v in (("symbol", symbol), ("side", side), ("order_type", order_type), ("quantity", quantity)) if v is None]
            if missing or symbol is None:
                raise Invalid(f"a placed order needs {', '.join(missing)}")
            if order_type == OrderType.LIMIT and price is None:
                raise Invalid("a limit order needs its price")
            pair = conventions.split(symbol)
            base, quote = base or (pair and pair[0]), quote or (pair and pair[1])
            base, quote = base and code(base, "base"), quote and code(quote, "quote")
            if reserve and not (base and quote):
                base_and_quote(symbol, base, quote, conventions)
            if reserve and side == OrderSide.BUY and price is None:
                raise Invalid(f"reserve is refused for a {order_type} buy without a price: its cost is unknown; leave reserve out")
        else:
            symbol = side = order_type = quantity = price = base = quote = None
            reserve, multiplier = False, ONE
        return cls._make((
            identifier(account_id, "account_id"), identifier(event_id, "event_id"), identifier(order_id, "order_id"), status, instant_of(occurred_at),
            None if symbol is None else identifier(symbol, "symbol"), None if side is None else str(OrderSide(side)),
            None if order_type is None else str(order_type), None if quantity is None else positive(quantity, "quantity"),
            None if price is None else exact(price, "price"), bool(reserve), base, quote, positive(multiplier, "multiplier"),
            extra, None, producer, sequence,
        ))  # fmt: skip

    @property
    def record_id(self) -> str:
        return self.event_id

    @property
    def instant(self) -> int:
        return self.occurred_at

    def content(self) -> str:
        return SEPARATOR.join((
            "order", self.account_id, self.event_id, self.order_id, self.status, str(self.occurred_at), self.symbol or "", self.side or "",
            self.order_type or "", text_or_empty(self.quantity), text_or_empty(self.price), "1" if self.reserve else "", self.base or "",
            self.quote or "", canonical(self.multiplier), self.extra or "",
        ))  # fmt: skip
