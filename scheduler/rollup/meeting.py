"""Where a replay of late facts meets what earlier rollups left, so that nothing after it differs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date as Date
from decimal import Decimal

from jarvis_client.contract.decimals import EXACT, ZERO
from jarvis_client.contract.instants import end_of_day
from persistence.books.account_history import AccountBooks, ContractValue, DayClose
from persistence.domain.rollup import KnownRate
from persistence.repositories.rollups import Changes
from scheduler.rollup.flows import FlowReplay
from scheduler.rollup.movements import Day


@dataclass(slots=True)
class Late:
    """What came among days that were read before: `reach` is the day of the last of it, `rates` the instant of the last rate record of each
    currency."""

    reach: Date
    rates: dict[str, int] = field(default_factory=dict)


class Stored:
    """What earlier rollups left for the days from one on, to see where a replay meets it."""

    def __init__(self, books: AccountBooks, first: Date) -> None:
        self._books = books
        self._first = first
        self.days: dict[Date, Day] = defaultdict(lambda: Day({}, {}, {}))
        self._last_depending: dict[str, Date] = {}
        self._last_close: dict[str, Date] = {}
        for key, day, close in books.closes_from(first):
            self.days[day].closes[key] = close
            self._last_close[key] = max(day, self._last_close.get(key, day))
            if close.depends:
                self._last_depending[key] = max(day, self._last_depending.get(key, day))
        for currency, day, rate in books.rates_from(first):
            self.days[day].rates[currency] = rate
        for contract, day, value in books.contract_values_from(first):
            self.days[day].contracts[contract] = value
        self._waiting = sorted(self.days)
        self._at = 0
        self._old: dict[str, DayClose] = {}
        self._old_rates: dict[str, KnownRate | None] = {}
        self._new_rates: dict[str, KnownRate | None] = {}
        self._old_contracts: dict[str, ContractValue | None] = {}
        self._new_contracts: dict[str, ContractValue | None] = {}
        self._differing: set[tuple[str, str]] = set()

    def meets(self, replay: FlowReplay, day: Date, late: Late) -> bool:
        """Whether what was replayed up to a day's end is what is stored, so that nothing after it differs."""
        looked_at = set(replay.days[day].closes)
        rates, contracts = set(replay.days[day].rates), set(replay.days[day].contracts)
        while self._at < len(self._waiting) and self._waiting[self._at] <= day:
            stored = self.days[self._waiting[self._at]]
            self._old.update(stored.closes)
            self._old_rates.update(stored.rates)
            self._old_contracts.update(stored.contracts)
            looked_at |= set(stored.closes)
            rates |= set(stored.rates)
            contracts |= set(stored.contracts)
            self._at += 1
        self._new_rates.update(replay.days[day].rates)
        self._new_contracts.update(replay.days[day].contracts)
        for key in looked_at:
            self._note("asset", key, replay.asset(key).text() == self._close(key).state)
        for currency in rates:
            before = self._books.rate_before
            old, new = (known.get(currency) or before(currency, self._first) for known in (self._old_rates, self._new_rates))
            self._note("rate", currency, old == new)
        for contract in contracts:
            value = self._books.contract_value_before
            was, now = (known.get(contract) or value(contract, self._first) for known in (self._old_contracts, self._new_contracts))
            self._note("contract", contract, was == now)
        if day < late.reach or any(self._matters(replay, kind, key, day) for kind, key in self._differing):
            return False
        if any(self._last_depending.get(key, day) > day for key in self._shifts(replay)):
            return False
        end = end_of_day(day, replay.options.zone)
        return all((known := replay.rates.newest(currency, end)) is not None and known.at > at for currency, at in late.rates.items())

    def _matters(self, replay: FlowReplay, kind: str, key: str, day: Date) -> bool:
        """Whether what differs at a day's end is looked at later: the rate of what is neither held nor moved any more is not."""
        if kind != "rate":
            return True
        return bool(self._last_close.get(key, day) > day or replay.asset(key).balance or self._close(key).closing)

    def _note(self, kind: str, key: str, same: bool) -> None:
        (self._differing.discard if same else self._differing.add)((kind, key))

    def _close(self, key: str) -> DayClose:
        found = self._old.get(key)
        if found is None:
            closing, state = self._books.close_before(key, self._first)
            found = self._old[key] = DayClose(ZERO, closing, ZERO, state, False)
        return found

    def _shifts(self, replay: FlowReplay) -> dict[str, Decimal]:
        """How much more is held of each asset than was stored."""
        found = {key: EXACT.subtract(asset.balance, self._close(key).closing) for key, asset in replay.assets.items()}
        return {key: amount for key, amount in found.items() if amount}

    def shift(self, replay: FlowReplay, last: Date, changes: Changes) -> bool:
        """Carry what differs on to the days that were not read, and let the replay know of them."""
        while self._at < len(self._waiting) and self._waiting[self._at] <= last:
            self._old.update(self.days[self._waiting[self._at]].closes)
            self._at += 1
        shifts = self._shifts(replay)
        for day in self._waiting:
            if day <= last:
                continue
            found = self.days[day]
            for key, close in found.closes.items():
                if key in shifts:
                    found.closes[key] = close._replace(closing=EXACT.add(close.closing, shifts[key]))
                    changes.shifted.append((key, day, found.closes[key].closing))
            replay.days[day] = found
        return bool(shifts)


__all__ = ["Late", "Stored"]
