"""Conventions that fill the defaults of records, and the checks that every record passes, by wire or by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from persistence.domain import instants
from persistence.domain.errors import Invalid
from persistence.domain.money import ONE, Number, canonical, exact

#: Venues quote against these; the longest one that ends a symbol splits it (`BTCUSDT` is BTC and USDT).
QUOTE_CURRENCIES = (
    "USDT", "USDC", "FDUSD", "TUSD", "BUSD", "USDE", "USD", "DAI", "EUR", "GBP", "JPY", "AUD", "CAD", "CHF", "TRY", "BRL",
    "BTC", "ETH", "BNB", "SOL", "XRP", "DOGE", "TRX",
)  # fmt: skip

#: Worth one dollar each where a record gives no rate.
USD_LIKE = ("USD", "USDT", "USDC")

Moment = datetime | int


@dataclass(frozen=True, slots=True)
class Conventions:
    """What fills the defaults of records: which currencies end a symbol, which are dollars, and each account's zone."""

    quote_currencies: tuple[str, ...] = QUOTE_CURRENCIES
    usd_like: frozenset[str] = frozenset(USD_LIKE)
    time_zone: str = "UTC"
    account_time_zones: Mapping[str, str] = field(default_factory=dict, hash=False)

    def zone_of(self, account_id: str) -> ZoneInfo:
        return ZoneInfo(self.account_time_zones.get(account_id, self.time_zone))

    def split(self, symbol: str) -> tuple[str, str] | None:
        """(base, quote) of `BTC/USDT`, `BTC-USDT` or `BTCUSDT`; None where that cannot be told."""
        return _split(symbol, self.quote_currencies)

    def usd_rate(self, currency: str) -> Decimal | None:
        return ONE if currency in self.usd_like else None


@lru_cache(maxsize=4096)
def _split(symbol: str, quotes: tuple[str, ...]) -> tuple[str, str] | None:
    for separator in ("/", "-"):
        if separator in symbol:
            base, _, quote = symbol.partition(separator)
            return (base, quote) if base and quote and separator not in quote else None
    fitting = [q for q in quotes if symbol.endswith(q) and len(symbol) > len(q)]
    quote = max(fitting, key=len, default="")
    return (symbol[: -len(quote)], quote) if quote else None


@lru_cache(maxsize=4096)
def _checked_pair(symbol: str, quotes: tuple[str, ...]) -> tuple[str, str]:
    pair = _split(symbol, quotes)
    if pair is None:
        raise _unsplittable(symbol)
    return code(pair[0], "base"), code(pair[1], "quote")


def _unsplittable(symbol: str) -> Invalid:
    return Invalid(f'the symbol {symbol!r} ends with no configured quote currency; give "base" and "quote", or write it as BASE/QUOTE')


DEFAULT_CONVENTIONS = Conventions()


def identifier(value: str, name: str) -> str:
    """The same id, once it is 1 to 128 printable characters. Raises `Invalid`."""
    if not isinstance(value, str) or not 1 <= len(value) <= 128 or not value.isprintable():
        shown = repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:57]}…"
        raise Invalid(f"{name} is {shown}; an id is 1 to 128 printable characters")
    return value


def code(value: str, name: str) -> str:
    """The same currency code, once it is 1 to 32 printable characters without spaces. Raises `Invalid`."""
    if not isinstance(value, str) or not 1 <= len(value) <= 32 or not value.isprintable() or " " in value:
        raise Invalid(f'{name} is {value!r:.60}; a currency is 1 to 32 printable characters without spaces, such as "USDT"')
    return str(value)


def positive(value: Number, name: str) -> Decimal:
    number = exact(value, name)
    if number <= 0:
        raise Invalid(f"{name} is {canonical(number)}; it must be above zero")
    return number


def base_and_quote(symbol: str, base: str | None, quote: str | None, conventions: Conventions) -> tuple[str, str]:
    """Raises `Invalid` where the symbol cannot be split and the record names neither."""
    if base and quote:
        return code(base, "base"), code(quote, "quote")
    if base is None and quote is None:
        return _checked_pair(symbol, conventions.quote_currencies)
    pair = conventions.split(symbol)
    if pair is None:
        raise _unsplittable(symbol)
    return code(base or pair[0], "base"), code(quote or pair[1], "quote")


#: 2000-01-01 to 2100-01-01: an integer outside is most likely in another unit.
EARLIEST, LATEST = 946_684_800_000_000, 4_102_444_800_000_000


def instant_of(moment: Moment) -> int:
    """Microseconds UTC of a datetime with an offset, or of an integer that is one already. Raises `Invalid`."""
    if isinstance(moment, datetime):
        return instants.to_instant(moment)
    if isinstance(moment, bool) or not isinstance(moment, int):
        raise Invalid(f"{moment!r:.60} is no instant; give a datetime with an offset, or integer microseconds since 1970")
    if not EARLIEST <= moment < LATEST:
        raise Invalid(f"{moment} microseconds is outside the years 2000 to 2100: milliseconds? Times are integer microseconds")
    return moment


def text_or_empty(number: Decimal | None) -> str:
    return "" if number is None else canonical(number)


def rate(given: Number | None, currency: str, conventions: Conventions, name: str) -> Decimal | None:
    return conventions.usd_rate(currency) if given is None else positive(given, name)
