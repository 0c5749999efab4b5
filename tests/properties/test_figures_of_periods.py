"""The figures of a period: equal to empyrical's where both have the formula, and to plain definitions where it has none."""

from __future__ import annotations

import math
import warnings
from datetime import date, timedelta
from decimal import Context, Decimal, localcontext

import empyrical
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_client.contract.decimals import EXACT
from scheduler.rollup.options import RollupOptions
from scheduler.rollup.period import DatedReturn, DayFigures, TradeFigures, drawdowns, figures_of_period, summary_of, worst

FIRST = date(2024, 1, 1)
OPTIONS = RollupOptions()
RETURNS = st.lists(st.floats(-0.2, 0.2).map(lambda x: round(x, 6)), min_size=1, max_size=400)
#: As far as amounts of the books can be added exactly.
ANYTHING = st.lists(st.none() | st.floats(-1.0, 1e30), min_size=1, max_size=40)
DAY, HOUR = 86_400_000_000, 3_600_000_000


def rows_of(returns, first=FIRST):
    """Rows of an account that starts with 1000 and has no flows."""
    worth, found = Decimal(1000), []
    with localcontext(Context()):
        for n, value in enumerate(returns):
            gained = worth * Decimal(value or 0)
            worth += gained
            found.append(DayFigures(first + timedelta(n), worth, gained, value, Decimal(0), Decimal(0)))
    return found


def figures(returns, options=OPTIONS, before=None, trades=()):
    return figures_of_period(rows_of(returns), trades, before, options)


@given(RETURNS, st.sampled_from([252.0, 365.0]), st.sampled_from([0.0, 0.04]))
def test_every_figure_that_empyrical_has_is_its_own_to_nine_digits(returns, annualization, risk_free):
    options = RollupOptions(annualization=annualization, risk_free_rate=risk_free)
    found, rf = figures(returns, options), options.daily_risk_free
    series = pandas.Series(returns, index=pandas.DatetimeIndex([FIRST + timedelta(n) for n in range(len(returns))]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = {
            "total_return": empyrical.cum_returns_final(series), "max_drawdown": empyrical.max_drawdown(series),
            "volatility": empyrical.annual_volatility(series, annualization=annualization),
            "sharpe": empyrical.sharpe_ratio(series, risk_free=rf, annualization=annualization),
            "sortino": empyrical.sortino_ratio(series, required_return=rf, annualization=annualization),
        }  # fmt: skip
        if len(returns) >= 365:
            # A row a day: their years of 365 returns are ours of 365 days.
            theirs |= {"cagr": empyrical.cagr(series, annualization=365), "calmar": empyrical.calmar_ratio(series, annualization=365)}
        months = empyrical.aggregate_returns(series, "monthly")
        years = empyrical.aggregate_returns(series, "yearly")
    for name, theirs_of_it in theirs.items():
        ours = getattr(found, name)
        if ours is None:
            assert not math.isfinite(theirs_of_it) or abs(theirs_of_it) > 1e6, f"{name} is {theirs_of_it} there"
        else:
            assert ours == pytest.approx(float(theirs_of_it), rel=1e-9, abs=1e-11), name
    assert [(r.date.year, r.date.month) for r in found.months] == list(months.index)
    assert [r.value for r in found.months] == pytest.approx(list(months), rel=1e-9, abs=1e-11)
    assert [(r.date.year, r.value) for r in found.years] == [(y, pytest.approx(v, rel=1e-9, abs=1e-11)) for y, v in years.items()]
    if len(returns) < 365:
        assert (found.cagr, found.calmar) == (None, None)
        assert "less than a year" in found.no_cagr


def index_of(returns):
    worth = [1.0]
    for value in returns:
        worth.append(worth[-1] * (1 + value))
    return worth


@given(RETURNS)
def test_drawdowns_are_the_falls_between_peaks_and_their_recoveries(returns):
    dated = [DatedReturn(FIRST + timedelta(n), value) for n, value in enumerate(returns)]
    start = FIRST - timedelta(1)
    found, worth = drawdowns(dated, start), index_of(returns)

    def at(day):
        return worth[(day - start).days]

    fell = set()
    for fall in found:
        end = fall.recovery or dated[-1].date
        assert start <= fall.peak < fall.trough <= end
        assert at(fall.peak) == pytest.approx(max(worth[: (fall.trough - start).days + 1]), rel=1e-9), "the highest until then"
        assert fall.depth == pytest.approx(at(fall.trough) / at(fall.peak) - 1, rel=1e-9, abs=1e-11)
        days = [fall.peak + timedelta(n) for n in range(1, (end - fall.peak).days + (fall.recovery is None))]
        assert min(map(at, days), default=at(fall.trough)) == pytest.approx(at(fall.trough), rel=1e-9)
        assert all(at(day) < at(fall.peak) for day in days), "below the peak all the time"
        assert fall.recovery is None or at(fall.recovery) >= at(fall.peak) * (1 - 1e-9)
        assert not fell & set(days), "they do not overlap"
        fell |= set(days)
    top = 1.0
    for n, value in enumerate(worth):
        top = max(top, value)
        assert value >= top * (1 - 1e-9) or start + timedelta(n) in fell, "no fall is left out"
    assert all(d.recovery is not None for d in found[:-1]), "only the last can be open"
    told = worst(found)
    assert [d.depth for d in told] == sorted(d.depth for d in found)[:5]
    assert (told[0].depth if told else 0.0) == pytest.approx(figures(returns).max_drawdown, abs=1e-11)


@given(ANYTHING)
def test_no_figure_is_ever_infinite_or_no_number(returns):
    found = figures(returns)
    single = [getattr(found, n) for n in ("total_return", "cagr", "volatility", "sharpe", "sortino", "max_drawdown", "calmar")]
    dated = [r.value for r in (*found.months, *found.years, found.best_day, found.worst_day, found.best_month, found.worst_month) if r is not None]
    for value in [*single, *dated, *(d.depth for d in found.drawdowns)]:
        assert value is None or math.isfinite(value)
    assert found.rows_without_return == sum(r is None for r in returns)


@pytest.mark.parametrize(("returns", "undefined"), [
    ([None], {"total_return", "cagr", "volatility", "sharpe", "sortino", "max_drawdown", "calmar", "best_day", "worst_month"}),
    ([0.1], {"cagr", "volatility", "sharpe", "sortino", "calmar"}),
    ([0.0] * 365, {"sharpe", "sortino", "calmar"}),
    ([0.01, 0.02] * 200, {"sortino", "calmar"}),
    ([-1.0] + [0.5] * 400, set()),
])  # fmt: skip
def test_what_is_undefined_is_none(returns, undefined):
    found = figures(returns)
    for name in ("total_return", "cagr", "volatility", "sharpe", "sortino", "max_drawdown", "calmar", "best_day", "worst_month"):
        assert (getattr(found, name) is None) == (name in undefined), name
    if None in returns:
        assert found.no_cagr == "no row has a return"


def test_a_year_is_covered_from_the_close_before_to_the_last_close():
    year = [0.001] * 364
    assert figures(year).no_cagr == "364 days are covered, less than a year"
    assert figures([0.001]).no_cagr == "1 day is covered, less than a year"
    before = DayFigures(FIRST - timedelta(1), Decimal(1000), None, None, None, None)
    assert figures([*year, 0.001], before=before).cagr == pytest.approx(1.001**365 - 1)
    # Two days without a row before the first: its return spans them.
    gap = before._replace(date=FIRST - timedelta(3))
    assert figures([*year, 0.001], before=gap).calendar_days == 367
    assert figures([*year, 0.001], before=gap).cagr == pytest.approx(1.001 ** (365 * 365 / 367) - 1)


@given(RETURNS, st.integers(0, 3))
def test_money_adds_up_whatever_cannot_be_told(returns, missing):
    rows = rows_of(returns)
    if missing and len(rows) > missing:
        rows[missing] = rows[missing]._replace(pnl=None)
    found = figures_of_period(rows, (), None, OPTIONS)
    assert found.opening_value == pytest.approx(Decimal(1000))
    if missing and len(rows) > missing:
        assert (found.pnl, found.revalued, found.rows_without_pnl) == (None, None, 1)
    else:
        with localcontext(EXACT):
            assert found.opening_value + found.pnl + found.inflow - found.outflow + found.revalued == found.closing_value
        assert abs(found.revalued) < Decimal("1e-15"), "here by the rounding of the test's own sums alone"


def trade(pnl, hours=1, instrument="BTC/USDT", side="long", fees="1"):
    money = [None if x is None else Decimal(x) for x in (pnl, fees)]
    return TradeFigures(FIRST, instrument, side, DAY, DAY + hours * HOUR, *money, False)


def test_trades_are_told_together_and_by_instrument_and_side():
    found = figures([0.1], trades=[trade(30, 1), trade(10, 2), trade(-10, 6, side="short"), trade(0, 3, "ETH/USDT")])
    told = found.trades
    assert (told.trades, told.wins, told.losses, told.win_rate, told.profit_factor) == (4, 2, 1, 0.5, 4.0)
    assert (told.pnl, told.average_win, told.average_loss, told.fees) == (30, 20, 10, 4)
    assert (told.average_holding, told.median_holding) == (3 * HOUR, int(2.5 * HOUR))
    assert [(name, side, t.trades, t.pnl, t.win_rate) for name, side, t in found.by_instrument] == [
        ("BTC/USDT", "long", 2, 40, 1.0), ("BTC/USDT", "short", 1, -10, 0.0), ("ETH/USDT", "long", 1, 0, 0.0),
    ]  # fmt: skip


def test_of_trades_of_which_one_cannot_be_told_nothing_is_averaged_and_without_any_nothing_is_divided():
    told = summary_of([trade(30), trade(None, fees=None), trade(-5)])
    assert (told.trades, told.untold, told.average_holding) == (3, 1, HOUR)
    assert {told.win_rate, told.profit_factor, told.pnl, told.average_win, told.average_loss, told.fees} == {None}
    none = summary_of([])
    assert (none.trades, none.pnl, none.fees) == (0, 0, 0)
    assert {none.win_rate, none.profit_factor, none.average_win, none.average_loss, none.average_holding, none.median_holding} == {None}
    assert summary_of([trade(5)]).average_loss is None
