"""What a structure trades: by its unified symbol, and, of a contract, by its market."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from jarvis_client.ccxt.structures import Record, Structure, Unsaid, needed_text, number, text, written
from jarvis_client.ccxt.venues import COUNTS_IN_UNITS, SIZE_HAS_A_FACTOR
from jarvis_client.contract.decimals import EXACT, ONE, ZERO, exact
from jarvis_client.contract.errors import Invalid

#: BASE/QUOTE[:SETTLE[-EXPIRY[-STRIKE-C or P]]]; a code may hold a hyphen (XYZ-TSLA/USDC:USDC), the settle currency none.
_UNIFIED = re.compile(r"(?P<base>[^\s/:]+)/(?P<quote>[^\s/:]+)(?::(?P<settle>[^\s/:-]+)(?:-\d{6}(?P<option>-[0-9.]+-[CP])?)?)?")


@dataclass(frozen=True, slots=True)
class Traded:
    """What is traded. `settle` is None for spot; a coin-settled option is not `inverse`: its premium is paid in the coin."""

    symbol: str
    base: str
    quote: str
    settle: str | None = None
    is_option: bool = False
    multiplier: Decimal = ONE

    @property
    def inverse(self) -> bool:
        return self.settle is not None and self.settle == self.base and not self.is_option

    @property
    def is_quanto(self) -> bool:
        return self.settle is not None and self.settle not in (self.base, self.quote)

    def fields(self) -> Record:
        """The fields of fills and orders that say it, so that no setting of the books has to."""
        spot = {"symbol": self.symbol, "base": self.base, "quote": self.quote}
        if self.settle is None:
            return spot
        return {**spot, "settle": self.settle, "inverse": self.inverse, "multiplier": written(self.multiplier)}


def traded(structure: Structure, market: Structure | None, exchange: str, what: str) -> Traded:
    """What a structure trades. Raises `Invalid` where the symbol is not unified, or the size of a contract is not known."""
    symbol = needed_text(structure, "symbol", what)
    form = _UNIFIED.fullmatch(symbol)
    if form is None:
        raise Invalid(f"the symbol {symbol!r:.80} of {what} is not ccxt's own, such as BTC/USDT or BTC/USDT:USDT; call load_markets() before you fetch")
    if market is not None and market.get("symbol") != symbol:
        raise Invalid(f"the market is that of {market.get('symbol')!r:.80}, and {what} is of {symbol}; give the market of {symbol}")
    if form["settle"] is None:
        return Traded(symbol, form["base"], form["quote"])
    if market is None:
        raise Unsaid(f"{symbol} is a contract, whose size stands in its market", "market", f"give exchange.market({symbol!r})")
    return Traded(symbol, form["base"], form["quote"], form["settle"], form["option"] is not None, _size(market, symbol, exchange))


def pair_of(symbol: str) -> tuple[str, str | None]:
    """The quote of a unified symbol, and its settle currency: None for spot. Raises `Invalid`."""
    form = _UNIFIED.fullmatch(symbol)
    if form is None:
        raise Invalid(f"the symbol {symbol!r:.80} is not ccxt's own, such as BTC/USDT or BTC/USDT:USDT; call load_markets() before you fetch")
    return form["quote"], form["settle"]


def _size(market: Structure, symbol: str, exchange: str) -> Decimal:
    size = number(market, "contractSize")
    if size is None or size <= ZERO:
        raise Invalid(f"the market of {symbol} has no contractSize; put the size of one contract there, as the exchange states it")
    if exchange in COUNTS_IN_UNITS:
        return ONE
    if exchange in SIZE_HAS_A_FACTOR:
        factor = text(market.get("info") or {}, "ctMult")
        if factor is not None:
            return EXACT.multiply(size, exact(factor, "ctMult"))
        if market.get("option"):
            raise Invalid(
                f"the market of {symbol} has no info.ctMult: {exchange}'s options are ctVal × ctMult, of which contractSize ({written(size)}) is ctVal alone; "
                "keep info with the market"
            )
    return size
