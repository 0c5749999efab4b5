"""Ratios and trades: equal to the libraries where they are right, undefined where nothing can be said."""

from __future__ import annotations

import math
import random
import warnings
from decimal import Context, Decimal, localcontext

import empyrical
import numpy
import pytest
import rollup_vectors as vectors
from hypothesis import given
from hypothesis import strategies as st

from jarvis_client.contract.decimals import EXACT, QUOTIENT
from jarvis_client.contract.instants import to_instant
from persistence.domain.rollup import UsdRate
from scheduler.rollup.options import RollupOptions
from scheduler.rollup.ratios import Series, TradeSums, profit_factor, series_of, sharpe_ratio, sortino_ratio, win_rate
from scheduler.rollup.trades import Position, RatedCharge, TradeFill, effect

RETURNS = st.lists(st.floats(-0.2, 0.2).map(lambda x: round(x, 6)), min_size=2, max_size=60)


@given(RETURNS, st.sampled_from([252.0, 365.0]), st.sampled_from([0.0, 0.04, -0.01]))
def test_sharpe_sortino_and_drawdown_are_those_of_empyrical(returns, annualization, risk_free):
    options = RollupOptions(annualization=annualization, risk_free_rate=risk_free)
    series, rf = series_of(returns, options.daily_risk_free), options.daily_risk_free
    array = numpy.array(returns)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = (
            float(empyrical.sharpe_ratio(array, risk_free=rf, annualization=annualization)),
            float(empyrical.sortino_ratio(array, required_return=rf, annualization=annualization)),
            float(empyrical.max_drawdown(array)),
        )
    ours = sharpe_ratio(series, options), sortino_ratio(series, options), series.drawdown
    for mine, other in zip(ours, theirs, strict=True):
        if mine is None:
            assert not math.isfinite(other) or abs(other) > 1e6, "only where the library has no sensible figure either"
        else:
            assert mine == pytest.approx(other, rel=1e-9, abs=1e-12)


def test_a_long_series_taken_day_by_day_loses_nothing_against_sixty_digits():
    chance = random.Random(1)
    returns = [chance.gauss(0.0005, 0.02) for _ in range(2_000)]
    options = RollupOptions()
    with localcontext(Context(prec=60)):
        exact = [Decimal(r) for r in returns]
        mean = sum(exact) / len(exact)
        deviation = (sum((x - mean) ** 2 for x in exact) / (len(exact) - 1)).sqrt()
        downside = (sum(min(x, Decimal(0)) ** 2 for x in exact) / len(exact)).sqrt()
        sharpe, sortino = (float(mean / below * Decimal(365).sqrt()) for below in (deviation, downside))
    series = series_of(returns, 0.0)
    assert sharpe_ratio(series, options) == pytest.approx(sharpe, rel=1e-12)
    assert sortino_ratio(series, options) == pytest.approx(sortino, rel=1e-12)


@pytest.mark.parametrize(("returns", "sharpe", "sortino"), [
    ([], None, None), ([0.1], None, None), ([-0.1], None, None), ([0.01, 0.01], None, None), ([0.0] * 5, None, None), ([0.01, 0.02], "defined", None),
    ([-0.01, -0.01], None, "defined"),
])  # fmt: skip
def test_what_is_undefined_is_none_and_never_a_sentinel(returns, sharpe, sortino):
    series, options = series_of(returns, 0.0), RollupOptions()
    assert (sharpe_ratio(series, options) is not None) == (sharpe is not None)
    assert (sortino_ratio(series, options) is not None) == (sortino is not None)


def test_a_first_loss_counts_and_ruin_stays_for_ever():
    assert series_of([-0.05], 0.0).drawdown == pytest.approx(-0.05, abs=1e-15)
    ruined = series_of([0.1, -1.0, 0.5, 0.5], 0.0)
    assert (ruined.drawdown, ruined.depth) == (-1.0, 0.0)
    assert Series().drawdown == 0.0


def test_win_rate_and_profit_factor_of_all_kinds_of_trades():
    def sums(*pnls):
        found = TradeSums()
        for pnl in pnls:
            found = found.with_trade(Decimal(pnl))
        return found

    assert (win_rate(sums()), profit_factor(sums())) == (None, None)
    assert (win_rate(sums(1, 2)), profit_factor(sums(1, 2))) == (1.0, None)
    assert (win_rate(sums(-1)), profit_factor(sums(-1))) == (0.0, 0.0)
    assert (win_rate(sums(3, 0, -1, -1)), profit_factor(sums(3, 0, -1, -1))) == (0.25, 1.5)
    assert sums(1).plus(sums(-2, 0)) == TradeSums(Decimal(1), Decimal(2), 1, 1, 3, 0)
    assert (win_rate(sums(1).with_trade(None)), profit_factor(sums(-1).with_trade(None))) == (None, None)


def trade_fills(doc):
    from datetime import datetime

    for number, m in enumerate(doc["input"]["fills"], 1):
        instrument = doc["input"]["instruments"][m["instrument"]]
        multiplier = Decimal(instrument.get("multiplier") or 1)
        quantity, price = Decimal(m["qty"]), Decimal(m["price"])
        yield m["id"], TradeFill(
            number, to_instant(datetime.fromisoformat(m["ts"])), m["instrument"], m["side"] == "buy", quantity, price, quantity * price * multiplier,
            multiplier, instrument["base"], instrument["quote"],
            (RatedCharge(m.get("fee_ccy") or instrument["quote"], Decimal(m.get("fee") or 0), UsdRate(Decimal(m.get("fee_usd_rate") or 1))),),
            UsdRate(Decimal(m.get("quote_usd") or 1)), is_contract=multiplier != 1,
        )  # fmt: skip


@pytest.mark.parametrize("basis", ["wac", "fifo"])
def test_trades_per_close_add_up_to_the_round_trips(basis):
    doc = vectors.vector("08_round_trips")
    totals = []
    for grouping in ("flat_to_flat", "per_close"):
        options = RollupOptions(trade_grouping=grouping, cost_basis=basis)
        positions, total, count = {}, Decimal(0), 0
        for _, fill in trade_fills(doc):
            for trade in positions.setdefault(fill.position, Position(fill.position)).apply(fill, effect(fill), options):
                total = EXACT.add(total, trade.trade.pnl)
                count += 1
        totals.append((QUOTIENT.quantize(total, Decimal("1e-20")), count))
    assert totals[0][0] == totals[1][0]
    assert totals[1][1] > totals[0][1]


def test_a_position_comes_back_from_its_text_as_it_was():
    doc = vectors.vector("09_fees_dust")
    for options in (RollupOptions(dust_notional_usd=Decimal(1)), RollupOptions(trade_grouping="per_close", cost_basis="fifo")):
        through, stored = Position("x"), Position("x")
        for _, fill in trade_fills(doc):
            assert through.apply(fill, effect(fill), options) == stored.apply(fill, effect(fill), options)
            assert stored.text() == through.text()
            stored = Position.restore("x", stored.state())
