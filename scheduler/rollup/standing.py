"""How an account stands at an instant: its open positions and lots, told by reading on from what the last rollup left."""

from __future__ import annotations

from datetime import date as Date
from decimal import Decimal
from typing import NamedTuple

from jarvis_client.contract.decimals import EXACT, QUOTIENT
from persistence.books.account_history import AccountBooks
from persistence.domain.rollup import UsdRate, name_and_kind
from scheduler.rollup.days import ONE_DAY
from scheduler.rollup.disposals import first_to_read, read_again
from scheduler.rollup.options import RollupOptions
from scheduler.rollup.replay import Replay


class OpenPosition(NamedTuple):
    """An open position. `average_price` is the cash of one unit, of a contract that of one contract; `opened_at` None for what is left of a
    closed trade. `unrealised_usd` is None where a rate is missing, `cash_currency` "" where a contract was never traded."""

    instrument: str
    kind: str
    quantity: Decimal
    average_price: Decimal | None
    opened_at: int | None
    fills: int
    cash_currency: str
    unrealised_usd: Decimal | None


class OpenLot(NamedTuple):
    """A lot that is open, or what is left of it; of averaged lots all as one, without an instant. `cost_usd` without fees, None where a rate
    was missing."""

    currency: str
    quantity: Decimal
    cost_usd: Decimal | None
    opened_at: int | None
    brought_by: str
    worth_usd: Decimal | None

    @property
    def unrealised_usd(self) -> Decimal | None:
        return None if self.cost_usd is None or self.worth_usd is None else EXACT.subtract(self.worth_usd, self.cost_usd)


class Standing:
    """An account at the end of a day, by default of everything that is recorded."""

    def __init__(self, books: AccountBooks, options: RollupOptions, day: Date) -> None:
        self._books = books
        self._options = options
        self._day = day
        self._replay = _read_on(books, options, day)

    def positions(self) -> list[OpenPosition]:
        """Every instrument of which something is held or owed through its own fills."""
        found = []
        for key in self._books.holdings():
            asset = self._replay.asset(key)
            for name, position in sorted(asset.positions.items()):
                if not position.quantity:
                    continue
                instrument, kind = name_and_kind(name)
                cash = self._replay.cash_of(name)
                basis = position.cost()
                average = None
                if position.is_open and position.quantity:
                    average = QUOTIENT.divide(basis.copy_abs(), position.quantity.copy_abs())
                unrealised = self._unrealised(key, cash, position.quantity, basis)
                found.append(OpenPosition(instrument, kind, position.quantity, average, position.started_at, position.fills, cash, unrealised))
        return found

    def lots(self) -> list[OpenLot]:
        """Every open lot by asset, the oldest first."""
        found = []
        for key in self._books.holdings():
            name, kind = name_and_kind(key)
            if kind == "contract":
                continue
            asset, rate = self._replay.asset(key), self._rate(name)
            for lot in asset.lots.open(asset.counted):
                worth = None if rate is None else rate.of(lot.quantity)
                found.append(OpenLot(name, lot.quantity, lot.cost, lot.opened_at or None, lot.brought_by, worth))
        return found

    def _rate(self, currency: str) -> UsdRate | None:
        return self._replay.rate_at(currency, self._day)

    def _unrealised(self, key: str, cash: str, quantity: Decimal, basis: Decimal) -> Decimal | None:
        """What the position is worth now, with the cash that it was opened with."""
        name, kind = name_and_kind(key)
        rate = self._rate(cash) if cash else None
        if rate is None:
            return None
        if kind == "contract":
            value = self._replay.contract_value(key)
            return None if value is None else rate.of(EXACT.add(value.of(quantity), basis))
        own = self._rate(name)
        return None if own is None else EXACT.add(own.of(quantity), rate.of(basis))


def _read_on(books: AccountBooks, options: RollupOptions, day: Date) -> Replay:
    first = first_to_read(books, options, day + ONE_DAY)
    return read_again(books, options, first, day, lambda _: None) if first <= day else Replay.at_rest(books, options, first)


__all__ = ["OpenLot", "OpenPosition", "Standing"]
