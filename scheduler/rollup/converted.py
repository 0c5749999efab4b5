"""Rows in another currency than USD: what each day was worth at the rate of its end, flows at the rates of their instants, and the ratios of
the returns that follow.

The rate is that of `rates.py`: what was said, and what the account's own records told. A day without one has no figures in that currency;
nothing is guessed from its neighbours.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from datetime import date as Date
from datetime import timedelta
from decimal import Decimal
from typing import NamedTuple

from jarvis_client.contract.decimals import EXACT, QUOTIENT, ZERO
from jarvis_client.contract.instants import end_of_day, start_of_day
from persistence.books.account_history import AccountBooks
from persistence.domain.rollup import ClosedTrade, KnownRate, RollupRow, UsdRate, name_and_kind
from persistence.repositories.rollups import Changes
from scheduler.rollup.days import ONE_DAY, day_of
from scheduler.rollup.options import RollupOptions
from scheduler.rollup.period import DayFigures, TradeFigures
from scheduler.rollup.rates import Rates
from scheduler.rollup.ratios import Series, TradeSums, profit_factor, series_of, sharpe_ratio, sortino_ratio, win_rate
from scheduler.rollup.replay import Replay
from scheduler.rollup.returns import Flow, Interval, Valuation, daily_return, profit
from scheduler.rollup.rows import Close, RowBuilder, plus


class Exchange:
    """What USD are in a currency, by what an account knows of its rate."""

    def __init__(self, books: AccountBooks, options: RollupOptions, currency: str) -> None:
        self._books = books
        self._options = options
        self.currency = currency
        self._rates = Rates(options.usd_like, lambda currency: None, books.said_at)
        self._heard: dict[Date, list[KnownRate]] = {}

    def at_end(self, day: Date) -> UsdRate | None:
        """The rate at the end of a day; None where none is known, or the currency is worthless."""
        told = self._books.rate_before(self.currency, day + ONE_DAY)
        return _usable(self._rates.between(self.currency, end_of_day(day, self._options.zone), told))

    def at(self, instant: int) -> UsdRate | None:
        """The rate at an instant."""
        day = day_of(instant, self._options.zone)
        told = self._books.rate_before(self.currency, day + ONE_DAY)
        if told is not None and told.at > instant:
            # What is kept is the last of a day; what was told before it is heard by reading that day again.
            heard = self._told_during(day)
            count = bisect_right(heard, instant, key=lambda known: known.at)
            told = heard[count - 1] if count else self._books.rate_before(self.currency, day)
        return _usable(self._rates.between(self.currency, instant, told))

    def _told_during(self, day: Date) -> list[KnownRate]:
        if day not in self._heard:
            replay = Replay(self._books, self._options, Changes.none(day), day)
            replay.rates = listening = _Listening(self._options, self._books, self.currency, day)
            replay.run(day)
            self._heard[day] = listening.heard
        return self._heard[day]


class _Listening(Rates):
    """Rates that remember everything that was told of one currency."""

    def __init__(self, options: RollupOptions, books: AccountBooks, currency: str, day: Date) -> None:
        super().__init__(options.usd_like, lambda currency: books.rate_before(currency, day), books.said_at)
        self._currency = currency
        self.heard: list[KnownRate] = []

    def learn(self, currency: str, rate: UsdRate, at: int, *, carried: bool = False) -> None:
        super().learn(currency, rate, at, carried=carried)
        if currency == self._currency and (known := self.told(currency)) is not None:
            self.heard.append(known)


class ConvertedRow(NamedTuple):
    """A row in another currency; `rate` is that of the day's end, None where none is known. The figures are those of its own returns and
    trades, since the beginning or in the window of the options; `below_peak` is since the beginning, `drawdown` the deepest, both None
    before the first day with a rate."""

    figures: DayFigures
    rate: UsdRate | None
    pnl_total: Decimal | None
    sharpe: float | None
    sortino: float | None
    below_peak: float | None
    drawdown: float | None
    win_rate: float | None
    profit_factor: float | None
    trades: int


class Converter:
    """The rows and trades of an account in a currency."""

    def __init__(self, books: AccountBooks, options: RollupOptions, currency: str) -> None:
        self._books = books
        self._options = options
        self._exchange = Exchange(books, options, currency)
        replay = Replay.at_rest(books, options, Date.max)
        self._builder = RowBuilder(books, options, replay, Changes.none(Date.max), None)
        self._ends: dict[Date, UsdRate | None] = {}

    def rows(self) -> list[ConvertedRow]:
        """Every row from the first on: what came before is in the ratios of what follows."""
        found: list[ConvertedRow] = []
        stored = self._books.rows_from(Date.min)
        trades = self.trades(None, stored[-1].date) if stored else []
        ends = [t.date for t in trades]
        previous: RollupRow | None = None
        returns: list[tuple[Date, float]] = []
        whole, sums, counted, begun = Series(), TradeSums(), 0, False
        total: Decimal | None = ZERO
        for row in stored:
            figures = self._figures(previous, row)
            if figures.daily_return is not None:
                returns.append((row.date, figures.daily_return))
                whole = whole.add(figures.daily_return, self._options.daily_risk_free)
            upto = bisect_right(ends, row.date)
            sums = _sums(trades[counted:upto], sums)
            counted, total = upto, plus(total, figures.pnl)
            series = whole
            if self._options.window_days is not None:
                oldest = row.date - timedelta(days=self._options.window_days)
                returns = [(day, value) for day, value in returns if day > oldest]
                series = series_of((value for _, value in returns), self._options.daily_risk_free)
                sums = _sums(trades[bisect_right(ends, oldest) : upto])
            ratios = sharpe_ratio(series, self._options), sortino_ratio(series, self._options)
            begun = begun or figures.value is not None
            falls: tuple[float | None, float | None] = (whole.depth - 1, series.drawdown) if begun else (None, None)
            found.append(ConvertedRow(figures, self._end(row.date), total, *ratios, *falls, win_rate(sums), profit_factor(sums), sums.trades))
            previous = row
        return found

    def trades(self, after: Date | None, until: Date) -> list[TradeFigures]:
        """Trades closed in (after, until], each at the rate of the end of its day."""
        return [trade_figures(day, trade, self._end(day), self._exchange.currency) for day, trade in self._books.trades(after, until)]

    def _end(self, day: Date) -> UsdRate | None:
        if day not in self._ends:
            self._ends[day] = self._exchange.at_end(day)
        return self._ends[day]

    def _figures(self, previous: RollupRow | None, row: RollupRow) -> DayFigures:
        rate = self._end(row.date)
        value = of_usd(row.value, rate)
        interval, unrated = self._builder.interval(previous, row.date, Close(row.close_at, row.close_fact_no, row.value, row.books_value))
        flows = [Flow(f.instant, usd) for f in interval.flows if (usd := of_usd(f.usd, self._exchange.at(f.instant))) is not None]
        if unrated or len(flows) < len(interval.flows):
            return DayFigures(row.date, value, None, None, None, None)
        own = replace(interval, flows=flows, snapshots=())
        opening = self._opening(previous, row, interval)
        if value is None or opening is None or rate is None:
            return DayFigures(row.date, value, None, None, own.inflow, own.outflow)
        own = replace(own, before=opening, after=Valuation(row.close_at, value))
        if previous is not None and previous.close_fact_no is None and row.close_fact_no is not None:
            return DayFigures(row.date, value, ZERO, None, own.inflow, own.outflow)
        change = None
        if row.daily_return is not None:
            least = of_usd(self._options.min_base_usd, rate)
            assert least is not None
            change = daily_return(replace(own, snapshots=self._inside(interval)), replace(self._options, min_base_usd=least))
        return DayFigures(row.date, value, profit(own), change, own.inflow, own.outflow)

    def _opening(self, previous: RollupRow | None, row: RollupRow, interval: Interval) -> Decimal | None:
        """What the interval began with: the close before at the rate of its own day's end."""
        if previous is not None:
            return of_usd(previous.value, self._end(previous.date))
        if not interval.before:
            return ZERO
        start = start_of_day(row.date, self._options.zone)
        first = self._books.first_snapshot(start, row.close_at + 1) if interval.begins_with_snapshot else None
        return of_usd(interval.before, self._end(row.date) if interval.is_opening else self._exchange.at(start if first is None else first.instant))

    def _inside(self, interval: Interval) -> Sequence[Valuation]:
        found = [(s.instant, of_usd(s.usd, self._exchange.at(s.instant))) for s in interval.snapshots]
        return [Valuation(instant, worth) for instant, worth in found if worth is not None]


def of_usd(usd: Decimal | None, rate: UsdRate | None) -> Decimal | None:
    """What USD are in the currency of a rate, to 50 digits."""
    return None if usd is None or rate is None else QUOTIENT.divide(EXACT.multiply(usd, rate.per), rate.usd)


def trade_figures(day: Date, trade: ClosedTrade, rate: UsdRate | None, currency: str = "USD") -> TradeFigures:
    """What of a trade a summary adds up."""
    pnl, fees = (trade.pnl, trade.fees) if currency == "USD" else (of_usd(trade.pnl, rate), of_usd(trade.fees, rate))
    return TradeFigures(day, name_and_kind(trade.position)[0], trade.direction, trade.opened_at, trade.closed_at, pnl, fees, trade.estimated)


def row_figures(row: RollupRow) -> DayFigures:
    """What of a row a summary adds up, in USD. Flows of which one has no rate cannot be told."""
    inflow, outflow = (None, None) if row.unrated else (row.inflow, row.outflow)
    return DayFigures(row.date, row.value, row.pnl_daily, row.daily_return, inflow, outflow)


def _sums(trades: Sequence[TradeFigures], sums: TradeSums | None = None) -> TradeSums:
    return (TradeSums() if sums is None else sums).with_all(t.pnl for t in trades)


def _usable(rate: UsdRate | None) -> UsdRate | None:
    return None if rate is None or not rate.usd else rate


__all__ = ["ConvertedRow", "Converter", "Exchange", "of_usd", "row_figures", "trade_figures"]
