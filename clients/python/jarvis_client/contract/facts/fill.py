"""Fills: executions of orders."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple, Self

from jarvis_client.contract.conventions import DEFAULT_CONVENTIONS, Conventions, Moment, cash_of, code, identifier, instant_of, positive, usd_rate
from jarvis_client.contract.decimals import EXACT, ONE, ZERO, Number, canonical, exact
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.facts.base import SEPARATOR, Fact, OrderSide, OrderType
from jarvis_client.contract.showing import first_few
from jarvis_client.contract.symbols import Instrument

#: Fees of one fill: a leg of its transactions each.
MOST_FEES = 5


class Charge(NamedTuple):
    """One fee of a fill: negative is a rebate."""

    currency: str
    amount: Decimal
    usd_rate: Decimal | None = None


class _FillFields(NamedTuple):
    account_id: str
    fill_id: str
    order_id: str | None
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    quote_quantity: Decimal
    multiplier: Decimal
    base: str
    quote: str
    settle: str | None
    inverse: bool
    instrument: str
    fee: Decimal | None
    fee_currency: str
    fee_usd_rate: Decimal | None
    more_fees: str | None
    executed_at: int
    quote_usd_rate: Decimal | None
    liquidity: str | None
    order_type: str | None
    order_quantity: Decimal | None
    order_price: Decimal | None
    extra: str | None
    given_time: str | None
    producer: str | None
    sequence: int | None


class Fill(_FillFields, Fact):
    """One execution. `quote_quantity` is its cash: the venue's own amount where given, else quantity × price × multiplier.

    `fee` is None where it is not known yet; `more_fees` holds the second to the fifth, as JSON `[[currency, amount, rate], …]`.
    `instrument` is what is traded; `settle` is None for spot.
    """

    __slots__ = ()
    kind = "fill"
    _NOT_ON_THE_WIRE: ClassVar = (*Fact._NOT_ON_THE_WIRE, "fee", "fee_currency", "fee_usd_rate", "more_fees", "inverse")

    def __new__(
        cls,
        *,
        fill_id: str,
        account_id: str,
        symbol: str,
        side: OrderSide | str,
        quantity: Number,
        price: Number,
        executed_at: Moment,
        order_id: str | None = None,
        fee: Number | None = 0,
        fee_currency: str | None = None,
        fees: Sequence[Charge | Mapping[str, Any]] | None = None,
        quote_quantity: Number | None = None,
        multiplier: Number = 1,
        base: str | None = None,
        quote: str | None = None,
        settle: str | None = None,
        contract: bool | None = None,
        inverse: bool | None = None,
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
        quantity, price, multiplier = positive(quantity, "quantity"), exact(price, "price"), positive(multiplier, "multiplier")
        instrument = conventions.instrument(symbol, base, quote, settle, contract, inverse, multiplier != ONE)
        cash = cash_of(instrument, quantity, price, multiplier, None if quote_quantity is None else exact(quote_quantity, "quote_quantity"))
        first: tuple[str, Decimal | None, Decimal | None]
        if fees:
            if fee or fee_currency or fee_usd_rate is not None:
                raise Invalid("fee and fees are both given; give one of them")
            first, more = charges([_charge(given) for given in fees])
        else:
            currency = code(fee_currency, "fee_currency") if fee_currency else instrument.cash_currency
            amount = None if fee is None or (fees is not None and not fee) else exact(fee, "fee")
            first, more = (currency, amount, usd_rate(fee_usd_rate, currency, "fee_usd_rate")), None
        return cls._make((
            identifier(account_id, "account_id"), identifier(fill_id, "fill_id"), None if order_id is None else identifier(order_id, "order_id"),
            identifier(symbol, "symbol"), str(OrderSide(side)), quantity, price, cash, multiplier, instrument.base, instrument.quote, instrument.settle,
            instrument.inverse, instrument.name, first[1], first[0], first[2], more, instant_of(executed_at),
            usd_rate(quote_usd_rate, instrument.cash_currency, "quote_usd_rate"), liquidity or None, order_type_of(order_type),
            None if order_quantity is None else positive(order_quantity, "order_quantity"),
            None if order_price is None else exact(order_price, "order_price"), extra, None, producer, sequence,
        ))  # fmt: skip

    @property
    def record_id(self) -> str:
        return self.fill_id

    @property
    def instant(self) -> int:
        return self.executed_at

    @property
    def traded(self) -> Instrument:
        """What is traded."""
        return Instrument(self.instrument, self.base, self.quote, self.settle, self.inverse)

    @property
    def charges(self) -> tuple[Charge, ...]:
        """Its fees; none where they are not known yet, or zero."""
        if self.fee is None:
            return ()
        first = (Charge(self.fee_currency, self.fee, self.fee_usd_rate),) if self.fee else ()
        return first if self.more_fees is None else (*first, *more_charges(self.more_fees))

    def record(self) -> dict[str, Any]:
        found = super().record()
        if self.quote_quantity == EXACT.multiply(EXACT.multiply(self.quantity, self.price), self.multiplier) and not (self.inverse or self.traded.is_quanto):
            del found["quote_quantity"]  # what it is by default; a product may have more digits than a record's number
        if self.settle is not None:
            found |= {"contract": True, "inverse": self.inverse}
        if self.more_fees is not None:
            first = Charge(self.fee_currency, self.fee or ZERO, self.fee_usd_rate)
            return {**found, "fees": [charge_record(charge) for charge in (first, *more_charges(self.more_fees))]}
        rate = {} if self.fee_usd_rate is None else {"fee_usd_rate": canonical(self.fee_usd_rate)}
        return {**found, "fee": None if self.fee is None else canonical(self.fee), "fee_currency": self.fee_currency, **rate}

    def texts(self) -> tuple[Any, ...]:
        """The fields with every number in its canonical text, producer and sequence left out: the row of the fill."""
        (
            account_id, fill_id, order_id, symbol, side, quantity, price, cash, multiplier, base, quote, settle, inverse, instrument, fee, fee_currency,
            fee_rate, more_fees, executed_at, quote_rate, liquidity, order_type, order_quantity, order_price, extra, given_time, _, _,
        ) = self  # fmt: skip
        return (
            account_id, fill_id, order_id, symbol, side, canonical(quantity), canonical(price), canonical(cash), canonical(multiplier), base, quote,
            settle, 1 if inverse else 0, instrument, None if fee is None else canonical(fee), fee_currency, None if fee_rate is None else canonical(fee_rate),
            more_fees, executed_at, None if quote_rate is None else canonical(quote_rate), liquidity, order_type,
            None if order_quantity is None else canonical(order_quantity), None if order_price is None else canonical(order_price), extra, given_time,
        )  # fmt: skip

    @staticmethod
    def content_of(texts: tuple[Any, ...]) -> str:
        """The canonical form, from `texts`."""
        (
            account_id, fill_id, order_id, symbol, side, quantity, price, cash, multiplier, base, quote, settle, inverse, _, fee, fee_currency,
            fee_rate, more_fees, executed_at, quote_rate, liquidity, order_type, order_quantity, order_price, extra, _,
        ) = texts  # fmt: skip
        return SEPARATOR.join((
            "fill", account_id, fill_id, order_id or "", symbol, side, quantity, price, cash, multiplier, base, quote, settle or "",
            "1" if inverse else "", "" if fee is None else fee, fee_currency, fee_rate or "", more_fees or "", str(executed_at), quote_rate or "",
            liquidity or "", order_type or "", order_quantity or "", order_price or "", extra or "",
        ))  # fmt: skip

    def content(self) -> str:
        return self.content_of(self.texts())


def order_type_of(name: OrderType | str | None) -> str | None:
    """An order type as the books keep it: whatever its case, it is the same."""
    return str(name).lower() if name else None


def charges(found: Sequence[Charge]) -> tuple[tuple[str, Decimal, Decimal | None], str | None]:
    """The first of some fees, and the others as the text that a fill keeps. In one order, whatever order they were given in."""
    if len(found) > MOST_FEES:
        raise Invalid(f"fees holds {len(found)} fees; at most {MOST_FEES} are taken: publish the others as fee records of this fill")
    first, *others = sorted(found, key=lambda c: (c.currency, c.amount, c.usd_rate is not None, c.usd_rate or ZERO))
    rows = [[c.currency, canonical(c.amount), None if c.usd_rate is None else canonical(c.usd_rate)] for c in others]
    return (first.currency, first.amount, first.usd_rate), json.dumps(rows, ensure_ascii=False, separators=(",", ":")) if rows else None


def more_charges(text: str) -> list[Charge]:
    """The fees that `more_fees` holds."""
    return [Charge(currency, Decimal(amount), None if rate is None else Decimal(rate)) for currency, amount, rate in json.loads(text)]


def charge_record(charge: Charge) -> dict[str, Any]:
    """A fee in the form of the contract."""
    rate = {} if charge.usd_rate is None else {"usd_rate": canonical(charge.usd_rate)}
    return {"currency": charge.currency, "amount": canonical(charge.amount), **rate}


def _charge(given: Charge | Mapping[str, Any]) -> Charge:
    fields = given._asdict() if isinstance(given, Charge) else dict(given)
    if unknown := set(fields) - set(Charge._fields):
        raise Invalid(f"a fee has no {first_few(f'{name!s:.60}' for name in sorted(unknown))}; it has currency, amount and, optionally, usd_rate")
    currency = code(fields.get("currency"), "fees.currency")  # type: ignore[arg-type]  # refused where it is missing
    return Charge(currency, exact(fields.get("amount"), "fees.amount"), usd_rate(fields.get("usd_rate"), currency, "fees.usd_rate"))  # type: ignore[arg-type]
