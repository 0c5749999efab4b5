"""From closes and flows to profit and the day's return.

A flow is capital that crosses the account's boundary; it belongs to the first close at or after it, not to its calendar
day: a deposit after the day's last snapshot is not in that snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import NamedTuple

from jarvis_client.contract.decimals import EXACT, ZERO
from scheduler.rollup.options import RollupOptions

#: Wide enough that rounding to a float is the only rounding that shows.
WIDE = Context(prec=60)
_MINUS_ONE = Decimal(-1)
_HALF = Decimal("0.5")


class Flow(NamedTuple):
    """Capital in (positive) or out (negative) at an instant, in USD."""

    instant: int
    usd: Decimal


class Valuation(NamedTuple):
    """What the account was worth at an instant, in USD."""

    instant: int
    usd: Decimal


@dataclass(frozen=True, slots=True)
class Interval:
    """From one close to the next: what the account was worth before and after, and the flows in between, in order.

    `snapshots` are those strictly inside, in order; only the `subperiod` timing looks at them.
    """

    before: Decimal
    after: Valuation
    flows: Sequence[Flow]
    snapshots: Sequence[Valuation] = ()
    #: The close is the very snapshot that opened the record: there is nothing to compare it with.
    is_opening: bool = False
    #: `before` is what a snapshot said, not what is known of an account that was just opened.
    begins_with_snapshot: bool = True

    @property
    def inflow(self) -> Decimal:
        return _sum(f.usd for f in self.flows if f.usd > 0)

    @property
    def outflow(self) -> Decimal:
        return EXACT.minus(_sum(f.usd for f in self.flows if f.usd < 0))


def profit(interval: Interval) -> Decimal:
    """E - E_prev - D + W, exact."""
    gain = EXACT.subtract(interval.after.usd, interval.before)
    return EXACT.add(EXACT.subtract(gain, interval.inflow), interval.outflow)


def daily_return(interval: Interval, options: RollupOptions) -> float | None:
    """The time-weighted return of the interval, floored at -1; None where too little capital was at work (`min_base_usd`).

    in_start_out_end: (E + W) / (E_prev + D) - 1: inflows work the whole interval, outflows leave at its end (Spaulding).
    end: (E - D + W) / E_prev - 1. mid: simple Dietz, half of each flow. subperiod: growth linked over the snapshots around each
    flow, where these bear the flow out; else as in_start_out_end.
    """
    if interval.is_opening:
        return None
    if options.flow_timing == "subperiod" and interval.flows and (linked := _linked(interval, options)) is not None:
        return linked
    before, after, inflow, outflow = interval.before, interval.after.usd, interval.inflow, interval.outflow
    match options.flow_timing:
        case "end":
            base, worth = before, EXACT.add(EXACT.subtract(after, inflow), outflow)
        case "mid":
            base = EXACT.add(before, EXACT.multiply(EXACT.subtract(inflow, outflow), _HALF))
            worth = EXACT.add(base, profit(interval))
        case _:
            base, worth = EXACT.add(before, inflow), EXACT.add(after, outflow)
    if base < options.min_base_usd:
        return None
    return _floored(WIDE.divide(worth, base))


def flows_not_borne_out(interval: Interval) -> list[Flow]:
    """Flows that the snapshots around them do not show to within half their size: most likely stamped in the wrong order."""
    return [Flow(group[0].instant, net) for group, net, borne_out in _groups(interval) if borne_out is False]


def _linked(interval: Interval, options: RollupOptions) -> float | None:
    """The product of growth factors between flows; None where the snapshots contradict a flow, or capital was missing."""
    factor, base = Decimal(1), interval.before
    for group, net, borne_out in _groups(interval):
        if not borne_out:
            return None
        worth = _worth_before(interval, group[0].instant)
        if base >= options.min_base_usd:
            # Ruin within the interval is final: what came after was other money.
            factor = WIDE.multiply(factor, max(ZERO, WIDE.divide(worth, base)))
        elif worth != base:
            return None
        base = EXACT.add(worth, net)
    if base < options.min_base_usd:
        return None
    return _floored(WIDE.multiply(factor, max(ZERO, WIDE.divide(interval.after.usd, base))))


def _groups(interval: Interval) -> list[tuple[list[Flow], Decimal, bool | None]]:
    """Flows between neighbouring snapshots, their net amount, and whether these snapshots differ by it to within half its size;
    None where there is no snapshot before."""
    stops = [*interval.snapshots, interval.after]
    groups: list[tuple[list[Flow], Decimal, bool | None]] = []
    known = interval.begins_with_snapshot
    waiting, before = list(interval.flows), interval.before
    for stop in stops:
        inside = [f for f in waiting if f.instant <= stop.instant]
        waiting = waiting[len(inside) :]
        if inside:
            net = _sum(f.usd for f in inside)
            off = EXACT.subtract(EXACT.subtract(stop.usd, before), net).copy_abs()
            groups.append((inside, net, off <= EXACT.multiply(_sum(f.usd.copy_abs() for f in inside), _HALF) if known else None))
        before, known = stop.usd, True
    return groups


def _worth_before(interval: Interval, instant: int) -> Decimal:
    earlier = [s.usd for s in interval.snapshots if s.instant < instant]
    return earlier[-1] if earlier else interval.before


def _floored(growth: Decimal) -> float:
    return float(max(_MINUS_ONE, WIDE.subtract(growth, Decimal(1))))


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    total = ZERO
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total


__all__ = ["Flow", "Interval", "Valuation", "daily_return", "flows_not_borne_out", "profit"]
