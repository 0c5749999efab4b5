"""Exact money.

| operation | result |
| --- | --- |
| `Money(a, c) + Money(b, c)`, `-`, unary `-`, `abs()` | Money, exact |
| `Money(a, c) * n` (n: Decimal, int, str or float) | Money, exact |
| `Money(a, c) < Money(b, c)`, `max`, `sorted`, `sum` | by amount |
| any of these with two currencies | `CurrencyMismatch` |
| `round(m, 2)` | Money, half to even |
| `f"{m:,.2f}"` | the amount in that form, then the currency |
| division | not offered: it would have to round |
| `float(m)` | refused: it would drop the currency and round in silence; `float(m.amount)` says so |

A float stands for its shortest text (`0.1` is 0.1), so nothing here ever sees a binary fraction.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import ClassVar, Never

from jarvis_client.contract.decimals import EXACT, MAX_WHOLE_DIGITS, ZERO, Number, canonical, exact
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.showing import first_few, shown
from persistence.domain.errors import CurrencyMismatch, InsufficientFunds
from persistence.domain.sharing import Shared

#: Rounds to places after the point, however long the number.
_ROUNDED = Context(prec=2_000, rounding=ROUND_HALF_EVEN, Emin=-100_000, Emax=100_000)


class Currency(str):
    """A currency by its code. An open set: the usual ones are attributes (`Currency.USDT`), any other is `Currency("PEPE")`.

    Codes are kept as given: `stETH` is not `STETH`.
    """

    __slots__ = ()

    USD: ClassVar[Currency]
    EUR: ClassVar[Currency]
    GBP: ClassVar[Currency]
    JPY: ClassVar[Currency]
    CHF: ClassVar[Currency]
    BRL: ClassVar[Currency]
    USDT: ClassVar[Currency]
    USDC: ClassVar[Currency]
    DAI: ClassVar[Currency]
    FDUSD: ClassVar[Currency]
    TUSD: ClassVar[Currency]
    BUSD: ClassVar[Currency]
    BTC: ClassVar[Currency]
    ETH: ClassVar[Currency]
    BNB: ClassVar[Currency]
    SOL: ClassVar[Currency]
    XRP: ClassVar[Currency]
    ADA: ClassVar[Currency]
    DOGE: ClassVar[Currency]
    LTC: ClassVar[Currency]
    DOT: ClassVar[Currency]
    AVAX: ClassVar[Currency]
    LINK: ClassVar[Currency]
    MATIC: ClassVar[Currency]
    TRX: ClassVar[Currency]

    def __new__(cls, code: str) -> Currency:
        if not isinstance(code, str) or not 1 <= len(code) <= 32 or not code.isprintable() or " " in code:
            raise Invalid(f'{shown(code)} is no currency code; use 1 to 32 printable characters without spaces, such as "USDT"')
        return super().__new__(cls, code)

    @property
    def code(self) -> str:
        return str.__str__(self)

    #: Enumerations call it so, and callers of the persistence summary expect an enumeration.
    value = code
    name = code

    def __repr__(self) -> str:
        return f"Currency({str.__repr__(self)})"


class ContractCode(Currency):
    """What a contract's balance is counted in: the contract, by its symbol. A contract named BTC is not the coin."""

    __slots__ = ()

    def __new__(cls, code: str) -> ContractCode:
        return str.__new__(cls, code)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ContractCode) and str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(("contract", str.__str__(self)))

    def __repr__(self) -> str:
        return f"ContractCode({str.__repr__(self)})"


WELL_KNOWN = tuple(Currency(code) for code in Currency.__annotations__)
for _currency in WELL_KNOWN:
    setattr(Currency, _currency.code, _currency)


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An exact amount of one currency. Takes Decimal, int, str or float (by its shortest text)."""

    amount: Decimal
    currency: Currency

    def __init__(self, amount: Number, currency: Currency | str) -> None:
        object.__setattr__(self, "amount", amount if type(amount) is Decimal and amount.is_finite() else exact(amount))
        object.__setattr__(self, "currency", currency if isinstance(currency, Currency) else Currency(currency))

    def __add__(self, other: Money) -> Money:
        return Money(EXACT.add(self.amount, self._same_currency(other)), self.currency)

    def __radd__(self, other: object) -> Money:
        """What `sum` needs: it begins with 0. Any other number has no currency, so it is refused."""
        if type(other) is int and other == 0:
            return self
        raise Invalid(f"{shown(other)} is not Money; write Money({shown(other)}, Currency.{self.currency})")

    def __sub__(self, other: Money) -> Money:
        return Money(EXACT.subtract(self.amount, self._same_currency(other)), self.currency)

    def __mul__(self, factor: Number) -> Money:
        return Money(EXACT.multiply(self.amount, exact(factor, "factor")), self.currency)

    __rmul__ = __mul__

    def __neg__(self) -> Money:
        return Money(EXACT.minus(self.amount), self.currency)

    def __abs__(self) -> Money:
        return Money(EXACT.abs(self.amount), self.currency)

    def __bool__(self) -> bool:
        return bool(self.amount)

    def __lt__(self, other: Money) -> bool:
        return self.amount < self._same_currency(other)

    def __le__(self, other: Money) -> bool:
        return self.amount <= self._same_currency(other)

    def __gt__(self, other: Money) -> bool:
        return self.amount > self._same_currency(other)

    def __ge__(self, other: Money) -> bool:
        return self.amount >= self._same_currency(other)

    def __str__(self) -> str:
        return f"{canonical(self.amount)} {self.currency}"

    def __format__(self, spec: str) -> str:
        if not spec:
            return str(self)
        # Without a form of its own a number may come out with an exponent, which str(money) never does.
        form = spec if spec[-1].isalpha() or spec[-1] == "%" or "." in spec else f"{spec}f"
        try:
            return f"{format(Decimal(canonical(self.amount)), form)} {self.currency}"
        except ValueError as error:
            raise Invalid(f"{spec!r:.60} is no form for an amount; write one as for a number, such as {{money:,.2f}}") from error

    def __round__(self, places: int = 0) -> Money:
        if isinstance(places, bool) or not isinstance(places, int):
            raise Invalid(f"{shown(places)} is no number of places; give a whole one: round(money, 2)")
        exponent = self.amount.as_tuple().exponent
        if isinstance(exponent, int) and -exponent <= places:
            return self
        if -places > MAX_WHOLE_DIGITS:
            return Money(ZERO, self.currency)
        return Money(self.amount.quantize(Decimal((0, (1,), -places)), context=_ROUNDED), self.currency)

    def __float__(self) -> Never:
        raise Invalid(f"{self} is no float: that would drop the currency and round; where that is meant, write float(money.amount)")

    def _same_currency(self, other: Money) -> Decimal:
        if not isinstance(other, Money):
            raise Invalid(f"{shown(other)} is not Money; write Money({shown(other)}, Currency.{self.currency})")
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self} and {other} do not mix; convert one of them at a rate you choose first")
        return other.amount


Figures = dict[Currency, tuple[Decimal, Decimal]]
_NOTHING = (ZERO, ZERO)


class Balance(Shared):
    """What an account holds: per currency `available`, `reserved`, and their sum `total`.

    A change of `available` is a change of `total`; `reserve` and `release` move between the two. A balance remembers what it
    was when it was loaded or saved, so that a save writes the change and never undoes what others did meanwhile. Threads may share it.
    """

    __slots__ = ("_available", "_reserved", "saved")

    def __init__(self, available: dict[Currency, Decimal] | None = None, reserved: dict[Currency, Decimal] | None = None) -> None:
        self._available: dict[Currency, Decimal] = dict(available or {})
        self._reserved: dict[Currency, Decimal] = dict(reserved or {})
        self.saved: Figures = {}

    @property
    def currencies(self) -> list[Currency]:
        """The currencies that hold something, in code order."""
        return sorted(c for c, figures in self.figures().items() if any(figures))

    def available(self, currency: Currency | str) -> Money:
        return Money(self._available.get(Currency(currency), ZERO), currency)

    def reserved(self, currency: Currency | str) -> Money:
        return Money(self._reserved.get(Currency(currency), ZERO), currency)

    def total(self, currency: Currency | str) -> Money:
        with self.lock:
            return self.available(currency) + self.reserved(currency)

    get_available, get_reserved, get_total = available, reserved, total

    def add_available(self, money: Money) -> None:
        """A negative amount takes away, below zero too."""
        self._move(_checked(money), money.amount, ZERO)

    def subtract_available(self, money: Money) -> None:
        """Raises `InsufficientFunds` where less is available; the books themselves record what happened and refuse nothing."""
        with self.lock:
            self._require(money)
            self._move(money.currency, EXACT.minus(money.amount), ZERO)

    def reserve(self, money: Money) -> None:
        """Move from available to reserved. Raises `InsufficientFunds`."""
        with self.lock:
            self._require(money)
            self._move(money.currency, EXACT.minus(money.amount), money.amount)

    def release(self, money: Money) -> None:
        """Move from reserved back to available. Raises `InsufficientFunds` where less is reserved."""
        with self.lock:
            currency = _not_negative(money)
            if self._reserved.get(currency, ZERO) < money.amount:
                raise InsufficientFunds(f"cannot release {money}: only {self.reserved(currency)} is reserved")
            self._move(currency, money.amount, EXACT.minus(money.amount))

    def figures(self) -> Figures:
        """(available, reserved) per currency, of one moment."""
        with self.lock:
            return {c: (self._available.get(c, ZERO), self._reserved.get(c, ZERO)) for c in {*self._available, *self._reserved}}

    def changes(self) -> Figures:
        """Per currency, what `total` and `reserved` changed by since the balance was loaded or saved; unchanged ones are left out."""
        with self.lock:
            return changes_between(self.saved, self.figures())

    def mark_saved(self) -> None:
        """From here on, `changes` counts from the present figures."""
        with self.lock:
            self.saved = self.figures()

    def shift(self, held: Figures, saved: Figures) -> None:
        """Move the figures, and those that count as saved, each by so much: what came meanwhile stays."""
        with self.lock:
            for currency, (available, reserved) in held.items():
                self._move(currency, available, reserved)
            self.saved = moved(self.saved, saved)

    def _move(self, currency: Currency, available: Decimal, reserved: Decimal) -> None:
        with self.lock:
            self._available[currency] = EXACT.add(self._available.get(currency, ZERO), available)
            if reserved:
                self._reserved[currency] = EXACT.add(self._reserved.get(currency, ZERO), reserved)

    def _require(self, money: Money) -> None:
        _not_negative(money)
        if self._available.get(money.currency, ZERO) < money.amount:
            raise InsufficientFunds(f"{money} is more than the {self.available(money.currency)} available; deposit first, or take less")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Balance):
            return NotImplemented
        currencies = {*self.currencies, *other.currencies}
        return all(self.available(c) == other.available(c) and self.reserved(c) == other.reserved(c) for c in currencies)

    __hash__ = None  # type: ignore[assignment]  # mutable, so it must not be a key

    def __str__(self) -> str:
        parts = [f"{self.total(c)}" + (f" ({self.reserved(c).amount:f} reserved)" if self.reserved(c) else "") for c in self.currencies]
        return first_few(parts, 20) or "empty"

    def __repr__(self) -> str:
        return f"<Balance {self}>"


def changes_between(before: Figures, after: Figures) -> Figures:
    """Per currency, what total and reserved changed by; unchanged ones are left out."""
    found = {}
    for currency in sorted({*before, *after}):
        (was_available, was_reserved), (available, reserved) = before.get(currency, _NOTHING), after.get(currency, _NOTHING)
        total = EXACT.subtract(EXACT.add(available, reserved), EXACT.add(was_available, was_reserved))
        held = EXACT.subtract(reserved, was_reserved)
        if total or held:
            found[currency] = (total, held)
    return found


def moved(figures: Figures, by: Figures, sign: int = 1) -> Figures:
    """Figures and others added to them, or taken from them with a `sign` of -1."""
    found = dict(figures)
    for currency, (available, reserved) in by.items():
        was = found.get(currency, _NOTHING)
        found[currency] = EXACT.add(was[0], EXACT.multiply(available, Decimal(sign))), EXACT.add(was[1], EXACT.multiply(reserved, Decimal(sign)))
    return found


def _checked(money: Money) -> Currency:
    if not isinstance(money, Money):
        raise Invalid(f"{shown(money)} is not Money; write Money({shown(money)}, Currency.USDT), or in whichever currency it is")
    return money.currency


def _not_negative(money: Money) -> Currency:
    currency = _checked(money)
    if money.amount < 0:
        raise Invalid(f"{money} is a negative amount; the method says which way it goes, so give it without the minus")
    return currency
