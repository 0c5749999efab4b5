"""Lots, positions, disposals and rates as people read them on a terminal of 80 columns, and as scripts do."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import command
import pytest

CASE = json.loads((Path(__file__).parents[1] / "data" / "cases" / "lots-fifo.json").read_text())["records"]
MORE = [
    {"type": "deposit", "deposit_id": "s", "account_id": "lf", "currency": "SOL", "amount": "12.5", "usd_rate": "101.25", "occurred_at": "2024-01-02T08:00:00Z"},
    {"type": "withdrawal", "withdrawal_id": "w", "account_id": "lf", "currency": "SOL", "amount": "2.5", "occurred_at": "2024-01-04T08:00:00Z"},
    {"type": "deposit", "deposit_id": "x", "account_id": "lf", "currency": "XYZ", "amount": "4", "occurred_at": "2024-01-05T08:00:00Z"},
    {"type": "rate", "currency": "ETH", "usd_rate": "2900.125", "observed_at": "2024-01-05T08:00:00Z", "source": "desk"},
    {
        "type": "fill", "fill_id": "p", "account_id": "lf", "order_id": "p", "symbol": "PEPE/USDT", "side": "buy", "quantity": "1500", "fee": "0",
        "price": "0.0000000123", "executed_at": "2024-01-04T10:00:00Z",
    },
    {
        "type": "fill", "fill_id": "c", "account_id": "lf", "order_id": "c", "symbol": "BTC/USDT:USDT", "side": "sell", "quantity": "0.25", "fee": "0",
        "price": "50000", "executed_at": "2024-01-04T11:00:00Z",
    },
]  # fmt: skip


@pytest.fixture
def run(short_folder):
    (short_folder / "config").mkdir()
    (short_folder / "config" / "scheduler.yaml").write_text('{"rollup": {"cost_basis": "fifo"}}')

    jarvis = command.Jarvis(short_folder)
    jarvis.feed(*CASE, *MORE)
    jarvis("rollup")
    return jarvis


#: What each command has to show on one line, in this order.
READ = {
    ("lots", "lf"): [
        ("ETH", "0.5", "500.00", "1,000.00", "2024-01-01", "fill", "1,450.06", "950.06"),
        ("ETH", "1", "2,000.00", "2,000.00", "2024-01-02", "fill", "2,900.12", "900.12"),
        ("PEPE", "1,500", "0.0000184", "1.23e-8", "2024-01-04", "fill", "0.0000184", "0.00"),
        ("SOL", "10", "1,012.50", "101.25", "2024-01-02", "deposit", "1,012.50", "0.00"),
        ("USDT", "8,495.499982", "8,495.50", "1.00", "pool", "8,495.50", "0.00"),
        ("XYZ", "4", "2024-01-05", "deposit"),
    ],
    ("positions", "lf"): [
        ("BTC/USDT:USDT", "contract", "-0.25", "50,000", "USDT", "2024-01-04", "1", "0.00"),
        ("ETH/USDT", "spot", "1.5", "1,500", "USDT", "2024-01-01", "3", "2,100.19"),
        ("PEPE/USDT", "spot", "1,500", "1.23e-8", "USDT", "2024-01-04", "1", "0.00"),
    ],
    ("disposals", "lf", "--from", "2024-01-03", "--to", "2024-01-04"): [
        ("Disposals of lf, 2024-01-03 to 2024-01-04",),
        ("2024-01-03", "ETH", "sale", "0.5", "1,500.00", "500.00", "1,000.00", "2024-01-01", "2"),
        ("2024-01-04", "SOL", "withdrawal", "2.5", "253.12", "253.12", "0.00", "2024-01-02", "2"),
        ("ETH", "1", "1,500.00", "500.00", "1,000.00"),
        ("SOL", "1", "253.12", "253.12", "0.00"),
    ],
    ("rates",): [
        ("ETH", "2,900.125", "2024-01-05 08:00:00", "rate record, desk"),
        ("ETH", "3,000", "2024-01-03 10:00:00", "derived from a record of lf"),
        ("PEPE", "1.23e-8", "2024-01-04 10:00:00", "derived from a record of lf"),
        ("SOL", "101.25", "2024-01-02 08:00:00", "carried by a record of lf"),
        ("USDT", "1", "counts as a dollar"),
        ("XYZ", "lf", "2024-01-05", "1 day without a row, up to 2024-01-05"),
    ],
}


@pytest.mark.parametrize("arguments", READ, ids=lambda arguments: arguments[0])
def test_a_table_is_read_whole_on_80_columns(run, short_folder, arguments):
    lines = command.listed_on_terminal(short_folder, *arguments)
    assert max(map(len, lines)) <= 80
    assert "…" not in "".join(lines), "nothing is cut off"
    for wanted in READ[arguments]:
        assert any(line.split() == " ".join(wanted).split() for line in lines), (wanted, lines)


def test_what_is_too_wide_for_a_terminal_is_read_line_by_line(run, short_folder):
    assert "worth" in command.listed_on_terminal(short_folder, "lots", "lf", columns=74)[1].split(), "the heading takes two lines first"
    lines = command.listed_on_terminal(short_folder, "lots", "lf", columns=50)
    assert max(map(len, lines)) <= 50
    assert [line.split() for line in lines if line.startswith(("cost", "worth"))][:2] == [["cost", "usd", "500.00"], ["worth", "usd", "1,450.06"]]


def test_scripts_read_exact_figures(run):
    lots = json.loads(run("lots", "lf", "--json").stdout)
    assert [(lot["quantity"], lot["cost_usd"], lot["worth_usd"]) for lot in lots if lot["currency"] in ("ETH", "XYZ", "PEPE")] == [
        ("0.5", "500", "1450.0625"), ("1", "2000", "2900.125"), ("1500", "0.00001845", "0.00001845"), ("4", None, None),
    ]  # fmt: skip
    assert [lot["quantity"] for lot in json.loads(run("lots", "lf", "--date", "2024-01-01", "--json").stdout)] == ["1", "8999"]
    positions = json.loads(run("positions", "lf", "--json").stdout)
    assert [(p["instrument"], p["kind"], p["unrealised_usd"]) for p in positions][1] == ("ETH/USDT", "spot", "2100.1875")
    found = json.loads(run("disposals", "lf", "--json").stdout)
    assert [(d["taken_as"], d["gain_usd"], d["record_id"]) for d in found["disposals"]] == [("sale", "1000", "3"), ("withdrawal", "0", "w")]
    assert (found["from"], found["cost_basis"]) == ("2024-01-01", "fifo")
    assert [(t["currency"], t["gain_usd"], t["without_rate"]) for t in found["totals"]] == [("ETH", "1000", 0), ("SOL", "0", 0)]
    told = json.loads(run("rates", "--account", "lf", "--json").stdout)
    assert ("ETH", "2900.125", None, "desk") in [(r["currency"], r["usd_rate"], r["account_id"], r["source"]) for r in told["rates"]]
    assert {(w["currency"], w["what"], w["count"]) for w in told["waiting"]} == {("XYZ", "days without a row", 1), ("XYZ", "amounts without a worth", 1)}


def test_a_rate_that_is_missing_is_asked_for_until_it_comes(run):
    shown = run("rates", "XYZ")
    assert "nothing is known of XYZ" in shown.stderr
    assert "deposit x of 4 XYZ has no USD rate" in shown.stdout
    run.feed({"type": "rate", "currency": "XYZ", "usd_rate": "0.0025", "observed_at": "2024-01-01T00:00:00Z"})
    run("rollup")
    shown = run("rates", "XYZ")
    assert shown.stdout.splitlines()[2].split() == ["XYZ", "0.0025", "2024-01-01", "00:00:00", "rate", "record"]
    assert "Waiting" not in shown.stdout


def test_what_is_wrong_is_said_with_its_remedy(run):
    assert "account nobody does not exist" in run("lots", "nobody", code=2).stderr
    assert "is before" in run("disposals", "lf", "--from", "2024-01-03", "--to", "2024-01-02", code=2).stderr
    assert "Invalid value for --from: 2999-01-01 is after" in run("disposals", "lf", "--from", "2999-01-01", code=2).stderr
    assert "Invalid value for --from: 2999-01-01 is after" in run("statement", "lf", "--from", "2999-01-01", code=2).stderr
    assert "name the file" in run("export", "trades", "-a", "lf", "-f", "parquet", code=2).stderr
    assert "are of no account" in run("export", "rates", "-a", "lf", code=2).stderr
    assert "are those of now" in run("export", "balances", "--to", "2024-01-01", code=2).stderr
    assert "did you mean equity?" in run("export", "eqity", code=2).stderr
    assert "there is only lf" in run("export", "equity", "lg", code=2).stderr
    assert "--to" in run("export", "lots", "-a", "lf", "--from", "2024-01-01", code=2).stderr
    assert "disposals" in run("export", "everything", code=2).stderr


def test_exports_of_what_is_computed(run, short_folder):
    lots = list(csv.DictReader(io.StringIO(run("export", "lots", "-a", "lf").stdout)))
    assert [(r["currency"], r["quantity"], r["cost_usd"]) for r in lots][:2] == [("ETH", "0.5", "500"), ("ETH", "1", "2000")]
    then = json.loads(run("export", "lots", "-a", "lf", "--to", "2024-01-01", "-f", "json").stdout)
    assert [(r["currency"], r["quantity"]) for r in then] == [("ETH", "1"), ("USDT", "8999")]
    assert "wrote 1 row to" in run("export", "disposals", "-a", "lf", "--from", "2024-01-04", "-o", "taken.csv").stderr
    assert [r["record_id"] for r in csv.DictReader((short_folder / "taken.csv").open())] == ["w"]
    positions = json.loads(run("export", "positions", "-a", "lf", "-f", "json").stdout)
    assert positions == json.loads(run("positions", "lf", "--json").stdout)
    days = json.loads(run("export", "equity", "-a", "lf", "--to", "2024-01-03", "-f", "json").stdout)
    assert [(d["date"], d["drawdown"] == 0, d["max_drawdown"] < 0) for d in days] == [
        ("2024-01-01", False, True), ("2024-01-02", True, True), ("2024-01-03", True, True),
    ]  # fmt: skip


def test_a_small_account_shows_its_figures(run):
    run.feed(
        {"type": "deposit", "deposit_id": "1", "account_id": "small", "currency": "USD", "amount": "0.004", "occurred_at": "2024-01-01T08:00:00Z"},
        {"type": "deposit", "deposit_id": "2", "account_id": "small", "currency": "USD", "amount": "0.00021", "occurred_at": "2024-01-02T08:00:00Z",
         "category": "interest"},
    )  # fmt: skip
    run("rollup")
    [shown] = [line.split() for line in run("performance", "small").stdout.splitlines() if line.startswith("2024-01-02")]
    assert shown[:4] == ["2024-01-02", "0.00421", "0.00021", "0.00021"]
    heads = run("performance", "small").stdout.splitlines()[1]
    assert "drawdown  max drawdown" in heads
