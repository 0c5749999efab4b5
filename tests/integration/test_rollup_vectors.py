"""The rollup against the reference vectors, from recorded facts to stored rows."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
import rollup_vectors as vectors

from jarvis_client.contract.instants import start_of_day, to_instant
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.rollup.days import ONE_DAY, Calendar, day_of

pytestmark = pytest.mark.every_engine


@pytest.mark.parametrize("name", vectors.names())
def test_every_figure_is_that_of_the_reference_whatever_the_order_of_arrival(database, name):
    doc = vectors.vector(name)
    items = vectors.facts_of(doc)
    random.Random(7).shuffle(items)
    vectors.rolled(database, items, vectors.options_of(doc["config"]))
    assert vectors.differences(vectors.rows(database), doc["expected"]) == []


@pytest.mark.parametrize("name", vectors.names())
def test_what_stands_behind_the_figures_is_that_of_the_reference(database, name):
    doc = vectors.vector(name)
    vectors.rolled(database, vectors.facts_of(doc), vectors.options_of(doc["config"]))
    with SQLiteRollupRepository(database).reading(vectors.ACCOUNT) as books:
        rows = books.rows_from(day_of(0, vectors.options_of(doc["config"]).zone))
    for row, want in zip(rows, doc["expected"], strict=True):
        assert (row.inflow, row.outflow) == (Decimal(want["inflow"]), Decimal(want["outflow"])), row.date
        assert (row.observations, row.total_wins, row.total_losses) == (want["n_obs"], want["wins"], want["losses"]), row.date
        assert (row.total_profit, row.total_loss) == (Decimal(want["gross_profit"]), Decimal(want["gross_loss"])), row.date
        if want["daily_return"] is None:
            assert row.daily_return is None
        else:
            assert row.daily_return == pytest.approx(want["daily_return"], abs=1e-12)


def position_of(doc, symbol):
    instrument = doc["input"]["instruments"][symbol]
    return f"contract {symbol}" if Decimal(instrument.get("multiplier") or 1) != 1 else f"{instrument['base']}/{instrument['quote']}"


@pytest.mark.parametrize("name", ["08_round_trips", "09_fees_dust"])
def test_trades_are_those_of_the_reference(database, name):
    doc = vectors.vector(name)
    vectors.rolled(database, vectors.facts_of(doc), vectors.options_of(doc["config"]))
    with SQLiteRollupRepository(database).reading(vectors.ACCOUNT) as books:
        found = sorted(
            (t for _, t in books.trades(None, day_of(vectors.FAR_FUTURE, vectors.options_of(doc["config"]).zone))), key=lambda t: (t.closed_at, t.opened_at)
        )
    expected = sorted(doc["trades"], key=lambda t: (t["close_ts"], t["open_ts"]))
    for trade, want in zip(found, expected, strict=True):
        assert (position_of(doc, want["instrument"]), want["direction"], want["n_fills"]) == (trade.position, trade.direction, trade.fills)
        assert (trade.pnl, trade.fees, trade.peak) == (Decimal(want["pnl_usd"]), Decimal(want["fees_usd"]), Decimal(want["peak_qty"]))


@pytest.mark.parametrize(("name", "timing", "column"), [
    (name, timing, column) for name in ("02_flows", "03_funded_first_day_loss")
    for timing, column in (("in_start_out_end", "in_start_out_end"), ("end", "end"), ("mid", "mid"), ("subperiod", "subperiod_checked"))
])  # fmt: skip
def test_returns_follow_the_flow_timing(database, name, timing, column):
    doc = vectors.vector(name)
    options = vectors.options_of(doc["config"], flow_timing=timing)
    vectors.rolled(database, vectors.facts_of(doc), options)
    with SQLiteRollupRepository(database).reading(vectors.ACCOUNT) as books:
        found = {r.date.isoformat(): r.daily_return for r in books.rows_from(day_of(0, options.zone))}
    for want in doc["alt_returns"]:
        assert found[want["date"]] == (None if want[column] is None else pytest.approx(want[column], abs=1e-12)), want["date"]


@pytest.mark.parametrize("number", range(12))
def test_a_late_message_revises_exactly_the_rows_that_change(database, number):
    doc = vectors.vector("11_late_arrivals")
    options = vectors.options_of(doc["config"])
    vectors.rolled(database, vectors.facts_of(doc), options)
    before = {r["date"]: r for r in vectors.rows(database)}
    step = doc["late"][number]
    late = vectors.item(step["kind"], step["message"], doc["input"]["instruments"])

    done = vectors.rolled(database, [late], options)

    after = {r["date"]: r for r in vectors.rows(database)}
    assert sorted(d for d in {**before, **after} if before.get(d) != after.get(d)) == step["changed"]
    assert done.revised == len(step["changed"])
    repository = SQLiteRollupRepository(database)
    for date in after:
        revisions = repository.revisions(vectors.ACCOUNT, day_of(to_instant_of(date), options.zone))
        assert bool(revisions) == (date in step["changed"])
        for revision in revisions:
            assert revision.cause == "late facts"
            assert [f["id"] for f in revision.facts] == [step["message"]["id"]]


def test_late_messages_one_after_the_other_end_where_the_reference_ends(database):
    doc = vectors.vector("11_late_arrivals")
    options = vectors.options_of(doc["config"])
    vectors.rolled(database, vectors.facts_of(doc), options)
    for step in doc["late"]:
        vectors.rolled(database, [vectors.item(step["kind"], step["message"], doc["input"]["instruments"])], options)
    assert vectors.differences(vectors.rows(database), doc["expected_after_all"]) == []


def test_days_are_bounded_as_the_reference_bounds_them():
    import json
    from datetime import date, datetime
    from zoneinfo import ZoneInfo

    for case in json.loads((vectors.FOLDER / "day_bounds.json").read_text()):
        zone, day = ZoneInfo(case["tz"]), date.fromisoformat(case["date"])
        start, end = (to_instant(datetime.fromisoformat(case[k])) for k in ("start", "end"))
        assert (start_of_day(day, zone), start_of_day(day + ONE_DAY, zone)) == (start, end), case
        calendar = Calendar(zone)
        if start < end:
            assert [day_of(i, zone) for i in (start, end - 1)] == [day, day]
            assert [calendar.day_of(i) for i in (end - 1, start)] == [day, day]
            assert day_of(end, zone) > day > day_of(start - 1, zone)


def to_instant_of(date: str) -> int:
    from datetime import UTC, datetime

    return to_instant(datetime.fromisoformat(date).replace(tzinfo=UTC))
