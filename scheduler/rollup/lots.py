"""Lots: what brought an asset, at which cost, and what of it is left.

Everything that brings an asset opens a lot or, where more was taken than there was, closes what is owed first; everything that takes it
consumes lots: the average of all (`wac`) or the oldest first (`fifo`). Cost and proceeds are USD at their instant, fees aside. A share of
a cost is cost × quantity / total to 50 digits, and the remainder stays with what is left, so that sums are exact.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable
from datetime import date as Date
from decimal import Decimal
from typing import NamedTuple

from jarvis_client.contract.decimals import EXACT, QUOTIENT, ZERO, canonical
from persistence.domain.rollup import Lot

_add, _subtract = EXACT.add, EXACT.subtract


class Origin(NamedTuple):
    """What moves an asset: at which instant, which fact, and as what (sale, spent, fee, deposit, …)."""

    instant: int
    fact_no: int
    what: str


class Taken(NamedTuple):
    """What was taken of an asset at once: from lots that came at `opened_at` (None of an average). `cost` and `proceeds` are USD, None where
    a rate was missing. `quantity` is below zero where something owed was given back: `cost` is then what that costs, `proceeds` what the
    taking had brought."""

    quantity: Decimal
    cost: Decimal | None
    proceeds: Decimal | None
    opened_at: int | None

    @property
    def gain(self) -> Decimal | None:
        return None if self.cost is None or self.proceeds is None else _subtract(self.proceeds, self.cost)


#: A quantity at its cost, and when it came: None of an average.
Given = tuple[Decimal, Decimal | None, int | None]


def share_of(amount: Decimal | None, part: Decimal, whole: Decimal) -> Decimal | None:
    """amount × part / whole; all of it where that is the whole."""
    if amount is None or part == whole:
        return amount
    return QUOTIENT.divide(EXACT.multiply(amount, part), whole)


def _rest(amount: Decimal | None, taken: Decimal | None) -> Decimal | None:
    return None if amount is None or taken is None else _subtract(amount, taken)


class Pool:
    """All lots of an asset as one, at their average cost. What is like a dollar is always pooled (`par`): of it the cost less the quantity
    is kept, which is nothing as long as everything was worth a dollar."""

    __slots__ = ("excess", "par")

    def __init__(self, text: str, *, par: bool) -> None:
        self.par = par
        self.excess: Decimal | None = None if text == "?" else Decimal(text) if text else ZERO

    def move(self, held: Decimal, amount: Decimal, value: Decimal | None, origin: Origin) -> tuple[Taken, ...]:
        """Bring or take an amount worth `value`, both signed alike; `held` is what there was. Returns what was taken."""
        closes = bool(held) and (held > 0) != (amount > 0)
        if not closes:
            if self.excess is not None and not (self.par and not self.excess and value == amount):
                self.excess = None if value is None else _add(self.excess, _subtract(value, amount) if self.par else value)
            return ()
        cost = self.cost(held)
        size, there = amount.copy_abs(), held.copy_abs()
        closing = min(size, there)
        taken_cost, taken_value = share_of(cost, closing, there), share_of(value, closing, size)
        left, rest = _rest(cost, taken_cost), _rest(value, taken_value)
        after = _add(held, amount)
        if size > there:
            left = rest
        elif size == there:
            left = ZERO
        self.excess = None if left is None else _subtract(left, after) if self.par else left
        return (_taken(held, closing, taken_cost, taken_value, None),)

    def cost(self, held: Decimal) -> Decimal | None:
        """Of everything that is held."""
        return self.excess if self.excess is None or not self.par else _add(self.excess, held)

    def scale(self, held: Decimal, after: Decimal, _origin: Origin) -> None:
        """The same cost for another quantity."""
        if self.par and self.excess is not None:
            self.excess = _subtract(_add(self.excess, held), after)

    def give(self, held: Decimal, amount: Decimal) -> list[Given]:
        """Take a quantity out at its cost, to be received elsewhere: (quantity, cost, instant)."""
        cost = self.cost(held)
        taken = share_of(cost, amount, held)
        left = _rest(cost, taken) if amount != held else ZERO
        self.excess = None if left is None else _subtract(left, _subtract(held, amount)) if self.par else left
        return [(amount, taken, None)]

    def receive(self, held: Decimal, lots: Iterable[Given], origin: Origin) -> tuple[Taken, ...]:
        """Take what was given elsewhere, at its cost; what was owed is closed by it first. Returns what that realised."""
        taken: list[Taken] = []
        for quantity, cost, _ in lots:
            taken += self.move(held, quantity, cost, origin)
            held = _add(held, quantity)
        return tuple(taken)

    def open(self, held: Decimal) -> list[Lot]:
        """What is left, as one lot."""
        return [Lot(Date.min, 0, 0, held, self.cost(held), "pool", 0)] if held else []

    def text(self) -> str:
        return "?" if self.excess is None else "" if not self.excess else canonical(self.excess)


class Queue:
    """Lots in the order in which they came. Those of earlier days are read as they are needed; what comes is noted for storing."""

    __slots__ = ("_number", "_read", "_today", "day", "first", "new", "open_")
    par = False
    excess: Decimal | None = None

    def __init__(self, text: str, read: Callable[[Date, int], Iterable[Lot]], day: Callable[[], Date]) -> None:
        #: Lots that came, to be stored.
        self.new: list[Lot] = []
        self.day = day
        self._read: Callable[[Date, int], Iterable[Lot]] | None = read if text else None
        self.open_: deque[Lot] = deque()
        self._today, self._number = Date.min, 0
        #: The first open lot with what is left of it.
        self.first: Lot | None = None
        if text:
            date, number, opened_at, quantity, cost, brought_by = json.loads(text)
            self.first = Lot(Date.fromisoformat(date), number, opened_at, Decimal(quantity), None if cost is None else Decimal(cost), brought_by, 0)

    def _next(self) -> Lot | None:
        if self.first is None and self.open_:
            self.first = self.open_.popleft()
        return self.first

    def _advance(self) -> None:
        """The first lot is gone. Lots of this pass come after all that are stored."""
        gone, self.first = self.first, None
        if self._read is not None and gone is not None and not self.open_:
            self.open_.extend(self._read(gone.date, gone.number))
            if not self.open_:
                self._read = None
                self.open_.extend(self.new)

    def _take(self, lot: Lot, closing: Decimal, cost: Decimal | None) -> None:
        """Take so much of the first lot, and of its cost. What is left of it stays first."""
        still = _subtract(lot.quantity.copy_abs(), closing)
        if still:
            self.first = lot._replace(quantity=still if lot.quantity > 0 else EXACT.minus(still), cost=_rest(lot.cost, cost))
        else:
            self._advance()

    def _bring(self, quantity: Decimal, cost: Decimal | None, origin: Origin, opened_at: int) -> None:
        if (today := self.day()) != self._today:
            self._today, self._number = today, 0
        self._number += 1
        lot = Lot(today, self._number, opened_at, quantity, cost, origin.what, origin.fact_no)
        self.new.append(lot)
        if self._read is None:
            self.open_.append(lot)

    def move(self, held: Decimal, amount: Decimal, value: Decimal | None, origin: Origin, opened_at: int | None = None) -> tuple[Taken, ...]:
        since = origin.instant if opened_at is None else opened_at
        if not held or (held > 0) == (amount > 0):
            self._bring(amount, value, origin, since)
            return ()
        taken, left, rest = [], amount.copy_abs(), value
        while left and (lot := self._next()) is not None:
            there = lot.quantity.copy_abs()
            closing = min(left, there)
            cost, brought = share_of(lot.cost, closing, there), share_of(rest, closing, left)
            taken.append(_taken(lot.quantity, closing, cost, brought, lot.opened_at))
            left, rest = _subtract(left, closing), _rest(rest, brought)
            self._take(lot, closing, cost)
        if left:
            self._bring(left if amount > 0 else EXACT.minus(left), rest, origin, since)
        return tuple(taken)

    def _all(self) -> list[Lot]:
        """Every open lot, read to the end."""
        if (first := self._next()) is None:
            return []
        found = [first, *self.open_]
        if self._read is None:
            return found
        while more := list(self._read(found[-1].date, found[-1].number)):
            found += more
        return found + self.new

    def _replace(self, lots: Iterable[tuple[Decimal, Decimal | None, int, str, int]], origin: Origin) -> None:
        self.first, self._read = None, None
        self.open_.clear()
        for quantity, cost, opened_at, what, number in lots:
            self._bring(quantity, cost, Origin(origin.instant, number, what), opened_at)

    def scale(self, held: Decimal, after: Decimal, origin: Origin) -> None:
        found, left = self._all(), after
        scaled = []
        for n, lot in enumerate(found, 1):
            quantity = left if n == len(found) else QUOTIENT.divide(EXACT.multiply(lot.quantity, after), held)
            left = _subtract(left, quantity)
            scaled.append((quantity, lot.cost, lot.opened_at, lot.brought_by, lot.fact_no))
        self._replace(scaled, origin)

    def give(self, held: Decimal, amount: Decimal) -> list[Given]:
        given: list[Given] = []
        left = amount.copy_abs()
        while left and (lot := self._next()) is not None:
            there = lot.quantity.copy_abs()
            closing = min(left, there)
            cost = share_of(lot.cost, closing, there)
            given.append((closing if amount > 0 else EXACT.minus(closing), cost, lot.opened_at))
            left = _subtract(left, closing)
            self._take(lot, closing, cost)
        return given

    def receive(self, held: Decimal, lots: Iterable[Given], origin: Origin) -> tuple[Taken, ...]:
        taken: list[Taken] = []
        for quantity, cost, opened_at in lots:
            taken += self.move(held, quantity, cost, origin, opened_at)
            held = _add(held, quantity)
        # What moved keeps its age, and so its turn.
        ordered = sorted(self._all(), key=lambda lot: lot.opened_at)
        self._replace([(lot.quantity, lot.cost, lot.opened_at, lot.brought_by, lot.fact_no) for lot in ordered], origin)
        return tuple(taken)

    def open(self, _held: Decimal) -> list[Lot]:
        return self._all()

    def text(self) -> str:
        lot = self._next()
        if lot is None:
            return ""
        cost = None if lot.cost is None else canonical(lot.cost)
        return json.dumps([lot.date.isoformat(), lot.number, lot.opened_at, canonical(lot.quantity), cost, lot.brought_by], separators=(",", ":"))


def _taken(held: Decimal, quantity: Decimal, cost: Decimal | None, value: Decimal | None, opened_at: int | None) -> Taken:
    """Costs and values are signed as their quantities are: what is owed has a cost below zero, what closes it a value above."""
    if held > 0:
        return Taken(quantity, cost, None if value is None else EXACT.minus(value), opened_at)
    return Taken(EXACT.minus(quantity), value, None if cost is None else EXACT.minus(cost), opened_at)


Lots = Pool | Queue

__all__ = ["Lots", "Origin", "Pool", "Queue", "Taken", "share_of"]
