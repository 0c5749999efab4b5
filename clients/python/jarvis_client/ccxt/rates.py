"""Tickers as rates: what `fetch_ticker` returns."""

from __future__ import annotations

from jarvis_client.ccxt.structures import Structure, Unsaid, instant, moment, needed, needed_instant, needed_text, text, written
from jarvis_client.contract.conventions import Moment, instant_of
from jarvis_client.contract.decimals import EXACT, ONE, Number, exact
from jarvis_client.contract.errors import Invalid
from jarvis_client.fields import RateFields


def rate_from_ccxt(ticker: Structure, *, exchange: str, quote_usd_rate: Number | None = None, observed_at: Moment | None = None) -> RateFields:
    """What the base of a spot market was worth in USD, by its last price; the exchange is its source.

    `quote_usd_rate` has to be said where the quote is not USD: 1, if you take USDT for a dollar. `observed_at` is for tickers without a
    time. Raises `Invalid` for contracts: no contract's price tells a coin's rate.
    """
    symbol = needed_text(ticker, "symbol", "the ticker")
    base, slash, quote = symbol.partition("/")
    if not slash or ":" in quote:
        raise Invalid(f"the ticker is of {symbol!r:.80}; a rate comes from a spot market, such as BTC/USDT: no contract's price tells a coin's rate")
    if quote != "USD" and quote_usd_rate is None:
        raise Unsaid(
            f"the ticker of {symbol} says {base} in {quote}",
            "quote_usd_rate",
            f"say what one {quote} is worth in USD: quote_usd_rate=… (1, if you take it for a dollar)",
        )
    rate = ONE if quote_usd_rate is None else exact(quote_usd_rate, "quote_usd_rate")
    last = needed(ticker, "last", f"the ticker of {symbol}")
    if observed_at is not None:
        at = instant_of(observed_at)
    elif instant(ticker, "timestamp") is None and text(ticker, "datetime") is None:
        raise Unsaid(f"the ticker of {symbol} has no time", "observed_at", "say observed_at=…")
    else:
        at = needed_instant(ticker, f"the ticker of {symbol}")
    return {"currency": base, "usd_rate": written(EXACT.multiply(last, rate)), "observed_at": moment(at), "source": exchange}
