"""What a symbol names: the instrument that is traded. Nothing is guessed: a symbol with two readings is refused, both named.

| written | is |
| --- | --- |
| `BTC/USDT`, `BTC-USDT` | spot, if the part after the separator is a configured quote currency |
| `BTCUSDT` | spot, if exactly one known quote currency ends it, and that one is configured |
| `BTC/USDT:USDT`, `BTC/USD:BTC-260327`, `BTC/USDT:USDT-240329-60000-C` | a contract: base/quote:settle[-expiry[-strike-C or P]], as ccxt writes it |
| a key of `symbols.pairs` | what the settings say |
| anything else | refused, unless the record gives `base` and `quote` |
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jarvis_client.contract.errors import Invalid

#: Venues quote against these.
QUOTE_CURRENCIES = (
    "USDT", "USDC", "FDUSD", "USDE", "USD", "DAI", "EUR", "GBP", "JPY", "AUD", "CAD", "CHF", "TRY", "BRL",
    "BTC", "ETH", "BNB", "SOL", "XRP", "DOGE", "TRX",
)  # fmt: skip

#: Quote currencies that end symbols somewhere, configured or not. Closed on purpose: CUSD or HUSD would make BTCUSD and ETHUSD
#: ambiguous.
KNOWN_QUOTES = ("USDT", "USDC", "FDUSD", "TUSD", "BUSD", "PYUSD", "RLUSD", "USDE", "USD", "DAI", "EUR", "GBP")

_CONTRACT = re.compile(r"([A-Za-z0-9$]+)/([A-Za-z0-9$]+):([A-Za-z0-9$]+)(?:-\d{6}(-\d+(?:\.\d+)?-[CP])?)?", re.ASCII)
_CODE = re.compile(r"[A-Za-z0-9$]+", re.ASCII)
_WITHOUT_LOWER_CASE = re.compile(r"[A-Z0-9$]+", re.ASCII)
#: Kraken's own notation: an asset of four characters and a fiat currency with Z before it.
_KRAKEN = re.compile(r"[XZ][A-Z0-9]{3}Z[A-Z]{3}", re.ASCII)
_GIVE = 'give "base" and "quote", or write it as BASE/QUOTE'


class Instrument(NamedTuple):
    """What is traded: base and quote for spot; a contract by its symbol, with the currency of its cash (`settle`)."""

    name: str
    base: str
    quote: str
    settle: str | None = None
    inverse: bool = False

    @property
    def is_contract(self) -> bool:
        return self.settle is not None

    @property
    def is_quanto(self) -> bool:
        """True for a contract whose cash is neither in its base nor in its quote."""
        return self.settle is not None and not self.inverse and self.settle not in (self.base, self.quote)

    @property
    def cash_currency(self) -> str:
        return self.settle or self.quote


class Given(NamedTuple):
    """What a record says of its instrument besides the symbol; None where it says nothing."""

    base: str | None = None
    quote: str | None = None
    settle: str | None = None
    contract: bool | None = None
    inverse: bool | None = None
    has_multiplier: bool = False


def instrument_of(symbol: str, given: Given, quotes: Sequence[str], pairs: Mapping[str, str]) -> Instrument:
    """The instrument that a record names. `pairs` maps notations to `BASE/QUOTE` or a contract's symbol. Raises `Invalid`."""
    name = pairs.get(symbol, symbol)
    if symbol.islower() and symbol not in pairs and (given.base is None or given.quote is None):
        raise Invalid(f"the symbol {symbol!r} is in lower case{_meant(symbol, quotes)}; {_GIVE}")
    form = _CONTRACT.fullmatch(name)
    is_contract = form is not None or bool(given.contract) or given.settle is not None or bool(given.inverse) or given.has_multiplier
    if given.contract is False and is_contract:
        why = "its symbol" if form else "settle" if given.settle is not None else "inverse" if given.inverse else "its multiplier"
        raise Invalid(f"contract is false, but {why} says that {symbol} is a contract; leave contract out, or mend the other")
    base, quote = given.base, given.quote
    if base is None or quote is None:
        cut = (form[1], form[2]) if form else _pair(name) if symbol in pairs else cut_symbol(symbol, quotes)
        base, quote = base or cut[0], quote or cut[1]
    if base == quote:
        raise Invalid(f"base and quote are both {base}; nothing is traded against itself: mend one of them")
    if not is_contract:
        return Instrument(f"{base}/{quote}", base, quote)
    inverse = given.inverse
    if inverse is None:
        inverse = form is not None and form[3] == form[1] and form[4] is None and given.settle in (None, form[3])
    settle = given.settle or (form[3] if form else base if inverse else quote)
    if inverse and settle == quote:
        raise Invalid(f"inverse is true, but settle is the quote currency {settle}; an inverse contract settles in its base, {base}")
    return Instrument(name, base, quote, settle, inverse)


def cut_symbol(symbol: str, quotes: Sequence[str]) -> tuple[str, str]:
    """(base, quote) of a spot symbol. Raises `Invalid`, naming every reading where there are several."""
    for separator in "/-":
        base, found, quote = symbol.partition(separator)
        if found:
            if not (_CODE.fullmatch(base) and _CODE.fullmatch(quote)):
                raise _unreadable(symbol)
            if quote not in quotes:
                raise Invalid(
                    f'the symbol {symbol!r}: {quote} is no configured quote currency; give "base" and "quote", name the symbol in symbols.pairs, '
                    "or add the currency to symbols.quote_currencies"
                )
            return base, quote
    if _WITHOUT_LOWER_CASE.fullmatch(symbol) is None:
        raise _unreadable(symbol)
    readings = [(symbol[: -len(q)], q) for q in sorted({*quotes, *KNOWN_QUOTES}, key=len, reverse=True) if symbol.endswith(q) and len(symbol) > len(q)]
    if _KRAKEN.fullmatch(symbol):
        readings.insert(0, (symbol[:4], symbol[4:]))
    if len(readings) > 1:
        named = " or ".join("/".join(reading) for reading in readings)
        written = next(("/".join(r) for r in readings if r[1] in quotes), "BASE/QUOTE")
        raise Invalid(f'{symbol}: {named}? give "base" and "quote", or write it as BASE/QUOTE, such as {written}')
    if not readings or len(readings[0][0]) < 2:
        raise _unreadable(symbol)
    if readings[0][1] not in quotes:
        raise Invalid(f"the symbol {symbol!r}: {readings[0][1]} is no configured quote currency (symbols.quote_currencies); {_GIVE}")
    return readings[0]


def is_pair(text: str) -> bool:
    """True if a value of `symbols.pairs` names an instrument: BASE/QUOTE, or a contract as ccxt writes it."""
    base, _, quote = text.partition("/")
    return bool(_CONTRACT.fullmatch(text) or (_CODE.fullmatch(base) and _CODE.fullmatch(quote) and base != quote))


def notations(base: str, quote: str) -> tuple[str, str, str]:
    """The ways in which a spot instrument is written."""
    return f"{base}/{quote}", f"{base}-{quote}", f"{base}{quote}"


def _pair(name: str) -> tuple[str, str]:
    base, _, quote = name.partition("/")
    return base, quote


def _unreadable(symbol: str) -> Invalid:
    return Invalid(f"the symbol {symbol!r:.80} does not say which currencies it trades; {_GIVE}, or name it in symbols.pairs")


def _meant(symbol: str, quotes: Sequence[str]) -> str:
    try:
        return f": did you mean {'/'.join(cut_symbol(symbol.upper(), quotes))}?"
    except Invalid:
        return ""


__all__ = ["KNOWN_QUOTES", "QUOTE_CURRENCIES", "Given", "Instrument", "cut_symbol", "instrument_of", "is_pair", "notations"]
