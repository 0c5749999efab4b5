"""What the books of an account are worth at the ends of days: everything that is held, less what is borrowed, at the rates of that moment."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import date as Date
from decimal import Decimal
from typing import NamedTuple

from jarvis_client.contract.decimals import EXACT, ZERO
from persistence.books.account_history import AccountBooks, ContractValue, DayClose
from persistence.domain.rollup import KnownRate, UsdRate, name_and_kind
from scheduler.rollup.days import day_of
from scheduler.rollup.options import RollupOptions
from scheduler.rollup.replay import Replay


class BooksValue(NamedTuple):
    """What the books were worth; None where currencies that are held have no rate: `unknown` names them."""

    usd: Decimal | None
    unknown: tuple[str, ...] = ()


class Holdings:
    """What was held at the ends of days from one on: as a replay found it out, and before and beyond it as it is stored."""

    def __init__(self, books: AccountBooks, replay: Replay, options: RollupOptions, low: Date) -> None:
        self._books = books
        self._replay = replay
        self._options = options
        self._low = low
        self._held: dict[str, Decimal] = {}
        self._told: dict[str, KnownRate | None] = {}
        self._contracts: dict[str, ContractValue | None] = {}

    def values(self, wanted: Collection[Date], wants: Callable[[Date], bool]) -> Iterator[tuple[Date, BooksValue]]:
        """The value at the end of each day that is wanted, and of those on which something moved that `wants` chooses, the oldest first."""
        days = self._days()
        first = self._books.next_transaction_at(-(2**62))
        begun = None if first is None else day_of(first, self._options.zone)
        # Without any movement there are no books to be worth anything.
        looked_at = [day for day in sorted({*(day for day in days if wants(day)), *wanted}) if begun is not None and day >= begun]
        if not looked_at:
            return
        self._held = {key: amount for key in self._books.holdings() if (amount := self._books.held_before(key, self._low))}
        moving = iter(sorted(days))
        following = next(moving, None)
        for day in looked_at:
            while following is not None and following <= day:
                closes, rates, contracts = days[following]
                for key, close in closes.items():
                    self._held[key] = _owned(close)
                self._told.update(rates)
                self._contracts.update(contracts)
                following = next(moving, None)
            yield day, self._value(day)

    def _days(self) -> dict[Date, tuple[dict[str, DayClose], dict[str, KnownRate], dict[str, ContractValue]]]:
        replay, books = self._replay, self._books
        found: dict[Date, tuple[dict[str, DayClose], dict[str, KnownRate], dict[str, ContractValue]]] = {}
        if self._low < replay.first:
            for key, day, close in books.closes_from(self._low):
                found.setdefault(day, ({}, {}, {}))[0][key] = close
            for currency, day, rate in books.rates_from(self._low):
                found.setdefault(day, ({}, {}, {}))[1][currency] = rate
            for contract, day, value in books.contract_values_from(self._low):
                found.setdefault(day, ({}, {}, {}))[2][contract] = value
            found = {day: known for day, known in found.items() if not replay.first <= day <= replay.last}
        found.update({day: (known.closes, known.rates, known.contracts) for day, known in replay.days.items()})
        return found

    def _value(self, day: Date) -> BooksValue:
        total, unknown = ZERO, set()
        for key, amount in self._held.items():
            if not amount:
                continue
            name, kind = name_and_kind(key)
            if kind == "contract":
                value = self._contract(key)
                if value is None:
                    unknown.add(name)
                    continue
                amount, name = value.of(amount), value.settle
            rate = self._rate(name, day)
            if rate is None:
                unknown.add(name)
            else:
                total = EXACT.add(total, rate.of(amount))
        return BooksValue(None, tuple(sorted(unknown))) if unknown else BooksValue(total)

    def _contract(self, key: str) -> ContractValue | None:
        if key not in self._contracts:
            self._contracts[key] = self._books.contract_value_before(key, self._low)
        return self._contracts[key]

    def _rate(self, currency: str, day: Date) -> UsdRate | None:
        if currency not in self._told:
            self._told[currency] = self._books.rate_before(currency, self._low)
        return self._replay.rate_by(currency, day, self._told[currency])


def _owned(close: DayClose) -> Decimal:
    return EXACT.subtract(close.closing, close.debt) if close.debt else close.closing


__all__ = ["BooksValue", "Holdings"]
