"""Positions, trades, lots, rates and rows are those of an independent, slow program that knows only the pages (`tests/reference`)."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from datetime import date as Date
from decimal import Decimal
from fractions import Fraction

import pytest
from reference import Options, reckon
from reference.histories import ACCOUNT, KINDS, arrived, history
from searching import of, searched

from jarvis_client.contract.conventions import Conventions
from jarvis_client.contract.forms import fact_of
from jarvis_client.contract.instants import to_instant
from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from persistence.domain.rollup import name_and_kind
from persistence.repositories import SQLiteAccountRepository, SQLitePerformanceRepository
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.rollup.account import roll_up
from scheduler.rollup.days import last_closed_day
from scheduler.rollup.disposals import disposals
from scheduler.rollup.options import RollupOptions
from scheduler.rollup.standing import Standing

#: Quotients are taken to 50 digits, in another order of steps here and there.
TOLERANCE = Fraction(1, 10**25)
FAR = to_instant(datetime(2027, 1, 1, tzinfo=UTC))
END = Date(2026, 12, 30)
CONVENTIONS = Conventions()
#: What comes later for a fee in the coin itself is in the trade as its fill here, and leaves the position at its own instant there.
COMPARED = tuple(kind for kind in KINDS if kind != "fee_records")


def same(found: object, expected: object, *, ratio: bool = False) -> bool:
    if found is None or expected is None:
        return found is None and expected is None
    ours, theirs = Fraction(found), Fraction(expected)  # type: ignore[arg-type]
    return abs(ours - theirs) <= (Fraction(1, 10**9) if ratio else TOLERANCE) * max(1, abs(theirs))


def by_instant(lots) -> dict[int, tuple[Fraction, Fraction | None]]:
    """Quantity and cost of the lots that came at one instant: a fill that crosses zero may open one or two."""
    found: dict[int, tuple[Fraction, Fraction | None]] = {}
    for at, quantity, cost in lots:
        before, spent = found.get(at, (Fraction(0), Fraction(0)))
        found[at] = before + Fraction(quantity), None if cost is None or spent is None else spent + Fraction(cost)
    return found


def differences(database: DatabaseManager, options: RollupOptions, expected) -> list[str]:
    basis = "fifo" if options.cost_basis == "fifo" else "wac"
    balances = {
        (code, kind): Decimal(a) + Decimal(r)
        for code, kind, a, r in database.execute_query("SELECT currency, kind, available, reserved FROM balances WHERE account_id = ?", (ACCOUNT,))
    }
    found = [
        f"balance of {key}: {balances.get(key)}, expected {expected.balances.get(key)}"
        for key in {*balances, *expected.balances}
        if not same(balances.get(key, 0), expected.balances.get(key, 0))
    ]
    with SQLiteRollupRepository(database).reading(ACCOUNT) as books:
        trades = [(name_and_kind(t.position)[0], t) for _, t in books.trades(None, END)]
        rows = {r.date.isoformat(): r for r in books.rows_from(Date.min)}
        standing = Standing(books, options, END)
        positions = {p.instrument: p for p in standing.positions()}
        lots = standing.lots()
        taken = disposals(books, options, Date(2020, 1, 1), END)
    ours = sorted((name, t.opened_at, t.closed_at, t.direction, t.fills, t) for name, t in trades)
    theirs = sorted((t.instrument, t.opened_at, t.closed_at, t.direction, len(t.fills), n) for n, t in enumerate(expected.trades))
    if [o[:4] for o in ours] != [t[:4] for t in theirs]:
        found.append(f"trades {[o[:5] for o in ours]}, expected {[t[:5] for t in theirs]}")
    else:
        for o, t in zip(ours, theirs, strict=True):
            want = expected.trades[t[-1]]
            if not (same(o[-1].pnl, want.pnl) and same(o[-1].fees, want.fees) and same(o[-1].peak, want.size)):
                found.append(f"trade {o}, expected {want}")
    for p in expected.positions:
        mine = positions.pop(p.instrument, None)
        if mine is None or not (same(mine.quantity, p.quantity) and mine.opened_at == p.opened_at):
            found.append(f"position {mine}, expected {p}")
    found += [f"position {p}, expected none" for p in positions.values()]
    figures = {r.date.isoformat(): r for r in SQLitePerformanceRepository(database).find_all(ACCOUNT)}
    for want in expected.rows:
        row, shown = rows.pop(want.date, None), figures.get(want.date)
        if row is None or shown is None:
            found.append(f"no row of {want.date}")
            continue
        pairs = [
            ("value", row.value, want.total_value_usd), ("pnl_daily", row.pnl_daily, want.pnl_daily), ("pnl_total", row.pnl_total, want.pnl_total),
            ("trades", row.total_trades, want.trades_count),
        ]  # fmt: skip
        if want.inflow is not None:
            pairs += [("inflow", row.inflow, want.inflow), ("outflow", row.outflow, want.outflow)]
        found += [f"{want.date} {name}: {a}, expected {b}" for name, a, b in pairs if not same(a, b)]
        ratios = [
            ("return", row.daily_return, want.daily_return),
            ("drawdown", row.max_drawdown, want.max_drawdown),
            ("win rate", shown.win_rate, want.win_rate),
        ]
        found += [
            f"{want.date} {name}: {a}, expected {b}"
            for name, a, b in [*ratios, ("factor", shown.profit_factor, want.profit_factor)]
            if not same(a, b, ratio=True)
        ]
    found += [f"a row of {day}" for day in rows]
    for currency in {*expected.lots, *(lot.currency for lot in lots)}:
        mine = by_instant((lot.opened_at or 0, lot.quantity, lot.cost_usd) for lot in lots if lot.currency == currency)
        want = by_instant(
            (lot.at if basis == "fifo" and currency not in options.usd_like else 0, lot.quantity, lot.cost) for lot in expected.lots.get(currency, ())
        )
        if mine.keys() != want.keys() or not all(same(mine[at][0], want[at][0]) and same(mine[at][1], want[at][1]) for at in want):
            found.append(f"lots of {currency}: {mine}, expected {want}")
    gains = {}
    for d in expected.disposals:
        gains[d.currency] = None if d.gain is None or gains.get(d.currency, Fraction(0)) is None else gains.get(d.currency, Fraction(0)) + d.gain
    mine_gains: dict[str, Fraction | None] = {}
    for t in taken:
        before = mine_gains.get(t.asset, Fraction(0))
        mine_gains[t.asset] = None if t.gain is None or before is None else before + Fraction(t.gain)
    for currency in {*gains, *mine_gains}:
        if not same(mine_gains.get(currency, Fraction(0)), gains.get(currency, Fraction(0))):
            found.append(f"gains of {currency}: {mine_gains.get(currency)}, expected {gains.get(currency)}")
    return found


def compare(another: Callable[[], AbstractContextManager[DatabaseManager]], seed: int) -> None:
    chance = random.Random(seed)
    kinds = tuple(k for k in COMPARED if k != "snapshots" or chance.random() < 0.5)
    basis = chance.choice(("wac", "fifo"))
    records = history(seed, chance.randrange(5, 60), kinds, rates=chance.random() < 0.8)
    expected = reckon(records, ACCOUNT, Options(cost_basis=basis, now=FAR))
    assert expected.broken == []
    options = RollupOptions(cost_basis=basis)
    with another() as database:
        coming = arrived(records, seed)
        at = 0
        while at < len(coming):
            count = chance.randrange(1, 25)
            Ledger(database).post([fact_of(str(r["type"]), {k: v for k, v in r.items() if k != "type"}, CONVENTIONS) for r in coming[at : at + count]])
            at += count
            if chance.random() < 0.3 and SQLiteAccountRepository(database).exists(ACCOUNT):
                now = to_instant(datetime(2024, 3, chance.randrange(2, 31), tzinfo=UTC))
                roll_up(database, ACCOUNT, options, last_closed_day(now, options.zone), now=now)
        roll_up(database, ACCOUNT, options, END, now=FAR)
        found = differences(database, options, expected)
        assert not found, f"seed {seed} ({basis}, {', '.join(kinds)}):\n" + "\n".join(found[:12])


@searched
@pytest.mark.parametrize("start", range(0, 40, 10))
def test_everything_that_is_derived_is_that_of_the_reference(another, start):
    for seed in range(start, start + of(3, 10)):
        compare(another, seed)
