"""Trades as fills: what `fetch_my_trades` returns."""

from __future__ import annotations

from decimal import Context, Decimal, Inexact
from typing import cast

from jarvis_client.ccxt.markets import Traded, traded
from jarvis_client.ccxt.structures import Record, Structure, moment, needed, needed_instant, needed_text, number, text, written
from jarvis_client.contract.decimals import EXACT, ONE, QUOTIENT, ZERO
from jarvis_client.contract.errors import Invalid
from jarvis_client.fields import FeeFields, FillFields

#: How far ccxt's cost may be from what amount, price and size make: an exchange's rounding stays far below, a wrong unit far above. Of dust
#: it may be half of the cost's last digit, too, which no wrong unit is.
_MOST_OFF = Decimal("0.05")
#: What ccxt's own quotients are off by: it takes 1/price to 18 places, and hands out floats. What an exchange rounds is off by more.
_OWN_ROUNDING = Decimal("1e-11")
#: Digits of a quotient that is exact, as that of 600 USD of contracts at 60,000.
_SHORT = Context(prec=24, traps=[Inexact])
_SHOWN = Context(prec=12, traps=[])
_HALF = Decimal("0.5")


def fill_from_ccxt(trade: Structure, market: Structure | None = None, *, account_id: str, exchange: str) -> FillFields:
    """The fill that a trade of one's own states. `market` is `exchange.market(trade["symbol"])`, required for contracts; `exchange` is
    `exchange.id`. The fill's id is exchange:symbol:id, so that it is unique over all symbols of the account.

    A fee that ccxt does not know is `None`: not known yet (`fees_from_ccxt` makes the records that say it later).
    Raises `Invalid` where ccxt does not know what moved, or says it in two ways.
    """
    what = _what(trade)
    instrument = traded(trade, market, exchange, what)
    quantity, price = needed(trade, "amount", what), needed(trade, "price", what)
    record: Record = {
        "fill_id": fill_id(trade, exchange),
        "account_id": account_id,
        **instrument.fields(),
        "side": needed_text(trade, "side", what),
        "quantity": written(quantity),
        "price": written(price),
        "executed_at": moment(needed_instant(trade, what)),
    }
    if (order_id := text(trade, "order")) is not None:
        record["order_id"] = order_id
    if (cash := _cash(trade, instrument, quantity, price, what)) is not None:
        record["quote_quantity"] = written(cash)
    if (liquidity := text(trade, "takerOrMaker")) in ("maker", "taker"):
        record["liquidity"] = liquidity
    return cast(FillFields, record | _fees(trade, what))


def fees_from_ccxt(trade: Structure, *, account_id: str, exchange: str) -> list[FeeFields]:
    """The fee records of a trade whose fill was published before its fee was known; none while it still is not.

    Only for such a fill: fee records add to what the fill says.
    """
    what = _what(trade)
    return [
        {
            "fee_id": f"{fill_id(trade, exchange)}:fee:{currency}",
            "account_id": account_id,
            "fill_id": fill_id(trade, exchange),
            "currency": currency,
            "amount": written(amount),
            "occurred_at": moment(needed_instant(trade, what)),
        }
        for currency, amount in charges(trade, what) or []
        if currency is not None and amount
    ]


def fill_id(trade: Structure, exchange: str) -> str:
    """exchange:symbol:id. Raises `Invalid` for a trade without an id: two of them could not be told apart."""
    what = _what(trade)
    return f"{exchange}:{needed_text(trade, 'symbol', what)}:{needed_text(trade, 'id', what)}"


def charges(trade: Structure, what: str) -> list[tuple[str | None, Decimal]] | None:
    """Fees by currency, None where no fee is known yet; the currency is None only of a fee of zero."""
    listed = [fee for fee in trade.get("fees") or [] if fee]
    single = trade.get("fee") or {}
    if not listed:
        listed = [single] if single else []
    elif single.get("cost") is not None and not any(_same(fee, single) for fee in listed):
        raise Invalid(f"fee and fees of {what} differ; ccxt means one of them: remove the other")
    known = [(text(fee, "currency"), cost) for fee in listed if (cost := number(fee, "cost")) is not None]
    if not known:
        return None
    if len(known) < len(listed):
        raise Invalid(f"fees of {what}: one has no cost yet; publish the trade once all of them are known, or remove that one")
    if (homeless := next((cost for currency, cost in known if currency is None and cost), None)) is not None:
        raise Invalid(f"the fee of {what} is {written(homeless)} of an unknown currency; put it into the fee's currency")
    return known


def _fees(trade: Structure, what: str) -> Record:
    known = charges(trade, what)
    if known is None:
        return {"fee": None}
    paid = [(currency, cost) for currency, cost in known if cost]
    if len(paid) > 1:
        return {"fees": [{"currency": currency, "amount": written(cost)} for currency, cost in paid]}
    currency, cost = paid[0] if paid else known[0]
    return {"fee": written(cost)} | ({} if currency is None else {"fee_currency": currency})


def _same(fee: Structure, other: Structure) -> bool:
    return (number(fee, "cost"), text(fee, "currency")) == (number(other, "cost"), text(other, "currency"))


def _cash(trade: Structure, instrument: Traded, quantity: Decimal, price: Decimal, what: str) -> Decimal | None:
    """The venue's own cash, None where it is quantity × price × multiplier. Raises `Invalid` where ccxt's cost is another amount."""
    cost = number(trade, "cost")
    contracts = EXACT.multiply(quantity, instrument.multiplier)
    product = EXACT.multiply(contracts, price)
    if instrument.inverse:
        if not price:
            raise Invalid(f"the price of {what} is 0, and {instrument.symbol} is inverse: nothing tells its cash")
        return _unrounded(_agreeing(trade, instrument, QUOTIENT.divide(contracts, price), what), contracts, price)
    if instrument.is_quanto:
        if cost is None or _is(trade, product):
            raise Invalid(
                f"{instrument.symbol} is settled in neither of its currencies, so only the exchange knows the cash of {what}; "
                f"put its amount in {instrument.settle} into cost"
            )
        return cost
    if cost is None or _is(trade, product):
        return None  # what the books work out themselves, exactly
    if instrument.is_option:
        # Of coin-settled options ccxt's parsers work out the cost as of inverse futures; the premium is the price.
        quotients = [QUOTIENT.divide(count, price) for count in (quantity, contracts)] if price and instrument.settle == instrument.base else []
        if any(_close(cost, quotient) for quotient in quotients) and not _close(cost, product):
            return None
    return _agreeing(trade, instrument, product, what)


def _agreeing(trade: Structure, instrument: Traded, expected: Decimal, what: str) -> Decimal:
    currency = instrument.settle or instrument.quote
    cost = number(trade, "cost")
    if cost is None:
        raise Invalid(f"{what} has no cost: {instrument.symbol} is inverse, so its cash is the exchange's own amount in {currency}; put it into cost")
    if _close(cost, expected) or _is_rounded(cost, expected):
        return cost
    size = f", contracts of {written(instrument.multiplier)}" if instrument.settle else ""
    counted = EXACT.multiply(cost, instrument.multiplier)
    hint = (
        "; it fits if amount does not count contracts: then give the market with a contractSize of 1"
        if instrument.multiplier != ONE and _close(counted, expected)
        else f"; put the exchange's own amount of {currency} into cost" + ("" if instrument.inverse else ", or remove it if amount and price are right")
    )
    raise Invalid(
        f"the cost of {what} is {written(cost)}, but amount and price ({trade.get('amount')} at {trade.get('price')}{size}) make "
        f"{written(_SHOWN.plus(expected))} {currency}{hint}"
    )


def _is(trade: Structure, product: Decimal) -> bool:
    """Whether the cost is the product, as far as a float can say it."""
    given = trade["cost"]
    return given == float(product) if isinstance(given, float) else number(trade, "cost") == product


def _unrounded(cost: Decimal, contracts: Decimal, price: Decimal) -> Decimal:
    """The cash of an inverse contract without what ccxt's arithmetic took from it: 0.0099999999999996 is 600 / 60,000."""
    try:
        quotient = _SHORT.divide(contracts, price)
    except Inexact:
        return cost
    return quotient if _close(cost, quotient, _OWN_ROUNDING) else cost


def _close(cost: Decimal, expected: Decimal, most_off: Decimal = _MOST_OFF) -> bool:
    # Ratios are compared, not amounts: a premium may be 0, and a cost of any size.
    if cost == ZERO or expected == ZERO:
        return cost == expected
    return QUOTIENT.subtract(QUOTIENT.divide(cost, expected), ONE).copy_abs() <= most_off


def _is_rounded(cost: Decimal, expected: Decimal) -> bool:
    """Whether the cost is what was expected, rounded to the digits that it has."""
    half = _HALF.scaleb(int(cost.as_tuple().exponent), QUOTIENT)
    return bool(cost) and QUOTIENT.subtract(cost, expected).copy_abs() <= half


def _what(trade: Structure) -> str:
    return f"the trade {trade.get('id') or 'without an id'}"
