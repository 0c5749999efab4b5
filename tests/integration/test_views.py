"""Views for analysts: what they show is what rollups and commands say, and a filter by time uses an index."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from books import NEW_YEAR, deposit, fill, rate, snapshot, withdrawal

from jarvis_client.contract.facts import Fill
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.rollup.account import roll_up
from scheduler.rollup.options import RollupOptions
from scheduler.rollup.standing import Standing

DAY = 86_400_000_000
LATER = NEW_YEAR + 40 * DAY
UNTIL = date(2026, 1, 31)
HOUR = DAY // 24


def at(day: int, hour: int = 10) -> int:
    return NEW_YEAR + day * DAY + hour * HOUR


def trade(number: int, day: int, side: str, quantity: str, price: str, **changes: object) -> Fill:
    values = {"order_id": f"o{number}", "symbol": "ETH/USDT", "side": side, "quantity": quantity, "price": price, "executed_at": at(day), "fee": "0"}
    return fill(number, **{**values, **changes})


#: Coins bought twice and sold in part, coins that came from outside, a contract long and one inverse short, dollars that were not worth one.
HISTORY = (
    deposit(1, amount="10000"),
    deposit(2, currency="SOL", amount="4", usd_rate="100", occurred_at=at(0, 1)),
    trade(1, 0, "buy", "1", "1000", fee="1"),
    trade(2, 1, "buy", "1", "2000", fee="0.002", fee_currency="BNB"),
    trade(3, 2, "sell", "0.5", "3000", fee="1.5"),
    withdrawal(1, currency="SOL", amount="1", occurred_at=at(2, 12)),
    fill(4, order_id="o4", symbol="BTC/USDT:USDT", quantity="0.2", price="50000", executed_at=at(3), fee="0"),
    deposit(3, currency="BTC", amount="0.5", usd_rate="50000", occurred_at=at(3, 11)),
    fill(5, order_id="o5", symbol="BTC/USD:BTC", side="sell", quantity="100", price="40000", quote_quantity="0.0025", executed_at=at(4), fee="0"),
    trade(6, 5, "sell", "0.25", "2500"),
    rate(1, currency="USDT", usd_rate="0.99", observed_at=at(5, 12)),
    rate(2, currency="BNB", usd_rate="600", observed_at=at(0, 1)),
    rate(3, currency="SOL", usd_rate="120", observed_at=at(4, 1), source="desk"),
    deposit(4, currency="BNB", amount="1", occurred_at=at(0, 2)),
    deposit(5, amount="10", occurred_at=at(6)),
)


@pytest.fixture(params=["wac", "fifo"])
def options(request):
    return RollupOptions(cost_basis=request.param)


@pytest.fixture
def rolled(database, ledger, options):
    outcomes = ledger.post(list(HISTORY))
    assert {o.status for o in outcomes} == {"applied"}, [o.detail for o in outcomes if o.detail]
    roll_up(database, "acc", options, UNTIL, now=LATER)
    return database


def table(database, sql: str) -> list[dict]:
    return [row.asdict() for row in database.execute_query(sql)]


def standing(database, options, day: date = UNTIL) -> Standing:
    with SQLiteRollupRepository(database).reading("acc") as books:
        found = Standing(books, options, day)
        return found.lots(), found.positions()


def test_open_lots_are_those_of_the_command(rolled, options):
    lots, _ = standing(rolled, options)
    shown = table(rolled, "SELECT * FROM v_lots ORDER BY currency, opened_at_us")
    assert [(lot.currency, lot.opened_at) for lot in lots] == [(row["currency"], row["opened_at_us"]) for row in shown]
    assert len(lots) == (6 if options.cost_basis == "fifo" else 5)
    for lot, row in zip(lots, shown, strict=True):
        assert row["quantity_number"] == pytest.approx(float(lot.quantity))
        assert row["cost_usd_number"] == pytest.approx(float(lot.cost_usd))
        assert row["quantity"] is None or Decimal(row["quantity"]) == lot.quantity
        assert row["cost_usd"] is None or Decimal(row["cost_usd"]) == lot.cost_usd
        assert row["brought_by"] == lot.brought_by
    exact = {row["currency"] for row in shown if row["quantity"] is not None and row["cost_usd"] is not None}
    assert {"ETH", "SOL", "BNB"} <= exact, "only what the books keep in two parts lacks the exact text"
    if options.cost_basis == "fifo":
        assert [(r["quantity"], r["cost_usd"], r["record_id"]) for r in shown if r["currency"] == "ETH"] == [("0.25", "250", "f1"), ("1", "2000", "f2")]


def test_open_positions_are_those_of_the_command(rolled, options):
    _, positions = standing(rolled, options)
    shown = table(rolled, "SELECT * FROM v_positions ORDER BY instrument")
    assert [r["instrument"] for r in shown] == ["BTC/USD:BTC", "BTC/USDT:USDT", "ETH/USDT"]
    assert [(r["quantity"], r["is_contract"], r["cash_currency"]) for r in shown] == [("-100", 1, "BTC"), ("0.2", 1, "USDT"), ("1.25", 0, "USDT")]
    for position, row in zip(sorted(positions), shown, strict=True):
        assert (position.opened_at, position.fills) == (row["opened_at_us"], row["fills"])
        assert row["average_price_number"] == pytest.approx(float(position.average_price))


def test_the_exposure_of_a_day_adds_up_to_what_the_books_are_worth(rolled):
    worth = table(rolled, "SELECT date, books_value_number FROM v_equity WHERE account_id = 'acc'")
    assert len(worth) >= 6
    for day in worth:
        [total] = table(rolled, f"SELECT sum(usd_number) AS usd, count(*) AS n FROM v_exposure WHERE account_id = 'acc' AND date = '{day['date']}'")
        assert total["usd"] == pytest.approx(day["books_value_number"]), day
    units = {r["currency"]: r["units"] for r in table(rolled, "SELECT currency, units FROM v_exposure WHERE date = '2026-01-03'")}
    assert units == {"BNB": "0.998", "ETH": "1.5", "SOL": "3", "USDT": "8497.5"}


def test_fees_are_worth_dollars_where_that_is_known(rolled):
    fees = {r["fill_id"]: r["fee_usd_number"] for r in table(rolled, "SELECT fill_id, fee_usd_number FROM v_fills")}
    assert (fees["f1"], fees["f4"]) == (1.0, 0.0)
    assert fees["f2"] == pytest.approx(1.2), "0.002 BNB at the rate record of 600"


def test_flows_say_what_capital_was_worth(rolled):
    shown = {r["flow_id"]: (r["capital"], r["usd"]) for r in table(rolled, "SELECT flow_id, capital, usd FROM v_flows")}
    assert shown["d2"] == ("4", "400")
    assert shown["w1"] == ("-1", "-100")


def test_drawdown_is_the_days_and_max_drawdown_the_worst_so_far(database, ledger, options):
    values = [1000, 1100, 880, 1100, 1210, 1089]
    ledger.post([deposit(), *(snapshot(n, snapshot_id=f"m{n}", observed_at=at(n), total_value_usd=str(usd)) for n, usd in enumerate(values))])
    roll_up(database, "acc", options, UNTIL, now=LATER)
    shown = table(database, "SELECT drawdown, max_drawdown FROM v_equity ORDER BY date")
    assert [round(r["drawdown"], 9) for r in shown] == [0.0, 0.0, -0.2, 0.0, 0.0, -0.1]
    assert [round(r["max_drawdown"], 9) for r in shown] == [0.0, 0.0, -0.2, -0.2, -0.2, -0.2]
    closes = table(database, "SELECT snapshot_id, is_close FROM v_snapshots ORDER BY observed_at_us")
    assert [r["is_close"] for r in closes] == [1] * 6


#: For each view: a filter by time, and the index that has to answer it.
FILTERS = {
    "v_transactions": ("account_id = 'acc' AND occurred_at_us >= 5", "SEARCH t USING INDEX transactions_by_time (account_id=? AND occurred_at>?)"),
    "v_fills": ("account_id = 'acc' AND executed_at_us >= 5", "SEARCH l USING INDEX fills_by_time (account_id=? AND executed_at>?)"),
    "v_orders": ("account_id = 'acc' AND created_at_us >= 5", "SEARCH orders USING INDEX orders_by_time (account_id=? AND created_at>?)"),
    "v_flows": ("account_id = 'acc' AND occurred_at_us >= 5", "SEARCH l USING INDEX flows_by_time (account_id=? AND occurred_at>?)"),
    "v_snapshots": ("account_id = 'acc' AND observed_at_us >= 5", "SEARCH s USING INDEX equity_snapshots_by_time (account_id=? AND observed_at>?)"),
    "v_rates": ("currency = 'BTC' AND observed_at_us >= 5", "SEARCH r USING INDEX rates_by_time (currency=? AND observed_at>?)"),
    "v_told_rates": (
        "account_id = 'acc' AND currency = 'BTC' AND date >= '2026'",
        "SEARCH currency_rates USING PRIMARY KEY (account_id=? AND currency=? AND date>?)",
    ),
    "v_trades": ("account_id = 'acc' AND date >= '2026'", "SEARCH t USING PRIMARY KEY (account_id=? AND date>?)"),
    "v_equity": ("account_id = 'acc' AND date >= '2026'", "SEARCH rollup_rows USING PRIMARY KEY (account_id=? AND date>?)"),
    "v_daily_performance": ("account_id = 'acc' AND date >= '2026'", "SEARCH performance_metrics USING PRIMARY KEY (account_id=? AND date>?)"),
    "v_exposure": ("account_id = 'acc' AND date >= '2026'", "SEARCH r USING PRIMARY KEY (account_id=? AND date>?)"),
}
#: Of these there is no history: they say how things stand.
OF_NOW = {"v_balances", "v_lots", "v_positions"}


def test_every_view_is_spoken_of_here(database):
    assert {name for (name,) in database.execute_query("SELECT name FROM sqlite_schema WHERE type = 'view'")} == {*FILTERS, *OF_NOW}


@pytest.mark.parametrize("view", [*FILTERS, *sorted(OF_NOW)])
def test_a_filter_by_time_through_a_view_uses_the_index(database, view):
    where, wanted = FILTERS.get(view, ("account_id = 'acc'", "SEARCH b USING PRIMARY KEY (account_id=?)"))
    plan = [row["detail"] for row in database.execute_query(f"EXPLAIN QUERY PLAN SELECT * FROM {view} WHERE {where}")]
    assert wanted in plan
    harmless = ("SCAN (subquery", "SCAN k", "SCAN CONSTANT ROW", f"SCAN {view}")
    assert [step for step in plan if step.startswith("SCAN") and "VIRTUAL TABLE" not in step and not step.startswith(harmless)] == []


def test_every_instant_of_a_view_stands_beside_its_integer_and_every_amount_beside_its_number(database):
    amounts = {"amount", "quantity", "price", "fee", "quote_quantity", "cost", "filled", "cash", "reserved", "available", "pnl", "fees", "peak", "value",
               "inflow", "outflow", "pnl_daily", "pnl_total", "usd", "capital", "usd_rate", "units", "cost_usd", "books_value"}  # fmt: skip
    given = {("v_fills", "usd_rate")}
    for view in {*FILTERS, *OF_NOW}:
        columns = [row["name"] for row in database.execute_query(f"SELECT name FROM pragma_table_info('{view}')")]
        for name in columns:
            if name.endswith("_at") or name == "at":
                assert f"{name}_us" in columns, (view, name)
            if name in amounts and (view, name) not in given and not (view == "v_flows" and name == "usd_rate"):
                assert f"{name}_number" in columns, (view, name)
