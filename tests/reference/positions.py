"""Positions and trades of one account (meaning.md, 8.1 to 8.3 and 8.5; rollups.md, 1.7 and 1.8)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from reference.facts import Fill, Instrument
from reference.numbers import ONE, ZERO, part, plus, rounded, shares


@dataclass
class Bundle:
    """What a fill, or a part of it, brings to a trade. None: a rate is missing; `missing` names the currencies."""

    cash: Fraction = ZERO
    quote_fees: Fraction = ZERO
    #: 1.8: fees in a third currency, in USD at the fill.
    other_fees: Fraction | None = ZERO
    #: All fees, each in USD at its fill: what a listing shows.
    fees_usd: Fraction | None = ZERO
    missing: frozenset[str] = frozenset()

    def split(self, weights: Sequence[Fraction]) -> list[Bundle]:
        """1.8: at a crossing the closing part takes its share of cash and fees, the remainder goes to what opens."""
        columns = [None if total is None else shares(total, weights) for total in (self.cash, self.quote_fees, self.other_fees, self.fees_usd)]
        return [Bundle(*(None if c is None else c[n] for c in columns), missing=self.missing) for n in range(len(weights))]  # type: ignore[arg-type]


@dataclass
class Trade:
    opened_at: int
    direction: str
    peak: Fraction = ZERO
    money: Bundle = field(default_factory=Bundle)
    #: 8.5: funding, interest and the like with a symbol: in quote, and in USD at its instant.
    income: Fraction = ZERO
    other_income: Fraction | None = ZERO
    fills: list[str] = field(default_factory=list)

    def add(self, bundle: Bundle, fills: Sequence[str]) -> None:
        mine = self.money
        self.money = Bundle(
            mine.cash + bundle.cash, mine.quote_fees + bundle.quote_fees, plus(mine.other_fees, bundle.other_fees), plus(mine.fees_usd, bundle.fees_usd),
            mine.missing | bundle.missing,
        )  # fmt: skip
        self.fills += fills


@dataclass
class ClosedTrade:
    instrument: str
    opened_at: int
    closed_at: int
    direction: str
    size: Fraction
    pnl: Fraction | None
    fees: Fraction | None
    fills: list[str]
    missing: frozenset[str]


@dataclass
class Position:
    instrument: Instrument
    quantity: Fraction = ZERO
    #: The signed cash of what is open, without fees: its average cost × quantity. A residue has none.
    open_cash: Fraction = ZERO
    #: None with a quantity: a residue.
    trade: Trade | None = None
    multiplier: Fraction = ONE
    inverse: bool = False

    @property
    def average_price(self) -> Fraction | None:
        if self.trade is None or not self.quantity or (self.inverse and not self.open_cash):
            return None
        if self.inverse:
            return rounded(abs(self.quantity) * self.multiplier / abs(self.open_cash))
        return rounded(-self.open_cash / (self.quantity * self.multiplier))


class Positions:
    def __init__(self, is_dust: Callable[[Fraction, Fraction, Fill], bool], close: Callable[[Position, Trade, Fill], ClosedTrade]) -> None:
        self.is_dust, self.close_trade = is_dust, close
        self.all: dict[Instrument, Position] = {}
        self.closed: list[ClosedTrade] = []
        #: Cash of contracts that was set free: no open trade holds it any more (8).
        self.freed: list[tuple[str, Fraction]] = []

    def of(self, asset: tuple[str, str]) -> list[Position]:
        """In the order of their instruments' names (8.2)."""
        return sorted((p for p in self.all.values() if p.instrument.asset == asset), key=lambda p: p.instrument.name)

    def longs(self, asset: tuple[str, str]) -> Fraction:
        return sum((max(ZERO, p.quantity) for p in self.of(asset)), ZERO)

    def shorts(self, asset: tuple[str, str]) -> Fraction:
        return sum((max(ZERO, -p.quantity) for p in self.of(asset)), ZERO)

    def set_aside(self, currency: str) -> Fraction:
        """8: the cash of contracts that are still open."""
        return sum((p.trade.money.cash for p in self.all.values() if p.trade and p.instrument.contract and p.instrument.quote == currency), ZERO)

    def fill(self, fill: Fill, moved: Fraction, bundle: Bundle, balance: Fraction) -> None:
        """`moved`: signed, net of a fee in the base (1.8); `balance`: of the base, before the fill."""
        position = self.all.setdefault(fill.instrument, Position(fill.instrument))
        position.multiplier, position.inverse = fill.multiplier, fill.inverse
        if not moved:
            self._add_or_free(position, bundle, fill)
            return
        sign = 1 if moved > 0 else -1
        size = abs(moved)
        closing = min(size, abs(position.quantity)) if position.quantity * sign < 0 else ZERO
        # 8.1: what else the account holds, and for a purchase what else it owes (8.2, in mirror).
        what_else = max(ZERO, -sign * balance - max(ZERO, -sign * position.quantity))
        used = min(size - closing, what_else)
        opening = size - closing - used
        trade = position.trade
        if closing and trade:
            oversold = bool(opening) and self.is_dust(opening, trade.peak, fill)  # 1.8: over-selling by dust closes, too
            mine, holdings, rest = bundle.split([closing + opening, used, ZERO] if oversold else [closing, used, opening])
            trade.add(mine, [fill.id])
            position.open_cash -= part(position.open_cash, closing, abs(position.quantity))
            position.quantity += sign * closing
            left = abs(position.quantity)
            if oversold or not left or self.is_dust(left, trade.peak, fill):  # 8.3
                self._close(position, trade, fill)
            if oversold:
                position.quantity += sign * opening  # a residue below zero
            elif opening:
                self._open(position, sign, opening, rest, fill, opening)
        else:
            # 8.3: a residue of the other side is filled first, at no cost: the whole cash is that of what opens.
            holdings, rest = bundle.split([used, closing + opening] if opening else [closing + used, ZERO])
            position.quantity += sign * closing
            if opening:
                self._open(position, sign, opening, rest, fill, closing + opening)
        self._free(position, holdings.cash)

    def _open(self, position: Position, sign: int, opening: Fraction, bundle: Bundle, fill: Fill, paid_for: Fraction) -> None:
        position.quantity += sign * opening
        if position.trade is None:
            position.trade = Trade(fill.instant, "long" if sign > 0 else "short")
        position.trade.add(bundle, [fill.id])
        position.trade.peak = max(position.trade.peak, abs(position.quantity))
        position.open_cash += part(fill.cash, paid_for, fill.quantity)  # without fees, one in the base neither

    def _add_or_free(self, position: Position, bundle: Bundle, fill: Fill) -> None:
        """A fee in the base that is the whole quantity: the fill moves nothing."""
        if position.trade:
            position.trade.add(bundle, [fill.id])
        else:
            self._free(position, bundle.cash)

    def _close(self, position: Position, trade: Trade, fill: Fill) -> None:
        self.closed.append(self.close_trade(position, trade, fill))
        self._end(position)

    def _end(self, position: Position) -> None:
        if position.trade:
            self._free(position, position.trade.money.cash)
        position.trade, position.open_cash = None, ZERO

    def _free(self, position: Position, cash: Fraction) -> None:
        if position.instrument.contract and cash:
            self.freed.append((position.instrument.quote, cash))

    def cover(self, asset: tuple[str, str], balance: Fraction) -> None:
        """8.2: longs give what the balance no longer covers, shorts shrink by what is no longer owed; at average cost, without a trade."""
        for sign, total in ((1, self.longs(asset)), (-1, self.shorts(asset))):
            excess = total - max(ZERO, sign * balance)
            for position in self.of(asset):
                taken = min(excess, max(ZERO, sign * position.quantity))
                if taken > 0:
                    self.take(position, taken)
                    excess -= taken

    def take(self, position: Position, quantity: Fraction) -> Fraction:
        """`quantity` without a sign goes at its average cost; answers the signed cash that went with it."""
        cash = part(position.open_cash, quantity, abs(position.quantity))
        position.open_cash -= cash
        position.quantity -= quantity if position.quantity > 0 else -quantity
        if position.trade:
            position.trade.money = replace(position.trade.money, cash=position.trade.money.cash - cash)
            self._free(position, cash)
        if not position.quantity:
            self._end(position)  # no fill closed it: no trade
        return cash

    def scale(self, asset: tuple[str, str], before: Fraction, after: Fraction) -> None:
        """8.5, split: a position scales, a short, too; its cost stays."""
        for position in self.of(asset):
            position.quantity = rounded(position.quantity * after / before)
            if position.trade:
                position.trade.peak = rounded(position.trade.peak * after / before)

    def rename(self, old: tuple[str, str], new: tuple[str, str], share: Fraction, ratio: Fraction, room: Fraction) -> None:
        """8.5: longs of every quote move at their cost and merge, `share` of each; `room` is what may be long of the new code."""
        for position in self.of(old):
            if position.quantity <= 0:
                continue
            leaving = position.quantity if share == ONE else rounded(position.quantity * share)
            became = min(rounded(leaving * ratio), room - self.longs(new))
            quote = position.instrument.quote
            target = replace(position.instrument, name=new[0] if position.instrument.contract else f"{new[0]}/{quote}", asset=new)
            if became <= 0 or target.asset[0] == quote:
                continue  # what does not find a place stays to be covered at its average cost
            into = self.all.setdefault(target, Position(target))
            into.multiplier, into.inverse = position.multiplier, position.inverse
            self._carry(position, into, leaving, became, ratio)

    def _carry(self, position: Position, into: Position, leaving: Fraction, became: Fraction, ratio: Fraction) -> None:
        trade, whole = position.trade, leaving == position.quantity
        if trade and whole:  # the trade goes over with all that it realised
            cash, money, fills = position.open_cash, trade.money, trade.fills
            income, other = trade.income, trade.other_income
            position.quantity, position.open_cash, position.trade = ZERO, ZERO, None
        else:
            cash = part(position.open_cash, leaving, position.quantity)
            position.quantity, position.open_cash = position.quantity - leaving, position.open_cash - cash
            money, fills, income, other = Bundle(cash=cash), [], ZERO, ZERO
            if trade:
                trade.money = replace(trade.money, cash=trade.money.cash - cash)
        into.quantity += became
        into.open_cash += cash
        if trade is None:
            return
        if into.trade is None:
            into.trade = Trade(trade.opened_at, trade.direction)
        goal = into.trade
        goal.opened_at = min(goal.opened_at, trade.opened_at)
        goal.add(money, fills)
        goal.income, goal.other_income = goal.income + income, plus(goal.other_income, other)
        goal.peak = max(goal.peak, rounded(trade.peak * ratio) if whole else ZERO, abs(into.quantity))
