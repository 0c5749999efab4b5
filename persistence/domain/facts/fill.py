"""Fills: executions of orders."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple, Self

from persistence.domain.conventions import DEFAULT_CONVENTIONS, Conventions, Moment, base_and_quote, code, identifier, instant_of, positive, rate
from persistence.domain.facts.base import SEPARATOR, Fact, OrderSide, OrderType
from persistence.domain.money import EXACT, Number, canonical, exact


class _FillFields(NamedTuple):
    account_id: str
    fill_id: str
    order_id: str
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    quote_quantity: Decimal
    multiplier: Decimal
    base: str
    quote: str
    fee: Decimal
    fee_currency: str
    executed_at: int
    quote_usd_rate: Decimal | None
    fee_usd_rate: Decimal | None
    liquidity: str | None
    order_type: str | None
    order_quantity: Decimal | None
    order_price: Decimal | None
    extra: str | None
    given_time: str | None
    producer: str | None
    sequence: int | None


class Fill(_FillFields, Fact):
    """One execution. `quote_quantity` is its cash: the venue's own amount where given, else quantity × price × multiplier."""

    __slots__ = ()
    kind = "fill"

    def __new__(
        cls,
        *,
        fill_id: str,
        account_id: str,
        order_id: str,
        symbol: str,
        side: OrderSide | str,
        quantity: Number,
        price: Number,
        executed_at: Moment,
        fee: Number = 0,
        fee_currency: str | None = None,
        quote_quantity: Number | None = None,
        multiplier: Number = 1,
        base: str | None = None,
        quote: str | None = None,
        quote_usd_rate: Number | None = None,
        fee_usd_rate: Number | None = None,
        liquidity: str | None = None,
        order_type: OrderType | str | None = None,
        order_quantity: Number | None = None,
        order_price: Number | None = None,
        extra: str | None = None,
        producer: str | None = None,
        sequence: int | None = None,
        conventions: Conventions = DEFAULT_CONVENTIONS,
    ) -> Self:
        base, quote = base_and_quote(symbol, base, quote, conventions)
        quantity, price = positive(quantity, "quantity"), exact(price, "price")
        multiplier = positive(multiplier, "multiplier")
        cash = EXACT.multiply(EXACT.multiply(quantity, price), multiplier) if quote_quantity is None else exact(quote_quantity, "quote_quantity")
        fee_currency = code(fee_currency, "fee_currency") if fee_currency else quote
        return cls._make((
            identifier(account_id, "account_id"), identifier(fill_id, "fill_id"), identifier(order_id, "order_id"), identifier(symbol, "symbol"),
            str(OrderSide(side)), quantity, price, cash, multiplier, base, quote, exact(fee, "fee"), fee_currency, instant_of(executed_at),
            rate(quote_usd_rate, quote, conventions, "quote_usd_rate"), rate(fee_usd_rate, fee_currency, conventions, "fee_usd_rate"),
            liquidity or None, str(order_type) if order_type else None,
            None if order_quantity is None else positive(order_quantity, "order_quantity"),
            None if order_price is None else exact(order_price, "order_price"),
            extra, None, producer, sequence,
        ))  # fmt: skip

    @property
    def record_id(self) -> str:
        return self.fill_id

    @property
    def instant(self) -> int:
        return self.executed_at

    def texts(self) -> tuple[Any, ...]:
        """The fields with every number in its canonical text, producer and sequence left out: the row of the fill."""
        (
            account_id, fill_id, order_id, symbol, side, quantity, price, cash, multiplier, base, quote, fee, fee_currency, executed_at,
            quote_rate, fee_rate, liquidity, order_type, order_quantity, order_price, extra, given_time, _, _,
        ) = self  # fmt: skip
        return (
            account_id, fill_id, order_id, symbol, side, canonical(quantity), canonical(price), canonical(cash), canonical(multiplier), base,
            quote, canonical(fee), fee_currency, executed_at, quote_rate and canonical(quote_rate), fee_rate and canonical(fee_rate), liquidity,
            order_type, order_quantity and canonical(order_quantity), None if order_price is None else canonical(order_price), extra, given_time,
        )  # fmt: skip

    @staticmethod
    def content_of(texts: tuple[Any, ...]) -> str:
        """The canonical form, from `texts`."""
        return SEPARATOR.join((
            "fill", *texts[:13], str(texts[13]), texts[14] or "", texts[15] or "", texts[16] or "", texts[17] or "", texts[18] or "",
            texts[19] or "", texts[20] or "",
        ))  # fmt: skip

    def content(self) -> str:
        return self.content_of(self.texts())
