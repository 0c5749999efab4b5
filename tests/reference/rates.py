"""What a currency is worth in USD at an instant, as one account sees it (meaning.md, 7 and 8.5)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from fractions import Fraction

from reference.facts import Fact, Fill
from reference.numbers import ONE


class Rates:
    def __init__(self, facts: Iterable[Fact], usd_like: Collection[str]) -> None:
        self.usd_like = {*usd_like, "USD"}
        #: (currency, instant) → rate. Of what was said the whole set counts from the start: an instant's rate does not depend on who asks within it.
        self.said: dict[tuple[str, int], Fraction] = {}
        self.told: dict[str, list[tuple[int, Fraction]]] = {}
        self.scaled: dict[str, list[tuple[int, Fraction]]] = {}
        records: dict[tuple[str, int], tuple[str, Fraction]] = {}
        for fact in facts:  # in the order of facts
            for currency, rate in fact.said:
                place = (currency, fact.instant)
                if fact.kind == "rate":
                    found = (str(fact.record.get("source") or ""), rate)
                    records[place] = min(records.get(place, found), found, key=lambda f: f[0])  # the first source by code point
                else:
                    self.said[place] = rate  # a carried rate over a record, the last of several
        self.said = {**{place: rate for place, (_, rate) in records.items()}, **self.said}

    def at(self, currency: str, instant: int) -> Fraction | None:
        """The newest, at or before the instant; at one instant what was said over what was told."""
        if currency == "USD":
            return ONE
        known: tuple[int, Fraction] | None = None
        if currency not in self.usd_like:  # of USD-like currencies only what was said counts
            told = [t for t in self.told.get(currency, []) if t[0] <= instant]
            newest = max((when for when, _ in told), default=0)
            known = next((t for t in reversed(told) if t[0] == newest), None)
        said = max(((when, rate) for (code, when), rate in self.said.items() if code == currency and when <= instant), default=None)
        if said is not None and (known is None or said[0] >= known[0]):
            known = said
        if known is None:
            return ONE if currency in self.usd_like else None
        since, rate = known
        for when, factor in self.scaled.get(currency, []):
            if since < when <= instant:  # 8.5: every older rate
                rate *= factor
        return rate

    def tell(self, currency: str, instant: int, rate: Fraction) -> None:
        self.told.setdefault(currency, []).append((instant, rate))

    def scale(self, currency: str, instant: int, factor: Fraction) -> None:
        """8.5: older rates × quantity before / quantity after."""
        self.scaled.setdefault(currency, []).append((instant, factor))

    def hear(self, fill: Fill) -> None:
        """What a spot fill tells: of the base, or of the quote where the base is USD-like; a price of 0 nothing (8.6)."""
        if fill.instrument.contract or fill.price <= 0:
            return
        base, quote = fill.instrument.asset[0], fill.instrument.quote
        if base not in self.usd_like:
            worth = self.at(quote, fill.instant)
            if worth is not None:
                self.tell(base, fill.instant, fill.price * worth)
        elif quote not in self.usd_like:
            worth = self.at(base, fill.instant)
            if worth is not None:
                self.tell(quote, fill.instant, worth / fill.price)
