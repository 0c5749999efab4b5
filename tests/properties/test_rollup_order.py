"""Whatever order records came in and however often the rollup ran meanwhile, its rows are those of one rebuild, bit for bit."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from searching import of, searched

from jarvis_client.contract.facts import Deposit, EquitySnapshot, Fee, Fill, Rate, Void, Withdrawal
from jarvis_client.contract.instants import to_instant
from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from scheduler.rollup.account import roll_up
from scheduler.rollup.days import last_closed_day
from scheduler.rollup.options import RollupOptions, RollupPlan
from scheduler.rollup_checks import check_rollups

pytestmark = pytest.mark.every_engine

START = to_instant(datetime(2026, 3, 24, tzinfo=UTC))
HOUR = 3_600_000_000
DAY = 24 * HOUR
DAYS = 16

#: Everything that a rollup derives. What records arrival is left out: numbers of facts, and when something was written.
DERIVED = {
    "performance_metrics": "account_id, date, total_value_usd, pnl_daily, pnl_total, sharpe_ratio, sortino_ratio, max_drawdown, win_rate, profit_factor, trades_count",
    "rollup_rows": (
        "date, close_at, value, inflow, outflow, pnl_daily, pnl_total, daily_return, profit, loss, wins, losses, trades, untold, unrated, books_value, "
        "warnings, observations, mean, squares, downside, downside_rest, depth, max_drawdown, total_profit, total_loss, total_wins, total_losses, total_trades, "
        "total_untold"
    ),
    "trades": "date, position, number, direction, opened_at, closed_at, fills, peak, pnl, fees, estimated",
    "asset_closes": "asset, date, moved, closing, debt, state",
    "lots": "asset, date, number, opened_at, quantity, cost, brought_by",
    "currency_rates": "currency, date, at, rate, per, carried",
    "contract_values": "contract, date, value, settle",
    "flow_values": "date, at, amount, usd",
    "rollup_oddities": "date, oddity, subject, detail",
    "withheld_days": "date",
}

OPTIONS = {
    "the defaults": RollupOptions(),
    "a zone whose clocks change": RollupOptions(timezone="Europe/London"),
    "weekdays": RollupOptions(observation_days="weekdays", annualization=252, risk_free_rate=0.04),
    "a window": RollupOptions(window_days=5),
    "sub-periods": RollupOptions(flow_timing="subperiod"),
    "each close a trade, oldest first": RollupOptions(trade_grouping="per_close", cost_basis="fifo"),
    "each close a trade, by average": RollupOptions(trade_grouping="per_close"),
    "dust": RollupOptions(dust_notional_usd=Decimal(20)),
    "the books": RollupOptions(valuation="books"),
    "the books, oldest lots first": RollupOptions(valuation="books", cost_basis="fifo"),
    "days that end at five in New York": RollupOptions(timezone="America/New_York", day_ends="17:00"),
    "an opening value": RollupOptions(opening_value=Decimal(5000), timezone="Asia/Tokyo"),
}


def derived(database: DatabaseManager) -> dict[str, list[tuple]]:
    return {table: sorted((tuple(r) for r in database.execute_query(f"SELECT {columns} FROM {table}")), key=repr) for table, columns in DERIVED.items()}


QUANTITIES = ("1", "2", "0.5")


def history(chance: random.Random, *, rates: bool, quantities: Sequence[str] = QUANTITIES) -> list:
    """Facts of one account over some days: snapshots, flows, fills in two symbols, rates that were said, and voids of some of them."""
    facts: list = []
    value = Decimal(10_000)
    snapshots = chance.random() < 0.7
    for n in range(DAYS * 5):
        at = START + n * DAY // 5 + chance.randrange(DAY // 5)
        kind = chance.random()
        place = {"producer": chance.choice((None, "engine")), "sequence": None}
        if place["producer"]:
            place["sequence"] = chance.randrange(1000)
        if kind < 0.3:
            value += chance.randrange(-300, 320)
            if snapshots:
                facts.append(EquitySnapshot(account_id="acc", observed_at=at, snapshot_id=f"m{n}", total_value_usd=value, **place))
        elif kind < 0.5:
            facts += flows(chance, n, at, place, rates=rates)
        elif kind < 0.56:
            facts.append(contract(chance, n, at, place))
        else:
            symbol = chance.choice(("BTC/USDT", "ETH/USDT", "ETH/BTC", "USDC/EUR"))
            given = {"quote_usd_rate": "50000"} if symbol == "ETH/BTC" and (rates or chance.random() < 0.5) else {}
            fee = chance.choice(((0, None), ("0.1", None), ("0.01", symbol[:3]), ("0.002", "BNB")))
            if fee[1] == "BNB" and rates:
                given["fee_usd_rate"] = "600"
            facts.append(Fill(
                fill_id=f"f{n}", account_id="acc", order_id=f"o{n}", symbol=symbol, side=chance.choice(("buy", "sell")), quantity=chance.choice(quantities),
                price=chance.randrange(90, 110), fee=fee[0], fee_currency=fee[1], executed_at=at, **given, **place,
            ))  # fmt: skip
            if chance.random() < 0.1:
                later = at + chance.randrange(-DAY, DAY)
                facts.append(
                    Fee(
                        fee_id=f"e{n}", account_id="acc", fill_id=f"f{n}", currency=chance.choice(("USDT", symbol[:3], "BNB")), amount="0.02", occurred_at=later
                    )
                )
    for _ in range(0 if rates else chance.randrange(8)):
        at = START + chance.randrange(DAYS * DAY)
        facts.append(Rate(currency=chance.choice(("ETH", "BTC", "BNB", "DOGE", "USDT", "USDC")), usd_rate=chance.choice(("1500", "0.97", "0")), observed_at=at))
    for n, target in enumerate(chance.sample(facts, 4)):
        facts.append(
            Void(
                void_id=f"v{n}", account_id=target.account_id or None, kind=target.kind, id=target.record_id, reason="wrong", occurred_at=target.instant + HOUR
            )
        )
    return facts


def flows(chance: random.Random, n: int, at: int, place: dict, *, rates: bool) -> list:
    """A deposit or withdrawal of any category, or both halves of a rename."""
    made = Deposit if chance.random() < 0.6 else Withdrawal
    category = chance.choice(("external",) * 6 + ("transfer", "funding", "interest", "bonus", "split", "loan", "loan", "rename", "other"))
    currency, rate = ("USDT", None) if rates or chance.random() < 0.5 else (chance.choice(("ETH", "BTC", "USDC")), chance.choice((None, "1500", "0.98")))
    amount = chance.randrange(1, 900) if currency == "USDT" else chance.choice(("1", "0.5", "3"))
    more = {"symbol": chance.choice(("ETH/USDT", "ETHUSDT", "BTC-PERP"))} if category in ("funding", "interest", "other") and chance.random() < 0.7 else {}
    if category == "rename":
        both = [
            Withdrawal(withdrawal_id=f"w{n}", account_id="acc", currency="ETH", amount="1", occurred_at=at, category=category, reference=f"r{n}"),
            Deposit(deposit_id=f"x{n}", account_id="acc", currency="WETH", amount="10", occurred_at=at, category=category, reference=f"r{n}"),
        ]
        return both if chance.random() < 0.8 else both[:1]
    name = "deposit_id" if made is Deposit else "withdrawal_id"
    return [made(**{name: f"x{n}"}, account_id="acc", currency=currency, amount=amount, occurred_at=at, usd_rate=rate, category=category, **more, **place)]


def contract(chance: random.Random, n: int, at: int, place: dict) -> Fill:
    """A fill of a linear contract, or of an inverse one."""
    inverse = chance.random() < 0.5
    more = {"inverse": True, "quote_quantity": "0.5", "base": "BTC", "quote": "USD"} if inverse else {"contract": True, "base": "BTC", "quote": "USDT"}
    return Fill(
        fill_id=f"c{n}", account_id="acc", symbol="BTC-INV" if inverse else "BTC-PERP", side=chance.choice(("buy", "sell")), quantity=chance.choice(("1", "2")),
        price=chance.randrange(90, 110), executed_at=at, fee="0.01", **more, **place,
    )  # fmt: skip


def compare(another: Callable[[], AbstractContextManager[DatabaseManager]], seed: int, options: RollupOptions, quantities: Sequence[str] = QUANTITIES) -> None:
    chance = random.Random(seed)
    facts = history(chance, rates=chance.random() < 0.5, quantities=quantities)
    shuffled = chance.sample(facts, len(facts)) if chance.random() < 0.5 else sorted(facts, key=lambda f: f.instant + chance.randrange(3) ** 4 * DAY // 20)
    # A delivery of the same record under a smaller number counts instead of the first.
    doubled = [f._replace(producer="again", sequence=3) for f in chance.sample(facts, 5)]
    with another() as step_by_step, another() as rebuilt:
        at = 0
        arrivals = [*shuffled, *doubled]
        now = START + DAY
        while at < len(arrivals):
            count = chance.randrange(1, 12)
            Ledger(step_by_step).post(arrivals[at : at + count])
            at += count
            now = min(START + (DAYS + 2) * DAY, now + chance.randrange(DAY * 2))
            if chance.random() < 0.7:
                # Somebody tries other options for a while, in other zones too.
                tried = options if chance.random() < 0.9 else OPTIONS[chance.choice(list(OPTIONS))]
                roll_up(step_by_step, "acc", tried, last_closed_day(now, tried.zone), now=now)
        end = last_closed_day(START + (DAYS + 3) * DAY, options.zone)
        roll_up(step_by_step, "acc", options, end, now=now)
        Ledger(rebuilt).post(arrivals)
        roll_up(rebuilt, "acc", options, end, now=now)
        expected, found = derived(rebuilt), derived(step_by_step)
        for table in DERIVED:
            assert found[table] == expected[table], f"seed {seed}: {table}"
        assert check_rollups(step_by_step, RollupPlan(options)) == []
        roll_up(step_by_step, "acc", options, end, now=now, rebuild=True)
        assert derived(step_by_step) == expected, f"seed {seed}: rebuild"


@searched
@pytest.mark.parametrize("name", OPTIONS)
def test_rows_do_not_depend_on_the_order_of_arrival_nor_on_how_often_they_were_rolled_up(another, name):
    for seed in range(of(2, 6)):
        compare(another, seed, OPTIONS[name])


@searched
@pytest.mark.parametrize("name", ["the books", "the books, oldest lots first", "each close a trade, oldest first"])
def test_quantities_of_forty_digits_are_kept_to_the_last_of_them(another, name):
    longest = [f"{quantity}.{n:039d}" for n, quantity in ((7, 1), (1, 2), (3, 0))]
    for seed in range(300, of(301, 303)):
        compare(another, seed, OPTIONS[name], longest)


@searched
@pytest.mark.parametrize("name", ["the defaults", "a window", "the books"])
def test_a_history_read_in_many_passes_comes_out_as_one_read_in_one(another, name, monkeypatch):
    monkeypatch.setattr("scheduler.rollup.account.FILLS_A_PASS", 7)
    # In 204 the last of the passes of another zone met flows that were dated in the former one.
    for seed in of((204,), (100, 101, 102, 204)):
        compare(another, seed, OPTIONS[name])


def test_the_day_after_is_the_same_whether_the_one_before_was_rolled_up_late(another):
    options = RollupOptions()
    with another() as daily, another() as once:
        facts = history(random.Random(5), rates=True)
        for database in (daily, once):
            Ledger(database).post(facts)
        for day in range(1, DAYS + 2):
            now = START + day * DAY
            roll_up(daily, "acc", options, last_closed_day(now, options.zone), now=now)
        roll_up(once, "acc", options, last_closed_day(now, options.zone), now=now)
        assert derived(daily) == derived(once)
        assert last_closed_day(now, options.zone) == (datetime(2026, 3, 24, tzinfo=UTC) + timedelta(days=DAYS)).date()
