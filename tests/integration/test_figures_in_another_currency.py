"""Rows and summaries in another currency: each day at the rate of its end, flows at their instants, nothing guessed."""

from __future__ import annotations

import json
import random
from datetime import date, timedelta
from decimal import Decimal

import command
import pytest
from books import NEW_YEAR, SECOND, deposit, fill, rate, snapshot, withdrawal

from persistence.books.ledger import Ledger
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.jobs import roll_up_accounts
from scheduler.rollup.converted import Converter, Exchange
from scheduler.rollup.options import RollupOptions, RollupPlan
from scheduler.rollup.ratios import series_of, sharpe_ratio
from scheduler.rollup.summary import summarise

DAY, HOUR = 86_400 * SECOND, 3_600 * SECOND
JANUARY = date(2026, 1, 1)


def rolled(database, days=30, **chosen):
    options = RollupOptions(**chosen)
    roll_up_accounts(database, RollupPlan(options), NEW_YEAR + days * DAY)
    return options


def converted(database, options, currency="EUR"):
    with SQLiteRollupRepository(database).reading("acc") as books:
        return Converter(books, options, currency).rows()


def eur(day, value, hour=0):
    return rate(currency="EUR", usd_rate=value, observed_at=NEW_YEAR + day * DAY + hour * HOUR)


def test_a_day_is_worth_its_dollars_at_the_rate_of_its_end_and_a_flow_at_that_of_its_instant(database):
    Ledger(database).record([
        eur(0, "1.25"), deposit(1, amount=1000, occurred_at=NEW_YEAR + HOUR),
        snapshot(1, total_value_usd=1000, observed_at=NEW_YEAR + 20 * HOUR), eur(0, "1.6", 22),
        snapshot(2, total_value_usd=1600, observed_at=NEW_YEAR + DAY + 20 * HOUR),
        eur(2, "2"), deposit(2, amount=400, occurred_at=NEW_YEAR + 2 * DAY + HOUR), eur(2, "4", 5),
        snapshot(3, total_value_usd=2000, observed_at=NEW_YEAR + 2 * DAY + 20 * HOUR),
    ])  # fmt: skip
    rows = converted(database, rolled(database))
    told = [(r.figures.value, r.figures.inflow, r.figures.pnl, r.pnl_total) for r in rows]
    assert told == [(625, 800, -175, -175), (1000, 0, 375, 200), (500, 200, -700, -500)], "the account holds dollars, which fell"
    assert [r.figures.daily_return for r in rows] == [pytest.approx(x) for x in (625 / 800 - 1, 0.6, 500 / 1200 - 1)]
    assert rows[-1].drawdown == pytest.approx(500 / 1200 - 1)
    # 625 of 800, then a peak, then down again: below it, and the deepest there was.
    assert [r.below_peak for r in rows] == [pytest.approx(x) for x in (625 / 800 - 1, 0, 500 / 1200 - 1)]


def test_days_without_a_rate_are_said_and_not_guessed(database):
    Ledger(database).record([
        deposit(1, amount=1000), *(snapshot(n, total_value_usd=1000 + n, observed_at=NEW_YEAR + n * DAY + HOUR) for n in range(5)), eur(2, "1.25"),
    ])  # fmt: skip
    options = rolled(database)
    rows = converted(database, options)
    assert [r.figures.value for r in rows] == [None, None, Decimal("801.6"), Decimal("802.4"), Decimal("803.2")]
    assert [r.figures.pnl for r in rows] == [None, None, None, Decimal("0.8"), Decimal("0.8")]
    assert [r.figures.daily_return is None for r in rows] == [True, True, True, False, False]
    assert [(r.below_peak, r.drawdown) for r in rows] == [(None, None)] * 2 + [(0, 0)] * 3, "nothing is known before the first rate"
    with SQLiteRollupRepository(database).reading("acc") as books:
        whole, later = summarise(books, options, None, None, "EUR"), summarise(books, options, JANUARY + timedelta(3), None, "EUR")
    assert (whole.days_without_rate, whole.figures.rows_without_pnl, whole.figures.pnl, whole.figures.opening_value) == (2, 3, None, None)
    assert (later.days_without_rate, later.figures.pnl, later.figures.opening_value) == (0, Decimal("1.6"), Decimal("801.6"))
    # A worthless currency has no price either.
    Ledger(database).record([eur(4, "0")])
    assert converted(database, options)[-1].figures.value is None


def test_what_the_accounts_own_fills_told_counts_at_the_instant_it_was_told(database):
    """Of a day only the last that was told is kept; what counted before a flow in its midst is read again."""
    at = [NEW_YEAR + DAY + n * HOUR for n in range(9)]
    euro = {"symbol": "EUR/USDT", "quantity": 10, "fee": 0}
    Ledger(database).record([
        deposit(1, amount=10_000), fill(1, price="1.0", executed_at=NEW_YEAR + HOUR, **euro), fill(2, price="1.25", executed_at=at[1], **euro),
        deposit(2, amount=100, occurred_at=at[2]), fill(3, price="1.6", executed_at=at[3], **euro), eur(1, "2", 4),
        deposit(3, amount=100, occurred_at=at[5]), deposit(4, currency="EUR", amount=50, usd_rate="2.5", occurred_at=at[6]),
        withdrawal(5, amount=100, occurred_at=at[7]), fill(6, price="1.28", executed_at=at[8], **euro),
    ])  # fmt: skip
    options = rolled(database, days=3)
    with SQLiteRollupRepository(database).reading("acc") as books:
        exchange = Exchange(books, options, "EUR")
        found = [exchange.at(instant).usd for instant in at]
        assert found == list(map(Decimal, ("1.0", "1.25", "1.25", "1.6", "2", "2", "2.5", "2.5", "1.28")))
        assert exchange.at_end(JANUARY + timedelta(1)).usd == Decimal("1.28")
    second = converted(database, options)[1]
    assert (second.figures.inflow, second.figures.outflow) == (80 + 50 + 50, 40)


@pytest.mark.parametrize("seed", range(5))
def test_the_rate_at_any_instant_is_the_newest_that_was_said_carried_or_told(database, seed):
    chance = random.Random(seed)
    facts, known = [deposit("d", amount=10_000)], []
    for n in range(1, 30):
        # Instants collide, so that it matters what counts over what.
        at, value = NEW_YEAR + chance.randrange(40) * 3 * HOUR, Decimal(chance.randrange(50, 200)) / 100
        rank = chance.randrange(3)
        if any(known_at == at for known_at, *_ in known):
            continue
        known.append((at, rank, value))
        match rank:
            case 0:
                facts.append(fill(n, symbol="EUR/USDT", quantity=1, price=value, fee=0, executed_at=at))
            case 1:
                facts.append(rate(currency="EUR", usd_rate=value, observed_at=at))
            case 2:
                facts.append(deposit(n, currency="EUR", amount=1, usd_rate=value, occurred_at=at))
        if chance.random() < 0.4:
            above = value + Decimal("0.001")
            facts.append(rate(currency="EUR", usd_rate=above, observed_at=at, source="another")) if rank != 1 else None
            known += [(at, 1, above)] if rank != 1 else []
    chance.shuffle(facts)
    half = len(facts) // 2
    options = None
    for part in (facts[:half], facts[half:]):
        Ledger(database).record(part)
        options = rolled(database, days=6)
    with SQLiteRollupRepository(database).reading("acc") as books:
        exchange = Exchange(books, options, "EUR")
        for hour in range(-2, 125):
            instant = NEW_YEAR + hour * HOUR
            newest = max((k for k in known if k[0] <= instant), default=None)
            found = exchange.at(instant)
            assert (found and found.usd / found.per) == (newest and newest[2]), hour
        for n in range(5):
            newest = max((k for k in known if k[0] < NEW_YEAR + (n + 1) * DAY), default=None)
            found = exchange.at_end(JANUARY + timedelta(n))
            assert (found and found.usd / found.per) == (newest and newest[2]), n


@pytest.mark.parametrize("chosen", [{}, {"flow_timing": "subperiod"}, {"flow_timing": "end"}, {"window_days": 5}, {"opening_value": Decimal(500)}])
@pytest.mark.parametrize("seed", range(3))
def test_at_a_rate_that_never_moves_every_figure_but_money_is_that_of_the_dollars(database, chosen, seed):
    chance = random.Random(seed)
    facts = [eur(-30, "1.25"), deposit(0, amount=1000, occurred_at=NEW_YEAR + HOUR)]
    worth = 1000
    for n in range(1, 60):
        at = NEW_YEAR + n * 7 * HOUR
        if chance.random() < 0.2:
            facts.append(deposit(n, amount=100, occurred_at=at))
            worth += 100
        worth = round(worth * chance.uniform(0.95, 1.06), 2)
        facts.append(snapshot(n, total_value_usd=str(worth), observed_at=at + HOUR))
    facts += [fill(n, side="buy" if n % 2 else "sell", price=100 + chance.randrange(-9, 9), executed_at=NEW_YEAR + n * 13 * HOUR) for n in range(1, 21)]
    Ledger(database).record(facts)
    options = rolled(database, **chosen)
    found = converted(database, options)
    with SQLiteRollupRepository(database).reading("acc") as books:
        rows, figures = books.rows_from(date.min), books.figures_from(date.min)
    assert len(found) == len(rows) > 15
    for ours, row in zip(found, rows, strict=True):
        assert ours.figures.date == row.date
        assert ours.figures.daily_return == (None if row.daily_return is None else pytest.approx(row.daily_return, abs=1e-12))
        assert (ours.figures.value, ours.figures.pnl, ours.pnl_total) == tuple(x / Decimal("1.25") for x in (row.value, row.pnl_daily, row.pnl_total))
        _, (*_, sharpe, sortino, drawdown, wins, factor, trades) = figures[row.date]
        theirs = [x if x is None else pytest.approx(x, rel=1e-6, abs=1e-9) for x in (sharpe, sortino, drawdown, wins, factor)]
        assert [ours.sharpe, ours.sortino, ours.drawdown, ours.win_rate, ours.profit_factor, ours.trades] == [*theirs, trades]


def test_ratios_are_of_the_converted_returns(database):
    chance = random.Random(4)
    Ledger(database).record([
        deposit(0, amount=1000), *(snapshot(n, total_value_usd=1000 + chance.randrange(200), observed_at=NEW_YEAR + n * DAY + HOUR) for n in range(20)),
        *(eur(n, f"1.{chance.randrange(100):02}") for n in range(20)),
    ])  # fmt: skip
    options = rolled(database)
    rows = converted(database, options)
    assert rows[-1].sharpe == sharpe_ratio(series_of((r.figures.daily_return for r in rows), 0.0), options)
    with SQLiteRollupRepository(database).reading("acc") as books:
        dollars, euros = (summarise(books, options, JANUARY + timedelta(5), JANUARY + timedelta(14), c).figures for c in ("USD", "EUR"))
        assert dollars.sharpe == pytest.approx(sharpe_ratio(series_of((r.daily_return for r in books.rows_from(JANUARY)[5:15]), 0.0), options))
    assert euros.sharpe == pytest.approx(sharpe_ratio(series_of((r.figures.daily_return for r in rows[5:15]), 0.0), options))
    assert dollars.sharpe != euros.sharpe
    assert (euros.opening_value, euros.closing_value, euros.revalued) == (rows[4].figures.value, rows[14].figures.value, 0)


def test_gaps_are_counted_from_the_first_row_on_and_of_observed_days_alone(database):
    days = [0, 1, 5, 6, 8]  # a Thursday, a Friday, a Tuesday, a Wednesday, a Friday
    Ledger(database).record([deposit(0, amount=1000), *(snapshot(n, observed_at=NEW_YEAR + n * DAY + HOUR) for n in days)])
    for observed, whole, later in (("all", 4, 3), ("weekdays", 2, 2)):
        options = rolled(database, days=10, observation_days=observed)
        with SQLiteRollupRepository(database).reading("acc") as books:
            assert summarise(books, options, JANUARY - timedelta(400), None).days_without_row == whole
            assert summarise(books, options, JANUARY + timedelta(3), JANUARY + timedelta(7)).days_without_row == later
            assert summarise(books, options, JANUARY + timedelta(30), None) is None
            assert summarise(books, options, None, JANUARY - timedelta(1)) is None


def test_people_read_a_summary_and_scripts_every_digit(short_folder):
    jarvis = command.Jarvis(short_folder)

    def record(kind, name, at, **values):
        when = {"deposit": "occurred_at", "metrics": "observed_at", "fill": "executed_at", "rate": "observed_at"}[kind]
        account = {} if kind == "rate" else {"account_id": "acc"}
        ids = {"deposit": "deposit_id", "metrics": "snapshot_id", "fill": "fill_id"}
        named = {ids[kind]: name} if kind in ids else {}
        return json.dumps({"type": kind, **named, **account, when: at, **values})

    worth = {"2024-12-31": 1000, "2025-01-01": 1100, "2025-01-02": 880, "2025-02-01": 990, "2025-02-03": 1200, "2025-12-31": 1190}
    common = {"order_id": "o", "symbol": "BTC/USDT", "quantity": "1", "fee": "0.5"}
    lines = [
        record("deposit", "d", "2024-12-31T00:00:00Z", currency="USDT", amount="1000"), record("rate", "", "2025-01-01T00:00:00Z", currency="EUR", usd_rate="1.1"),
        record("fill", "f1", "2025-01-01T10:00:00Z", side="buy", price="100", **common), record("fill", "f2", "2025-01-02T13:30:00Z", side="sell", price="130", **common),
        *(record("metrics", f"s{day}", f"{day}T12:00:00Z", total_value_usd=str(value)) for day, value in worth.items()),
    ]  # fmt: skip
    jarvis("import", "-", stdin="\n".join(lines))
    assert "has no row in that period" in jarvis("performance", "acc", "--summary", code=1).stderr
    jarvis("rollup", "--to", "2025-12-31")
    period = ("--from", "2025-01-01", "--to", "2025-12-31")
    done = jarvis("performance", "acc", *period, "--summary")
    for part in ("+19.0000%", "2025-01-02", "open", "2025-02", "BTC/USDT", "1 day 3 h", "29.00", "+21.2121%", "+36.3636%"):
        assert part in done.stdout, part
    assert "360 without a row" in done.stderr
    found = json.loads(jarvis("performance", "acc", *period, "--summary", "--json").stdout)
    assert found["total_return"] == pytest.approx(0.19)
    assert found["cagr"] == pytest.approx(0.19)
    assert (found["calendar_days"], found["rows"], found["opening_value"], found["pnl"], found["closing_value"]) == (365, 5, "1000", "190", "1190")
    assert [(d["peak"], d["trough"], d["recovery"]) for d in found["drawdowns"]] == [
        ("2025-01-01", "2025-01-02", "2025-02-03"), ("2025-02-03", "2025-12-31", None),
    ]  # fmt: skip
    assert found["calmar"] == pytest.approx(0.19 / 0.2)
    assert (found["trades"]["fees"], found["trades"]["average_holding_seconds"], found["by_instrument"][0]["side"]) == ("1", 99_000.0, "long")
    euros = json.loads(jarvis("performance", "acc", *period, "--summary", "--in", "EUR", "--json").stdout)
    assert (euros["currency"], euros["closing_value"][:10], euros["opening_value"]) == ("EUR", "1081.81818", None)
    shown = jarvis("performance", "acc", "--in", "EUR")
    assert "1,081.82" in shown.stdout
    assert "no rate of EUR is known on 1 day: 2024-12-31" in shown.stderr
    rows = json.loads(jarvis("performance", "acc", "--in", "EUR", "--from", "2025-01-02", "--to", "2025-01-02", "--json").stdout)
    assert [(r["total_value"], r["pnl_daily"], r["usd_rate"], r["trades_count"]) for r in rows] == [("800", "-200", {"usd": "1.1", "per": "1"}, 1)]
    assert "publish a record of kind rate" in jarvis("performance", "acc", "--in", "XYZ", code=1).stderr
    assert "currency is 1 to 32" in " ".join(jarvis("performance", "acc", "--in", "E R", code=2).stderr.replace("│", " ").split())
