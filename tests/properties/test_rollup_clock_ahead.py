"""A rollup whose clock was ahead for a while: days that are not over lose their rows, later days get theirs, and all of it ends as one
rebuild would have it."""

from __future__ import annotations

import random

import pytest
from books import NEW_YEAR, deposit, snapshot
from properties.test_rollup_order import DAY, DAYS, OPTIONS, START, derived, history
from searching import of, searched

from persistence.books.ledger import Ledger
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.jobs import roll_up_zone
from scheduler.rollup.account import roll_up
from scheduler.rollup.days import last_closed_day
from scheduler.rollup.options import RollupOptions, RollupPlan
from scheduler.rollup_checks import check_rollups

pytestmark = pytest.mark.every_engine


def dates(database, table="performance_metrics"):
    return [row["date"] for row in database.execute_query(f"SELECT date FROM {table} ORDER BY date")]


@searched
@pytest.mark.parametrize("name", OPTIONS)
def test_after_a_rollup_by_a_clock_ahead_rows_are_those_of_a_rebuild(another, name):
    options = OPTIONS[name]
    for seed in range(of(1, 4)):
        chance = random.Random(seed)
        arrivals = sorted(history(chance, rates=chance.random() < 0.5), key=lambda f: f.instant + chance.randrange(-3, 3) ** 3 * DAY // 9)
        with another() as jumped, another() as rebuilt:
            at, now = 0, START + DAY
            while at < len(arrivals):
                count = chance.randrange(1, 12)
                Ledger(jumped).post(arrivals[at : at + count])
                at += count
                now = min(START + (DAYS + 2) * DAY, now + chance.randrange(DAY * 2))
                for ahead in chance.choice(((0,), (), (365,), (365, 0), (2, 0), (1,))):
                    moment = now + ahead * DAY
                    closed = last_closed_day(moment, options.zone)
                    roll_up(jumped, "acc", options, closed, now=moment, rebuild=chance.random() < 0.1)
                    assert max(dates(jumped), default="") <= closed.isoformat(), f"seed {seed}: a row of a day that is not over"
            now = START + (DAYS + 3) * DAY
            end = last_closed_day(now, options.zone)
            roll_up(jumped, "acc", options, end, now=now)
            Ledger(rebuilt).post(arrivals)
            roll_up(rebuilt, "acc", options, end, now=now)
            expected, found = derived(rebuilt), derived(jumped)
            for table, rows in expected.items():
                assert found[table] == rows, f"seed {seed}: {table}"
            assert [f for f in check_rollups(jumped, RollupPlan(options)) if f.check == "statements close"] == []


def test_a_row_of_a_day_that_was_not_over_goes_and_comes_again_whole(database, ledger):
    ledger.post([deposit(), *(snapshot(number=n, observed_at=NEW_YEAR + n * DAY + DAY // 4, total_value_usd=1000 + n, snapshot_id=f"m{n}") for n in range(2))])
    noon = NEW_YEAR + DAY + DAY // 2
    roll_up(database, "acc", RollupOptions(), last_closed_day(noon + 365 * DAY, RollupOptions().zone), now=noon + 365 * DAY)
    assert dates(database) == ["2026-01-01", "2026-01-02"]
    roll_up_zone(RollupPlan(), clock=lambda: noon)(database, NEW_YEAR + DAY + 300_000_000)
    assert dates(database) == dates(database, "rollup_rows") == ["2026-01-01"]
    [revision] = SQLiteRollupRepository(database).revisions("acc", last_closed_day(noon, RollupOptions().zone).replace(day=2))
    assert (revision.after, revision.cause) == (None, "the clock was ahead")
    ledger.post([snapshot(observed_at=NEW_YEAR + 2 * DAY - 1, total_value_usd=1500, snapshot_id="evening")])
    roll_up_zone(RollupPlan(), clock=lambda: noon + DAY)(database, NEW_YEAR + 2 * DAY + 300_000_000)
    found = database.execute_query("SELECT date, total_value_usd FROM performance_metrics ORDER BY date")
    assert [tuple(row) for row in found] == [("2026-01-01", "1000"), ("2026-01-02", "1500")]


def test_an_account_that_begins_in_days_to_come_has_no_row_until_they_are_over(database, ledger):
    ledger.post([snapshot(observed_at=NEW_YEAR + 100 * DAY, total_value_usd=1000, snapshot_id="m")])
    for now, rows in ((NEW_YEAR + 365 * DAY, ["2026-04-11"]), (NEW_YEAR + DAY, []), (NEW_YEAR + 99 * DAY, []), (NEW_YEAR + 102 * DAY, ["2026-04-11"])):
        roll_up(database, "acc", RollupOptions(), last_closed_day(now, RollupOptions().zone), now=now)
        assert dates(database) == dates(database, "rollup_rows") == rows


def test_a_slot_that_is_caught_up_with_takes_nothing_away_from_later_days(database, ledger):
    ledger.post([deposit(), *(snapshot(number=n, observed_at=NEW_YEAR + n * DAY, total_value_usd=1000 + n, snapshot_id=f"m{n}") for n in range(6))])
    now = NEW_YEAR + 10 * DAY
    for slot in (NEW_YEAR + 9 * DAY, NEW_YEAR + 3 * DAY):
        roll_up_zone(RollupPlan(), clock=lambda: now)(database, slot)
        assert len(dates(database)) == 6
