"""Facts read day by day, in their order: the trades they close, and what is remembered at the end of each day to go on from.

`Replay.run` reads whole days. Where late facts came among days that were read before, it stops at the end of the first day from which
nothing can differ: everything ends as it ended before, no rate that came late counts any longer, and nothing later depends on the
amounts that are held now and were not before.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from datetime import date as Date
from decimal import Decimal
from heapq import merge
from typing import TypeGuard

from jarvis_client.contract.decimals import EXACT, ONE, ZERO
from jarvis_client.contract.facts import Charge
from jarvis_client.contract.instants import end_of_day, start_of_day
from persistence.books.account_facts import EntryRow, FeeRow, FillRow, FlowRow
from persistence.books.account_history import AccountBooks, DayClose
from persistence.domain.rollup import PAR, ClosedTrade, FlowValue, KnownRate, UsdRate, name_and_kind
from persistence.repositories.rollups import Changes
from scheduler.rollup.assets import Asset
from scheduler.rollup.days import ONE_DAY, Calendar
from scheduler.rollup.flows import FlowReplay
from scheduler.rollup.lots import Origin, Queue
from scheduler.rollup.meeting import Late, Stored
from scheduler.rollup.movements import Day
from scheduler.rollup.options import RollupOptions
from scheduler.rollup.reading import Other, by_instant, carried, contract_value, given_charges, rate_of
from scheduler.rollup.trades import RatedCharge, TradeFill

_minus = EXACT.minus


class Replay(FlowReplay):
    """One reading of an account's facts. `changes` takes what has to be stored, `listener` hears of every movement."""

    @classmethod
    def at_rest(cls, books: AccountBooks, options: RollupOptions, first: Date) -> Replay:
        """What was left before a day, with nothing read since."""
        return cls(books, options, Changes.none(first), first)

    # -- days --------------------------------------------------------------------------------------------------------

    def run(self, last: Date, late: Late | None = None) -> Date:
        """Read the days up to `last`, from what was left before the first. Returns the last day that was read."""
        books, zone, first = self._books, self.options.zone, self.first
        start, end = start_of_day(first, zone), end_of_day(last, zone) + 1
        stored = Stored(books, first) if late is not None else None
        self._later_fees = books.later_fees(start, end)
        calendar = Calendar(zone)
        day: Date | None = None
        for group in by_instant(self._facts(start, end)):
            today = calendar.day_of(group[0].instant)
            if today != day:
                if day is not None and self._end_day(day, stored, late):
                    return self._done(day, stored)
                day = self._day = today
            rate = self._hear_fill(group[0]) if len(group) == 1 and _is_plain(group[0]) else self._hear_rates(group)
            for row in group:
                if type(row) is FillRow:
                    self._take_fill(row, rate)
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

    def _facts(self, start: int, end: int) -> Iterator[FillRow | Other]:
        """Everything that moves money in [start, end), in the order of facts."""
        books = self._books
        rows: tuple[Iterator[Other], ...] = books.flow_rows(start, end), books.fee_rows(start, end), books.entry_rows(start, end)
        others = merge(*rows, key=lambda row: row.place)
        first, fills = next(others, None), books.fills(start, end)
        return fills if first is None else _in_order(fills, first, others)

    def _end_day(self, day: Date, stored: Stored | None, late: Late | None) -> bool:
        """Remember how a day ended. True where nothing after it can differ."""
        closes = {}
        for key in self._touched:
            asset = self.assets[key]
            moved, depends = asset.end_day()
            closes[key] = DayClose(moved, asset.balance, asset.debt, asset.text(), depends)
        self._touched.clear()
        self.days[day] = Day(closes, dict(self.rates.new), dict(self._contracts))
        self.rates.new.clear()
        self._contracts.clear()
        self._progress(day)
        self.met = stored is not None and late is not None and stored.meets(self, day, late)
        return self.met

    def _done(self, last: Date, stored: Stored | None) -> Date:
        changes, first = self._changes, self.first
        self.last, changes.replaced_days = last, (first, last)
        for day, found in self.days.items():
            changes.closes += [(key, day, close) for key, close in found.closes.items()]
            changes.rates += [(currency, day, rate) for currency, rate in found.rates.items()]
            changes.contract_values += [(contract, day, value) for contract, value in found.contracts.items()]
        changes.flow_values = self.flow_values
        for asset in self.assets.values():
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

    def _take_fill(self, row: FillRow, known: UsdRate | None) -> None:
        """`known`: the rate of its cash, where this is the only fact of its instant."""
        at, cash_currency, is_contract = row.instant, row.settle or row.quote, row.settle is not None
        rates, options = self.rates, self.options
        quantity, cash = Decimal(row.quantity), Decimal(row.cash)
        estimated = False
        if row.quote_rate is None:
            rate = known or rates.at(cash_currency, at)
            estimated = cash_currency not in options.usd_like
        else:
            rate = rate_of(row.quote_rate)
        charges: tuple[RatedCharge, ...] = ()
        own = 0
        if row.fee not in (None, "0") or row.more_fees is not None or row.fact_no in self._later_fees:
            later = self._later_fees.get(row.fact_no)
            if row.fee_currency == cash_currency and row.fee is not None and row.fee_rate is None and row.more_fees is None and later is None:
                charges, own = (RatedCharge(cash_currency, Decimal(row.fee), None),), 1
            else:
                given = given_charges(row)
                charges, guessed = self._rated((*given, *(later or ())), row, cash_currency)
                own, estimated = len(given), estimated or guessed
        price = Decimal(row.price)
        fill = TradeFill(
            row.fact_no, at, row.position, row.side == "buy", quantity, price, cash, ONE if row.multiplier == "1" else Decimal(row.multiplier), row.base,
            cash_currency, charges, rate, is_contract, bool(row.inverse), estimated, is_contract and cash_currency not in (row.base, row.quote),
        )  # fmt: skip
        base, quote = self._asset(row.position if is_contract else row.base), self._asset(cash_currency)
        signed = cash if fill.is_buy == fill.inverse else _minus(cash)
        amount = quantity if fill.is_buy else _minus(quantity)
        closed = base.trade(fill, options)
        booked = charges[:own]
        if is_contract:
            base.count(amount)
            quote.count(signed)
            quote.open_cash = EXACT.add(quote.open_cash, signed)
            self._contracts[fill.position] = contract_value(fill)
        else:
            # A cash of nothing costs nothing, whatever the rate.
            worth = ZERO if not cash else cash if rate is PAR else None if rate is None else rate.of(cash)
            self._move(base, amount, worth if fill.is_buy or worth is None else _minus(worth), Origin(at, row.fact_no, "fill" if fill.is_buy else "sale"))
            for charge in booked:
                if charge.currency == row.base:
                    self._charge(charge, at, row.fact_no)
            if len(base.positions) > 1:  # its own fill leaves an instrument what the balance covers
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
            if brought:
                self._move(settle, brought, None if rate is None else rate.of(brought), Origin(row.instant, row.fact_no, "contract"))
                settle.settle()

    def _hear_rates(self, group: list[FillRow | Other]) -> UsdRate | None:
        """Learn what the records of an instant carry and tell, before any amount of that instant is valued. Returns the rate of the cash of a
        spot fill that is alone."""
        rates, quote_rate = self.rates, None
        for row in group:
            if type(row) is not FillRow or row.quote_rate is not None or row.fee_rate is not None or row.more_fees is not None:
                for currency, rate in carried(row):
                    rates.learn(currency, rate, row.instant, carried=True)
        for row in group:
            if type(row) is FillRow and row.settle is None:
                quote_rate = self._hear_fill(row)
            elif type(row) is FlowRow and row.category == "rename" and row.fact_no not in self._pairs and (other := self._books.other_half(row)) is not None:
                leaving, coming = pair = (row, other) if row.direction == "withdrawal" else (other, row)
                self._pairs |= {row.fact_no: pair, other.fact_no: pair}
                if (old := rates.at(leaving.currency, row.instant)) is not None:
                    rates.learn(coming.currency, old.times(Decimal(leaving.amount), Decimal(coming.amount)), row.instant)
        return quote_rate if len(group) == 1 else None

    def _hear_fill(self, row: FillRow) -> UsdRate | None:
        """Learn what a spot fill tells. Returns the rate of its cash, but for what its own price tells."""
        quote_rate = self.rates.at(row.quote, row.instant) if row.quote_rate is None else rate_of(row.quote_rate)
        self.rates.teach(row.base, row.quote, Decimal(row.price), quote_rate, row.instant)
        return None if row.base in self.options.usd_like else quote_rate

    def _rated(self, given: tuple[Charge, ...], row: FillRow, cash_currency: str) -> tuple[tuple[RatedCharge, ...], bool]:
        """The fees of a fill, each with a rate where it needs one; and whether one was estimated."""
        charges, estimated = [], False
        for charge in given:
            rate = None if charge.usd_rate is None else UsdRate(charge.usd_rate)
            if rate is None and charge.currency != cash_currency and (row.settle is not None or charge.currency != row.base):
                rate = self.rates.at(charge.currency, row.instant)
                estimated = estimated or charge.currency not in self.options.usd_like
            charges.append(RatedCharge(charge.currency, charge.amount, rate))
        return tuple(charges), estimated

    def _take_fee(self, row: FeeRow) -> None:
        rate = None if row.usd_rate is None else rate_of(row.usd_rate)
        self._charge(RatedCharge(row.currency, Decimal(row.amount), rate), row.instant, row.fact_no)

    def _take_entry(self, row: EntryRow) -> None:
        amount = Decimal(row.amount)
        if amount:
            asset, rate = self._asset(row.currency), self.rates.at(row.currency, row.instant)
            self._move(asset, amount, None if rate is None else rate.of(amount), Origin(row.instant, row.fact_no, "by hand"))
            asset.settle()

    # -- details -----------------------------------------------------------------------------------------------------

    def _untold(self, trade: ClosedTrade, row: FillRow, cash_currency: str) -> None:
        what = f"the trade in {name_and_kind(trade.position)[0]} that fill {row.fill_id} closed has no USD rate for its cash in {cash_currency}, or for a fee"
        self._odd("rate missing", cash_currency, row.fact_no, f"{what}: win rate and profit factor are withheld from then on")

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
        return self.rates.at(currency, end_of_day(day, self.options.zone))

    def rate_by(self, currency: str, day: Date, told: KnownRate | None) -> UsdRate | None:
        """The rate at the end of a day, where `told` is what the account's records told last by then."""
        return self.rates.between(currency, end_of_day(day, self.options.zone), told)


def _in_order(fills: Iterator[FillRow], waiting: Other | None, others: Iterator[Other]) -> Iterator[FillRow | Other]:
    for fill in fills:
        while waiting is not None and waiting.instant <= fill.instant and waiting.place < fill.place:
            yield waiting
            waiting = next(others, None)
        yield fill
    if waiting is not None:
        yield waiting
        yield from others


def _is_plain(row: FillRow | Other) -> TypeGuard[FillRow]:
    """Whether it is a spot fill that carries no rate."""
    return type(row) is FillRow and row.settle is None and row.quote_rate is None and row.fee_rate is None and row.more_fees is None


__all__ = ["Replay"]
