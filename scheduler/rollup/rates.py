"""The rate of a currency at an instant: the newest, at or before it, of what somebody said and of what the account's spot fills tell.

| at one instant | counts over |
| --- | --- |
| a rate that a record of the account carries | what a rate record says |
| a rate record, the first source by code point | what a price tells |

Among several that are carried, or several that are told, the last in the order of facts counts. Of what is like a dollar only what was
said counts, else 1; a dollar is always 1.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection
from decimal import Decimal

from jarvis_client.contract.decimals import EXACT
from persistence.domain.rollup import PAR, KnownRate, UsdRate

#: Currencies whose stretch between two rate records is remembered.
_REMEMBERED = 512
#: Later than every record.
_EVER = 2**62

#: (currency, instant) → the newest rate record at or before it, and the instant of the first after it.
Said = Callable[[str, int], tuple[KnownRate | None, int | None]]


class Rates:
    """What is known of currencies as the facts of an account are replayed. `told_before` gives what an account's own records told of a
    currency before the replay, `said` reads rate records."""

    def __init__(self, usd_like: Collection[str], told_before: Callable[[str], KnownRate | None], said: Said) -> None:
        self._usd_like = usd_like
        self._told_before = told_before
        self._said = said
        self._told: dict[str, KnownRate | None] = {}
        self._stretches: OrderedDict[str, tuple[int, int | None, KnownRate | None]] = OrderedDict()
        #: How long what is like a dollar stays worth one: from and until which instant nobody says otherwise.
        self._par: dict[str, tuple[int, int]] = {}
        #: What was learnt since `new` was last emptied.
        self.new: dict[str, KnownRate] = {}

    def learn(self, currency: str, rate: UsdRate, at: int, *, carried: bool = False) -> None:
        """Take in what a record carries, or a price tells."""
        if currency == "USD" or (not carried and currency in self._usd_like):
            return
        known = self.told(currency)
        self._par.pop(currency, None)
        if known is None or at > known.at or (at == known.at and (carried or not known.carried)):
            self._told[currency] = self.new[currency] = KnownRate(at, rate, carried)

    def told(self, currency: str) -> KnownRate | None:
        """What the account's own records told last."""
        try:
            return self._told[currency]
        except KeyError:
            found = self._told[currency] = self._told_before(currency)
            return found

    def newest(self, currency: str, at: int) -> KnownRate | None:
        """What counts at an instant; None where nothing is known. What is like a dollar has none of its own until one is said."""
        return _newest(self.said(currency, at), self.told(currency)) if currency != "USD" else None

    def at(self, currency: str, at: int) -> UsdRate | None:
        """The rate at an instant."""
        if (par := self._par.get(currency)) is not None and par[0] <= at < par[1]:
            return PAR
        told = self.told(currency)
        found = self.between(currency, at, told)
        if found is PAR and told is None:
            since, until, said = self._stretches.get(currency, (0, None, None))
            if said is None:
                self._par[currency] = since, _EVER if until is None else until
        return found

    def between(self, currency: str, at: int, told: KnownRate | None) -> UsdRate | None:
        """The rate at an instant, where `told` is what the account's own records told last by then."""
        newest = _newest(self.said(currency, at), told) if currency != "USD" else None
        if newest is not None:
            return newest.rate
        return PAR if currency == "USD" or currency in self._usd_like else None

    def said(self, currency: str, at: int) -> KnownRate | None:
        """The newest rate record at or before an instant."""
        known = self._stretches.get(currency)
        if known is None or at < known[0] or (known[1] is not None and at >= known[1]):
            found, until = self._said(currency, at)
            since = found.at if found is not None else 0
            known = self._stretches[currency] = since, until, found
            if len(self._stretches) > _REMEMBERED:
                self._stretches.popitem(last=False)
        return known[2]

    def teach(self, base: str, quote: str, price: Decimal, quote_rate: UsdRate | None, at: int) -> None:
        """What a spot fill tells: of its base where that is not like a dollar, else of its quote. A price of nothing tells nothing."""
        if price <= 0:
            return
        if base not in self._usd_like and base != "USD":
            if quote_rate is not None:
                self.learn(base, UsdRate(price) if quote_rate is PAR else UsdRate(EXACT.multiply(price, quote_rate.usd), quote_rate.per), at)
        elif quote not in self._usd_like and quote != "USD":
            of_base = self.at(base, at)
            assert of_base is not None
            self.learn(quote, UsdRate(of_base.usd, EXACT.multiply(of_base.per, price)), at)


def _newest(said: KnownRate | None, told: KnownRate | None) -> KnownRate | None:
    if said is None or told is None:
        return said or told
    return said if said.at > told.at or (said.at == told.at and not told.carried) else told


__all__ = ["Rates"]
