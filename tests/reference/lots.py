"""Lots of one currency, and what was taken from them (meaning.md, 8.4)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from reference.numbers import ZERO, maybe_part, plus, rounded


@dataclass
class Lot:
    """`quantity` below zero: taken beyond the lots; `cost` is then what it brought, with a minus. None: there was no rate."""

    quantity: Fraction
    cost: Fraction | None
    by: str
    at: int


@dataclass
class Disposal:
    """One lot or a piece of one, taken. `acquired` is None from a pool. What was taken beyond the lots (at `taken`) is realised when it is covered (at `at`)."""

    currency: str
    by: str
    at: int
    quantity: Fraction
    proceeds: Fraction | None
    cost: Fraction | None
    acquired: int | None
    taken: int

    @property
    def gain(self) -> Fraction | None:
        return plus(self.proceeds, None if self.cost is None else -self.cost)


class Lots:
    def __init__(self, currency: str, pooled: bool) -> None:
        self.currency, self.pooled = currency, pooled
        self.open: list[Lot] = []
        self.disposals: list[Disposal] = []

    @property
    def quantity(self) -> Fraction:
        return sum((lot.quantity for lot in self.open), ZERO)

    @property
    def cost(self) -> Fraction | None:
        return plus(*(lot.cost for lot in self.open))

    def bring(self, quantity: Fraction, cost: Fraction | None, by: str, at: int, acquired: int | None = None) -> None:
        """Closes what was taken beyond the lots, then opens a lot."""
        since = at if acquired is None else acquired
        for taken, brought, lot in self._consume(quantity, sign=-1):
            spent = maybe_part(cost, taken, quantity)
            quantity, cost = quantity - taken, plus(cost, None if spent is None else -spent)
            proceeds = None if brought is None else -brought
            self.disposals.append(Disposal(self.currency, lot.by, at, taken, proceeds, spent, None if self.pooled else since, lot.at))
        self._open(quantity, cost, by, since)

    def take(self, quantity: Fraction, value: Fraction | None, by: str, at: int) -> None:
        """Consumes lots; what goes beyond them opens a negative one."""
        for taken, cost, lot in self._consume(quantity, sign=1):
            proceeds = maybe_part(value, taken, quantity)
            quantity, value = quantity - taken, plus(value, None if proceeds is None else -proceeds)
            self.disposals.append(Disposal(self.currency, by, at, taken, proceeds, cost, None if self.pooled else lot.at, at))
        self._open(-quantity, None if value is None else -value, by, at)

    def move_to(self, other: Lots, quantity: Fraction, became: Fraction, value: Fraction | None, at: int) -> None:
        """8.5, rename: `quantity` goes over at its cost, dates kept, and is `became` there; what is beyond the lots goes at its value."""
        whole, total = quantity, became
        for taken, cost, lot in self._consume(quantity, sign=1):
            new = became if taken == quantity else rounded(total * taken / whole)
            quantity, became = quantity - taken, became - new
            other.bring(new, cost, lot.by, at, acquired=lot.at)
        if quantity:
            rest = maybe_part(value, quantity, whole)
            self._open(-quantity, None if rest is None else -rest, "rename", at)
            other.bring(became, rest, "rename", at)
        other.open.sort(key=lambda lot: lot.at)

    def scale(self, before: Fraction, after: Fraction) -> None:
        """8.5, split: the cost is spread; the last lot takes the remainder of the quantity."""
        left = after
        for n, lot in enumerate(self.open):
            lot.quantity = left if n == len(self.open) - 1 else rounded(lot.quantity * after / before)
            left -= lot.quantity

    def _consume(self, quantity: Fraction, sign: int) -> list[tuple[Fraction, Fraction | None, Lot]]:
        """Pieces of the lots of that sign, the first first: quantity, cost, and the lot as it was."""
        pieces = []
        while quantity and self.open and self.open[0].quantity * sign > 0:
            lot = self.open[0]
            taken = min(quantity, abs(lot.quantity))
            cost = maybe_part(lot.cost, taken, abs(lot.quantity))
            pieces.append((taken, cost, lot))
            quantity -= taken
            rest = Lot(lot.quantity - sign * taken, plus(lot.cost, None if cost is None else -cost), lot.by, lot.at)
            self.open[:1] = [rest] if rest.quantity else []
        return pieces

    def _open(self, quantity: Fraction, cost: Fraction | None, by: str, at: int) -> None:
        if not quantity:
            return
        if self.pooled and self.open:
            pool = self.open[0]
            pool.quantity, pool.cost = pool.quantity + quantity, plus(pool.cost, cost)
        else:
            self.open.append(Lot(quantity, cost, by, at))
