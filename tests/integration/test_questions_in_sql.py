"""The thirty questions of docs/sql.md, asked of live books with a stock SQLite; the answers come from the history, not from SQL."""

from __future__ import annotations

import math
import re
import sqlite3
import statistics
from collections import defaultdict
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from year_for_analysts import DAYS, FIRST, LAST, History, date_of, history, micros

from jarvis_client.contract.decimals import EXACT, canonical
from jarvis_client.contract.instants import to_text
from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from scheduler.rollup.account import roll_up
from scheduler.rollup.options import RollupOptions

PAGE = (Path(__file__).parents[2] / "docs" / "sql.md").read_text()
QUESTIONS = {
    int(number): query
    for block in re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    for number, query in re.findall(r"^-- (\d+)\. [^\n]+\n(.*?;)\n", block + "\n", re.DOTALL | re.MULTILINE)
}
NEW_YEAR_DAY = 31


@pytest.fixture(scope="module")
def year(tmp_path_factory):
    """The history in live books, and a connection of a stock SQLite that only reads."""
    made, path = history(), tmp_path_factory.mktemp("sql") / "books.db"
    with closing(DatabaseManager(path, durable=False)) as database:
        database.initialize()
        outcomes = Ledger(database).post(made.records)
        assert {o.status for o in outcomes} == {"applied"}, [o.detail for o in outcomes if o.status != "applied"]
        for account_id in ("main", "desk"):
            roll_up(database, account_id, RollupOptions(cost_basis="fifo"), LAST, now=micros(DAYS + 1))
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as reading:
            yield made, reading


def total(amounts) -> Decimal:
    found = Decimal(0)
    for amount in amounts:
        found = EXACT.add(found, amount)
    return found


def grouped(made: History, key):
    groups = defaultdict(list)
    for fill in made.fills:
        groups[key(fill)].append(fill)
    return {k: groups[k] for k in sorted(groups)}


def linked(returns) -> float:
    return math.prod(1 + r for r in returns) - 1


def month(day: int) -> str:
    return date_of(day)[:7]


def fees_by_currency(made):
    return [(k, -total(f.fee for f in fills)) for k, fills in grouped(made, lambda f: f.fee_currency).items()]


def flows_by_month(made):
    sums = defaultdict(int)
    for day, (came, went) in made.flows.items():
        sums[month(day)] += came - went
    return sorted(sums.items())


def balances(made):
    # The open order keeps its cash.
    held = {c: q for c, q in made.held[-1].items() if c != "USDT"}
    main = [*held.items(), ("USDT", EXACT.subtract(made.held[-1]["USDT"], Decimal(100)))]
    return [("desk", "USDT", "9000", "0"), *(("main", c, canonical(q), "100" if c == "USDT" else "0") for c, q in sorted(main))]


def exact_sums(made):
    of = grouped(made, lambda f: f.fee_currency)
    return [
        ("BNB", "deposit", "10", 1), ("BNB", "fee", canonical(EXACT.minus(total(f.fee for f in of["BNB"]))), len(of["BNB"])), ("USDT", "deposit", "105000", 4),
        ("USDT", "fee", canonical(EXACT.minus(total(f.fee for f in of["USDT"]))), len(of["USDT"])), ("USDT", "withdrawal", "-3000", 1),
    ]  # fmt: skip


def volume_since_new_year(made):
    late = History(fills=[f for f in made.fills if f.day >= NEW_YEAR_DAY])
    return [(f"{k}/USDT", "2026-01", total(f.notional for f in fills)) for k, fills in grouped(late, lambda f: f.coin).items()]


def maker_share(made):
    return [
        (f"{k}/USDT", float(total(f.notional for f in fills if f.liquidity == "maker")) / float(total(f.notional for f in fills)))
        for k, fills in grouped(made, lambda f: f.coin).items()
    ]


def average_prices(made):
    return [
        (f"{coin}/USDT", side, float(total(f.notional for f in fills)) / float(total(f.quantity for f in fills)))
        for (coin, side), fills in grouped(made, lambda f: (f.coin, f.side)).items()
    ]


def snapshots(made):
    values = [(record.observed_at, record.total_value_usd) for record in made.records if type(record).__name__ == "EquitySnapshot"]
    return [(is_close, DAYS, max(Decimal(v) for _, v in values[is_close::2])) for is_close in (0, 1)]


def better(made):
    def points(fill):
        return float(abs(EXACT.subtract(fill.limit, fill.price))) / float(fill.limit) * 10_000

    return [(side, statistics.fmean(map(points, fills))) for side, fills in grouped(made, lambda f: f.side).items()]


def waits(made):
    return [(f"{k}/USDT", statistics.fmean(f.waited for f in fills), max(f.waited for f in fills)) for k, fills in grouped(made, lambda f: f.coin).items()]


def trades_of(made):
    found = defaultdict(list)
    for trade in made.trades:
        found[trade[0]].append(trade)
    return found


def fees_of_closed(made, instrument):
    last = max(t[3] for t in trades_of(made)[instrument])
    return total(f.fee_usd for f in made.fills if f"{f.coin}/USDT" == instrument and f.at <= last)


def earns(made):
    rows = [(name, len(found), total(t[1] for t in found), fees_of_closed(made, name)) for name, found in trades_of(made).items()]
    return sorted(rows, key=lambda row: -row[2])


def wins(made):
    won, lost = [t[1] for t in made.trades if t[1] > 0], [t[1] for t in made.trades if t[1] < 0]
    return [(len(made.trades), len(won) / len(made.trades), float(total(won)) / len(won), float(total(lost)) / len(lost))]


def held_for(made):
    found = trades_of(made)
    return [(k, statistics.fmean(t[3] - t[2] for t in found[k]) / 3.6e9, max(t[4] for t in found[k])) for k in sorted(found)]


def under_water(made) -> list[float]:
    index, peak, found = 1.0, 1.0, []
    for r in made.main_returns:
        index *= 1 + r
        peak = max(peak, index)
        found.append(index / peak - 1)
    return found


def equity(made):
    depths = under_water(made)
    return [(date_of(n), made.values[n], made.main_returns[n], depths[n], min(depths[: n + 1])) for n in range(DAYS)]


def profits(made):
    found = []
    for day, value in enumerate(made.values):
        came, went = made.flows.get(day, (0, 0))
        before = made.values[day - 1] if day else Decimal(0)
        found.append(EXACT.subtract(EXACT.add(value, Decimal(went)), EXACT.add(before, Decimal(came))))
    return found


def best_days(made):
    return sorted(((date_of(n), p) for n, p in enumerate(profits(made))), key=lambda row: -row[1])[:5]


def monthly(made):
    months = defaultdict(list)
    for day, r in enumerate(made.main_returns):
        months[month(day)].append(r)
    return [(k, linked(v)) for k, v in months.items()]


def worst_drawdown(made):
    depths = under_water(made)
    trough = depths.index(min(depths))
    return [(date_of(max(n for n in range(trough) if depths[n] == 0)), date_of(trough), depths[trough])]


def variation(made):
    return [(date_of(n), statistics.stdev(made.main_returns[n - 29 : n + 1]) * math.sqrt(365)) for n in range(DAYS - 1, DAYS - 6, -1)]


def best_account(made):
    return sorted((("main", linked(made.main_returns)), ("desk", linked(made.desk_returns))), key=lambda row: -row[1])


def against_btc(made):
    return [(linked(made.main_returns[1:]), float(made.prices[-1]["BTC"]) / float(made.prices[0]["BTC"]) - 1)]


def shares(made):
    rows = []
    for day in range(NEW_YEAR_DAY, DAYS):
        for coin, units in sorted(made.held[day].items()):
            if units:
                usd = EXACT.multiply(units, made.prices[day].get(coin, Decimal(1)))
                rows.append((date_of(day), coin, units, usd, float(usd) / float(made.values[day])))
    return rows


def old_lots(made):
    return [
        (coin, canonical(quantity), EXACT.multiply(quantity, price), to_text(at))
        for coin, lots in sorted(made.lots.items())
        for at, quantity, price in lots
        if at < micros(NEW_YEAR_DAY)
    ]


def open_positions(made):
    return [
        (f"{coin}/USDT", canonical(total(q for _, q, _ in lots)), float(total(EXACT.multiply(q, p) for _, q, p in lots)) / float(total(q for _, q, _ in lots)),
         "USDT", to_text(lots[0][0]))
        for coin, lots in sorted(made.lots.items()) if coin != "BNB" and lots
    ]  # fmt: skip


#: What each question has to answer.
ANSWERS = {
    1: fees_by_currency, 2: flows_by_month, 3: balances, 4: exact_sums, 5: lambda made: [("interest", "USDT", 12.5)],
    6: lambda made: [("dbogus", "deposit", "777", "USDT")], 7: volume_since_new_year,
    8: lambda made: [(f"{k}/USDT", total(f.fee_usd for f in fills)) for k, fills in grouped(made, lambda f: f.coin).items()],
    9: maker_share, 10: average_prices, 11: lambda made: [(to_text(micros(DAYS - 1, 5)), str(600 + DAYS - 1), "desk")], 12: snapshots,
    13: lambda made: [(k, len(fills), total(f.notional for f in fills)) for k, fills in grouped(made, lambda f: f.tag).items()],
    14: lambda made: [("x0", "ETH/USDT", "buy", "0.1", "0")],
    15: lambda made: [(s, n, 100 * n / (len(made.fills) + 3)) for s, n in (("cancelled", 2), ("filled", len(made.fills)), ("pending", 1))],
    16: better, 17: waits, 18: earns, 19: wins, 20: held_for, 21: equity, 22: best_days, 23: monthly, 24: worst_drawdown, 25: variation, 26: best_account,
    27: against_btc, 28: shares, 29: old_lots, 30: open_positions,
}  # fmt: skip


def test_there_are_thirty_questions_each_with_its_answer():
    assert [*QUESTIONS] == [*range(1, 31)] == [*ANSWERS]
    assert PAGE.count("\n-- ") - PAGE.split("```sql duckdb")[1].split("```")[0].count("\n-- ") == 30, "and none without a number"


@pytest.mark.parametrize("number", ANSWERS)
def test_a_question_is_answered_as_the_history_says(year, number):
    made, reading = year
    found, wanted = reading.execute(QUESTIONS[number]).fetchall(), ANSWERS[number](made)
    assert len(found) == len(wanted) > 0, (found, wanted)
    for row, expected in zip(found, wanted, strict=True):
        assert len(row) == len(expected)
        for value, right in zip(row, expected, strict=True):
            if isinstance(right, float | Decimal):
                assert value == pytest.approx(float(right), rel=1e-9, abs=1e-12), (row, expected)
            else:
                assert value == right, (row, expected)


def test_the_history_has_something_of_everything():
    made = history()
    assert len(made.trades) > 15
    assert {t[1] > 0 for t in made.trades} == {True, False}
    assert made.lots["SOL"], "and something is still held"
    assert min(under_water(made)) < 0
    assert (FIRST + timedelta(days=NEW_YEAR_DAY)).date().isoformat() == "2026-01-01"
