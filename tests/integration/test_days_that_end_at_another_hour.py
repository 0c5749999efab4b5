"""Trading days that end at another time than midnight: their bounds, their rows, and the rollup at their end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from datetime import date as Date
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from books import deposit, snapshot
from hypothesis import given
from hypothesis import strategies as st

from jarvis.settings import Settings
from jarvis_client.contract.instants import DaysEndingAt, day_zone, day_zone_name, end_of_day, start_of_day, to_datetime, to_instant
from persistence.books.ledger import Ledger
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.jobs import roll_up_accounts, roll_up_zone
from scheduler.rollup.days import Calendar, day_of, last_closed_day
from scheduler.rollup.options import RollupOptions, RollupPlan
from scheduler.timetable import Cron, timetable

NEW_YORK = day_zone("America/New_York@17:00")
DESK = RollupOptions(timezone="America/New_York", day_ends="17:00", valuation="snapshots")


def at(*parts):
    return to_instant(datetime(*parts, tzinfo=UTC))


@pytest.mark.parametrize(("day", "starts", "ends", "hours"), [
    (Date(2026, 1, 15), at(2026, 1, 14, 22), at(2026, 1, 15, 22), 24),
    (Date(2026, 3, 8), at(2026, 3, 7, 22), at(2026, 3, 8, 21), 23),
    (Date(2026, 3, 9), at(2026, 3, 8, 21), at(2026, 3, 9, 21), 24),
    (Date(2026, 11, 1), at(2026, 10, 31, 21), at(2026, 11, 1, 22), 25),
    (Date(2026, 11, 2), at(2026, 11, 1, 22), at(2026, 11, 2, 22), 24),
])  # fmt: skip
def test_a_day_has_the_name_of_the_date_on_which_it_ends_whatever_the_clocks_do(day, starts, ends, hours):
    assert (start_of_day(day, NEW_YORK), end_of_day(day, NEW_YORK) + 1) == (starts, ends)
    assert ends - starts == hours * 3_600_000_000
    assert [day_of(i, NEW_YORK) for i in (starts - 1, starts, ends - 1, ends)] == [day - timedelta(1), day, day, day + timedelta(1)]
    assert [last_closed_day(i, NEW_YORK) for i in (ends - 1, ends)] == [day - timedelta(1), day]


def test_an_end_that_clocks_skip_is_the_moment_they_change_and_one_they_repeat_is_the_first():
    skipped, repeated = day_zone("America/New_York@02:30"), day_zone("America/New_York@01:30")
    assert end_of_day(Date(2026, 3, 8), skipped) + 1 == at(2026, 3, 8, 7), "02:00 became 03:00"
    assert end_of_day(Date(2026, 3, 9), skipped) + 1 == at(2026, 3, 9, 6, 30)
    assert end_of_day(Date(2026, 11, 1), repeated) + 1 == at(2026, 11, 1, 5, 30)
    # Samoa left out the 30th of December 2011: its day ends as the clocks jump.
    samoa = day_zone("Pacific/Apia@17:00")
    assert [start_of_day(Date(2011, 12, d), samoa) for d in (30, 31)] == [at(2011, 12, 30, 3), at(2011, 12, 30, 10)]


@given(
    st.sampled_from(["America/New_York", "Europe/London", "Australia/Lord_Howe", "Pacific/Apia", "America/Havana", "UTC"]),
    st.times().map(lambda t: t.replace(second=0, microsecond=0)), st.dates(Date(2009, 1, 1), Date(2027, 1, 1)),
)  # fmt: skip
def test_days_follow_one_another_without_gap_or_overlap(zone, ends, day):
    zone = DaysEndingAt(ZoneInfo(zone), ends)
    start, end = start_of_day(day, zone), start_of_day(day + timedelta(1), zone)
    assert start < end, "no day of these is empty"
    calendar = Calendar(zone)
    for instant in (start, (start + end) // 2, end - 1):
        assert day_of(instant, zone) == calendar.day_of(instant) == day
    # The clock shows the time of the end, or has just gone past it.
    shown = to_datetime(end).astimezone(zone.zone)
    assert (shown.date(), shown.time()) >= (day, ends)
    before = to_datetime(end - 1).astimezone(zone.zone)
    assert (before.date(), before.time()) < (day, ends)


def test_midnight_is_the_zone_itself_and_any_other_end_is_another_set_of_options():
    assert RollupOptions(timezone="Asia/Tokyo").zone is ZoneInfo("Asia/Tokyo")
    assert day_zone_name("UTC") == "UTC"
    assert RollupOptions(timezone="America/New_York").digest != DESK.digest


def test_snapshots_and_flows_belong_to_the_day_that_ends_after_them(database):
    Ledger(database).record([
        deposit(1, amount="1000", occurred_at=at(2026, 3, 5, 12)),
        snapshot(total_value_usd="1000", observed_at=at(2026, 3, 6, 21, 59)),
        snapshot(total_value_usd="1100", observed_at=at(2026, 3, 8, 20, 59)),  # 16:59, after the clocks went forward
        snapshot(total_value_usd="990", observed_at=at(2026, 3, 8, 21)),  # 17:00: the next day
    ])  # fmt: skip
    roll_up_accounts(database, RollupPlan(DESK), at(2026, 3, 10))
    with SQLiteRollupRepository(database).reading("acc") as books:
        rows = books.rows_from(Date.min)
    assert [(r.date, r.value, r.daily_return) for r in rows] == [
        (Date(2026, 3, 6), Decimal(1000), 0.0), (Date(2026, 3, 8), Decimal(1100), 0.1), (Date(2026, 3, 9), Decimal(990), -0.1),
    ]  # fmt: skip


def test_the_rollup_runs_at_each_zones_own_end_of_day(database):
    plan = RollupPlan(RollupOptions(), {"acc": DESK})
    entries = timetable({"rollup": ("9 0 * * *", True)}, plan.zones)
    entry = entries["rollup@America/New_York@17:00"]
    assert (entry.cron, entry.zone) == ("9 17 * * *", "America/New_York")
    slots = list(Cron(entry.cron, entry.zone).slots(at(2026, 3, 7, 12), at(2026, 3, 9, 12)))
    assert slots == [at(2026, 3, 7, 22, 9), at(2026, 3, 8, 21, 9)]
    assert timetable({"rollup": ("*/30 * * * *", True)}, plan.zones)["rollup@America/New_York@17:00"].cron == "*/30 * * * *"
    Ledger(database).record([snapshot(n, observed_at=slot - 10 * 60_000_000) for n, slot in enumerate(slots)])
    for slot in slots:
        roll_up_zone(plan, "America/New_York@17:00", lambda slot=slot: slot)(database, slot)
        with SQLiteRollupRepository(database).reading("acc") as books:
            assert books.rows_from(Date.min)[-1].close_at == slot - 10 * 60_000_000
    assert roll_up_zone(plan, "America/New_York", lambda: slots[-1])(database, slots[-1])["accounts"] == 0


def test_settings_give_records_of_a_date_the_same_end_of_day():
    settings = Settings(rollup={"day_ends": "24:00", "accounts": {"desk": {"timezone": "America/New_York", "day_ends": "17:00"}}})
    assert settings.rollup_plan.default.day_ends == "00:00"
    assert settings.conventions.zone_of("desk") == settings.rollup_plan.of("desk").zone == NEW_YORK
    assert settings.conventions.zone_of("other") == ZoneInfo("UTC")
    for wrong in (1020, "5pm", "25:00", "17:00:30"):
        with pytest.raises(ValueError, match=r"in quotes .* \"17:00\""):
            Settings(rollup={"day_ends": wrong})
