"""From closes, flows and trades to rows: which rows are touched, what they say, and where nothing changes any more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date as Date
from datetime import timedelta
from decimal import Decimal
from itertools import groupby
from typing import NamedTuple

from jarvis_client.contract.decimals import EXACT, ZERO, canonical
from jarvis_client.contract.instants import end_of_day, start_of_day
from jarvis_client.contract.showing import first_few
from persistence.books.account_history import AccountBooks
from persistence.domain.rollup import Figures, FlowValue, RollupRow
from persistence.domain.showing import count_of
from persistence.repositories.rollups import Changes
from scheduler.rollup.days import day_of
from scheduler.rollup.options import RollupOptions
from scheduler.rollup.ratios import Series, TradeSums, profit_factor, series_of, sharpe_ratio, sortino_ratio, win_rate
from scheduler.rollup.replay import Replay
from scheduler.rollup.returns import Flow, Interval, Valuation, daily_return, flows_not_borne_out, profit
from scheduler.rollup.valuation import BooksValue, Holdings

#: Before every instant of the books.
_EVER = -1
#: Flows below this share of the account are not worth a warning when the snapshots around them do not show them.
_LARGE_FLOW = Decimal("0.1")


class Close(NamedTuple):
    """What an account was worth at the end of an observed day, by a snapshot or by its books."""

    instant: int
    fact_no: int | None
    usd: Decimal
    books: Decimal | None


@dataclass(slots=True)
class Touched:
    """What of the stored rows may not be used again: everything in [first, last], days of late snapshots, and with `anew` all that is
    stored from `low` on."""

    first: Date
    last: Date
    snapshot_days: set[Date] = field(default_factory=set)
    anew: bool = False
    #: The books of the days beyond differ.
    shifted: bool = False

    @property
    def low(self) -> Date:
        return min([self.first, *self.snapshot_days])


class RowBuilder:
    """Makes the rows of one pass. Rows from `snapshots_from` on are valued by snapshots, earlier ones by the books."""

    def __init__(self, books: AccountBooks, options: RollupOptions, replay: Replay, changes: Changes, snapshots_from: Date | None) -> None:
        self._books = books
        self._options = options
        self._replay = replay
        self._changes = changes
        self._snapshots_from = snapshots_from

    def build(self, touched: Touched, until: Date) -> None:
        """Compute every row up to a day that may differ."""
        low = touched.low
        # In a window the returns before the first touched row count too.
        previous = self._books.row_before(low)
        stored = {} if touched.anew else {row.date: row for row in self._books.rows_from(low) if row.date <= until}
        if touched.anew:
            self._changes.replaced_rows = low, until
        closes, looked_at = self._closes(touched, until, stored)
        dates = sorted({d for d in stored if d not in looked_at} | set(closes))
        self._changes.removed_rows += sorted(d for d in stored if d not in closes and d in looked_at)
        removed = iter(self._changes.removed_rows)
        next_removed = next(removed, None)
        neighbour_changed = False
        returns = self._returns_before(low)
        waiting = sorted({touched.last, *touched.snapshot_days, *self._changes.removed_rows})
        newest_change: Date | None = None
        for date in dates:
            while next_removed is not None and next_removed < date:
                neighbour_changed, next_removed = True, next(removed, None)
            kept = stored.get(date)
            close = closes.get(date)
            if close is None:
                assert kept is not None
                close = Close(kept.close_at, kept.close_fact_no, kept.value, kept.books_value)
            # The first row after what was touched has facts of it in its interval.
            first_after = bool(waiting) and waiting[0] <= date
            while waiting and waiting[0] <= date:
                waiting.pop(0)
            stale = kept is None or neighbour_changed or date in closes or first_after
            row = self._row(previous, date, close, None if stale else kept)
            if row.daily_return is not None:
                returns.append((date, row.daily_return))
            self._emit(row, returns)
            if row != kept:
                newest_change = date
                self._changes.rows.append(row)
            neighbour_changed = kept is None or (kept.close_at, kept.value, kept.close_fact_no is None) != (row.close_at, row.value, row.close_fact_no is None)
            previous = row
            if row == kept and not neighbour_changed and not waiting and self._settled(row, newest_change, touched, closes):
                break

    # -- which ------------------------------------------------------------------------------------------------------

    def _by_snapshots(self, day: Date) -> bool:
        return self._snapshots_from is not None and day >= self._snapshots_from

    def _closes(self, touched: Touched, until: Date, stored: Mapping[Date, RollupRow]) -> tuple[dict[Date, Close], set[Date]]:
        """The closes of the days that have to be looked at, and the stored days among them."""
        zone, first, last = self._options.zone, touched.first, until if touched.anew or touched.shifted else touched.last
        found: dict[Date, Close] = {}
        snapshots = {day: close for day in sorted(touched.snapshot_days) if self._by_snapshots(day) and (close := self._close_of(day))}
        start = max(first, self._snapshots_from) if self._snapshots_from is not None else None
        instant: int | None = None if start is None or start > last else start_of_day(start, zone)
        while instant is not None and (instant := self._books.next_snapshot_at(instant)) is not None:
            day = day_of(instant, zone)
            if day > last:
                break
            if (close := self._close_of(day)) is not None:
                snapshots[day] = close
            instant = end_of_day(day, zone) + 1
        looked_at = {d for d in stored if first <= d <= last} | touched.snapshot_days
        holdings = Holdings(self._books, self._replay, self._options, touched.low)
        for day, worth in holdings.values(set(snapshots), lambda day: first <= day <= last and not self._by_snapshots(day) and self._options.observes(day)):
            if day in snapshots:
                found[day] = snapshots[day]._replace(books=self._at(snapshots[day].instant, day, worth.usd))
            else:
                self._value(day, worth, found)
        if first <= last:
            self._changes.withheld_range = first, last
        return {**snapshots, **found}, looked_at

    def _at(self, instant: int, day: Date, at_its_end: Decimal | None) -> Decimal | None:
        """What the books were worth at an instant, by their worth at the end of the day: less the capital that came in between."""
        if at_its_end is None:
            return None
        flows = self._replay.flows(instant, end_of_day(day, self._options.zone))
        return None if any(f.usd is None for f in flows) else EXACT.subtract(at_its_end, _net(flows))

    def _value(self, day: Date, worth: BooksValue, found: dict[Date, Close]) -> None:
        if worth.usd is not None:
            found[day] = Close(end_of_day(day, self._options.zone), None, worth.usd, worth.usd)
            return
        self._changes.withheld.append((day, f"no USD rate is known for {first_few(worth.unknown)}: publish a rate of it, or snapshots"))
        self._changes.unknown += [(day, currency) for currency in worth.unknown]

    def _close_of(self, day: Date) -> Close | None:
        zone = self._options.zone
        found = self._books.last_snapshot(start_of_day(day, zone), end_of_day(day, zone) + 1) if self._options.observes(day) else None
        return None if found is None else Close(found.instant, found.fact_no, found.usd, None)

    def _settled(self, row: RollupRow, newest: Date | None, touched: Touched, closes: Mapping[Date, Close]) -> bool:
        """Whether no later row can differ from what is stored."""
        window = self._options.window_days
        # Trades count in a window by their own date, which may differ while their row does not.
        latest = max([d for d in (newest, touched.last, *self._changes.removed_rows[-1:]) if d is not None])
        if window is not None and (row.date - latest).days < window:
            return False
        return not any(d > row.date for d in closes)

    # -- what ------------------------------------------------------------------------------------------------------

    def _row(self, previous: RollupRow | None, date: Date, close: Close, kept: RollupRow | None) -> RollupRow:
        """The row of a day; with `kept`, its own facts as they are stored and only the state carried on anew."""
        if kept is None:
            interval, unrated = self.interval(previous, date, close)
            sums = self._trade_sums(previous, date)
            changes_over = previous is not None and previous.close_fact_no is None and close.fact_no is not None
            gained: Decimal | None = profit(interval)
            value = daily_return(interval, self._options)
            if unrated:
                gained = value = None
            elif changes_over:
                gained, value = ZERO, None
            inflow, outflow, warnings = interval.inflow, interval.outflow, self._warnings(interval, close, previous if changes_over else None, sums)
        else:
            gained, value, inflow, outflow, warnings, unrated = kept.pnl_daily, kept.daily_return, kept.inflow, kept.outflow, kept.warnings, kept.unrated
            sums = TradeSums(kept.profit, kept.loss, kept.wins, kept.losses, kept.trades, kept.untold)
        series = Series() if previous is None else series_of_row(previous)
        if value is not None:
            series = series.add(value, self._options.daily_risk_free)
        total = sums if previous is None else totals_of_row(previous).plus(sums)
        pnl_total = gained if previous is None else plus(previous.pnl_total, gained)
        return RollupRow(
            date, close.instant, close.fact_no, close.usd, inflow, outflow, gained, pnl_total, value, *sums, unrated, close.books, warnings, series.count,
            series.mean, series.squares, series.downside, series.downside_rest, series.depth, series.drawdown, *total,
        )  # fmt: skip

    def interval(self, previous: RollupRow | None, date: Date, close: Close) -> tuple[Interval, int]:
        """From the last close to this one, and how many flows in between have no rate."""
        after = Valuation(close.instant, close.usd)
        if previous is not None:
            flows, unrated = self._flows(previous.close_at, close.instant)
            return Interval(previous.value, after, flows, self._inside(previous.close_at, close.instant) if flows else []), unrated
        if self._options.opening_value is not None:
            return self._first_interval(self._options.opening_value, _EVER, after)
        if close.fact_no is None:
            # Before the first record the books held nothing.
            return self._first_interval(ZERO, _EVER, after)
        first = self._books.first_snapshot(start_of_day(date, self._options.zone), close.instant + 1)
        assert first is not None
        opening, is_opening = Valuation(first.instant, first.usd), first.fact_no == close.fact_no
        if any(f.amount > 0 for f in self._replay.flows(_EVER, opening.instant)):
            return self._first_interval(ZERO, _EVER, after)
        flows, unrated = self._flows(opening.instant, close.instant)
        return Interval(opening.usd, after, flows, self._inside(opening.instant, close.instant) if flows else [], is_opening), unrated

    def _first_interval(self, opening: Decimal, since: int, after: Valuation) -> tuple[Interval, int]:
        flows, unrated = self._flows(since, after.instant)
        return Interval(opening, after, flows, self._inside(since, after.instant) if flows else [], begins_with_snapshot=False), unrated

    def _inside(self, after: int, before: int) -> list[Valuation]:
        """The snapshots strictly inside an interval, those of days that are not observed left out."""
        found = self._books.snapshots_between(after, before)
        return [Valuation(s.instant, s.usd) for s in found if self._options.observes(day_of(s.instant, self._options.zone))]

    def _flows(self, after: int, until: int) -> tuple[list[Flow], int]:
        """Capital that came or left, what moved at one instant netted: own transfers do not dilute."""
        found = self._replay.flows(after, until)
        netted = [Flow(at, net) for at, group in groupby(found, key=lambda f: f.instant) if (net := _net(group))]
        return netted, sum(f.usd is None for f in found)

    def _trade_sums(self, previous: RollupRow | None, date: Date) -> TradeSums:
        sums = TradeSums()
        for trade in self._replay.trades(previous and previous.date, date):
            sums = sums.with_trade(trade.pnl)
        return sums

    def _warnings(self, interval: Interval, close: Close, books: RollupRow | None, sums: TradeSums) -> str | None:
        said = []
        if sums.untold:
            said.append(f"{count_of('trade', sums.untold)} closed without a USD rate")
        if books is not None:
            off = EXACT.subtract(EXACT.subtract(EXACT.subtract(close.usd, books.value), interval.inflow), EXACT.minus(interval.outflow))
            said.append(f"valued by snapshots from here on: {canonical(off)} USD between the books and the first snapshot count as no profit")
        elif close.fact_no is not None and interval.flows:
            large = EXACT.multiply(max(interval.before.copy_abs(), interval.after.usd.copy_abs()), _LARGE_FLOW)
            doubtful = [f for f in flows_not_borne_out(interval) if f.usd.copy_abs() >= large]
            said += [f"a flow of {canonical(f.usd)} USD does not show in the snapshots around it" for f in doubtful]
        return "; ".join(said) or None

    # -- figures ----------------------------------------------------------------------------------------------------

    def _returns_before(self, low: Date) -> list[tuple[Date, float]]:
        if self._options.window_days is None:
            return []
        rows = self._books.rows_from(low - timedelta(days=self._options.window_days))
        return [(r.date, r.daily_return) for r in rows if r.date < low and r.daily_return is not None]

    def _emit(self, row: RollupRow, returns: list[tuple[Date, float]]) -> None:
        window = self._options.window_days
        if window is None:
            self._changes.figures[row.date] = figures_of(row, series_of_row(row), totals_of_row(row), self._options)
            return
        oldest = row.date - timedelta(days=window)
        while returns and returns[0][0] <= oldest:
            returns.pop(0)
        sums = TradeSums()
        for trade in self._replay.trades(oldest, row.date):
            sums = sums.with_trade(trade.pnl)
        self._changes.figures[row.date] = figures_of(row, series_of((r for _, r in returns), self._options.daily_risk_free), sums, self._options)


def plus(a: Decimal | None, b: Decimal | None) -> Decimal | None:
    """The sum; None where one of the two cannot be told."""
    return None if a is None or b is None else EXACT.add(a, b)


def _net(group: Iterable[FlowValue]) -> Decimal:
    total = ZERO
    for flow in group:
        if flow.usd is not None:
            total = EXACT.add(total, flow.usd)
    return total


def figures_of(row: RollupRow, series: Series, sums: TradeSums, options: RollupOptions) -> Figures:
    """The figures of a row, as they are stored."""
    return (
        canonical(row.value), _text(row.pnl_daily), _text(row.pnl_total), sharpe_ratio(series, options), sortino_ratio(series, options),
        series.drawdown, win_rate(sums), profit_factor(sums), sums.trades,
    )  # fmt: skip


def carried_on(previous: RollupRow | None, row: RollupRow, sums: TradeSums, options: RollupOptions) -> RollupRow:
    """The row as it has to be, by its own close and flows, the trades since the row before, and that row's state."""
    series = Series() if previous is None else series_of_row(previous)
    if row.daily_return is not None:
        series = series.add(row.daily_return, options.daily_risk_free)
    totals = sums if previous is None else totals_of_row(previous).plus(sums)
    gained = row.pnl_daily
    if row.unrated:
        gained = None
    elif previous is not None and previous.close_fact_no is None and row.close_fact_no is not None:
        gained = ZERO
    elif previous is not None:
        gained = EXACT.add(EXACT.subtract(EXACT.subtract(row.value, previous.value), row.inflow), row.outflow)
    total = gained if previous is None else plus(previous.pnl_total, gained)
    return row._replace(
        pnl_daily=gained, pnl_total=total, profit=sums.profit, loss=sums.loss, wins=sums.wins, losses=sums.losses, trades=sums.trades, untold=sums.untold,
        observations=series.count, mean=series.mean, squares=series.squares, downside=series.downside, downside_rest=series.downside_rest,
        depth=series.depth, max_drawdown=series.drawdown, total_profit=totals.profit, total_loss=totals.loss, total_wins=totals.wins,
        total_losses=totals.losses, total_trades=totals.trades, total_untold=totals.untold,
    )  # fmt: skip


def series_of_row(row: RollupRow) -> Series:
    return Series(row.observations, row.mean, row.squares, row.downside, row.downside_rest, row.depth, row.max_drawdown)


def totals_of_row(row: RollupRow) -> TradeSums:
    return TradeSums(row.total_profit, row.total_loss, row.total_wins, row.total_losses, row.total_trades, row.total_untold)


def _text(number: Decimal | None) -> str | None:
    return None if number is None else canonical(number)


__all__ = ["Close", "RowBuilder", "Touched", "carried_on", "figures_of", "plus", "series_of_row", "totals_of_row"]
