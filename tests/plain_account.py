"""An account of which everything is known: what is recorded of it, and its figures, computed apart from the product in fractions and floats."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from statistics import fmean, median, stdev
from typing import Any, NamedTuple

from books import NEW_YEAR, SECOND, deposit, fill, snapshot, withdrawal

DAY, HOUR = 86_400 * SECOND, 3_600 * SECOND
FIRST = date(2026, 1, 1)
INSTRUMENTS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")


class PlainTrade(NamedTuple):
    """A round trip of one buy and one sale. `pnl` is after fees."""

    day: date
    instrument: str
    side: str
    seconds: int
    pnl: Fraction
    fees: Fraction


@dataclass
class PlainAccount:
    """Day by day: the close, what was put in (above zero) or taken out; the trades by the day of their close; fees by (month, instrument)."""

    facts: list[Any] = field(default_factory=list)
    days: list[date] = field(default_factory=list)
    closes: list[Fraction] = field(default_factory=list)
    flows: list[Fraction] = field(default_factory=list)
    trades: list[PlainTrade] = field(default_factory=list)
    fees: dict[tuple[str, str], Fraction] = field(default_factory=dict)

    def returns(self, first: date | None = None, last: date | None = None) -> dict[date, float]:
        """Inflows count at the start of a day, outflows at its end."""
        found: dict[date, float] = {}
        before = Fraction(0)
        for day, close, flow in zip(self.days, self.closes, self.flows, strict=True):
            if (first is None or day >= first) and (last is None or day <= last):
                found[day] = float((close + max(-flow, 0)) / (before + max(flow, 0)) - 1)
            before = close
        return found


class PlainFigures(NamedTuple):
    """The figures of returns, in plain formulas of 365 days a year and no risk-free rate. Drawdowns as (depth, trough), the deepest first."""

    total: float
    volatility: float
    sharpe: float
    sortino: float
    cagr: float | None
    drawdowns: list[tuple[float, date]]

    @property
    def deepest(self) -> float:
        return self.drawdowns[0][0]


def figures_of(returns: dict[date, float]) -> PlainFigures:
    values, days = [*returns.values()], (max(returns) - min(returns)).days + 1
    total = math.prod(1 + r for r in values) - 1
    shortfall = math.sqrt(sum(min(r, 0) ** 2 for r in values) / len(values))
    year = math.sqrt(365)
    cagr = (1 + total) ** (365 / days) - 1 if days >= 365 else None
    return PlainFigures(total, stdev(values) * year, fmean(values) / stdev(values) * year, fmean(values) / shortfall * year, cagr, _drawdowns(returns))


def _drawdowns(returns: dict[date, float]) -> list[tuple[float, date]]:
    found: list[tuple[float, date]] = []
    index = peak = 1.0
    falling = False
    for day, change in returns.items():
        index *= 1 + change
        depth = index / peak - 1
        if depth >= 0:
            peak, falling = index, False
        elif not falling:
            found.append((depth, day))
            falling = True
        elif depth < found[-1][0]:
            found[-1] = (depth, day)
    return sorted(found)


def by_month(returns: dict[date, float]) -> dict[tuple[int, int], float]:
    found: dict[tuple[int, int], float] = {}
    for day, change in returns.items():
        found[day.year, day.month] = found.get((day.year, day.month), 1.0) * (1 + change)
    return {month: index - 1 for month, index in found.items()}


class TradesTold(NamedTuple):
    count: int
    wins: int
    losses: int
    win_rate: float
    profit_factor: float | None
    pnl: float
    average_win: float | None
    average_loss: float | None
    fees: float
    mean_seconds: float
    median_seconds: float


def told(trades: list[PlainTrade]) -> TradesTold:
    gains, falls = [t.pnl for t in trades if t.pnl > 0], [-t.pnl for t in trades if t.pnl < 0]
    return TradesTold(
        len(trades), len(gains), len(falls), len(gains) / len(trades), float(sum(gains) / sum(falls)) if falls else None, float(sum(t.pnl for t in trades)),
        float(sum(gains) / len(gains)) if gains else None, float(sum(falls) / len(falls)) if falls else None, float(sum(t.fees for t in trades)),
        fmean(t.seconds for t in trades), median(t.seconds for t in trades),
    )  # fmt: skip


def plain_account(seed: int, days: int, *, name: str = "acc", start: int = 0) -> PlainAccount:
    """An account that is funded, trades long and short, gets and gives capital, for so many days from the `start`-th of January on."""
    chance, made = random.Random(seed), PlainAccount()
    first = NEW_YEAR + start * DAY
    cents = 1_000_000
    for number in range(days):
        at, day = first + number * DAY, FIRST + timedelta(start + number)
        flow = 10_000 if not number else chance.choice((0, 0, 0, 500, -300))
        kind, id_ = (deposit, "deposit_id") if flow > 0 else (withdrawal, "withdrawal_id")
        if flow:
            made.facts.append(kind(number, account_id=name, **{id_: f"{name}-{number}"}, amount=abs(flow), occurred_at=at + HOUR))
        cents = cents * round(10_000 + chance.gauss(2, 200)) // 10_000 + (flow * 100 if number else 0)
        made.facts.append(
            snapshot(number, account_id=name, snapshot_id=f"{name}-{number}", total_value_usd=Decimal(cents).scaleb(-2), observed_at=at + 23 * HOUR)
        )
        made.days.append(day)
        made.closes.append(Fraction(cents, 100))
        made.flows.append(Fraction(flow))
        if number % 2 == 0 and number + 2 < days:
            _trade(made, name, number, day, at, chance)
    return made


def _trade(made: PlainAccount, name: str, number: int, day: date, at: int, chance: random.Random) -> None:
    """One that opens on a day, and closes on this day or on the next."""
    instrument, side = INSTRUMENTS[number // 2 % 3], chance.choice(("buy", "sell"))
    entry, leave, quantity = chance.randrange(90, 111), chance.randrange(90, 111), chance.randrange(2, 9)
    opened, seconds = at + 2 * HOUR, chance.randrange(3_600, 30 * 3_600)
    closed = opened + seconds * SECOND
    for turn, (price, instant) in enumerate(((entry, opened), (leave, closed))):
        made.facts.append(fill(
            f"{name}-{number}-{turn}", account_id=name, order_id=f"{name}-{number}-{turn}", symbol=instrument, price=price, quantity=quantity, fee="1.5",
            side=side if not turn else {"buy": "sell", "sell": "buy"}[side], fee_currency="USDT", quote_usd_rate=1, executed_at=instant,
        ))  # fmt: skip
        month = f"{FIRST + timedelta((instant - NEW_YEAR) // DAY):%Y-%m}"
        made.fees[month, instrument] = made.fees.get((month, instrument), Fraction(0)) + Fraction(3, 2)
    closing_day = FIRST + timedelta((closed - NEW_YEAR) // DAY)
    gain = Fraction((leave - entry) * quantity * (1 if side == "buy" else -1)) - 3
    made.trades.append(PlainTrade(closing_day, instrument, "long" if side == "buy" else "short", seconds, gain, Fraction(3)))


__all__ = ["PlainAccount", "PlainFigures", "PlainTrade", "TradesTold", "by_month", "figures_of", "plain_account", "told"]
