"""The reference by itself: the given cases, the vectors, and what must hold of any history (meaning.md, 7 and 8)."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import Options, Result, reckon
from reference.cases import CASES, differences, load, same
from reference.histories import ACCOUNT, KINDS, arrived, histories, history

VECTORS = Path(__file__).parents[1] / "data" / "rollup"
#: Quotients are taken to 50 digits, so sums of some hundred of them agree to far more than this.
CLOSE = Fraction(1, 10**30)
BOOKS = tuple(kind for kind in KINDS if kind != "snapshots")


@pytest.mark.parametrize("path", sorted(CASES.glob("*.json")), ids=lambda p: p.stem)
def test_the_given_cases_come_out(path):
    assert differences(load(path)) == []


def records_of(vector: dict) -> list[dict]:
    inputs, records = vector["input"], []
    for s in inputs["snapshots"]:
        s = dict(zip(("ts", "total_value_usd"), s, strict=True)) if isinstance(s, list) else s
        records.append(
            {
                "type": "metrics",
                "account_id": "v",
                "snapshot_id": s.get("id", s["ts"]),
                "sequence": s.get("seq"),
                "observed_at": s["ts"],
                "total_value_usd": s["total_value_usd"],
            }
        )
    for n, f in enumerate(inputs["flows"]):
        f = dict(zip(("ts", "amount_usd"), f, strict=True)) if isinstance(f, list) else f
        kind = "withdrawal" if f["amount_usd"].startswith("-") else "deposit"
        records.append(
            {
                "type": kind,
                "account_id": "v",
                f"{kind}_id": f"x{n}",
                "currency": "USD",
                "amount": f["amount_usd"].lstrip("-"),
                "occurred_at": f["ts"],
                "sequence": f.get("seq"),
            }
        )
    for n, f in enumerate(inputs["fills"]):
        if isinstance(f, list):
            f = dict(zip(("ts", "instrument", "side", "qty", "price", "fee"), f, strict=True), fee_ccy=inputs["instruments"][f[1]]["quote"])
        instrument = inputs["instruments"][f["instrument"]]
        record = {
            "type": "fill",
            "account_id": "v",
            "fill_id": f.get("id", f"f{n}"),
            "symbol": f["instrument"],
            "side": f["side"],
            "quantity": f["qty"],
            "price": f["price"],
        }
        record |= {
            "executed_at": f["ts"],
            "sequence": f.get("seq"),
            "base": instrument["base"],
            "quote": instrument["quote"],
            "multiplier": instrument.get("multiplier"),
        }
        records.append(
            record | {"fee": f.get("fee"), "fee_currency": f.get("fee_ccy"), "fee_usd_rate": f.get("fee_usd_rate"), "quote_usd_rate": f.get("quote_usd")}
        )
    return records


@pytest.mark.parametrize(
    "name", ["01_basic_utc", "02_flows", "03_funded_first_day_loss", "04_short_series", "06_ruin_negative_equity", "08_round_trips", "09_fees_dust"]
)
def test_the_vectors_of_the_rollup_come_out(name):
    vector = json.loads((VECTORS / f"{name}.json").read_text())
    result = reckon(records_of(vector), "v", Options(dust_notional_usd=Fraction(vector["config"]["dust_notional_usd"])))
    assert [row.date for row in result.rows] == [want["date"] for want in vector["expected"]]
    for row, want in zip(result.rows, vector["expected"], strict=True):
        for key in ("total_value_usd", "pnl_daily", "pnl_total", "inflow", "outflow", "trades_count", "wins", "losses"):
            assert same(getattr(row, key), want[key]), f"{row.date} {key}"
        for key in ("daily_return", "max_drawdown", "win_rate", "profit_factor"):
            assert same(getattr(row, key), want[key], Fraction(1, 10**9)), f"{row.date} {key}"
    told = [(t.instrument, t.direction, t.pnl, t.fees, len(t.fills), t.size) for t in result.trades]
    for trade in vector.get("trades", []):
        pair = vector["input"]["instruments"][trade["instrument"]]
        names = (trade["instrument"], f"{pair['base']}/{pair['quote']}")
        want = (trade["direction"], Fraction(trade["pnl_usd"]), Fraction(trade["fees_usd"]), trade["n_fills"], Fraction(trade["peak_qty"]))
        assert any((name, *want) in told for name in names), trade


def assert_adds_up(result: Result) -> None:
    """8.2 after every fact, and 8.4 at every row."""
    assert result.refused == []
    assert result.broken == []
    for row in result.rows:
        told = result.told_pnl[row.at]
        assert told is not None, row.date
        assert row.pnl_total is not None, row.date
        assert abs(told - row.pnl_total) <= CLOSE * max(1, abs(told)), row.date


@settings(max_examples=25, deadline=None)
@given(histories(steps=40, kinds=BOOKS), st.sampled_from(["wac", "fifo"]))
def test_realised_and_unrealised_less_fees_and_income_is_the_p_and_l_of_a_book_valued_account(records, cost_basis):
    assert_adds_up(reckon(records, ACCOUNT, Options(cost_basis=cost_basis)))


@settings(max_examples=15, deadline=None)
@given(histories(steps=25), st.integers(0, 1000))
def test_the_order_of_arrival_changes_nothing(records, seed):
    assert reckon(records, ACCOUNT) == reckon(arrived(records, seed), ACCOUNT)


@settings(max_examples=15, deadline=None)
@given(histories(steps=30, rates=False))
def test_what_has_no_rate_withholds_figures_and_breaks_nothing(records):
    result = reckon(records, ACCOUNT)
    assert result.broken == []
    withheld = any(t.pnl is None for t in result.trades) or any(row.pnl_total is None for row in result.rows) or result.realised is None or result.value is None
    assert not withheld or any(note["check"] == "missing rate" for note in result.notes)


@settings(max_examples=10, deadline=None)
@given(histories(steps=40, kinds=BOOKS))
def test_the_cost_basis_moves_profit_between_realised_and_unrealised_only(records):
    wac, fifo = (reckon(records, ACCOUNT, Options(cost_basis=basis)) for basis in ("wac", "fifo"))
    assert (wac.trades, wac.rows, wac.positions, wac.balances) == (fifo.trades, fifo.rows, fifo.positions, fifo.balances)


def test_histories_hold_what_they_are_for():
    """Of fifty: trades both ways, residues, negative lots, coins taken in every way, and every note of section 8."""
    results = [reckon(history(seed), ACCOUNT, Options(cost_basis="fifo")) for seed in range(50)]
    assert {t.direction for r in results for t in r.trades} == {"long", "short"}
    assert any(p.opened_at is None for r in results for p in r.positions)
    assert any(lot.quantity < 0 for r in results for lots in r.lots.values() for lot in lots)
    assert {d.by for r in results for d in r.disposals} >= {"sale", "spent", "fee", "withdrawal"}
    noted = {str(note["check"]) for r in results for note in r.notes}
    assert noted >= {
        "half a rename",
        "split with nothing held",
        "loan repaid beyond the debt",
        "funding without an open trade",
        "snapshot far off the books",
        "books to snapshots",
    }
