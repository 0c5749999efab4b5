"""Fills and flows read day by day: the trades they close, the positions, rates and holdings at the end of each day.

Two ways through: `everything` over whole days, and `late` for a few facts among days that were read before, which follows only
the symbols concerned and stops as soon as a day ends as it ended before.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date as Date
from decimal import Context, Decimal
from typing import Any

from persistence.books.account_facts import FillRow, FlowRecord
from persistence.books.account_history import AccountBooks, ContractValue, KnownRate
from persistence.domain.facts import Charge
from persistence.domain.facts.fill import more_charges
from persistence.domain.instants import end_of_day, start_of_day
from persistence.domain.money import EXACT, ONE, ZERO
from persistence.domain.rollup import ClosedTrade, NewFact
from persistence.repositories.rollups import Changes
from scheduler.rollup.days import ONE_DAY, Calendar, day_of
from scheduler.rollup.options import RollupOptions
from scheduler.rollup.said_rates import SaidRates
from scheduler.rollup.trades import Position, TradeFill

#: Quotients are taken to this many digits.
_QUOTIENT = Context(prec=50)

#: Kinds that move money, and so the holdings of their day.
_MOVING = {"fill", "fee", "deposit", "withdrawal", "transaction", "adjustment"}


class Replay:
    """What a pass found out about trades, positions, rates and holdings; `changes` takes what has to be stored."""

    def __init__(self, books: AccountBooks, options: RollupOptions, changes: Changes, progress: Callable[[Date], None]) -> None:
        self._books = books
        self._options = options
        self._changes = changes
        self._progress = progress
        self._positions: dict[str, Position] = {}
        self._rates: dict[str, KnownRate | None] = {}
        self._said: SaidRates | None = None
        self._today = Date.min
        #: Fills whose price is the latest rate of their base, not worked out yet.
        self._prices: dict[str, TradeFill] = {}
        #: Trades that differ from the stored ones: whole days, or the days of single symbols.
        self._replaced: tuple[Date, Date] | None = None
        self._replaced_positions: set[tuple[Date, str]] = set()
        self._trades: dict[Date, list[ClosedTrade]] = defaultdict(list)
        self._trade_days: list[Date] = []
        #: Flows without a rate of their own → what they were valued at.
        self.flow_rates: dict[int, Decimal | None] = {}
        self.estimates = False
        self.changed_trade_days: set[Date] = set()
        self.rates_of_day: dict[Date, dict[str, KnownRate]] = {}
        self.closings_of_day: dict[Date, dict[str, Decimal]] = {}
        self.contract_values_of_day: dict[Date, dict[str, ContractValue]] = {}
        self._later_fees: Mapping[int, list[Charge]] = {}

    # -- whole days --------------------------------------------------------------------------------------------------

    def everything(self, first: Date, last: Date, *, stored_beyond: bool) -> None:
        """Read all of [first, last] anew, from what was left before `first`. `stored_beyond`: earlier passes left rows there."""
        books, options, zone = self._books, self._options, self._options.zone
        start, end = start_of_day(first, zone), end_of_day(last, zone) + 1
        self._replaced = self._changes.replaced_days = first, last
        calendar = Calendar(zone)
        flows = books.flows(start - 1, end - 1, options.usd_like, capital=False)
        flow_at = 0
        day: Date | None = None
        touched: set[str] = set()
        self._later_fees = books.later_fees(start, end)
        for row in books.fills(start, end):
            today = calendar.day_of(row.instant)
            while flow_at < len(flows) and flows[flow_at].place < row.place:
                day = self._turn(day, day_of(flows[flow_at].instant, zone), touched)
                self._value_flow(flows[flow_at], first)
                flow_at += 1
            day = self._turn(day, today, touched)
            fill = self._fill(row, first)
            position = self._positions.get(fill.position)
            if position is None:
                position = self._positions[fill.position] = Position.restore(fill.position, books.position_before(fill.position, first))
            touched.add(fill.position)
            self._trades[today] += position.apply(fill, options)
        for flow in flows[flow_at:]:
            day = self._turn(day, day_of(flow.instant, zone), touched)
            self._value_flow(flow, first)
        self._turn(day, last + ONE_DAY, touched)
        self._store_trades((d, key) for d in self._trades if d >= first for key in sorted({t.position for t in self._trades[d]}))
        if stored_beyond:
            self._clear_stored(first, last)
        self._trade_days = sorted(d for d, trades in self._trades.items() if trades)
        self._close_currencies(first, last, stored_beyond)

    def _turn(self, day: Date | None, today: Date, touched: set[str]) -> Date:
        """End `day` where `today` is another one."""
        if day is None or day == today:
            self._today = today
            return today
        self._settle_prices()
        self._today = today
        for key in touched:
            self._changes.positions[key, day] = self._positions[key].text()
        touched.clear()
        for currency, rate in self.rates_of_day.get(day, {}).items():
            self._changes.rates[currency, day] = rate
        for contract, value in self.contract_values_of_day.get(day, {}).items():
            self._changes.contract_values[contract, day] = value
        self._progress(day)
        return today

    def _clear_stored(self, first: Date, last: Date) -> None:
        """What earlier passes kept for these days and this one did not find again."""
        for key in self._books.positions_kept(first, last):
            self._changes.positions.setdefault(key, None)
        for key in self._books.rates_kept(first, last):
            self._changes.rates.setdefault(key, None)
        for key in self._books.contract_values_kept(first, last):
            self._changes.contract_values.setdefault(key, None)

    # -- late facts --------------------------------------------------------------------------------------------------

    def late(self, facts: list[NewFact], last: Date) -> None:
        """Read again what facts among the days up to `last` changed. None of them needs a rate that it does not carry."""
        zone = self._options.zone
        waiting: dict[Date, set[str]] = defaultdict(set)
        for fact in facts:
            if fact.position is not None:
                waiting[day_of(fact.instant, zone)].add(fact.position)
        rate_days = {day_of(f.instant, zone) for f in facts}
        active: dict[str, Position] = {}
        day = min(waiting, default=None)
        while day is not None and day <= last:
            for key in waiting.pop(day, ()):
                if key not in active:
                    active[key] = Position.restore(key, self._books.position_before(key, day))
            self._replay_day(day, active)
            day = self._next_day(day, waiting, bool(active))
        for day in sorted(rate_days):
            self._rates_of(day)
        moving = sorted({day_of(f.instant, zone) for f in facts if f.kind in _MOVING})
        self._move_closings({d: self._books.movements(start_of_day(d, zone), end_of_day(d, zone) + 1) for d in moving}, stored=True)
        self._positions.update(active)

    def _next_day(self, day: Date, waiting: dict[Date, set[str]], following: bool) -> Date | None:
        candidates = list(waiting)
        if following:
            instant = self._books.next_fill_at(end_of_day(day, self._options.zone) + 1)
            if instant is not None:
                candidates.append(day_of(instant, self._options.zone))
        return min(candidates, default=None)

    def _replay_day(self, day: Date, active: dict[str, Position]) -> None:
        """One day of the active symbols; those that end it as they ended it before are no longer active."""
        zone = self._options.zone
        closed: dict[str, list[ClosedTrade]] = {key: [] for key in active}
        touched = set()
        start, end = start_of_day(day, zone), end_of_day(day, zone) + 1
        self._later_fees = self._books.later_fees(start, end)
        for row in self._books.fills(start, end):
            if (key := row.position) in active:
                touched.add(key)
                closed[key] += active[key].apply(self._fill(row, day), self._options)
        for key, trades in closed.items():
            if trades != self._books.trades_of(day, key):
                self._replaced_positions.add((day, key))
                self._changes.replaced_trades.append((day, key))
                self._trades[day] += trades
                self.changed_trade_days.add(day)
                self._store_trades([(day, key)])
        for key in list(active):
            state = active[key].text()
            before = self._books.position_before(key, day + ONE_DAY)
            kept = self._books.position_on(key, day)
            if key in touched:
                if kept != state:
                    self._changes.positions[key, day] = state
            elif kept is not None:
                self._changes.positions[key, day] = None
            if state == before:
                del active[key]
        self._trade_days = sorted(self._trades)

    def _rates_of(self, day: Date) -> None:
        """The last rates of a day, read anew."""
        zone = self._options.zone
        start, end = start_of_day(day, zone), end_of_day(day, zone) + 1
        told: list[tuple[Any, list[tuple[str, Decimal]]]] = []
        values: dict[str, ContractValue] = {}
        self._later_fees = self._books.later_fees(start, end)
        for row in self._books.fills(start, end):
            fill = self._fill(row, day)
            told.append((row.place, _told(fill, gives_quote=row.quote_rate is not None, given=_given_charges(row, self._later_fees))))
            if fill.is_contract:
                values[fill.position] = _contract_value(fill)
        told += [
            (f.place, [(f.currency, f.rate)])
            for f in self._books.flows(start - 1, end - 1, self._options.usd_like, capital=False)
            if f.given and f.rate is not None
        ]
        found: dict[str, KnownRate] = {}
        for place, pairs in sorted(told):
            found.update((c, KnownRate(place[0], r)) for c, r in pairs if c not in self._options.usd_like)
        self._changes.rates.update(dict.fromkeys(self._books.rates_kept(day, day)))
        self._changes.contract_values.update(dict.fromkeys(self._books.contract_values_kept(day, day)))
        self._changes.contract_values.update({(contract, day): value for contract, value in values.items()})
        self._changes.rates.update({(currency, day): rate for currency, rate in found.items()})

    # -- trades ------------------------------------------------------------------------------------------------------

    def trades(self, after: Date | None, until: Date) -> Iterator[ClosedTrade]:
        """Trades dated in (after, until], as they are once the changes are stored."""
        first, last = self._replaced or (Date.max, Date.min)
        all_replaced = after is not None and first <= after + ONE_DAY and until <= last
        for day, trade in () if all_replaced else self._books.trades(after, until):
            if not first <= day <= last and (day, trade.position) not in self._replaced_positions:
                yield trade
        at = 0 if after is None else bisect_right(self._trade_days, after)
        while at < len(self._trade_days) and self._trade_days[at] <= until:
            yield from self._trades[self._trade_days[at]]
            at += 1

    def _store_trades(self, keys: Iterable[tuple[Date, str]]) -> None:
        for day, key in keys:
            ours = [t for t in self._trades[day] if t.position == key]
            self._changes.trades += [(day, key, number, trade) for number, trade in enumerate(ours, 1)]

    # -- rates -------------------------------------------------------------------------------------------------------

    def _fill(self, row: FillRow, first: Date) -> TradeFill:
        """The fill of a row, its missing rates filled in by the latest that are known."""
        cash_currency = row.settle or row.quote
        estimated = False
        rate = ONE if row.quote_rate == "1" else None if row.quote_rate is None else Decimal(row.quote_rate)
        if rate is None:
            rate = self._latest(cash_currency, row.instant, first)
            estimated = cash_currency not in self._options.usd_like
        charges, guessed = self._charges(row, cash_currency, first)
        estimated = estimated or guessed
        self.estimates = self.estimates or estimated
        fill = TradeFill(
            row.fact_no, row.instant, row.position, row.side == "buy", Decimal(row.quantity), Decimal(row.price), Decimal(row.cash),
            ONE if row.multiplier == "1" else Decimal(row.multiplier), row.base, cash_currency, charges, rate, row.settle is not None, bool(row.inverse),
            estimated,
        )  # fmt: skip
        if self._replaced is not None:
            if row.quote_rate is not None and rate is not None and cash_currency not in self._options.usd_like:
                self._learn(cash_currency, rate, row.instant)
            for charge in _given_charges(row, self._later_fees):
                if charge.usd_rate is not None and charge.currency != cash_currency:
                    self._learn(charge.currency, charge.usd_rate, row.instant)
            if fill.is_contract:
                self.contract_values_of_day.setdefault(self._today, {})[fill.position] = _contract_value(fill)
            elif rate is not None:
                # The price as a rate is worked out when the day ends, or when somebody asks for it.
                self._prices[row.base] = fill
        return fill

    def _charges(self, row: FillRow, cash_currency: str, first: Date) -> tuple[tuple[Charge, ...], bool]:
        """The fees of a fill, later ones included, each with a rate where it needs one; and whether one was estimated."""
        if row.fee in (None, "0") and row.more_fees is None and row.fact_no not in self._later_fees:
            return (), False
        charges, estimated = [], False
        for charge in _given_charges(row, self._later_fees):
            rate = charge.usd_rate
            if rate is None and charge.currency != cash_currency and (row.settle is not None or charge.currency != row.base):
                rate = self._latest(charge.currency, row.instant, first)
                estimated = estimated or charge.currency not in self._options.usd_like
            charges.append(charge._replace(usd_rate=rate))
        return tuple(charges), estimated

    def _settle_prices(self) -> None:
        for currency, fill in list(self._prices.items()):
            if fill.quote_rate is not None:
                self._learn(currency, _price_rate(fill), fill.instant)
        self._prices.clear()

    def _learn(self, currency: str, rate: Decimal, at: int) -> None:
        self._prices.pop(currency, None)
        if currency not in self._options.usd_like:
            self._rates[currency] = self.rates_of_day.setdefault(self._today, {})[currency] = KnownRate(at, rate)

    def _latest(self, currency: str, at: int, first: Date) -> Decimal | None:
        """The newest rate at an instant; `first` is the first day that this pass reads."""
        if currency in self._options.usd_like:
            return ONE
        if (fill := self._prices.get(currency)) is not None:
            self._learn(currency, _price_rate(fill), fill.instant)
        if currency not in self._rates:
            self._rates[currency] = self._told_before(currency, first)
        if self._said is None:
            self._said = SaidRates(self._books, start_of_day(first, self._options.zone))
        newest = self._said.newest(currency, at, self._rates[currency])
        return None if newest is None else newest.usd

    def _told_before(self, currency: str, first: Date) -> KnownRate | None:
        """The last rate told before a day: as it is stored, but for what this pass has found out of earlier days."""
        day, changed = first, self._changes.rates
        while (stored := self._books.rate_before(currency, day)) is not None and (currency, day_of(stored.at, self._options.zone)) in changed:
            day = day_of(stored.at, self._options.zone)
        ours = [rate for (name, date), rate in changed.items() if name == currency and date < first and rate is not None]
        return max([*ours, *([] if stored is None else [stored])], key=lambda rate: rate.at, default=None)

    def _value_flow(self, flow: FlowRecord, first: Date) -> None:
        if flow.given:
            if flow.rate is not None:
                self._learn(flow.currency, flow.rate, flow.instant)
            return
        rate = self._latest(flow.currency, flow.instant, first)
        self.flow_rates[flow.fact_no] = rate
        self.estimates = True
        if rate is not None:
            self._changes.flow_rates.append((flow.fact_no, day_of(flow.instant, self._options.zone), rate))

    # -- holdings ----------------------------------------------------------------------------------------------------

    def _close_currencies(self, first: Date, last: Date, stored: bool) -> None:
        zone = self._options.zone
        moved: dict[Date, dict[str, Decimal]] = {}
        instant: int | None = start_of_day(first, zone)
        while instant is not None and (instant := self._books.next_transaction_at(instant)) is not None:
            day = day_of(instant, zone)
            if day > last:
                break
            start, instant = start_of_day(day, zone), end_of_day(day, zone) + 1
            moved[day] = self._books.movements(start, instant)
        if stored:
            for _, day in self._books.closes_kept(first, last):
                moved.setdefault(day, {})
        self._move_closings(moved, stored=stored, until=last)

    def _move_closings(self, moved: dict[Date, dict[str, Decimal]], *, stored: bool, until: Date = Date.max) -> None:
        """Holdings after days whose movements were read anew; later days that are stored, up to `until`, shift along."""
        if not moved:
            return
        earliest = min(moved)
        currencies = {c for movements in moved.values() for c in movements}
        kept: dict[str, dict[Date, Decimal]] = {}
        if stored:
            currencies |= set(self._books.holdings())
            kept = {c: self._books.moved_in(c, earliest, until) for c in currencies}
        for currency in sorted(currencies):
            amounts = dict(kept.get(currency, {}))
            for day, movements in moved.items():
                amount = movements.get(currency, ZERO)
                if amount:
                    amounts[day] = amount
                elif amounts.pop(day, None) is not None:
                    self._changes.closes[currency, day] = None
            if not amounts:
                continue
            closing = self._closing_before(currency, earliest)
            for day in sorted(amounts):
                closing = EXACT.add(closing, amounts[day])
                self._changes.closes[currency, day] = amounts[day], closing
                self.closings_of_day.setdefault(day, {})[currency] = closing
        for day, movements in moved.items():
            if movements:  # a day that is only kept from before, in another zone perhaps, has no row any more
                self.closings_of_day.setdefault(day, {})

    def _closing_before(self, currency: str, day: Date) -> Decimal:
        ours = [d for (c, d), value in self._changes.closes.items() if c == currency and d < day and value is not None]
        if ours:
            value = self._changes.closes[currency, max(ours)]
            assert value is not None
            return value[1]
        return self._books.closing_before(currency, day)


def _told(fill: TradeFill, *, gives_quote: bool, given: Iterable[Charge]) -> list[tuple[str, Decimal]]:
    """The USD rates that a fill tells of: its own, and the price of a spot fill as the rate of its base."""
    found = []
    if gives_quote and fill.quote_rate is not None:
        found.append((fill.quote, fill.quote_rate))
    found += [(charge.currency, charge.usd_rate) for charge in given if charge.usd_rate is not None and charge.currency != fill.quote]
    if fill.quote_rate is not None and not fill.is_contract:
        found.append((fill.base, _price_rate(fill)))
    return found


def _given_charges(row: FillRow, later: Mapping[int, list[Charge]]) -> list[Charge]:
    """The fees of a fill as they were given, with those that came later."""
    found = [] if row.fee in (None, "0") else [Charge(row.fee_currency, Decimal(str(row.fee)), None if row.fee_rate is None else Decimal(row.fee_rate))]
    if row.more_fees is not None:
        found += more_charges(row.more_fees)
    return found + later.get(row.fact_no, [])


def _contract_value(fill: TradeFill) -> ContractValue:
    """What one contract is worth by a fill of it: its cash per contract, of an inverse one with the sign reversed."""
    each = _QUOTIENT.divide(fill.cash, fill.quantity)
    return ContractValue(EXACT.minus(each) if fill.inverse else each, fill.quote)


def _price_rate(fill: TradeFill) -> Decimal:
    """The USD rate of a fill's base that its price tells."""
    assert fill.quote_rate is not None
    return EXACT.multiply(EXACT.multiply(fill.price, fill.multiplier), fill.quote_rate)
