"""One row per observed day (rollups.md, 1.1 to 1.7; meaning.md, 7, 8.7 and 8.8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

from reference.facts import DAY, EPOCH, Fact, FeeRecord, Fill, Flow, number
from reference.numbers import ONE, ZERO, plus, rounded
from reference.positions import ClosedTrade
from reference.replay import Account, Missing, Options


@dataclass
class Row:
    date: str
    #: "books", "snapshot", or "change": the row on which the account goes over from the one to the other (8.8).
    valued_by: str
    at: int
    total_value_usd: Fraction
    inflow: Fraction | None
    outflow: Fraction | None
    pnl_daily: Fraction | None
    pnl_total: Fraction | None
    daily_return: Fraction | None
    max_drawdown: Fraction
    trades_count: int
    wins: int
    losses: int
    win_rate: Fraction | None
    profit_factor: Fraction | None


@dataclass
class Close:
    """What values a day: its end by the books, or its last snapshot (1.2)."""

    day: int
    at: int
    value: Fraction | None
    valued_by: str


def date_of(day: int) -> str:
    return (EPOCH + timedelta(days=day)).date().isoformat()


def snapshots_of(facts: Sequence[Fact]) -> list[tuple[Fact, Fraction]]:
    return [(f, number(f.record["total_value_usd"])) for f in facts if f.kind == "metrics"]


def ended(day: int, options: Options) -> bool:
    return options.now is None or (day + 1) * DAY <= options.now


def days_of(facts: Sequence[Fact], options: Options) -> tuple[list[int], dict[int, tuple[Fact, Fraction]]]:
    """Days valued from the books, and days with a snapshot, their last one."""
    moving = sorted({f.day for f in facts if isinstance(f, Fill | Flow | FeeRecord) and ended(f.day, options)})
    closing = {f.day: (f, value) for f, value in snapshots_of(facts) if ended(f.day, options)}  # in the order of facts: the last stays
    if options.valuation == "books":
        closing = {}
    elif options.valuation == "snapshots":
        moving = []
    if options.book_days == "all" and moving:
        until = options.now // DAY - 1 if options.now is not None else moving[-1]
        moving = list(range(moving[0], until + 1))
    return [day for day in moving if day < min(closing, default=day + 1)], closing  # 8.8: books until the day of the first snapshot


def moments_of(facts: Sequence[Fact], options: Options) -> list[int]:
    books, closing = days_of(facts, options)
    compared = {f.day: f.instant for f, _ in snapshots_of(facts)}
    return [*((day + 1) * DAY - 1 for day in books), *(f.instant for f, _ in closing.values()), *compared.values()]


def netted(account: Account) -> list[tuple[int, Fraction | None]]:
    """8.7: flows of one instant are netted in USD."""
    totals: dict[int, Fraction | None] = {}
    for instant, usd in account.flows:
        totals[instant] = plus(totals.get(instant, ZERO), usd)
    return sorted(totals.items(), key=lambda item: item[0])


def flows_between(flows: Sequence[tuple[int, Fraction | None]], after: int | None, until: int) -> tuple[Fraction | None, Fraction | None]:
    """1.3: Σ inflows and Σ |outflows| of (after, until]."""
    inside = [usd for instant, usd in flows if (after is None or instant > after) and instant <= until]
    if any(usd is None for usd in inside):
        return None, None
    amounts = [usd for usd in inside if usd is not None]
    return sum((a for a in amounts if a > 0), ZERO), -sum((a for a in amounts if a < 0), ZERO)


def opening_of(account: Account, flows: Sequence[tuple[int, Fraction | None]], first: Close) -> tuple[Fraction, int | None]:
    """1.3: the equity at the opening and its instant (None: every flow so far counts)."""
    if account.options.opening_value is not None:
        return account.options.opening_value, None
    if first.valued_by == "books":
        return ZERO, None
    start, value = snapshots_of(account.own)[0]
    deposited = {f.instant for f in account.own if isinstance(f, Flow) and f.sign > 0}
    funded = any(instant <= start.instant and (usd > 0 if usd is not None else instant in deposited) for instant, usd in flows)
    return (ZERO, None) if funded else (value, start.instant)


def rows_of(account: Account) -> list[Row]:
    options = account.options
    books, closing = days_of(account.own, options)
    closes = [Close(day, (day + 1) * DAY - 1, account.values[(day + 1) * DAY - 1], "books") for day in books]
    closes += [Close(day, fact.instant, value, "snapshot") for day, (fact, value) in sorted(closing.items())]
    flows = netted(account)
    rows: list[Row] = []
    equity, since, total, index, peak, depth = ZERO, None, ZERO, ONE, ONE, ZERO  # type: Fraction, int | None, Fraction | None, Fraction, Fraction, Fraction
    for close in closes:
        if close.value is None:
            account.missing += [
                Missing(code, close.at, "row") for code in sorted(account.lacking[close.at])
            ]  # the row is withheld, and the next one spans the gap
            continue
        first = not rows
        if first:
            equity, since = opening_of(account, flows, close)
        inflow, outflow = flows_between(flows, since, close.at)
        change = bool(rows) and close.valued_by == "snapshot" and rows[-1].valued_by == "books"
        daily: Fraction | None
        if change:  # 8.8: no return of its own, pnl_daily 0 and pnl_total as before
            daily, earned = ZERO, None
            account.notes.append(
                {
                    "check": "books to snapshots",
                    "account": account.name,
                    "date": date_of(close.day),
                    "books": account.values.get(close.at),
                    "snapshot": close.value,
                }
            )
        elif inflow is None or outflow is None:  # 7: NULL while a flow in them has no rate
            daily, earned = None, None
        else:
            daily = close.value - equity - inflow + outflow
            at_opening = first and close.valued_by == "snapshot" and since == close.at
            base = equity + inflow
            earned = max(-ONE, (close.value + outflow) / base - 1) if base >= options.min_base_usd and not at_opening else None
        total = plus(total, daily)
        if earned is not None:
            index = rounded(index * (1 + earned))
            peak = max(peak, index)
            depth = min(depth, rounded(index / peak) - 1)
        count, wins, losses, rate, factor = trades_until(account.positions.closed, close.day)
        rows.append(
            Row(
                date_of(close.day),
                "change" if change else close.valued_by,
                close.at,
                close.value,
                inflow,
                outflow,
                daily,
                total,
                earned,
                depth,
                count,
                wins,
                losses,
                rate,
                factor,
            )
        )
        equity, since = close.value, close.at
    return rows


def trades_until(closed: Sequence[ClosedTrade], day: int) -> tuple[int, int, int, Fraction | None, Fraction | None]:
    """1.7, cumulative: count, wins, losses, win rate, profit factor; the last two are NULL from the first trade that cannot be told (7)."""
    so_far = [t for t in closed if t.closed_at // DAY <= day]
    told = [t.pnl for t in so_far if t.pnl is not None]
    gains, losses = [p for p in told if p > 0], [p for p in told if p < 0]
    unknown = len(told) < len(so_far)
    rate = None if unknown or not so_far else rounded(Fraction(len(gains), len(so_far)))
    factor = None if unknown or not losses else rounded(sum(gains, ZERO) / -sum(losses, ZERO))
    return len(so_far), len(gains), len(losses), rate, factor


def far_snapshots(account: Account) -> list[dict[str, object]]:
    """6: a day's closing snapshot more than 10 % off the valuation from the books at its instant."""
    found = []
    for fact, value in {f.day: (f, v) for f, v in snapshots_of(account.own)}.values():
        booked = account.values.get(fact.instant)
        moved = any(isinstance(f, Fill | Flow | FeeRecord) and f.instant <= fact.instant for f in account.own)
        if moved and booked is not None and abs(value - booked) > abs(booked) / 10:
            found.append({"check": "snapshot far off the books", "account": account.name, "date": date_of(fact.day), "snapshot": value, "books": booked})
    return found
