"""Conventions that fill the defaults of records, and the checks that every record passes, by wire or by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from jarvis_client.contract import instants
from jarvis_client.contract.decimals import EXACT, ONE, ZERO, Number, canonical, exact
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.showing import shown
from jarvis_client.contract.symbols import QUOTE_CURRENCIES, Given, Instrument, cut_symbol, instrument_of, is_pair

#: Worth one dollar each unless somebody said otherwise.
USD_LIKE = ("USD", "USDT", "USDC")
#: Instruments that are remembered: more than any account trades.
REMEMBERED = 4_096

Moment = datetime | int


@dataclass(frozen=True, slots=True)
class Conventions:
    """What fills the defaults of records: which currencies end a symbol, which are dollars, and each account's days, by `day_zone_name`.

    `pairs` maps notations to instruments: `{"XBTUSD": "XBT/USD", "BTC-PERP": "BTC/USDT:USDT"}`.
    """

    quote_currencies: tuple[str, ...] = QUOTE_CURRENCIES
    usd_like: frozenset[str] = frozenset(USD_LIKE)
    time_zone: str = "UTC"
    account_time_zones: Mapping[str, str] = field(default_factory=dict, hash=False)
    pairs: Mapping[str, str] = field(default_factory=dict, hash=False)
    #: Instruments by symbol and what else records said of them: symbols repeat.
    known: dict[tuple[object, ...], Instrument] = field(default_factory=dict, hash=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        for notation, target in self.pairs.items():
            if not is_pair(target):
                raise Invalid(f"symbols.pairs: {notation} is {target!r}; write BASE/QUOTE, or a contract as BASE/QUOTE:SETTLE")

    def zone_of(self, account_id: str) -> instants.DayZone:
        return instants.day_zone(self.account_time_zones.get(account_id, self.time_zone))

    def instrument(
        self,
        symbol: str,
        base: str | None = None,
        quote: str | None = None,
        settle: str | None = None,
        contract: bool | None = None,
        inverse: bool | None = None,
        has_multiplier: bool = False,
    ) -> Instrument:
        """What a record trades, by its symbol and what it says besides. Raises `Invalid` where that can be read in two ways or none."""
        key = (symbol, base, quote, settle, contract, inverse, has_multiplier)
        found = self.known.get(key)
        if found is None:
            for name, given in (("base", base), ("quote", quote), ("settle", settle)):
                if given is not None:
                    code(given, name)
            said = Given(base, quote, settle, contract, inverse, has_multiplier)
            found = instrument_of(identifier(symbol, "symbol"), said, self.quote_currencies, self.pairs)
            if len(self.known) >= REMEMBERED:
                self.known.clear()
            self.known[key] = found
        return found

    def split(self, symbol: str) -> tuple[str, str] | None:
        """(base, quote) of a spot symbol; None where it does not say them."""
        try:
            return cut_symbol(symbol, self.quote_currencies)
        except Invalid:
            return None


DEFAULT_CONVENTIONS = Conventions()


def identifier(value: str, name: str) -> str:
    """The same id, once it is 1 to 128 printable characters, none of them a blank at either end. Raises `Invalid`."""
    if not isinstance(value, str) or not 1 <= len(value) <= 128 or not value.isprintable() or value != value.strip():
        raise Invalid(f"{name} is {shown(value)}; an id is 1 to 128 printable characters, without blanks at its ends")
    return value


def code(value: str, name: str) -> str:
    """The same currency code, once it is 1 to 32 printable characters without spaces. Raises `Invalid`."""
    if not isinstance(value, str) or not 1 <= len(value) <= 32 or not value.isprintable() or any(c.isspace() for c in value):
        raise Invalid(f'{name} is {shown(value)}; a currency is 1 to 32 printable characters without spaces, such as "USDT"')
    return str(value)


def storable_text(value: str, name: str) -> str:
    """The same text, once every store can keep it: no NUL, no half of a character. Raises `Invalid`."""
    if not isinstance(value, str):
        raise Invalid(f"{name} is {shown(value)}; it must be text")
    if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
        raise Invalid(f"{name} is {shown(value)}; a NUL or half a character (a lone surrogate) is no text: leave it out")
    return value


def positive(value: Number, name: str) -> Decimal:
    number = exact(value, name)
    if number <= 0:
        raise Invalid(f"{name} is {canonical(number)}; it must be above zero")
    return number


#: 2000-01-01 to 2100-01-01: an integer outside is most likely in another unit.
EARLIEST, LATEST = 946_684_800_000_000, 4_102_444_800_000_000


def instant_of(moment: Moment) -> int:
    """Microseconds UTC of a datetime with an offset, or of an integer that is one already. Raises `Invalid`."""
    if isinstance(moment, datetime):
        return instants.to_instant(moment)
    if isinstance(moment, bool) or not isinstance(moment, int):
        raise Invalid(f"{moment!r:.60} is no instant; give a datetime with an offset, or integer microseconds since 1970")
    if not EARLIEST <= moment < LATEST:
        raise Invalid(f"{moment} microseconds is outside the years 2000 to 2100{_other_unit(moment)}. Times are integer microseconds")
    return moment


def _other_unit(count: int) -> str:
    """The unit in which a count since 1970 would lie in those years."""
    for unit, instant in (("milliseconds", count * 1_000), ("seconds", count * 1_000_000), ("nanoseconds", count // 1_000)):
        if EARLIEST <= instant < LATEST:
            return f": {unit}? {'Multiply by' if instant > count else 'Divide by'} {max(instant // count, count // instant):,}"
    return ""


def text_or_empty(number: Decimal | None) -> str:
    return "" if number is None else canonical(number)


def usd_rate(given: Number | None, currency: str, name: str) -> Decimal | None:
    """The USD value of one unit that a record gives; 0 says worthless, None says nothing. Raises `Invalid`."""
    if given is None:
        return None
    number = exact(given, name)
    if number < ZERO:
        raise Invalid(f"{name} is {canonical(number)}; a rate is not below zero")
    if currency == "USD" and number != ONE:
        raise Invalid(f"{name} is {canonical(number)}; a dollar is worth one dollar: leave it out, or name the other currency")
    return number


def cash_of(instrument: Instrument, quantity: Decimal, price: Decimal, multiplier: Decimal, given: Decimal | None) -> Decimal:
    """The cash of a fill, with the sign of its price: the venue's own amount, else quantity × price × multiplier. Raises `Invalid`."""
    if given is None:
        if instrument.inverse or instrument.is_quanto:
            what, quotient = ("quanto", "")
            if instrument.inverse:
                what = "inverse"
                quotient = f" (quantity × multiplier / price: {canonical(quantity)} × {canonical(multiplier)} / {canonical(price)})"
            raise Invalid(
                f"quote_quantity is missing; {instrument.name} is {what}, so its cash is the venue's own amount in {instrument.settle}{quotient}: "
                "give quote_quantity"
            )
        return EXACT.multiply(EXACT.multiply(quantity, price), multiplier)
    if _sign(given) != _sign(price):
        raise Invalid(
            f"quote_quantity is {canonical(given)} where price is {canonical(price)}; it has the sign of the price on either side: "
            "the side says which way the money goes"
        )
    return given


def _sign(number: Decimal) -> int:
    return (number > 0) - (number < 0)
