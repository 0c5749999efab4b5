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
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from decimal import Context, Decimal
from typing import NamedTuple

from persistence.domain.facts import Charge
from persistence.domain.money import EXACT, ZERO, canonical
from persistence.domain.rollup import ClosedTrade
from scheduler.rollup.options import RollupOptions

_QUOTIENT = Context(prec=50)
_add, _subtract, _multiply = EXACT.add, EXACT.subtract, EXACT.multiply


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
    charges: tuple[Charge, ...]
    quote_rate: Decimal | None
    is_contract: bool = False
    inverse: bool = False
    estimated: bool = False


class _Part(NamedTuple):
    """What a fill, or a share of it, brings: cash in quote, other fees in USD, all fees in USD; None where a rate is missing."""

    cash: Decimal
    other_fees: Decimal | None
    fees: Decimal | None

    def split(self, share: Decimal, whole: Decimal) -> tuple[_Part, _Part]:
        """share / whole of it, and the rest."""

        def taken(amount: Decimal) -> Decimal:
            return _QUOTIENT.divide(_multiply(amount, share), whole)

        cash, other, fees = taken(self.cash), None if self.other_fees is None else taken(self.other_fees), None if self.fees is None else taken(self.fees)
        return _Part(cash, other, fees), _Part(_subtract(self.cash, cash), _less(self.other_fees, other), _less(self.fees, fees))


class _Lot:
    """Quantity that is still open, with what it brought in so far. Only the grouping `per_close` keeps lots."""

    __slots__ = ("opened_at", "part", "quantity")

    def __init__(self, quantity: Decimal, part: _Part, opened_at: int) -> None:
        self.quantity, self.part, self.opened_at = quantity, part, opened_at


class Position:
    """The position in an instrument and the trade that is open in it."""

    __slots__ = ("cash", "direction", "estimated", "fees", "fills", "lots", "opened_at", "other_fees", "peak", "position", "quantity")

    def __init__(self, position: str) -> None:
        self.position = position
        self.quantity = ZERO
        self.lots: list[_Lot] = []
        self._reset()

    def _reset(self) -> None:
        self.direction, self.fills, self.opened_at, self.peak, self.estimated = 0, 0, 0, ZERO, False
        self.cash = ZERO
        self.other_fees: Decimal | None = ZERO
        self.fees: Decimal | None = ZERO

    def apply(self, fill: TradeFill, options: RollupOptions) -> list[ClosedTrade]:
        """Take a fill, the next in the order of facts. Returns the trades it closes."""
        move, part = _effect(fill)
        held = self.quantity
        left = self.quantity = _add(held, move)
        reduces = abs(left) < abs(held) or ((held > 0) != (left > 0) and bool(held))
        flat = not left or (reduces and _is_dust(left, fill, options))
        if options.trade_grouping == "per_close":
            return self._close_lots(fill, held, left, part, flat, options)
        crosses = self.direction != 0 and bool(left) and (left > 0) != (self.direction > 0)
        if crosses and not flat:
            closing, opening = part.split(abs(held), abs(move))
            self._take(fill, closing, held)
            closed = [self._close(fill)]
            self._take(fill, opening, left)
            return closed
        self._take(fill, part, left)
        return [self._close(fill)] if flat else []

    def _take(self, fill: TradeFill, part: _Part, quantity: Decimal) -> None:
        if self.direction == 0:
            self.direction = (1 if quantity > 0 else -1) if quantity else (1 if fill.is_buy else -1)
            self.opened_at = fill.instant
        self.fills += 1
        self.cash = _add(self.cash, part.cash)
        self.other_fees = None if self.other_fees is None or part.other_fees is None else _add(self.other_fees, part.other_fees)
        self.fees = None if self.fees is None or part.fees is None else _add(self.fees, part.fees)
        self.estimated = self.estimated or fill.estimated
        size = abs(quantity)
        if size > self.peak:
            self.peak = size

    def _close(self, fill: TradeFill) -> ClosedTrade:
        trade = _closed(self.position, self.direction, self.opened_at, fill, self.fills, self.peak, self.cash, self.other_fees, self.fees, self.estimated)
        self._reset()
        return trade

    def _close_lots(self, fill: TradeFill, held: Decimal, left: Decimal, part: _Part, flat: bool, options: RollupOptions) -> list[ClosedTrade]:
        """Each reducing fill closes what it takes off, the oldest lots first (fifo) or a share of the one average lot (wac)."""
        move = _subtract(left, held)
        if not self.lots or (move > 0) == (held > 0):
            self._add_lot(abs(move) if self.lots else abs(left), part, fill, options)
            if not flat:
                return []
            # Only a residue was sold: it opens and closes at once.
            lots, self.lots = self.lots, []
            return [_closed(self.position, 1 if fill.is_buy else -1, lots[0].opened_at, fill, 1, lots[0].quantity, *lots[0].part, fill.estimated)]
        direction = 1 if held > 0 else -1
        crosses = bool(left) and (left > 0) != (held > 0)
        rest: _Part | None = None
        if crosses and not flat:
            part, rest = part.split(abs(held), abs(move))
        taken, opened_at = self._consume(sum((lot.quantity for lot in self.lots), ZERO) if flat or crosses else abs(move))
        trade = _closed(
            self.position, direction, opened_at, fill, 2, min(abs(held), abs(move)), _add(taken.cash, part.cash), _sum_known(taken.other_fees, part.other_fees),
            _sum_known(taken.fees, part.fees), self.estimated or fill.estimated,
        )  # fmt: skip
        if rest is not None:
            self._add_lot(abs(left), rest, fill, options)
        return [trade]

    def _add_lot(self, quantity: Decimal, part: _Part, fill: TradeFill, options: RollupOptions) -> None:
        self.estimated = fill.estimated or (self.estimated and bool(self.lots))
        if self.lots and options.cost_basis == "wac":
            lot = self.lots[0]
            merged = _Part(_add(lot.part.cash, part.cash), _sum_known(lot.part.other_fees, part.other_fees), _sum_known(lot.part.fees, part.fees))
            self.lots[0] = _Lot(_add(lot.quantity, quantity), merged, lot.opened_at)
        else:
            self.lots.append(_Lot(quantity, part, fill.instant))

    def _consume(self, quantity: Decimal) -> tuple[_Part, int]:
        """What these units brought in when they were opened, and when the oldest of them was."""
        taken, opened_at = _Part(ZERO, ZERO, ZERO), self.lots[0].opened_at
        while quantity and self.lots:
            lot = self.lots[0]
            if lot.quantity <= quantity:
                share = lot.part
                quantity = _subtract(quantity, lot.quantity)
                self.lots.pop(0)
            else:
                share, rest = lot.part.split(quantity, lot.quantity)
                self.lots[0] = _Lot(_subtract(lot.quantity, quantity), rest, lot.opened_at)
                quantity = ZERO
            taken = _Part(_add(taken.cash, share.cash), _sum_known(taken.other_fees, share.other_fees), _sum_known(taken.fees, share.fees))
        return taken, opened_at

    # -- checkpoints -------------------------------------------------------------------------------------------------

    def text(self) -> str:
        """The position as one canonical text, from which `restore` makes it again; "" when there is nothing to remember."""
        if not self.quantity and not self.direction:
            return ""
        lots = [[canonical(lot.quantity), *(_text(v) for v in lot.part), lot.opened_at] for lot in self.lots]
        return json.dumps([
            canonical(self.quantity), self.direction, canonical(self.cash), _text(self.other_fees), _text(self.fees), self.fills, self.opened_at,
            canonical(self.peak), int(self.estimated), lots,
        ], separators=(",", ":"))  # fmt: skip

    @classmethod
    def restore(cls, key: str, text: str) -> Position:
        position = cls(key)
        if text:
            quantity, position.direction, cash, other, fees, position.fills, position.opened_at, peak, estimated, lots = json.loads(text)
            position.quantity, position.cash, position.peak, position.estimated = Decimal(quantity), Decimal(cash), Decimal(peak), bool(estimated)
            position.other_fees, position.fees = _number(other), _number(fees)
            position.lots = [_Lot(Decimal(n), _Part(Decimal(c), _number(o), _number(f)), at) for n, c, o, f, at in lots]
        return position


def _effect(fill: TradeFill) -> tuple[Decimal, _Part]:
    """How a fill moves the position, and what it brings."""
    move = fill.quantity if fill.is_buy else EXACT.minus(fill.quantity)
    cash = EXACT.minus(fill.cash) if fill.is_buy != fill.inverse else fill.cash
    if not fill.charges:
        return move, _Part(cash, ZERO, ZERO)
    other: Decimal | None = ZERO
    fees: Decimal | None = ZERO
    for currency, fee, rate in fill.charges:
        if currency == fill.quote:
            cash, usd = _subtract(cash, fee), None if fill.quote_rate is None else _multiply(fee, fill.quote_rate)
        elif currency == fill.base and not fill.is_contract:
            move = _subtract(move, fee)
            usd = None if fill.quote_rate is None else _multiply(_multiply(fee, fill.price), fill.quote_rate)
        else:
            usd = None if rate is None else _multiply(fee, rate)
            other = _sum_known(other, usd)
        fees = _sum_known(fees, usd)
    return move, _Part(cash, other, fees)


def _is_dust(quantity: Decimal, fill: TradeFill, options: RollupOptions) -> bool:
    if not options.dust_notional_usd or fill.quote_rate is None:
        return False
    # The cash of a unit is what one is worth, of contracts of every kind, too.
    worth = _multiply(abs(quantity), _multiply(abs(fill.cash), fill.quote_rate))
    return worth < _multiply(options.dust_notional_usd, fill.quantity)


def _closed(
    position: str,
    direction: int,
    opened_at: int,
    fill: TradeFill,
    fills: int,
    peak: Decimal,
    cash: Decimal,
    other_fees: Decimal | None,
    fees: Decimal | None,
    estimated: bool,
) -> ClosedTrade:
    known = fill.quote_rate is not None and other_fees is not None
    pnl = _subtract(_multiply(cash, fill.quote_rate), other_fees) if known else None  # type: ignore[arg-type]
    return ClosedTrade(position, "long" if direction > 0 else "short", opened_at, fill.instant, fill.fact_no, fills, peak, pnl, fees, estimated)


def _sum_known(a: Decimal | None, b: Decimal | None) -> Decimal | None:
    return None if a is None or b is None else _add(a, b)


def _less(a: Decimal | None, b: Decimal | None) -> Decimal | None:
    return None if a is None or b is None else _subtract(a, b)


def _text(number: Decimal | None) -> str | None:
    return None if number is None else canonical(number)


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


class Realised(NamedTuple):
    """What one fill realised in USD before fees, None where a rate is missing."""

    fact_no: int
    usd: Decimal | None


def realised(fills: Iterable[TradeFill], cost_basis: str) -> Iterator[Realised]:
    """Realised profit per fill of one instrument that starts flat, fees aside (they are expensed at the fill): what was closed, at
    this fill's cash less its cost by weighted average (`wac`) or oldest first (`fifo`)."""
    lots: list[tuple[Decimal, Decimal]] = []  # (signed quantity, signed cost)
    for fill in fills:
        move, _ = _effect(fill)
        cash = EXACT.minus(fill.cash) if fill.is_buy != fill.inverse else fill.cash
        gained = ZERO
        while move and lots and (lots[0][0] > 0) != (move > 0):
            quantity, cost = lots[0]
            closing = min(abs(move), abs(quantity))
            share = cost if closing == abs(quantity) else _QUOTIENT.divide(_multiply(cost, closing), abs(quantity))
            proceeds = cash if closing == abs(move) else _QUOTIENT.divide(_multiply(cash, closing), abs(move))
            gained = _add(gained, _add(share, proceeds))
            signed = closing if move > 0 else EXACT.minus(closing)
            move, cash = _subtract(move, signed), _subtract(cash, proceeds)
            if closing == abs(quantity):
                lots.pop(0)
            else:
                lots[0] = _add(quantity, signed), _subtract(cost, share)
        if move:
            if lots and cost_basis == "wac":
                lots[0] = _add(lots[0][0], move), _add(lots[0][1], cash)
            else:
                lots.append((move, cash))
        yield Realised(fill.fact_no, None if fill.quote_rate is None else _multiply(gained, fill.quote_rate))
