"""What an account has of one asset, and what becomes of it, fact by fact: lots, positions in the instruments whose base it is, debts.

Fills alone do not know what an account holds. A **balance** here is what the books say, without the cash of contracts that are still open:
that is notional, and enters as one gain or loss when their trade closes.

1. A sale beyond the instrument's own position uses what else is held before it opens a short; a purchase what else is owed.
2. What leaves other than by a fill takes from long positions only what the balance no longer covers, in the order of their names; what comes
   takes from short ones likewise.

So after every fact longs ≤ max(0, balance) and shorts ≤ max(0, -balance).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import date as Date
from decimal import Decimal

from jarvis_client.contract.decimals import EXACT, QUOTIENT, ZERO, canonical
from persistence.domain.rollup import Lot, name_and_kind
from scheduler.rollup.lots import Lots, Origin, Pool, Queue, Taken, share_of
from scheduler.rollup.options import RollupOptions
from scheduler.rollup.trades import Closed, Position, TradeFill, effect

_add, _subtract, _minus = EXACT.add, EXACT.subtract, EXACT.minus


class Asset:
    """One asset of one account. `balance` is all of it, `open_cash` what of it is the cash of open contracts, `debt` what was borrowed and
    `debt_value` what that was worth then."""

    __slots__ = ("_before", "balance", "debt", "debt_value", "depends", "is_contract", "key", "lots", "open_cash", "positions")

    def __init__(self, key: str, state: str, balance: Decimal, lots: Callable[[str], Lots]) -> None:
        self.key = key
        self.is_contract = name_and_kind(key)[1] == "contract"
        self.balance = self._before = balance
        stored = json.loads(state) if state else {}
        self.positions = {name: Position.restore(name, position) for name, position in stored.get("positions", {}).items()}
        self.lots = lots(stored.get("lots", ""))
        self.open_cash = Decimal(stored.get("open_cash", "0"))
        self.debt, worth = Decimal(stored.get("debt", "0")), stored.get("debt_value", "0")
        self.debt_value = None if worth is None else Decimal(worth)
        #: Whether what became of it since this was last cleared depended on how much there was.
        self.depends = False

    @property
    def counted(self) -> Decimal:
        """The balance without the cash of open contracts."""
        return _subtract(self.balance, self.open_cash) if self.open_cash else self.balance

    @property
    def is_plain(self) -> bool:
        """Nothing to look after: dollars that came and went as dollars, in no position."""
        lots = self.lots
        return not self.positions and lots.par and not lots.excess and lots.excess is not None

    def position(self, name: str) -> Position:
        found = self.positions.get(name)
        if found is None:
            found = self.positions[name] = Position(name)
        return found

    def trade(self, fill: TradeFill, options: RollupOptions) -> list[Closed]:
        """A fill of an instrument whose base this is."""
        position, moved = self.position(fill.position), effect(fill)
        elsewhere = ZERO
        if not self.is_contract:
            move, counted, quantity = moved[0], self.counted, position.quantity
            if move > 0:
                if counted < 0:
                    elsewhere = _subtract(_minus(counted), _minus(quantity) if quantity < 0 else ZERO)
            elif counted > 0:
                own = quantity if quantity > 0 else ZERO
                if _minus(move) > own:
                    elsewhere = _subtract(counted, own)
        return position.apply(fill, moved, options, elsewhere if elsewhere > 0 else ZERO)

    def change(self, amount: Decimal, value: Decimal | None, origin: Origin) -> tuple[Taken, ...]:
        """Bring or take an amount worth `value`, both signed alike. Positions follow once `settle` is called."""
        taken = self.lots.move(self.counted, amount, value, origin) if not self.is_contract else ()
        self.count(amount)
        return taken

    def count(self, amount: Decimal) -> None:
        self.balance = _add(self.balance, amount)

    def settle(self) -> None:
        """Take from positions what the balance no longer covers."""
        if self.positions and not self.is_contract:
            long, short = self.uncovered()
            if long:
                self._leave(long, long=True)
            if short:
                self._leave(short, long=False)

    def uncovered(self) -> tuple[Decimal, Decimal]:
        """What of its longs is more than the balance, and what of its shorts more than is owed."""
        longs, shorts = ZERO, ZERO
        for position in self.positions.values():
            if position.quantity > 0:
                longs = _add(longs, position.quantity)
            elif position.quantity:
                shorts = _subtract(shorts, position.quantity)
        counted = self.counted
        covered, owed = (counted, ZERO) if counted > 0 else (ZERO, _minus(counted))
        return _subtract(longs, covered) if longs > covered else ZERO, _subtract(shorts, owed) if shorts > owed else ZERO

    def _leave(self, quantity: Decimal, *, long: bool) -> None:
        for name in sorted(self.positions):
            position = self.positions[name]
            if not quantity:
                return
            if position.quantity and (position.quantity > 0) == long:
                part = min(quantity, position.quantity.copy_abs())
                position.leave(part)
                quantity = _subtract(quantity, part)

    def scale(self, amount: Decimal, origin: Origin) -> tuple[Decimal, Decimal] | None:
        """A split: more (or fewer) units at the same cost. Returns (quantity before, after); None, and nothing is done, where there is nothing
        to split."""
        before = self.counted
        after = _add(before, amount)
        if not before or not after or (after > 0) != (before > 0):
            return None
        if not self.is_contract:
            self.lots.scale(before, after, origin)
        for position in self.positions.values():
            position.scale(before, after)
        if self.debt:
            self.debt = QUOTIENT.divide(EXACT.multiply(self.debt, after), before)
        self.count(amount)
        self.settle()  # rounding may leave positions above the balance
        return before, after

    def borrow(self, amount: Decimal, value: Decimal | None) -> None:
        """Add to the debt."""
        self.debt = _add(self.debt, amount)
        self.debt_value = None if self.debt_value is None or value is None else _add(self.debt_value, value)

    def repay(self, amount: Decimal) -> tuple[Decimal, Decimal | None]:
        """Take from the debt: what of an amount repays it, and what that was worth when it was borrowed (the average of several loans)."""
        part = min(amount, self.debt)
        if not part:
            return ZERO, ZERO
        value = share_of(self.debt_value, part, self.debt)
        self.debt = _subtract(self.debt, part)
        self.debt_value = ZERO if not self.debt else None if value is None or self.debt_value is None else _subtract(self.debt_value, value)
        return part, value

    def text(self) -> str:
        """What is remembered of it at the end of a day: nothing that a balance says already."""
        stored: dict[str, object] = {}
        positions = {name: state for name in sorted(self.positions) if (state := self.positions[name].state()) is not None}
        if positions:
            stored["positions"] = positions
        if lots := self.lots.text():
            stored["lots"] = lots
        if self.open_cash:
            stored["open_cash"] = canonical(self.open_cash)
        if self.debt:
            stored |= {"debt": canonical(self.debt), "debt_value": None if self.debt_value is None else canonical(self.debt_value)}
        return json.dumps(stored, separators=(",", ":")) if stored else ""

    def end_day(self) -> tuple[Decimal, bool]:
        """What it moved since the last day's end, and whether what became of it depended on how much there was."""
        found = _subtract(self.balance, self._before), self.depends or not self.is_plain
        self._before, self.depends = self.balance, False
        self.positions = {name: p for name, p in self.positions.items() if p.quantity or p.is_open}
        return found


def lots_of(key: str, options: RollupOptions, read: Callable[[str, Date, int], Iterable[Lot]], today: Callable[[], Date]) -> Callable[[str], Lots]:
    """How the lots of an asset are kept: what is like a dollar as one pool, the rest as the options say."""
    name, kind = name_and_kind(key)
    par = kind == "currency" and (name in options.usd_like or name == "USD")
    if par or kind == "contract" or options.cost_basis == "wac":
        return lambda text: Pool(text, par=par)
    return lambda text: Queue(text, lambda date, number: read(key, date, number), today)


__all__ = ["Asset", "lots_of"]
