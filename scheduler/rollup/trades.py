"""Fills to trades: a trade is a flat-to-flat round trip in one instrument of one account.

It opens when the position leaves zero and closes when it returns to zero or crosses it, so partial fills and scaling out
neither raise the count nor game the win rate, and its profit is cash out less cash in, whatever the cost basis.

| fee currency | the position moves by | cash in quote | in USD besides |
| --- | --- | --- | --- |
| of the cash | ± quantity | ∓ cash - fee | |
| base (spot) | ± quantity - fee | ∓ cash | |
| another | ± quantity | ∓ cash | - fee × its rate at the fill |

The cash of a contract is in the currency that it settles in; of an inverse one its sign is reversed. A fill may have several fees, and
some that came later: each counts as if it had come with the fill.

Profit is the cash × its currency's rate at the closing fill, less the fees in other currencies. At a zero crossing the closing
part takes |position| / |move| of cash and fee, to 50 digits, and the rest opens the next trade.

The part of a sale that goes beyond the position and comes from elsewhere (a deposit, another pair) opens no short, and the part of a
purchase that covers a debt opens no long: neither part is in a trade. What leaves other than by a fill goes at its average cost
(`Position.leave`).
"""

from __future__ import annotations

import json
from decimal import Decimal
from functools import reduce
from typing import NamedTuple

from jarvis_client.contract.decimals import EXACT, QUOTIENT, ZERO, canonical
from jarvis_client.contract.facts import Charge
from persistence.domain.rollup import ClosedTrade, UsdRate
from scheduler.rollup.lots import share_of
from scheduler.rollup.options import RollupOptions

_add, _subtract, _multiply = EXACT.add, EXACT.subtract, EXACT.multiply


class RatedCharge(NamedTuple):
    """A fee and the rate it is valued at; None where none is needed, or none is known."""

    currency: str
    amount: Decimal
    rate: UsdRate | None


class TradeFill(NamedTuple):
    """What of a fill matters to trades. Rates are USD per unit, None where nothing is known; `estimated` marks a rate that
    the record did not give."""

    fact_no: int
    instant: int
    position: str
    is_buy: bool
    quantity: Decimal
    price: Decimal
    cash: Decimal
    multiplier: Decimal
    base: str
    #: The currency of the cash.
    quote: str
    charges: tuple[RatedCharge, ...]
    quote_rate: UsdRate | None
    is_contract: bool = False
    inverse: bool = False
    estimated: bool = False
    is_quanto: bool = False


class Part(NamedTuple):
    """What a fill, or a share of it, brings: cash in quote and the fees in it, other fees in USD, all fees in USD; None where a rate is
    missing."""

    cash: Decimal
    quote_fees: Decimal
    other_fees: Decimal | None
    fees: Decimal | None

    def split(self, share: Decimal, whole: Decimal) -> tuple[Part, Part]:
        """share / whole of it, and the rest."""
        taken = Part(*(share_of(amount, share, whole) for amount in self))  # type: ignore[arg-type]
        return taken, Part(*map(_less, self, taken))  # type: ignore[arg-type]

    def plus(self, other: Part) -> Part:
        cash, quote_fees, other_fees, fees = self
        return Part(_add(cash, other[0]), _add(quote_fees, other[1]) if other[1] else quote_fees, _sum_known(other_fees, other[2]), _sum_known(fees, other[3]))


_NOTHING = Part(ZERO, ZERO, ZERO, ZERO)


class _OpenPart:
    """Quantity that is still open, with what it brought in so far. Only the grouping `per_close` keeps several."""

    __slots__ = ("opened_at", "part", "quantity")

    def __init__(self, quantity: Decimal, part: Part, opened_at: int) -> None:
        self.quantity, self.part, self.opened_at = quantity, part, opened_at


class Closed(NamedTuple):
    """A closed trade, and the cash that it brought, fees aside."""

    trade: ClosedTrade
    cash: Decimal


class Position:
    """The position in an instrument and the trade that is open in it. `basis` is the cash that its open quantity was opened with."""

    __slots__ = ("basis", "direction", "estimated", "fills", "opened_at", "part", "parts", "peak", "position", "quantity")

    def __init__(self, position: str) -> None:
        self.position = position
        self.quantity = ZERO
        self.parts: list[_OpenPart] = []
        self._reset()

    def _reset(self) -> None:
        self.direction, self.fills, self.opened_at, self.peak, self.estimated = 0, 0, 0, ZERO, False
        self.part, self.basis = _NOTHING, ZERO

    @property
    def is_open(self) -> bool:
        return bool(self.direction or self.parts)

    @property
    def started_at(self) -> int | None:
        """When the trade that is open was opened."""
        return self.parts[0].opened_at if self.parts else self.opened_at if self.direction else None

    def cost(self) -> Decimal:
        """The cash that the open quantity was opened with, fees aside: below zero where it was paid."""
        return reduce(_add, (p.part.cash for p in self.parts)) if self.parts else self.basis

    def apply(self, fill: TradeFill, moved: tuple[Decimal, Part], options: RollupOptions, elsewhere: Decimal = ZERO) -> list[Closed]:
        """Take a fill, the next in the order of facts, with its `effect`. Returns the trades it closes.

        `elsewhere`: of the base, what else is held (of a sale) or owed (of a purchase): it is used before an opposite position opens.
        """
        move, part = moved
        held = self.quantity
        # The cash of what a fill opens, by the price of a unit: a fee in the base is no part of it.
        size = move.copy_abs()
        net = None if size == fill.quantity or fill.is_contract else size
        if elsewhere:
            own = held.copy_abs() if held and (held > 0) != (move > 0) else ZERO
            away = min(_subtract(size, own), elsewhere)
            if away >= size:
                return []
            if away > 0:
                kept = _subtract(size, away)
                part, _ = part.split(kept, size)
                move = kept if move > 0 else EXACT.minus(kept)
        if not move and not self.is_open:
            return []  # a fee took all that it brought
        left = self.quantity = _add(held, move)
        if held and not self.is_open and (held > 0) != (move > 0) and (not left or (left > 0) == (held > 0)):
            return []  # a residue alone is no trade
        reduces = left.copy_abs() < held.copy_abs() or ((held > 0) != (left > 0) and bool(held))
        flat = not left or (reduces and self.is_open and self._is_dust(left, held, fill, options))
        if options.trade_grouping == "per_close":
            return self._close_parts(fill, held, left, part, flat, options)
        crosses = self.direction != 0 and bool(left) and (left > 0) != (self.direction > 0)
        if crosses and not flat:
            closing, opening = part.split(held.copy_abs(), move.copy_abs())
            self._take(fill, closing, held, ZERO, net)
            closed = [self._close(fill)]
            self._take(fill, opening, ZERO, left, net)
            return closed
        self._take(fill, part, held, left, net)
        return [self._close(fill)] if flat else []

    def _is_dust(self, quantity: Decimal, held: Decimal, fill: TradeFill, options: RollupOptions) -> bool:
        """Whether what a reducing fill leaves is not worth keeping a trade open: little money, and a small share of the trade's largest size."""
        if not options.dust_notional_usd or fill.quote_rate is None:
            return False
        if quantity.copy_abs() >= _multiply(max(self.peak, held.copy_abs()), options.dust_share):
            return False
        if fill.inverse or fill.is_quanto:
            # The cash of a contract is what one is worth.
            return _multiply(quantity.copy_abs(), fill.quote_rate.of(fill.cash.copy_abs())) < _multiply(options.dust_notional_usd, fill.quantity)
        return fill.quote_rate.of(_multiply(quantity.copy_abs(), _multiply(fill.price.copy_abs(), fill.multiplier))) < options.dust_notional_usd

    def _take(self, fill: TradeFill, part: Part, before: Decimal, after: Decimal, net: Decimal | None) -> None:
        if self.direction == 0:
            self.direction = (1 if after > 0 else -1) if after else (1 if fill.is_buy else -1)
            self.opened_at = fill.instant
            self.basis = part.cash if net is None else _entry(fill, part, net)
        elif after.copy_abs() > before.copy_abs():
            self.basis = _add(self.basis, part.cash if net is None else _entry(fill, part, net))
        elif not after:
            self.basis = ZERO
        else:
            self.basis = _less_known(self.basis, share_of(self.basis, _subtract(before.copy_abs(), after.copy_abs()), before.copy_abs()))
        self.fills += 1
        self.part = self.part.plus(part)
        self.estimated = self.estimated or fill.estimated
        size = after.copy_abs()
        if size > self.peak:
            self.peak = size

    def _close(self, fill: TradeFill) -> Closed:
        trade = _closed(self.position, self.direction, self.opened_at, fill, self.fills, self.peak, self.part, self.estimated)
        cash = self.part.cash
        self._reset()
        return Closed(trade, cash)

    # -- what moves it besides fills -----------------------------------------------------------------------------------

    def leave(self, quantity: Decimal) -> None:
        """Take a quantity out at its average cost: no trade, and the fees stay with what is left."""
        there = self.quantity.copy_abs()
        left = _subtract(there, quantity)
        if self.parts:
            self._consume(quantity)
        elif self.direction:
            cost = share_of(self.basis, quantity, there)
            assert cost is not None
            self.part = self.part._replace(cash=_subtract(self.part.cash, cost))
            self.basis = _subtract(self.basis, cost)
        self.quantity = left if self.quantity > 0 else EXACT.minus(left)
        if not left:
            self.parts.clear()
            self._reset()

    def scale(self, before: Decimal, after: Decimal) -> None:
        """As many units as `after` is of `before`, at the same cost."""

        def scaled(amount: Decimal) -> Decimal:
            return QUOTIENT.divide(_multiply(amount, after), before)

        self.quantity, self.peak = scaled(self.quantity), scaled(self.peak).copy_abs()
        for part in self.parts:
            part.quantity = scaled(part.quantity).copy_abs()

    def give(self, quantity: Decimal) -> Position:
        """The position, or a part of it, to be received by another instrument: all of it with its trade, a part at its average cost."""
        given = Position(self.position)
        there, sign = self.quantity.copy_abs(), self.quantity > 0
        given.quantity = quantity if sign else EXACT.minus(quantity)
        left = _subtract(there, quantity)
        given.direction, given.opened_at, given.estimated = self.direction, self.opened_at, self.estimated
        basis = share_of(self.basis, quantity, there) or ZERO
        given.basis, self.basis = basis, _subtract(self.basis, basis)
        if left:
            given.peak, given.part = quantity, _NOTHING._replace(cash=basis)
            self.part = self.part._replace(cash=_subtract(self.part.cash, basis))
        else:
            given.peak, given.fills, given.part = self.peak, self.fills, self.part
        wanted = quantity
        while self.parts and wanted:
            first = self.parts[0]
            if first.quantity <= wanted:
                wanted = _subtract(wanted, first.quantity)
                given.parts.append(self.parts.pop(0))
            else:
                share, first.part = first.part.split(wanted, first.quantity)
                given.parts.append(_OpenPart(wanted, share, first.opened_at))
                first.quantity, wanted = _subtract(first.quantity, wanted), ZERO
        self.quantity = left if sign else EXACT.minus(left)
        if not left:
            self._reset()
        return given

    def receive(self, other: Position) -> None:
        """Become one with a position of the same side that another instrument gave."""
        self.quantity = _add(self.quantity, other.quantity)
        if other.direction:
            self.opened_at = min(self.opened_at, other.opened_at) if self.direction else other.opened_at
            self.direction = other.direction
        self.part, self.basis = self.part.plus(other.part), _add(self.basis, other.basis)
        self.fills, self.estimated = self.fills + other.fills, self.estimated or other.estimated
        self.peak = max(_add(self.peak, other.peak), self.quantity.copy_abs())
        self.parts += other.parts

    def earn(self, amount: Decimal, usd: Decimal | None, *, in_quote: bool) -> None:
        """Profit (or cost, below zero) of the open trade besides its fills, such as funding: in the currency of its cash like that, else in USD."""

        def earned(part: Part) -> Part:
            if in_quote:
                return part._replace(quote_fees=_subtract(part.quote_fees, amount))
            return part._replace(other_fees=_sum_known(part.other_fees, None if usd is None else EXACT.minus(usd)))

        if self.parts:
            self.parts[0].part = earned(self.parts[0].part)
        else:
            self.part = earned(self.part)

    # -- each close a trade --------------------------------------------------------------------------------------------

    def _close_parts(self, fill: TradeFill, held: Decimal, left: Decimal, part: Part, flat: bool, options: RollupOptions) -> list[Closed]:
        """Each reducing fill closes what it takes off, the oldest parts first (fifo) or a share of the one average part (wac)."""
        move = _subtract(left, held)
        if not self.parts or (move > 0) == (held > 0):
            self._add_part(move.copy_abs() if self.parts else left.copy_abs(), part, fill, options)
            return []
        direction = 1 if held > 0 else -1
        crosses = bool(left) and (left > 0) != (held > 0)
        rest: Part | None = None
        if crosses and not flat:
            part, rest = part.split(held.copy_abs(), move.copy_abs())
        taken, opened_at = self._consume(reduce(_add, (p.quantity for p in self.parts)) if flat or crosses else move.copy_abs())
        whole = taken.plus(part)
        trade = _closed(self.position, direction, opened_at, fill, 2, min(held.copy_abs(), move.copy_abs()), whole, self.estimated or fill.estimated)
        if rest is not None:
            self._add_part(left.copy_abs(), rest, fill, options)
        return [Closed(trade, whole.cash)]

    def _add_part(self, quantity: Decimal, part: Part, fill: TradeFill, options: RollupOptions) -> None:
        self.estimated = fill.estimated or (self.estimated and bool(self.parts))
        if self.parts and options.cost_basis == "wac":
            first = self.parts[0]
            self.parts[0] = _OpenPart(_add(first.quantity, quantity), first.part.plus(part), first.opened_at)
        else:
            self.parts.append(_OpenPart(quantity, part, fill.instant))

    def _consume(self, quantity: Decimal) -> tuple[Part, int]:
        """What these units brought in when they were opened, and when the oldest of them was."""
        taken, opened_at = _NOTHING, self.parts[0].opened_at
        while quantity and self.parts:
            first = self.parts[0]
            if first.quantity <= quantity:
                share = first.part
                quantity = _subtract(quantity, first.quantity)
                self.parts.pop(0)
            else:
                share, rest = first.part.split(quantity, first.quantity)
                self.parts[0] = _OpenPart(_subtract(first.quantity, quantity), rest, first.opened_at)
                quantity = ZERO
            taken = taken.plus(share)
        return taken, opened_at

    # -- checkpoints -------------------------------------------------------------------------------------------------

    def state(self) -> list[object] | None:
        """What `restore` makes it of again; None when there is nothing to remember."""
        if not self.quantity and not self.direction:
            return None
        parts = [[canonical(p.quantity), *map(_text, p.part), p.opened_at] for p in self.parts]
        return [
            canonical(self.quantity), self.direction, *map(_text, self.part), self.fills, self.opened_at, canonical(self.peak), int(self.estimated),
            canonical(self.basis), parts,
        ]  # fmt: skip

    def text(self) -> str:
        """The position as one canonical text; "" when there is nothing to remember."""
        state = self.state()
        return "" if state is None else json.dumps(state, separators=(",", ":"))

    @classmethod
    def restore(cls, key: str, state: list[object] | None) -> Position:
        position = cls(key)
        if state:
            quantity, position.direction, *part, position.fills, position.opened_at, peak, estimated, basis, parts = state  # type: ignore[assignment]
            position.quantity, position.peak, position.basis, position.estimated = Decimal(quantity), Decimal(peak), Decimal(basis), bool(estimated)  # type: ignore[arg-type]
            position.part = Part(*map(_number, part))  # type: ignore[arg-type]
            position.parts = [_OpenPart(Decimal(n), Part(*map(_number, p)), at) for n, *p, at in parts]  # type: ignore[arg-type,attr-defined]
        return position


def effect(fill: TradeFill) -> tuple[Decimal, Part]:
    """How a fill moves the position, and what it brings."""
    move = fill.quantity if fill.is_buy else EXACT.minus(fill.quantity)
    cash = EXACT.minus(fill.cash) if fill.is_buy != fill.inverse else fill.cash
    if not fill.charges:
        return move, Part(cash, ZERO, ZERO, ZERO)
    quote_fees = ZERO
    other: Decimal | None = ZERO
    fees: Decimal | None = ZERO
    for currency, fee, rate in fill.charges:
        if currency == fill.quote:
            quote_fees, usd = _add(quote_fees, fee), None if fill.quote_rate is None else fill.quote_rate.of(fee)
        elif currency == fill.base and not fill.is_contract:
            move = _subtract(move, fee)
            usd = None if fill.quote_rate is None else fill.quote_rate.of(_multiply(fee, fill.price))
        else:
            usd = None if rate is None else rate.of(fee)
            other = _sum_known(other, usd)
        fees = _sum_known(fees, usd)
    return move, Part(cash, quote_fees, other, fees)


def _entry(fill: TradeFill, part: Part, net: Decimal) -> Decimal:
    """The cash of what a fill opens where its fees in the base leave so much of it."""
    cost = share_of(part.cash, net, fill.quantity)
    assert cost is not None
    return cost


def _closed(position: str, direction: int, opened_at: int, fill: TradeFill, fills: int, peak: Decimal, part: Part, estimated: bool) -> ClosedTrade:
    pnl = None
    if fill.quote_rate is not None and part.other_fees is not None:
        pnl = _subtract(fill.quote_rate.of(_subtract(part.cash, part.quote_fees)), part.other_fees)
    return ClosedTrade(position, "long" if direction > 0 else "short", opened_at, fill.instant, fill.fact_no, fills, peak, pnl, part.fees, estimated)


def _sum_known(a: Decimal | None, b: Decimal | None) -> Decimal | None:
    return None if a is None or b is None else _add(a, b)


def _less(a: Decimal | None, b: Decimal | None) -> Decimal | None:
    return None if a is None or b is None else _subtract(a, b)


def _less_known(a: Decimal, b: Decimal | None) -> Decimal:
    assert b is not None
    return _subtract(a, b)


def _text(number: Decimal | None) -> str | None:
    return None if number is None else canonical(number)


def _number(text: object) -> Decimal | None:
    return None if text is None else Decimal(text)  # type: ignore[arg-type]


__all__ = ["Charge", "Closed", "Part", "Position", "RatedCharge", "TradeFill", "effect"]
