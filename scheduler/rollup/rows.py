"""From closes, flows and trades to rows: which rows are touched, what they say, and where nothing changes any more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date as Date
from datetime import timedelta
from decimal import Decimal
from typing import NamedTuple

from persistence.books.account_facts import FlowRecord
from persistence.books.account_history import AccountBooks, ContractValue
from persistence.domain.instants import end_of_day, start_of_day
from persistence.domain.money import EXACT, ZERO, canonical
from persistence.domain.rollup import Figures, NewFact, RollupRow, name_and_kind
from persistence.domain.showing import first_few
from persistence.repositories.rollups import Changes
from scheduler.rollup.days import day_of
from scheduler.rollup.options import RollupOptions
from scheduler.rollup.ratios import Series, TradeSums, profit_factor, series_of, sharpe_ratio, sortino_ratio, win_rate
from scheduler.rollup.replay import Replay
from scheduler.rollup.returns import Flow, Interval, Valuation, daily_return, flows_not_borne_out, profit
from scheduler.rollup.said_rates import SaidRates

#: Before every instant of the books.
_EVER = -1
#: Flows below this share of the account are not worth a warning when the snapshots around them do not show them.
_LARGE_FLOW = Decimal("0.1")


class Close(NamedTuple):
    """What an account was worth at the end of an observed day."""

    instant: int
    fact_no: int | None
    usd: Decimal


class MissingRate(Exception):
    """A row needs a USD rate that nobody gave; says which."""


@dataclass(slots=True)
class Touched:
    """What of the stored rows may not be used again: days to look at whole, and instants and days of late facts."""

    first: Date
    last: Date
    #: Nothing that is stored from `first` on is looked at.
    anew: bool = False
    snapshot_days: set[Date] = field(default_factory=set)
    instant_days: set[Date] = field(default_factory=set)
    instants: list[int] = field(default_factory=list)
    trade_days: set[Date] = field(default_factory=set)

    @property
    def earliest(self) -> Date:
        return min([self.first, *self.instant_days, *self.trade_days])

    @classmethod
    def by(cls, facts: Iterable[NewFact], replay: Replay, options: RollupOptions, first: Date, last: Date, *, anew: bool) -> Touched:
        """By late facts, and all of [first, last]."""
        touched = cls(first, last, anew, trade_days=set(replay.changed_trade_days))
        for fact in facts:
            day = day_of(fact.instant, options.zone)
            if fact.kind == "metrics":
                touched.snapshot_days.add(day)
            if fact.kind in ("metrics", "deposit", "withdrawal"):
                touched.instants.append(fact.instant)
                touched.instant_days.add(day)
        return touched


class RowBuilder:
    """Makes the rows of one pass. `known` are flow rates and trades that are about to be stored."""

    def __init__(self, books: AccountBooks, options: RollupOptions, replay: Replay, changes: Changes, valuation: str) -> None:
        self._books = books
        self._options = options
        self._replay = replay
        self._changes = changes
        self._valuation = valuation

    def build(self, touched: Touched) -> Date | None:
        """Compute every row that may differ. Returns the day from which rows are withheld for want of a rate, if any."""
        low = touched.earliest
        # In a window the returns before the first touched row count too.
        before = self._books.row_before(low)
        stored = {} if touched.anew else {row.date: row for row in self._books.rows_from(low) if row.date <= touched.last}
        if touched.anew:
            self._changes.replaced_rows = low, touched.last
        closes = self._closes(touched)
        looked_at = {d for d in stored if touched.first <= d <= touched.last} | touched.snapshot_days
        dates = sorted({d for d in stored if d not in looked_at} | set(closes))
        self._changes.removed_rows += sorted(d for d in stored if d not in closes and d in looked_at)
        previous, neighbour_changed = before, False
        removed = iter(sorted(self._changes.removed_rows))
        next_removed = next(removed, None)
        returns = self._returns_before(low)
        changed_within: list[Date] = []
        for date in dates:
            while next_removed is not None and next_removed < date:
                neighbour_changed, next_removed = True, next(removed, None)
            kept = stored.get(date)
            close = closes.get(date) or (Close(kept.close_at, kept.close_fact_no, kept.value) if kept else None)
            assert close is not None
            stale = kept is None or neighbour_changed or date in closes or self._is_touched(touched, previous, date, close)
            try:
                row = self._row(previous, date, close, kept if not stale else None)
            except MissingRate as missing:
                self._withhold(date, str(missing), [d for d in stored if d >= date])
                return date
            if row.daily_return is not None:
                returns.append((date, row.daily_return))
            self._emit(row, returns, changed=row != kept)
            if row != kept:
                changed_within.append(date)
                self._changes.rows.append(row)
            neighbour_changed = kept is None or (kept.close_at, kept.value) != (row.close_at, row.value)
            previous = row
            if row == kept and not neighbour_changed and self._settled(touched, row, changed_within, closes):
                break
        return None

    # -- which ------------------------------------------------------------------------------------------------------

    def _closes(self, touched: Touched) -> dict[Date, Close]:
        """The closes of the days that have to be looked at."""
        if self._valuation == "books":
            return self._valued_closes(touched)
        found = {}
        zone = self._options.zone
        for day in touched.snapshot_days:
            if self._options.observes(day) and not touched.first <= day <= touched.last and (close := self._close_of(day)):
                found[day] = close
        instant: int | None = start_of_day(touched.first, zone)
        while instant is not None and (instant := self._books.next_snapshot_at(instant)) is not None:
            day = day_of(instant, zone)
            if day > touched.last:
                break
            if self._options.observes(day) and (close := self._close_of(day)):
                found[day] = close
            instant = end_of_day(day, zone) + 1
        return found

    def _close_of(self, day: Date) -> Close | None:
        zone = self._options.zone
        found = self._books.last_snapshot(start_of_day(day, zone), end_of_day(day, zone) + 1)
        return None if found is None else Close(found.instant, found.fact_no, found.usd)

    def _valued_closes(self, touched: Touched) -> dict[Date, Close]:
        """The books at the end of each day on which something moved, at the latest rates known then."""
        holdings = {key: self._books.closing_before(key, touched.first) for key in self._books.holdings()}
        currencies = [key for key in holdings if name_and_kind(key)[1] == "currency"]
        told = {c: self._books.rate_before(c, touched.first) for c in currencies}
        said = SaidRates(self._books, start_of_day(touched.first, self._options.zone))
        contracts = {k: self._books.contract_value_before(k, touched.first) for k in holdings if k not in told}
        found = {}
        replay = self._replay
        days = sorted({d for d in (*replay.closings_of_day, *replay.rates_of_day, *replay.contract_values_of_day) if touched.first <= d <= touched.last})
        for day in days:
            told.update(replay.rates_of_day.get(day, {}))
            contracts.update(replay.contract_values_of_day.get(day, {}))
            moved = replay.closings_of_day.get(day)
            if moved is None:
                continue
            holdings.update(moved)
            if not self._options.observes(day):
                continue
            held = {key: amount for key, amount in holdings.items() if amount}
            closes_at = end_of_day(day, self._options.zone)
            valued = {c for key in held if (c := self._valued_in(key, contracts)) not in self._options.usd_like}
            rates = {c: rate.usd for c in valued if (rate := said.newest(c, closes_at, told.get(c))) is not None}
            unknown = sorted(valued - set(rates))
            if unknown:
                self._changes.withheld.append((day, f"no USD rate is known for {first_few(unknown)}: publish a rate of it, or snapshots"))
                continue
            found[day] = Close(closes_at, None, self._worth(held, rates, contracts))
        return found

    @staticmethod
    def _valued_in(key: str, contracts: Mapping[str, ContractValue | None]) -> str:
        """The currency whose rate values a holding: its own, or the one that a contract settles in."""
        value = contracts.get(key)
        return key if value is None else value.settle

    def _worth(self, held: Mapping[str, Decimal], rates: Mapping[str, Decimal], contracts: Mapping[str, ContractValue | None]) -> Decimal:
        total = ZERO
        for key, amount in held.items():
            value = contracts.get(key)
            worth = amount if value is None else EXACT.multiply(amount, value.value)
            currency = self._valued_in(key, contracts)
            rate = rates.get(currency)
            total = EXACT.add(total, worth if rate is None else EXACT.multiply(worth, rate))
        return total

    def _is_touched(self, touched: Touched, previous: RollupRow | None, date: Date, close: Close) -> bool:
        """Whether a late fact falls into the row's interval."""
        if any((previous is None or previous.close_at < at) and at <= close.instant for at in touched.instants):
            return True
        return any((previous is None or previous.date < day) and day <= date for day in touched.trade_days)

    def _settled(self, touched: Touched, row: RollupRow, changed: list[Date], closes: Mapping[Date, Close]) -> bool:
        """Whether no later row can differ from what is stored."""
        window = self._options.window_days
        # Trades count in a window by their own date, which may differ while their row does not.
        newest = max([*changed[-1:], *touched.trade_days, *self._changes.removed_rows], default=None)
        if window is not None and newest is not None and (row.date - newest).days < window:
            return False
        days = (*closes, *touched.trade_days, *self._changes.removed_rows)
        return not any(d > row.date for d in days) and not any(at > row.close_at for at in touched.instants)

    # -- what ------------------------------------------------------------------------------------------------------

    def _row(self, previous: RollupRow | None, date: Date, close: Close, kept: RollupRow | None) -> RollupRow:
        """The row of a day; with `kept`, its own facts as they are stored and only the state carried on anew."""
        if kept is None:
            interval = self._interval(previous, date, close)
            gained, value = profit(interval), daily_return(interval, self._options)
            sums = self._trade_sums(previous, date)
            inflow, outflow, warnings = interval.inflow, interval.outflow, self._warnings(interval)
        else:
            gained, value, inflow, outflow, warnings = kept.pnl_daily, kept.daily_return, kept.inflow, kept.outflow, kept.warnings
            sums = TradeSums(kept.profit, kept.loss, kept.wins, kept.losses, kept.trades)
        series = Series() if previous is None else series_of_row(previous)
        if value is not None:
            series = series.add(value, self._options.daily_risk_free)
        total = sums if previous is None else totals_of_row(previous).plus(sums)
        pnl_total = gained if previous is None else EXACT.add(previous.pnl_total, gained)
        return RollupRow(
            date, close.instant, close.fact_no, close.usd, inflow, outflow, gained, pnl_total, value, *sums, warnings, series.count, series.mean,
            series.squares, series.downside, series.downside_rest, series.depth, series.drawdown, *total,
        )  # fmt: skip

    def _interval(self, previous: RollupRow | None, date: Date, close: Close) -> Interval:
        after = Valuation(close.instant, close.usd)
        if previous is not None:
            flows = self._flows(previous.close_at, close.instant)
            return Interval(previous.value, after, flows, self._inside(previous.close_at, close.instant) if flows else [])
        if self._options.opening_value is not None:
            return self._first_interval(self._options.opening_value, _EVER, after)
        opening, is_opening = after, True
        if close.fact_no is not None:
            first = self._books.first_snapshot(start_of_day(date, self._options.zone), close.instant + 1)
            assert first is not None
            opening, is_opening = Valuation(first.instant, first.usd), first.fact_no == close.fact_no
        funded = any(f.amount > 0 for f in self._books.flows(_EVER, opening.instant, self._options.usd_like))
        if funded:
            return self._first_interval(ZERO, _EVER, after)
        flows = self._flows(opening.instant, close.instant)
        return Interval(opening.usd, after, flows, self._inside(opening.instant, close.instant) if flows else [], is_opening)

    def _first_interval(self, opening: Decimal, since: int, after: Valuation) -> Interval:
        flows = self._flows(since, after.instant)
        return Interval(opening, after, flows, self._inside(since, after.instant) if flows else [], begins_with_snapshot=False)

    def _inside(self, after: int, before: int) -> list[Valuation]:
        """The snapshots strictly inside an interval, those of days that are not observed left out."""
        found = self._books.snapshots_between(after, before)
        return [Valuation(s.instant, s.usd) for s in found if self._options.observes(day_of(s.instant, self._options.zone))]

    def _flows(self, after: int, until: int) -> list[Flow]:
        return [Flow(f.instant, EXACT.multiply(f.amount, self._rate_of(f))) for f in self._books.flows(after, until, self._options.usd_like)]

    def _rate_of(self, flow: FlowRecord) -> Decimal:
        rate = self._replay.flow_rates.get(flow.fact_no, flow.rate)
        if rate is None:
            what = f"{flow.direction} {flow.record_id} of {canonical(abs(flow.amount))} {flow.currency}"
            raise MissingRate(f"{what} has no USD rate and none was known by then: void it and send it again under a new id with usd_rate")
        return rate

    def _trade_sums(self, previous: RollupRow | None, date: Date) -> TradeSums:
        sums = TradeSums()
        for trade in self._replay.trades(previous and previous.date, date):
            if trade.pnl is None:
                raise MissingRate(
                    f"the {name_and_kind(trade.position)[0]} trade closed by fact {trade.closing_fact_no} has no USD rate for its quote or fee: "
                    "void the fill and send it again under a new id with quote_usd_rate and fee_usd_rate"
                )
            sums = sums.with_trade(trade.pnl)
        return sums

    def _warnings(self, interval: Interval) -> str | None:
        if self._valuation == "books" or not interval.flows:
            return None
        large = EXACT.multiply(max(abs(interval.before), abs(interval.after.usd)), _LARGE_FLOW)
        doubtful = [f for f in flows_not_borne_out(interval) if abs(f.usd) >= large]
        said = [f"a flow of {canonical(f.usd)} USD does not show in the snapshots around it" for f in doubtful]
        return "; ".join(said) or None

    def _withhold(self, date: Date, reason: str, rows: list[Date]) -> None:
        earlier = [(day, why) for day, why in self._changes.withheld if day < date]
        self._changes.withheld = [*earlier, (date, f"{reason} (every later row waits for it too)")]
        self._changes.removed_rows += [d for d in rows if d not in self._changes.removed_rows]

    # -- figures ----------------------------------------------------------------------------------------------------

    def _returns_before(self, low: Date) -> list[tuple[Date, float]]:
        if self._options.window_days is None:
            return []
        rows = self._books.rows_from(low - timedelta(days=self._options.window_days))
        return [(r.date, r.daily_return) for r in rows if r.date < low and r.daily_return is not None]

    def _emit(self, row: RollupRow, returns: list[tuple[Date, float]], *, changed: bool) -> None:
        window = self._options.window_days
        if window is None:
            self._changes.figures[row.date] = figures_of(row, series_of_row(row), totals_of_row(row), self._options)
            return
        oldest = row.date - timedelta(days=window)
        while returns and returns[0][0] <= oldest:
            returns.pop(0)
        sums = TradeSums()
        for trade in self._replay.trades(oldest, row.date):
            sums = sums.with_trade(trade.pnl or ZERO)
        self._changes.figures[row.date] = figures_of(row, series_of((r for _, r in returns), self._options.daily_risk_free), sums, self._options)


def figures_of(row: RollupRow, series: Series, sums: TradeSums, options: RollupOptions) -> Figures:
    """The figures of a row, as they are stored."""
    return (
        canonical(row.value), canonical(row.pnl_daily), canonical(row.pnl_total), sharpe_ratio(series, options), sortino_ratio(series, options),
        series.drawdown, win_rate(sums), profit_factor(sums), sums.trades,
    )  # fmt: skip


def carried_on(previous: RollupRow | None, row: RollupRow, sums: TradeSums, options: RollupOptions) -> RollupRow:
    """The row as it has to be, by its own close and flows, the trades since the row before, and that row's state."""
    series = Series() if previous is None else series_of_row(previous)
    if row.daily_return is not None:
        series = series.add(row.daily_return, options.daily_risk_free)
    totals = sums if previous is None else totals_of_row(previous).plus(sums)
    gained = row.pnl_daily
    if previous is not None:
        gained = EXACT.add(EXACT.subtract(EXACT.subtract(row.value, previous.value), row.inflow), row.outflow)
    total = gained if previous is None else EXACT.add(previous.pnl_total, gained)
    return row._replace(
        pnl_daily=gained, pnl_total=total, profit=sums.profit, loss=sums.loss, wins=sums.wins, losses=sums.losses, trades=sums.trades,
        observations=series.count, mean=series.mean, squares=series.squares, downside=series.downside, downside_rest=series.downside_rest,
        depth=series.depth, drawdown=series.drawdown, total_profit=totals.profit, total_loss=totals.loss, total_wins=totals.wins,
        total_losses=totals.losses, total_trades=totals.trades,
    )  # fmt: skip


def series_of_row(row: RollupRow) -> Series:
    return Series(row.observations, row.mean, row.squares, row.downside, row.downside_rest, row.depth, row.drawdown)


def totals_of_row(row: RollupRow) -> TradeSums:
    return TradeSums(row.total_profit, row.total_loss, row.total_wins, row.total_losses, row.total_trades)
