"""Ratios of daily returns and of trades. What is undefined is None, never infinity, NaN or a sentinel: those sort and average wrongly."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from jarvis_client.contract.decimals import EXACT, QUOTIENT, ZERO
from scheduler.rollup.options import RollupOptions

#: Dispersion below this, in units of a daily return, is rounding: thousands of float epsilons, far below any real variation.
NO_DISPERSION = 1e-12


@dataclass(frozen=True, slots=True)
class Series:
    """What has to be remembered of a series of returns to take the next one in constant time.

    `mean`, `squares`: Welford's running mean and sum of squared deviations (Technometrics 4, 1962).
    `downside`, `downside_rest`: sum of squared shortfalls below the risk-free return, with Neumaier's compensation.
    `depth`: the flow-adjusted index over its running peak, the start of the record included; `drawdown`: the least of it - 1.
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    downside: float = 0.0
    downside_rest: float = 0.0
    depth: float = 1.0
    drawdown: float = 0.0

    def add(self, value: float, risk_free: float) -> Series:
        """The series with one more return."""
        count = self.count + 1
        off = value - self.mean
        mean = self.mean + off / count
        shortfall = min(value - risk_free, 0.0) ** 2
        total = self.downside + shortfall
        lost = (self.downside - total) + shortfall if self.downside >= shortfall else (shortfall - total) + self.downside
        # The depth is exactly 1 again at each new peak, so rounding never adds up from one peak to the next.
        depth = min(1.0, self.depth * (1.0 + value))
        return Series(count, mean, self.squares + off * (value - mean), total, self.downside_rest + lost, depth, min(self.drawdown, depth - 1.0))


def series_of(returns: Iterable[float], risk_free: float) -> Series:
    """The series of these returns from an empty one."""
    series = Series()
    for value in returns:
        series = series.add(value, risk_free)
    return series


def sharpe_ratio(series: Series, options: RollupOptions) -> float | None:
    """(mean - rf) / std(ddof=1) × √A (Sharpe 1994, as empyrical, quantstats and ffn compute it)."""
    if series.count < max(2, options.min_observations):
        return None
    deviation = math.sqrt(series.squares / (series.count - 1))
    if deviation < NO_DISPERSION:
        return None
    return (series.mean - options.daily_risk_free) / deviation * math.sqrt(options.annualization)


def sortino_ratio(series: Series, options: RollupOptions) -> float | None:
    """(mean - rf) / √(Σ min(x - rf, 0)² / n) × √A, n being all observations, not the losing ones alone (Sortino & van der Meer 1991)."""
    if series.count < max(2, options.min_observations):
        return None
    deviation = math.sqrt((series.downside + series.downside_rest) / series.count)
    if deviation < NO_DISPERSION:
        return None
    return (series.mean - options.daily_risk_free) / deviation * math.sqrt(options.annualization)


class TradeSums(NamedTuple):
    """Closed trades added up. `profit` and `loss` are both positive; a breakeven trade counts in `trades` alone, one whose profit cannot be
    told in `untold` besides."""

    profit: Decimal = ZERO
    loss: Decimal = ZERO
    wins: int = 0
    losses: int = 0
    trades: int = 0
    untold: int = 0

    def plus(self, other: TradeSums) -> TradeSums:
        return TradeSums(
            EXACT.add(self.profit, other.profit), EXACT.add(self.loss, other.loss), self.wins + other.wins, self.losses + other.losses,
            self.trades + other.trades, self.untold + other.untold,
        )  # fmt: skip

    def with_trade(self, pnl: Decimal | None) -> TradeSums:
        if pnl is None:
            return self._replace(trades=self.trades + 1, untold=self.untold + 1)
        if pnl > 0:
            return self._replace(profit=EXACT.add(self.profit, pnl), wins=self.wins + 1, trades=self.trades + 1)
        if pnl < 0:
            return self._replace(loss=EXACT.subtract(self.loss, pnl), losses=self.losses + 1, trades=self.trades + 1)
        return self._replace(trades=self.trades + 1)

    def with_all(self, pnls: Iterable[Decimal | None]) -> TradeSums:
        """As one after the other, in a fifth of the time: reports add up tens of thousands."""
        profit, loss, wins, losses, trades, untold = self
        for pnl in pnls:
            trades += 1
            if pnl is None:
                untold += 1
            elif pnl > 0:
                profit, wins = EXACT.add(profit, pnl), wins + 1
            elif pnl < 0:
                loss, losses = EXACT.subtract(loss, pnl), losses + 1
        return TradeSums(profit, loss, wins, losses, trades, untold)


def win_rate(sums: TradeSums) -> float | None:
    """Trades with a profit over all trades; None without any, or where the profit of one cannot be told."""
    return sums.wins / sums.trades if sums.trades and not sums.untold else None


def profit_factor(sums: TradeSums) -> float | None:
    """Gross profit over gross loss; 0 with losses alone, None without a losing trade, or where the profit of one cannot be told."""
    return float(QUOTIENT.divide(sums.profit, sums.loss)) if sums.losses and not sums.untold else None
