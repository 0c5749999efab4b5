"""Facts read day by day, in their order: the trades they close, and what is remembered at the end of each day to go on from.

`Replay.run` reads whole days. Where late facts came among days that were read before, it stops at the end of the first day from which
nothing can differ: everything ends as it ended before, no rate that came counts any longer, and what is held more or less of is nothing
that anything depends on.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date as Date
from decimal import Decimal
from heapq import merge
from typing import NamedTuple

from persistence.books.account_facts import EntryRow, FeeRow, FillRow, FlowRow
from persistence.books.account_history import AccountBooks, ContractValue, DayClose
from persistence.domain.facts import Charge
from persistence.domain.facts.fill import more_charges
from persistence.domain.instants import end_of_day, start_of_day
from persistence.domain.money import EXACT, ONE, QUOTIENT, ZERO, canonical
from persistence.domain.rollup import PAR, ClosedTrade, FlowValue, KnownRate, Oddity, UsdRate, name_and_kind
from persistence.repositories.rollups import Changes
from scheduler.rollup.assets import Asset, lots_of
from scheduler.rollup.days import ONE_DAY, Calendar
from scheduler.rollup.lots import Origin, Queue, Taken
from scheduler.rollup.options import RollupOptions
from scheduler.rollup.rates import Rates
from scheduler.rollup.trades import RatedCharge, TradeFill, effect

_minus = EXACT.minus
#: Categories that are capital: they cross the account's boundary and are no profit.
CAPITAL = frozenset({"external", "transfer"})


_Other = FlowRow | FeeRow | EntryRow


class Moved(NamedTuple):
    """One movement of an asset, for who wants to know: `value` in USD is signed as the amount is."""

    asset: str
    amount: Decimal
    value: Decimal | None
    origin: Origin
    taken: tuple[Taken, ...]
    record: str


@dataclass(slots=True)
class Late:
    """What came among days that were read before: `reach` is the day of the last of it, `rates` the instant of the last rate record of each
    currency."""

    reach: Date
    rates: dict[str, int] = field(default_factory=dict)


class _Day(NamedTuple):
    """What was found out for the end of a day, or is stored for it."""

    closes: dict[str, DayClose]
    rates: dict[str, KnownRate]
    contracts: dict[str, ContractValue]


class Replay:
    """One reading of an account's facts. `changes` takes what has to be stored, `listener` hears of every movement."""

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
        self._options = options
        self._changes = changes
        self.first = first
        self._progress = progress
        self._listener = listener
        self._assets: dict[str, Asset] = {}
        self._touched: set[str] = set()
        self._day = first
        self._rates = Rates(options.usd_like, lambda currency: books.rate_before(currency, first), books.said_at)
        self._contracts: dict[str, ContractValue] = {}
        self._later_fees: dict[int, list[Charge]] = {}
        #: Both halves of renames, by the number of either; those that were done.
        self._pairs: dict[int, tuple[FlowRow, FlowRow]] = {}
        self._renamed: set[int] = set()
        self._trades: dict[Date, list[ClosedTrade]] = defaultdict(list)
        self._trade_days: list[Date] = []
        #: What is known of the ends of days from the first on: found out, and beyond the last that was read as it is stored.
        self.days: dict[Date, _Day] = {}
        self.flow_values: list[tuple[Date, FlowValue]] = []
        self.last = first - ONE_DAY
        #: Whether what is held at the ends of the days beyond differs from what was stored.
        self.shifted = False
        #: Whether the reading ended before its time, because nothing after it can differ.
        self.met = False

    @classmethod
    def at_rest(cls, books: AccountBooks, options: RollupOptions, first: Date) -> Replay:
        """What was left before a day, with nothing read since."""
        return cls(books, options, Changes.none(first), first)

    # -- days --------------------------------------------------------------------------------------------------------

    def run(self, last: Date, late: Late | None = None) -> Date:
        """Read the days up to `last`, from what was left before the first. Returns the last day that was read."""
        books, zone, first = self._books, self._options.zone, self.first
        start, end = start_of_day(first, zone), end_of_day(last, zone) + 1
        stored = _Stored(books, first) if late is not None else None
        self._later_fees = books.later_fees(start, end)
        calendar = Calendar(zone)
        day: Date | None = None
        for group in _by_instant(self._facts(start, end)):
            today = calendar.day_of(group[0].instant)
            if today != day:
                if day is not None and self._end_day(day, stored, late):
                    return self._done(day, stored)
                day = self._day = today
            self._hear_rates(group)
            for row in group:
                if type(row) is FillRow:
                    self._take_fill(row)
                elif type(row) is FlowRow:
                    self._take_flow(row)
                elif type(row) is FeeRow:
                    self._take_fee(row)
                else:
                    assert type(row) is EntryRow
                    self._take_entry(row)
        if day is not None and self._end_day(day, stored, late):
            return self._done(day, stored)
        return self._done(last, stored)

    def _facts(self, start: int, end: int) -> Iterator[FillRow | _Other]:
        """Everything that moves money in [start, end), in the order of facts."""
        books = self._books
        rows: tuple[Iterator[_Other], ...] = books.flow_rows(start, end), books.fee_rows(start, end), books.entry_rows(start, end)
        others = merge(*rows, key=lambda row: row.place)
        waiting = next(others, None)
        for fill in books.fills(start, end):
            while waiting is not None and waiting.instant <= fill.instant and waiting.place < fill.place:
                yield waiting
                waiting = next(others, None)
            yield fill
        if waiting is not None:
            yield waiting
            yield from others

    def _end_day(self, day: Date, stored: _Stored | None, late: Late | None) -> bool:
        """Remember how a day ended. True where nothing after it can differ."""
        closes = {}
        for key in self._touched:
            asset = self._assets[key]
            moved, depends = asset.end_day()
            closes[key] = DayClose(moved, asset.balance, asset.debt, asset.text(), depends)
        self._touched.clear()
        self.days[day] = _Day(closes, dict(self._rates.new), dict(self._contracts))
        self._rates.new.clear()
        self._contracts.clear()
        self._progress(day)
        self.met = stored is not None and late is not None and stored.meets(self, day, late)
        return self.met

    def _done(self, last: Date, stored: _Stored | None) -> Date:
        changes, first = self._changes, self.first
        self.last, changes.replaced_days = last, (first, last)
        for day, found in self.days.items():
            changes.closes += [(key, day, close) for key, close in found.closes.items()]
            changes.rates += [(currency, day, rate) for currency, rate in found.rates.items()]
            changes.contract_values += [(contract, day, value) for contract, value in found.contracts.items()]
        changes.flow_values = self.flow_values
        for asset in self._assets.values():
            if isinstance(asset.lots, Queue):
                changes.lots += [(asset.key, lot) for lot in asset.lots.new]
        for day, trades in self._trades.items():
            numbers: dict[str, int] = defaultdict(int)
            for trade in trades:
                numbers[trade.position] += 1
                changes.trades.append((day, trade.position, numbers[trade.position], trade))
        self._trade_days = sorted(self._trades)
        if stored is not None:
            self.shifted = stored.shift(self, last, changes)
        return last

    # -- facts -------------------------------------------------------------------------------------------------------

    def _take_fill(self, row: FillRow) -> None:
        at, cash_currency, is_contract = row.instant, row.settle or row.quote, row.settle is not None
        rates, options = self._rates, self._options
        quantity, cash = Decimal(row.quantity), Decimal(row.cash)
        estimated = False
        if row.quote_rate is None:
            rate = rates.at(cash_currency, at)
            estimated = cash_currency not in options.usd_like
        else:
            rate = _given(row.quote_rate)
        charges: tuple[RatedCharge, ...] = ()
        own = 0
        if row.fee not in (None, "0") or row.more_fees is not None or row.fact_no in self._later_fees:
            given = _given_charges(row)
            own = len(given)
            charges, guessed = self._rated((*given, *self._later_fees.get(row.fact_no, ())), row, cash_currency)
            estimated = estimated or guessed
        price = Decimal(row.price)
        fill = TradeFill(
            row.fact_no, at, row.position, row.side == "buy", quantity, price, cash, ONE if row.multiplier == "1" else Decimal(row.multiplier), row.base,
            cash_currency, charges, rate, is_contract, bool(row.inverse), estimated, is_contract and cash_currency not in (row.base, row.quote),
        )  # fmt: skip
        base, quote = self._asset(row.position if is_contract else row.base), self._asset(cash_currency)
        signed = cash if fill.is_buy == fill.inverse else _minus(cash)
        amount = quantity if fill.is_buy else _minus(quantity)
        closed = base.trade(fill, effect(fill)[0] if charges else amount, options)
        booked = charges[:own]
        if is_contract:
            base.count(amount)
            quote.count(signed)
            quote.open_cash = EXACT.add(quote.open_cash, signed)
            self._contracts[fill.position] = _contract_value(fill)
        else:
            # A cash of nothing costs nothing, whatever the rate.
            worth = ZERO if not cash else None if rate is None else rate.of(cash)
            self._move(base, amount, worth if fill.is_buy or worth is None else _minus(worth), Origin(at, row.fact_no, "fill" if fill.is_buy else "sale"))
            for charge in booked:
                if charge.currency == row.base:
                    self._charge(charge, at, row.fact_no)
            base.settle()
            if rate is PAR and self._listener is None and quote.is_plain:
                quote.count(signed)
            elif cash:
                value = worth if worth is None or fill.is_buy == fill.inverse else _minus(worth)
                self._move(quote, signed, value, Origin(at, row.fact_no, "spent" if signed < 0 else "fill"))
                quote.settle()
        for trade, brought in closed:
            self._closed(trade, brought, row, rate, quote if is_contract else None)
        for charge in booked:
            if is_contract or charge.currency != row.base:
                self._charge(charge, at, row.fact_no)

    def _closed(self, trade: ClosedTrade, brought: Decimal, row: FillRow, rate: UsdRate | None, settle: Asset | None) -> None:
        """Note a closed trade. The cash of a contract's counts from now on, as one gain or loss of what it settles in."""
        self._trades[self._day].append(trade)
        if trade.pnl is None:
            self._untold(trade, row, row.settle or row.quote)
        if settle is not None:
            settle.open_cash = EXACT.subtract(settle.open_cash, brought)
            settle.balance = EXACT.subtract(settle.balance, brought)
            settle.moved = EXACT.subtract(settle.moved, brought)
            if brought:
                self._move(settle, brought, None if rate is None else rate.of(brought), Origin(row.instant, row.fact_no, "contract"))
                settle.settle()

    def _hear_rates(self, group: Iterable[FillRow | _Other]) -> None:
        """Learn what the records of an instant carry and tell, before any amount of that instant is valued."""
        rates = self._rates
        for row in group:
            if type(row) is not FillRow or row.quote_rate is not None or row.fee_rate is not None or row.more_fees is not None:
                for currency, carried in _carried(row):
                    rates.learn(currency, carried, row.instant, carried=True)
        for row in group:
            if type(row) is FillRow and row.settle is None:
                quote_rate = rates.at(row.quote, row.instant) if row.quote_rate is None else _given(row.quote_rate)
                rates.teach(row.base, row.quote, Decimal(row.price), quote_rate, row.instant)
            elif type(row) is FlowRow and row.category == "rename" and row.fact_no not in self._pairs and (other := self._books.other_half(row)) is not None:
                leaving, coming = pair = (row, other) if row.direction == "withdrawal" else (other, row)
                self._pairs |= {row.fact_no: pair, other.fact_no: pair}
                if (old := rates.at(leaving.currency, row.instant)) is not None:
                    rates.learn(coming.currency, old.times(Decimal(leaving.amount), Decimal(coming.amount)), row.instant)

    def _rated(self, given: tuple[Charge, ...], row: FillRow, cash_currency: str) -> tuple[tuple[RatedCharge, ...], bool]:
        """The fees of a fill, each with a rate where it needs one; and whether one was estimated."""
        charges, estimated = [], False
        for charge in given:
            rate = None if charge.usd_rate is None else UsdRate(charge.usd_rate)
            if rate is None and charge.currency != cash_currency and (row.settle is not None or charge.currency != row.base):
                rate = self._rates.at(charge.currency, row.instant)
                estimated = estimated or charge.currency not in self._options.usd_like
            charges.append(RatedCharge(charge.currency, charge.amount, rate))
        return tuple(charges), estimated

    def _charge(self, charge: RatedCharge, at: int, fact_no: int) -> None:
        """Book a fee: lots go at its value of that instant."""
        asset = self._asset(charge.currency)
        rate = charge.rate or self._rates.at(charge.currency, at)
        amount = _minus(charge.amount)
        if rate is PAR and self._listener is None and asset.is_plain:
            asset.count(amount)
            return
        self._move(asset, amount, None if rate is None else rate.of(amount), Origin(at, fact_no, "fee" if charge.amount > 0 else "rebate"))
        asset.settle()

    def _take_fee(self, row: FeeRow) -> None:
        rate = None if row.usd_rate is None else _given(row.usd_rate)
        self._charge(RatedCharge(row.currency, Decimal(row.amount), rate), row.instant, row.fact_no)

    def _take_entry(self, row: EntryRow) -> None:
        amount = Decimal(row.amount)
        if amount:
            asset, rate = self._asset(row.currency), self._rates.at(row.currency, row.instant)
            self._move(asset, amount, None if rate is None else rate.of(amount), Origin(row.instant, row.fact_no, "by hand"))
            asset.settle()

    def _take_flow(self, row: FlowRow) -> None:
        at, key, comes = row.instant, row.key, row.direction == "deposit"
        rate: UsdRate | None = None
        if row.usd_rate is not None:
            rate = _given(row.usd_rate)
        elif row.kind == "currency":
            rate = self._rates.at(row.currency, at)
        asset = self._asset(key)
        amount = Decimal(row.amount) if comes else _minus(Decimal(row.amount))
        value = None if rate is None else rate.of(amount)
        origin = Origin(at, row.fact_no, row.category if row.category not in CAPITAL else row.direction)
        match row.category:
            case "split":
                self._split(asset, amount, origin, row)
            case "loan" if comes:
                asset.borrow(amount, value)
                self._move(asset, amount, value, origin._replace(what="borrowed"))
                asset.settle()
            case "loan":
                self._repay(asset, amount, rate, origin, row)
            case "rename":
                self._rename(row, asset, amount, value, origin)
            case category:
                if category in CAPITAL:
                    self._capital(row, amount, value)
                self._move(asset, amount, value, origin)
                asset.settle()
                if row.symbol is not None:
                    self._earn(row, amount, value)
        if row.fee is not None and row.fact_no not in self._renamed:
            assert row.fee_currency is not None
            self._charge(RatedCharge(row.fee_currency, Decimal(row.fee), None), at, row.fact_no)

    def _capital(self, row: FlowRow, amount: Decimal, value: Decimal | None) -> None:
        self.flow_values.append((self._day, FlowValue(row.fact_no, row.instant, amount, value)))
        if value is None:
            what = f"{row.direction} {row.record_id} of {canonical(abs(amount))} {row.currency}"
            self._odd("rate missing", row.currency, row.fact_no, f"{what} has no USD rate: the profit since is withheld")

    def _split(self, asset: Asset, amount: Decimal, origin: Origin, row: FlowRow) -> None:
        found = asset.scale(amount, origin)
        if found is None:
            self._odd("split", row.currency, row.fact_no, f"{row.direction} {row.record_id} splits {row.currency}, of which nothing was held")
            self._move(asset, amount, ZERO, origin)
            asset.settle()
            return
        self._heard(asset, amount, ZERO, origin, ())
        before, after = found
        if row.kind == "contract":
            known = self._contracts.get(asset.key) or self._books.contract_value_before(asset.key, self._day)
            if known is not None:
                self._contracts[asset.key] = known._replace(value=QUOTIENT.multiply(known.value, before), per=QUOTIENT.multiply(known.per, after))
        elif (known_rate := self._rates.newest(row.currency, row.instant)) is not None and known_rate.at < row.instant:
            self._rates.learn(row.currency, known_rate.rate.times(before, after), row.instant)

    def _repay(self, asset: Asset, amount: Decimal, rate: UsdRate | None, origin: Origin, row: FlowRow) -> None:
        """Coins given back realise what they were worth when they were borrowed; more than the debt is an outflow."""
        part, worth = asset.repay(_minus(amount))
        if part:
            self._move(asset, _minus(part), None if worth is None else _minus(worth), origin._replace(what="repaid"))
        beyond = EXACT.add(amount, part)
        if beyond:
            value = None if rate is None else rate.of(beyond)
            self._capital(row, beyond, value)
            self._move(asset, beyond, value, origin._replace(what=row.direction))
            what = f"withdrawal {row.record_id} repays {canonical(_minus(beyond))} {row.currency} more than is owed; that counts as an outflow"
            self._odd("loan", row.currency, row.fact_no, what)
        asset.settle()

    def _rename(self, row: FlowRow, asset: Asset, amount: Decimal, value: Decimal | None, origin: Origin) -> None:
        """One asset under another code: both halves at once, where the first of them stands."""
        if row.fact_no in self._renamed:
            return
        pair = self._pairs.get(row.fact_no)
        if pair is None:
            what = f"{row.direction} {row.record_id} of category rename has no other half of the same reference and instant; it counts as a transfer"
            self._odd("rename", row.currency, row.fact_no, what)
            self._capital(row, amount, value)
            self._move(asset, amount, value, origin)
            asset.settle()
            return
        leaving, coming = pair
        self._renamed |= {leaving.fact_no, coming.fact_no}
        old, new = self._asset(leaving.key), self._asset(coming.key)
        gone, come = Decimal(leaving.amount), Decimal(coming.amount)
        held = old.counted
        rate = self._rates.at(leaving.currency, row.instant)
        moves = min(gone, held) if held > 0 else ZERO
        if moves:
            into = come if moves == gone else QUOTIENT.divide(EXACT.multiply(come, moves), gone)
            self._hand_over(old, new, moves, into, origin)
        if (rest := EXACT.subtract(gone, moves)) > 0:
            worth = None if rate is None else rate.of(rest)
            self._move(old, _minus(rest), None if worth is None else _minus(worth), Origin(row.instant, leaving.fact_no, "rename"))
            into = EXACT.subtract(come, ZERO if not moves else into)
            self._move(new, into, worth, Origin(row.instant, coming.fact_no, "rename"))
        old.settle()
        new.settle()

    def _hand_over(self, old: Asset, new: Asset, quantity: Decimal, into: Decimal, origin: Origin) -> None:
        """Move lots and long positions at their cost: `quantity` of one asset becomes `into` of another."""
        held = old.counted
        given, left, received = old.lots.give(held, quantity), into, []
        for n, (part, cost, opened_at) in enumerate(given, 1):
            became = left if n == len(given) else QUOTIENT.divide(EXACT.multiply(part, into), quantity)
            left = EXACT.subtract(left, became)
            received.append((became, cost, opened_at))
        taken = new.lots.receive(new.counted, received, origin)
        for asset, amount, realised in ((old, _minus(quantity), ()), (new, into, taken)):
            asset.count(amount)
            asset.depends = True
            self._heard(asset, amount, ZERO, origin, realised)
        new.settle()  # what comes covers what is owed before anything is held
        for name in sorted(old.positions):
            position = old.positions[name]
            if position.quantity <= 0:
                continue
            part = position.quantity if quantity == held else QUOTIENT.divide(EXACT.multiply(position.quantity, quantity), held)
            moved, quote = position.give(part), name.partition("/")[2]
            if quote != new.key and new.counted > 0:
                moved.scale(quantity, into)
                new.position(f"{new.key}/{quote}").receive(moved)

    def _earn(self, row: FlowRow, amount: Decimal, value: Decimal | None) -> None:
        """Funding and the like count in the trade that is open in their instrument: a contract of that very symbol, else a spot pair."""
        assert row.symbol is not None
        for key, name in self._books.instruments_of(row.symbol, self._options.pairs):
            position = self._asset(key, touch=False).positions.get(name)
            if position is not None and position.is_open:
                position.earn(amount, value, in_quote=row.currency == self.cash_of(name))
                self._touched.add(key)
                return
        what = f"{row.direction} {row.record_id} of category {row.category} names {row.symbol}, in which no trade is open; it counts as income"
        self._odd("funding", row.symbol, row.fact_no, what)

    # -- details -----------------------------------------------------------------------------------------------------

    def _asset(self, key: str, *, touch: bool = True) -> Asset:
        asset = self._assets.get(key)
        if asset is None:
            closing, state = self._books.close_before(key, self.first)
            read, first = self._books.lots_after, self.first
            lots = lots_of(key, self._options, lambda key, date, number: read(key, date, number, first), lambda: self._day)
            asset = self._assets[key] = Asset(key, state, closing, lots)
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

    def _untold(self, trade: ClosedTrade, row: FillRow, cash_currency: str) -> None:
        what = f"the trade in {name_and_kind(trade.position)[0]} that fill {row.fill_id} closed has no USD rate for its cash in {cash_currency}, or for a fee"
        self._odd("rate missing", cash_currency, row.fact_no, f"{what}: win rate and profit factor are withheld from then on")

    # -- how it stands -------------------------------------------------------------------------------------------------

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

    # -- for rows ----------------------------------------------------------------------------------------------------

    def trades(self, after: Date | None, until: Date) -> Iterator[ClosedTrade]:
        """Trades dated in (after, until], as they are once the changes are stored."""
        first, last = self.first, self.last
        if after is None or after + ONE_DAY < first or until > last:
            for day, trade in self._books.trades(after, until):
                if not first <= day <= last:
                    yield trade
        at = 0 if after is None else bisect_right(self._trade_days, after)
        while at < len(self._trade_days) and self._trade_days[at] <= until:
            yield from self._trades[self._trade_days[at]]
            at += 1

    def flows(self, after: int, until: int) -> list[FlowValue]:
        """Capital that came or left in (after, until], as it is once the changes are stored."""
        first, last = self.first, self.last
        found = [flow for day, flow in self._books.flow_values(after, until) if not first <= day <= last]
        found += [flow for _, flow in self.flow_values if after < flow.instant <= until]
        return sorted(found, key=lambda flow: flow.instant)

    def rate_at(self, currency: str, day: Date) -> UsdRate | None:
        """The rate at the end of a day, after all that was read."""
        return self._rates.at(currency, end_of_day(day, self._options.zone))

    def rate_by(self, currency: str, day: Date, told: KnownRate | None) -> UsdRate | None:
        """The rate at the end of a day, where `told` is what the account's records told last by then."""
        return self._rates.between(currency, end_of_day(day, self._options.zone), told)


class _Stored:
    """What earlier rollups left for the days from one on, to see where a replay meets it."""

    def __init__(self, books: AccountBooks, first: Date) -> None:
        self._books = books
        self.first = first
        self.days: dict[Date, _Day] = defaultdict(lambda: _Day({}, {}, {}))
        self._last_depending: dict[str, Date] = {}
        for key, day, close in books.closes_from(first):
            self.days[day].closes[key] = close
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

    def meets(self, replay: Replay, day: Date, late: Late) -> bool:
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
            self._note("asset", key, replay._asset(key, touch=False).text() == self._close(key).state)
        for currency in rates:
            before = self._books.rate_before
            old, new = (known.get(currency) or before(currency, self.first) for known in (self._old_rates, self._new_rates))
            self._note("rate", currency, old == new)
        for contract in contracts:
            value = self._books.contract_value_before
            was, now = (known.get(contract) or value(contract, self.first) for known in (self._old_contracts, self._new_contracts))
            self._note("contract", contract, was == now)
        if day < late.reach or self._differing:
            return False
        if any(self._last_depending.get(key, day) > day for key in self._shifts(replay)):
            return False
        end = end_of_day(day, replay._options.zone)
        return all((known := replay._rates.newest(currency, end)) is not None and known.at > at for currency, at in late.rates.items())

    def _note(self, kind: str, key: str, same: bool) -> None:
        (self._differing.discard if same else self._differing.add)((kind, key))

    def _close(self, key: str) -> DayClose:
        found = self._old.get(key)
        if found is None:
            closing, state = self._books.close_before(key, self.first)
            found = self._old[key] = DayClose(ZERO, closing, ZERO, state, False)
        return found

    def _shifts(self, replay: Replay) -> dict[str, Decimal]:
        """How much more is held of each asset than was stored."""
        found = {key: EXACT.subtract(asset.balance, self._close(key).closing) for key, asset in replay._assets.items()}
        return {key: amount for key, amount in found.items() if amount}

    def shift(self, replay: Replay, last: Date, changes: Changes) -> bool:
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


def _by_instant(rows: Iterable[FillRow | _Other]) -> Iterator[list[FillRow | _Other]]:
    """The facts of one instant together."""
    group: list[FillRow | _Other] = []
    for row in rows:
        if group and group[0].instant != row.instant:
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def _given(rate: str) -> UsdRate:
    return PAR if rate == "1" else UsdRate(Decimal(rate))


def _carried(row: FillRow | _Other) -> Iterator[tuple[str, UsdRate]]:
    """The rates that a record gives of currencies."""
    if type(row) is FillRow:
        cash_currency = row.settle or row.quote
        if row.quote_rate is not None:
            yield cash_currency, _given(row.quote_rate)
        if row.fee_rate is not None or row.more_fees is not None:
            yield from ((c.currency, UsdRate(c.usd_rate)) for c in _given_charges(row) if c.usd_rate is not None and c.currency != cash_currency)
    elif (type(row) is FeeRow and row.usd_rate is not None) or (type(row) is FlowRow and row.usd_rate is not None and row.kind == "currency"):
        yield row.currency, _given(row.usd_rate)


def _given_charges(row: FillRow) -> tuple[Charge, ...]:
    """The fees of a fill as they were given."""
    found = [] if row.fee in (None, "0") else [Charge(row.fee_currency, Decimal(str(row.fee)), None if row.fee_rate is None else Decimal(row.fee_rate))]
    if row.more_fees is not None:
        found += more_charges(row.more_fees)
    return tuple(found)


def _contract_value(fill: TradeFill) -> ContractValue:
    """What one contract is worth by a fill of it: by its price, of a quanto by its cash per contract."""
    if fill.is_quanto or (fill.inverse and fill.price <= 0):
        return ContractValue(_minus(fill.cash) if fill.inverse else fill.cash, fill.quantity, fill.quote)
    if fill.inverse:
        return ContractValue(_minus(fill.multiplier), fill.price, fill.quote)
    return ContractValue(EXACT.multiply(fill.price, fill.multiplier), ONE, fill.quote)


__all__ = ["CAPITAL", "Late", "Moved", "Replay"]
