"""Lots, positions, disposals and rates over a small history whose figures are known; and what exports make of them."""

from __future__ import annotations

import csv
import io
import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from books import NEW_YEAR, deposit, fill, rate, snapshot, void, withdrawal

from jarvis_client.contract.instants import to_datetime
from jarvis_client.contract.outcome import Refusal
from persistence import exports
from persistence.repositories import SQLiteRateRepository
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.rollup.account import roll_up
from scheduler.rollup.disposals import disposals
from scheduler.rollup.options import RollupOptions
from scheduler.rollup.tables import COMPUTED, DISPOSALS, LOTS, POSITIONS, Period, disposed, lots, positions, totals
from workers.messages import item_of_line

CASES = Path(__file__).parents[1] / "data" / "cases"
DAY = 86_400_000_000
LATER = NEW_YEAR + 40 * DAY
FIFO = RollupOptions(cost_basis="fifo")
WAC = RollupOptions()


@pytest.fixture
def case(ledger):
    def post(name: str) -> str:
        records = json.loads((CASES / f"{name}.json").read_text())["records"]
        outcomes = ledger.post([item_of_line(json.dumps(r).encode(), n) for n, r in enumerate(records, 1)])
        assert {o.status for o in outcomes} == {"applied"}
        return records[0]["account_id"]

    return post


@pytest.fixture
def read(database):
    def rows(table, columns, account: str, *arguments) -> list[dict]:
        with SQLiteRollupRepository(database).reading(account) as books:
            return [dict(zip(columns, row, strict=True)) for row in table(books, *arguments)]

    return rows


def of(rows: list[dict], currency: str, *names: str) -> list[tuple]:
    return [tuple(row[name] for name in names) for row in rows if row["currency"] == currency]


def taken(database, account: str, options: RollupOptions, first: date, last: date) -> list[dict]:
    with SQLiteRollupRepository(database).reading(account) as books:
        return [dict(zip(DISPOSALS, row, strict=True)) for row in disposed(books, disposals(books, options, first, last))]


@pytest.mark.parametrize("rolled", [False, True])
def test_open_lots_of_the_oldest_first(case, read, database, rolled):
    account = case("lots-fifo")
    if rolled:
        roll_up(database, account, FIFO, date(2024, 1, 2), now=LATER)
    found = read(lots, LOTS, account, FIFO, date(2024, 6, 1))
    assert of(found, "ETH", "quantity", "cost_usd", "average_cost_usd", "since", "brought_by", "worth_usd", "unrealised_usd") == [
        ("0.5", "500", "1000", "2024-01-01T10:00:00.000000Z", "fill", "1500", "1000"),
        ("1", "2000", "2000", "2024-01-02T10:00:00.000000Z", "fill", "3000", "1000"),
    ]
    assert of(found, "USDT", "quantity", "cost_usd", "since") == [("8495.5", "8495.5", None)]


def test_open_lots_at_their_average(case, read):
    found = read(lots, LOTS, case("lots-wac"), WAC, date(2024, 6, 1))
    assert of(found, "ETH", "quantity", "cost_usd", "average_cost_usd", "since", "unrealised_usd") == [("1.5", "2250", "1500", None, "2250")]


@pytest.mark.parametrize("rolled", [False, True])
def test_lots_and_positions_as_they_stood(case, read, database, rolled):
    account = case("lots-fifo")
    if rolled:
        roll_up(database, account, FIFO, date(2024, 1, 31), now=LATER)
    assert of(read(lots, LOTS, account, FIFO, date(2024, 1, 1)), "ETH", "quantity", "unrealised_usd") == [("1", "0")]
    assert of(read(lots, LOTS, account, FIFO, date(2024, 1, 2)), "ETH", "quantity", "unrealised_usd") == [("1", "1000"), ("1", "0")]
    assert read(lots, LOTS, account, FIFO, date(2023, 12, 31)) == []
    assert [(p["quantity"], p["fills"]) for p in read(positions, POSITIONS, account, FIFO, date(2024, 1, 2))] == [("2", 2)]


def test_a_position_has_its_average_price_and_what_it_would_gain(case, read):
    [found] = read(positions, POSITIONS, case("lots-wac"), WAC, date(2024, 6, 1))
    expected = {
        "account_id": "lw", "instrument": "ETH/USDT", "kind": "spot", "quantity": "1.5", "average_price": "1500", "cash_currency": "USDT",
        "since": "2024-01-01T10:00:00.000000Z", "fills": 3, "unrealised_usd": "2250",
    }  # fmt: skip
    assert found == expected


@pytest.mark.parametrize("rolled", [False, True])
def test_a_sale_beyond_what_is_held_takes_the_lots_first_and_the_purchase_gives_back(case, database, rolled):
    account = case("sale-beyond-holdings")
    if rolled:
        roll_up(database, account, FIFO, date(2024, 2, 1), now=LATER)
    found = taken(database, account, FIFO, date(2024, 2, 1), date(2024, 2, 1))
    names = ("currency", "taken_as", "quantity", "proceeds_usd", "cost_usd", "gain_usd", "since", "record_kind", "record_id")
    assert [tuple(row[name] for name in names) for row in found] == [
        ("ETH", "sale", "1", "2100", "2100", "0", "2024-02-01T08:00:00.000000Z", "fill", "1"),
        ("ETH", "fill", "-0.5", "1050", "1000", "50", "2024-02-01T10:00:00.000000Z", "fill", "2"),
        ("SOL", "sale", "1", "75", "100", "-25", "2024-02-01T13:00:00.000000Z", "fill", "4"),
    ]


#: Coins that go in every way: sold, spent on another, as a fee, withdrawn; and one of which no worth is known.
WAYS = (
    deposit(1, amount="10000"),
    deposit(2, currency="ETH", amount="10", usd_rate="1000"),
    deposit(3, currency="BNB", amount="1", usd_rate="500"),
    deposit(4, currency="XYZ", amount="5"),
    fill(1, symbol="ETH/USDT", side="sell", quantity="1", price="1500", executed_at=NEW_YEAR + DAY, fee="0.01", fee_currency="BNB"),
    fill(2, symbol="SOL/ETH", side="buy", quantity="20", price="0.1", executed_at=NEW_YEAR + 2 * DAY, fee="0"),
    withdrawal(1, currency="ETH", amount="3", occurred_at=NEW_YEAR + 3 * DAY),
    withdrawal(2, currency="XYZ", amount="1", occurred_at=NEW_YEAR + 3 * DAY),
)


def test_what_was_taken_says_as_what(database, ledger):
    ledger.post(list(WAYS))
    found = taken(database, "acc", WAC, date(2026, 1, 1), date(2026, 1, 31))
    assert [(r["currency"], r["taken_as"], r["quantity"], r["gain_usd"], r["record_id"]) for r in found] == [
        ("ETH", "sale", "1", "500", "f1"),
        ("BNB", "fee", "0.01", "0", "f1"),
        ("ETH", "spent", "2", "1000", "f2"),
        ("ETH", "withdrawal", "3", "1500", "w1"),
        ("XYZ", "withdrawal", "1", None, "w2"),
    ]
    with SQLiteRollupRepository(database).reading("acc") as books:
        sums = totals(disposals(books, WAC, date(2026, 1, 1), date(2026, 1, 31)))
    assert sums == [("BNB", 1, "5", "5", "0", 0), ("ETH", 3, "9000", "6000", "3000", 0), ("XYZ", 1, "0", "0", "0", 1)]


@pytest.mark.parametrize("options", [FIFO, WAC], ids=["fifo", "wac"])
@pytest.mark.parametrize("through", [None, date(2026, 1, 1), date(2026, 1, 3), date(2026, 1, 31)])
def test_a_period_is_told_the_same_however_far_is_rolled_up(database, ledger, options, through):
    ledger.post(list(WAYS))
    if through is not None:
        roll_up(database, "acc", options, through, now=LATER)
    whole = taken(database, "acc", options, date(2026, 1, 1), date(2026, 1, 31))
    for first, last in ((date(2026, 1, 2), date(2026, 1, 2)), (date(2026, 1, 3), date(2026, 1, 31)), (date(2026, 1, 5), date(2026, 1, 31))):
        bounds = (first.isoformat(), last.isoformat() + "T99")
        assert taken(database, "acc", options, first, last) == [r for r in whole if bounds[0] <= r["occurred_at"] <= bounds[1]]


def test_what_came_since_the_rollup_counts_a_late_deposit_and_a_late_rate(database, ledger, read):
    ledger.post(list(WAYS))
    roll_up(database, "acc", FIFO, date(2026, 1, 31), now=LATER)
    ledger.post([deposit(5, currency="ETH", amount="2", usd_rate="900", occurred_at=NEW_YEAR - DAY)])
    assert taken(database, "acc", FIFO, date(2026, 1, 2), date(2026, 1, 2))[0]["cost_usd"] == "900", "it was the oldest lot"
    roll_up(database, "acc", FIFO, date(2026, 1, 31), now=LATER)
    assert of(read(lots, LOTS, "acc", FIFO, date(2026, 1, 31)), "XYZ", "quantity", "cost_usd") == [("4", None)]
    ledger.post([rate(1, currency="XYZ", usd_rate="7", observed_at=NEW_YEAR - DAY)])
    assert of(read(lots, LOTS, "acc", FIFO, date(2026, 1, 31)), "XYZ", "quantity", "cost_usd") == [("4", "28")]
    roll_up(database, "acc", FIFO, date(2026, 1, 31), now=LATER)
    assert of(read(lots, LOTS, "acc", FIFO, date(2026, 1, 31)), "XYZ", "quantity", "cost_usd") == [("4", "28")]


def test_an_account_without_records_has_none(database, ledger, read):
    ledger.post([deposit(1)])
    ledger.post([void(1, "deposit", "d1")])
    assert read(lots, LOTS, "acc", WAC, date(2026, 1, 31)) == read(positions, POSITIONS, "acc", WAC, date(2026, 1, 31)) == []
    assert taken(database, "acc", WAC, date(2026, 1, 1), date(2026, 1, 31)) == []


# -- rates -----------------------------------------------------------------------------------------------------------------


def test_what_is_known_of_a_currency_and_from_where(database, ledger):
    ledger.post([
        *WAYS, rate(1, currency="ETH", usd_rate="1600", observed_at=NEW_YEAR + DAY, source="b"),
        rate(1, currency="ETH", usd_rate="1601", observed_at=NEW_YEAR + DAY, source="a"), rate(2, currency="ETH", usd_rate="9", observed_at=LATER + DAY),
        rate(3, currency="EUR", usd_rate="1.1", observed_at=NEW_YEAR),
    ])  # fmt: skip
    roll_up(database, "acc", WAC, date(2026, 1, 31), now=LATER)
    known = SQLiteRateRepository(database).known(LATER)
    told = [(r.currency, r.account_id, r.at, str(r.rate.of(Decimal(1))), r.carried, r.source) for r in known]
    assert told == [
        ("BNB", "acc", NEW_YEAR, "500", True, None),
        ("ETH", None, NEW_YEAR + DAY, "1601", True, "a"),
        ("ETH", "acc", NEW_YEAR + DAY, "1500", False, None),
        ("EUR", None, NEW_YEAR, "1.1", True, None),
        ("SOL", "acc", NEW_YEAR + 2 * DAY, "160.1", False, None),
    ]
    assert [r.currency for r in SQLiteRateRepository(database).known(LATER, account_id="acc")] == ["BNB", "ETH", "ETH", "SOL"], "it never had EUR"
    assert [r.account_id for r in SQLiteRateRepository(database).known(LATER, "ETH")] == [None, "acc"]
    assert SQLiteRateRepository(database).known(LATER, "EUR", "acc")[0].account_id is None


def test_what_waits_for_a_rate_until_one_comes(database, ledger):
    ledger.post(list(WAYS))
    roll_up(database, "acc", WAC, date(2026, 1, 31), now=LATER)
    found = SQLiteRateRepository(database).awaited()
    assert [(w.currency, w.account_id, w.first, w.last, w.times, w.detail is None) for w in found] == [
        ("XYZ", "acc", date(2026, 1, 1), date(2026, 1, 4), 4, True),
        ("XYZ", "acc", date(2026, 1, 1), date(2026, 1, 4), 2, False),
    ]
    assert any(w.detail is not None and w.detail.startswith("deposit d4 of 5 XYZ has no USD rate") for w in found)
    assert SQLiteRateRepository(database).awaited("ETH") == SQLiteRateRepository(database).awaited(account_id="other") == []
    ledger.post([rate(1, currency="XYZ", usd_rate="2", observed_at=NEW_YEAR - 1)])
    roll_up(database, "acc", WAC, date(2026, 1, 31), now=LATER)
    assert SQLiteRateRepository(database).awaited() == []


# -- exports ---------------------------------------------------------------------------------------------------------------


def written(database, name: str, form: str, **bounds) -> str:
    out = io.StringIO()
    if name in exports.TABLES:
        exports.write(database, name, "acc", form, out, **bounds)
        return out.getvalue()
    with SQLiteRollupRepository(database).reading("acc") as books:
        rows = COMPUTED[name].rows(books, FIFO, Period(None, None, LATER))
    exports.write_rows(COMPUTED[name].columns, rows, form, out)
    return out.getvalue()


@pytest.fixture
def year(database, ledger):
    ledger.post([
        *WAYS, fill(3, symbol="SOL/ETH", side="sell", quantity="20", price="0.2", executed_at=NEW_YEAR + 4 * DAY, fee="0"),
        fill(4, symbol="SOL/ETH", side="buy", quantity="1", price="0.2", executed_at=NEW_YEAR + 4 * DAY + 1, fee="0"),
        snapshot(1, snapshot_id="=1+1", observed_at=NEW_YEAR + 5 * DAY, total_value_usd="20000.5", reported='{"pnl_daily":1.50,"win_rate":0.25}'),
    ])  # fmt: skip
    roll_up(database, "acc", FIFO, date(2026, 1, 31), now=LATER)
    return database


DERIVED = {"lots": 6, "positions": 1, "disposals": 7, "trades": 1, "equity": 1, "flows": 6, "snapshots": 1}


@pytest.mark.parametrize("name", DERIVED)
def test_csv_and_json_hold_the_same_rows(year, name):
    of_json = json.loads(written(year, name, "json"))
    of_csv = list(csv.DictReader(io.StringIO(written(year, name, "csv"))))
    assert len(of_json) == len(of_csv) == DERIVED[name]

    def plain(value: object) -> str:
        return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value).removeprefix("'")

    assert [{k: plain(v) for k, v in row.items()} for row in of_json] == [{k: plain(v) for k, v in row.items()} for row in of_csv]


def test_the_rows_of_derived_exports(year):
    [trade] = json.loads(written(year, "trades", "json"))
    assert (trade["instrument"], trade["direction"], trade["pnl_usd"], trade["closing_fill_id"]) == ("SOL/ETH", "long", "3000", "f3")
    [row] = json.loads(written(year, "equity", "json"))
    assert (row["date"], row["valuation"], row["value_usd"], row["drawdown"], row["max_drawdown"]) == ("2026-01-06", "snapshots", "20000.5", 0.0, 0.0)
    [told] = json.loads(written(year, "snapshots", "json"))
    assert (told["is_close"], told["pnl_daily"], told["win_rate"], told["pnl_total"]) == (True, "1.50", "0.25", None)
    flows = json.loads(written(year, "flows", "json", start=to_datetime(NEW_YEAR + DAY)))
    assert [(f["flow_id"], f["amount"], f["usd"]) for f in flows] == [("w1", "-3", "-4500"), ("w2", "-1", None)]


def test_a_text_that_a_spreadsheet_would_run_is_harmless_in_derived_exports_too(year):
    assert next(csv.DictReader(io.StringIO(written(year, "snapshots", "csv"))))["snapshot_id"] == "'=1+1"
    out = io.StringIO()
    exports.write_rows(LOTS, [("@cmd", "=X", "-1", None, None, None, "fill", None, None)], "csv", out)
    assert out.getvalue().splitlines()[1].startswith("'@cmd,'=X,-1,")


@pytest.mark.parametrize("name", DERIVED)
def test_no_row_of_what_is_derived_is_taken_for_a_record(year, name):
    lines = written(year, name, "ndjson").splitlines()
    assert len(lines) == DERIVED[name]
    assert [json.loads(line) for line in lines] == json.loads(written(year, name, "json"))
    assert {type(item_of_line(line.encode(), number)) for number, line in enumerate(lines, 1)} == {Refusal}
