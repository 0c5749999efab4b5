from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal

import pytest

from jarvis_client.contract.decimals import SHOWN
from persistence.domain import Invalid, PerformanceMetrics

DAY = date(2026, 3, 1)


pytestmark = pytest.mark.every_engine


def row(days: int = 0, **changes) -> PerformanceMetrics:
    values = {"account_id": "acc", "date": DAY + timedelta(days=days), "total_value_usd": 1000 + days, "pnl_daily": days, "pnl_total": 10 * days}
    return PerformanceMetrics(**{**values, **changes})


def test_a_saved_row_opens_its_account_and_is_found_by_day(engine):
    engine.performance.save(row(pnl_daily="0.1", sharpe_ratio=None))

    found = engine.performance.find_by_date("acc", DAY)
    assert (found.pnl_daily, found.sharpe_ratio, found.source) == (Decimal("0.1"), None, "manual")
    assert engine.performance.find_by_id(("acc", DAY)).date == DAY
    assert engine.performance.exists("acc", DAY)
    assert engine.accounts.exists("acc")
    assert engine.performance.find_by_date("acc", DAY + timedelta(days=1)) is None


def test_saving_the_same_day_again_replaces_it(engine):
    engine.performance.save(row(pnl_daily=1))
    engine.performance.save(row(pnl_daily=2))
    assert [r.pnl_daily for r in engine.performance.find_all("acc")] == [2]


def test_ranges_include_both_ends(engine):
    engine.performance.save_many([row(n) for n in range(10)])
    found = engine.performance.find_range("acc", DAY + timedelta(days=2), DAY + timedelta(days=4))
    assert [r.date.day for r in found] == [3, 4, 5]
    assert len(engine.performance.find_all()) == 10


def test_best_and_worst_day_compare_numbers_not_texts_and_take_the_earlier_of_equals(engine):
    engine.performance.save_many(
        [row(0, pnl_daily="9"), row(1, pnl_daily="10"), row(2, pnl_daily="10.0"), row(3, pnl_daily="-9"), row(4, pnl_daily="-10"), row(5, pnl_daily="-10")]
    )
    assert engine.performance.get_best_day("acc").date == DAY + timedelta(days=1)
    assert engine.performance.get_worst_day("acc").date == DAY + timedelta(days=4)
    assert engine.performance.get_best_day("nobody") is None


def test_total_profit_is_the_newest_rows(engine):
    engine.performance.save_many([row(0, pnl_total="5"), row(3, pnl_total="7.000000000000000001")])
    assert engine.performance.get_total_pnl("acc") == Decimal("7.000000000000000001")
    assert engine.performance.get_total_pnl("nobody") == 0


def test_averages_cover_the_calendar_days_up_to_the_newest_row(engine):
    engine.performance.save_many([row(0, pnl_daily=100), row(9, pnl_daily=1, win_rate=0.5), row(10, pnl_daily=2)])

    averages = engine.performance.get_average_metrics("acc", days=2)
    assert (averages["pnl_daily"], averages["win_rate"], averages["sharpe_ratio"]) == (Decimal("1.5"), 0.5, None)
    assert engine.performance.get_average_metrics("acc", days=11)["pnl_daily"] == SHOWN.divide(Decimal(103), Decimal(3))
    assert engine.performance.get_average_metrics("nobody")["pnl_daily"] is None


def test_a_row_can_be_deleted(engine):
    engine.performance.save(row())
    assert engine.performance.delete("acc", DAY)
    assert not engine.performance.delete("acc", DAY)


@pytest.mark.parametrize("name", ["sharpe_ratio", "profit_factor"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_undefined_is_none_and_nothing_else(name, value):
    with pytest.raises(Invalid, match="undefined is None"):
        row(**{name: value})


def test_exports(engine, tmp_path):
    engine.performance.save_many([row(1), row(0)])
    engine.performance.export_to_json("acc", tmp_path / "p.json")
    assert [r["date"] for r in json.loads((tmp_path / "p.json").read_text())] == ["2026-03-01", "2026-03-02"]
