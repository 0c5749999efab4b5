"""The assets of an account while its facts are replayed: what moves them, what follows from it, and who is told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import date as Date
from decimal import Decimal
from typing import NamedTuple

from jarvis_client.contract.decimals import EXACT
from jarvis_client.contract.facts import Charge
from persistence.books.account_facts import FlowRow
from persistence.books.account_history import AccountBooks, ContractValue, DayClose
from persistence.domain.rollup import PAR, ClosedTrade, FlowValue, KnownRate, Oddity, name_and_kind
from persistence.repositories.rollups import Changes
from scheduler.rollup.assets import Asset, lots_of
from scheduler.rollup.days import ONE_DAY
from scheduler.rollup.lots import Origin, Taken
from scheduler.rollup.options import RollupOptions
from scheduler.rollup.rates import Rates
from scheduler.rollup.trades import RatedCharge


class Moved(NamedTuple):
    """One movement of an asset, as a listener hears of it: `value` in USD is signed as the amount is."""

    asset: str
    amount: Decimal
    value: Decimal | None
    origin: Origin
    taken: tuple[Taken, ...]
    record: str


class Day(NamedTuple):
    """What was found out for the end of a day, or is stored for it."""

    closes: dict[str, DayClose]
    rates: dict[str, KnownRate]
    contracts: dict[str, ContractValue]


class Movements:
    """The state of a replay. `changes` takes what has to be stored, `listener` hears of every movement."""

    def __init__(
        self,
        books: AccountBooks,
        options: RollupOptions,
        changes: Changes,
        first: Date,
        *,
        progress: Callable[[Date], None] = lambda _: None,
        listener: Callable[[Moved], None] | None = None,
    ) -> None:
        self._books = books
        self.options = options
        self._changes = changes
        self.first = first
        self._progress = progress
        self._listener = listener
        self.assets: dict[str, Asset] = {}
        self._touched: set[str] = set()
        self._day = first
        self.rates = Rates(options.usd_like, lambda currency: books.rate_before(currency, first), books.said_at)
        self._contracts: dict[str, ContractValue] = {}
        self._later_fees: dict[int, list[Charge]] = {}
        #: Both halves of renames, by the number of either; those that were done.
        self._pairs: dict[int, tuple[FlowRow, FlowRow]] = {}
        self._renamed: set[int] = set()
        self._trades: dict[Date, list[ClosedTrade]] = defaultdict(list)
        self._trade_days: list[Date] = []
        #: What is known of the ends of days from the first on: found out, and beyond the last that was read as it is stored.
        self.days: dict[Date, Day] = {}
        self.flow_values: list[tuple[Date, FlowValue]] = []
        self.last = first - ONE_DAY
        #: Whether what is held at the ends of the days beyond differs from what was stored.
        self.shifted = False
        #: Whether the reading ended before its time, because nothing after it can differ.
        self.met = False

    def _asset(self, key: str, *, touch: bool = True) -> Asset:
        asset = self.assets.get(key)
        if asset is None:
            closing, state = self._books.close_before(key, self.first)
            read, first = self._books.lots_after, self.first
            lots = lots_of(key, self.options, lambda key, date, number: read(key, date, number, first), lambda: self._day)
            asset = self.assets[key] = Asset(key, state, closing, lots)
        if touch:
            self._touched.add(key)
        return asset

    def _move(self, asset: Asset, amount: Decimal, value: Decimal | None, origin: Origin) -> None:
        taken = asset.change(amount, value, origin)
        asset.depends = True
        self._heard(asset, amount, value, origin, taken)

    def _heard(self, asset: Asset, amount: Decimal, value: Decimal | None, origin: Origin, taken: tuple[Taken, ...]) -> None:
        if self._listener is not None:
            self._listener(Moved(asset.key, amount, value, origin, taken, ""))

    def _odd(self, check: str, subject: str, fact_no: int, detail: str) -> None:
        self._changes.oddities.append((self._day, Oddity(check, subject, fact_no, detail)))

    def _charge(self, charge: RatedCharge, at: int, fact_no: int) -> None:
        """Book a fee: lots go at its value of that instant."""
        asset = self._asset(charge.currency)
        rate = charge.rate or self.rates.at(charge.currency, at)
        amount = EXACT.minus(charge.amount)
        if rate is PAR and self._listener is None and asset.is_plain:
            asset.count(amount)
            return
        self._move(asset, amount, None if rate is None else rate.of(amount), Origin(at, fact_no, "fee" if charge.amount > 0 else "rebate"))
        asset.settle()

    def asset(self, key: str) -> Asset:
        """An asset as it is now."""
        return self._asset(key, touch=False)

    def contract_value(self, key: str) -> ContractValue | None:
        """What one contract is worth by its last fill."""
        newest = next((self.days[day].contracts[key] for day in sorted(self.days, reverse=True) if key in self.days[day].contracts), None)
        return self._contracts.get(key) or newest or self._books.contract_value_before(key, self.first)

    def cash_of(self, name: str) -> str:
        """The currency of an instrument's cash; "" where a contract was never traded."""
        instrument, kind = name_and_kind(name)
        if kind == "currency":
            return instrument.partition("/")[2]
        value = self.contract_value(name)
        return "" if value is None else value.settle


__all__ = ["Day", "Moved", "Movements"]
