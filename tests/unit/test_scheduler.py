"""The timetable, and what is due according to the table of runs."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from parts import wait_until

from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.instants import start_of_day, to_datetime, to_instant
from jarvis_client.contract.jobs import JOB_NAMES
from persistence.repositories.job_runs import STALE_AFTER_MICROSECONDS, SQLiteJobRunRepository
from scheduler.daemon import Scheduler
from scheduler.rollup.days import day_of
from scheduler.timetable import TIMETABLE, Cron, Entry, timetable

pytestmark = pytest.mark.every_engine

MINUTE = 60 * 1_000_000
DAY = 24 * 60 * MINUTE
NOON = to_instant(datetime(2026, 3, 10, 12, tzinfo=UTC))


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make(database, clock):
    def scheduler(job, **options):
        entry = Entry("work", "0 3 * * *", "", **options)
        return Scheduler(database, {"work": entry}, jobs={"work": job}, clock=clock, catchup_days=10)

    return scheduler


def ran(scheduler):
    """Tick, and wait for whatever it started."""
    scheduler.tick()
    for thread, _ in scheduler._running.values():
        thread.join(10)


def day(slot):
    return (slot - NOON) // DAY


@pytest.mark.parametrize(
    ("text", "weekdays"), [("0", [6]), ("7", [6]), ("1-5", [0, 1, 2, 3, 4]), ("5-7", [4, 5, 6]), ("sat,sun", [5, 6]), ("*", list(range(7)))]
)
def test_weekdays_are_meant_as_cron_means_them(text, weekdays):
    slots = Cron(f"0 12 * * {text}", "UTC").slots(NOON - DAY // 2, NOON + 7 * DAY - DAY // 2)
    assert sorted(to_datetime(s).weekday() for s in slots) == weekdays


@pytest.mark.parametrize("wrong", ["", "* * * *", "61 * * * *", "* * * * 8", "* * * * x", "* * * * */0", "a b c d e"])
def test_what_is_no_cron_expression_is_refused_with_its_text(wrong):
    with pytest.raises(ValueError, match="cron|fields"):
        Cron(wrong, "UTC")


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Beirut", "America/Havana", "America/Santiago", "Africa/Cairo", "Australia/Lord_Howe"])
@pytest.mark.parametrize("cron", ["5 0 * * *", "30 2 * * *"])
def test_a_daily_job_has_one_slot_a_day_where_clocks_change_too(zone, cron):
    start, end = (start_of_day(date(year, 1, 1), ZoneInfo(zone)) for year in (2024, 2026))
    days = [day_of(slot, ZoneInfo(zone)) for slot in Cron(cron, zone).slots(start, end - 1)]
    assert days == [date(2024, 1, 1) + timedelta(days=n) for n in range(366 + 365)]


def test_every_job_of_the_timetable_has_a_readable_hour():
    for entry in TIMETABLE.values():
        Cron(entry.cron, "UTC")
    assert timetable({"backup": ("5 5 * * *", False)})["backup"].cron == "5 5 * * *"


def test_a_due_run_is_done_once_over_restarts_and_several_schedulers(make):
    slots = []
    first, second = make(lambda _, slot: slots.append(slot)), make(lambda _, slot: slots.append(slot))
    for scheduler in (first, second, first):
        ran(scheduler)
    assert [day(s) for s in slots] == [-1]


def test_after_downtime_every_missed_run_is_done_in_order_or_only_the_newest(make, clock):
    for every, expected in ((True, [-1, 0, 1, 2, 3]), (False, [3, 8])):
        slots = []
        clock.now = NOON if every else NOON + 4 * DAY
        scheduler = make(lambda _, slot, slots=slots: slots.append(slot), every_missed=every)
        ran(scheduler)
        clock.now = NOON + 4 * DAY if every else NOON + 9 * DAY
        ran(scheduler)
        assert [day(s) for s in slots] == (expected if every else [8])


def test_a_failure_is_kept_and_tried_again_later(make, clock, database):
    attempts = []

    def work(_, slot):
        attempts.append(slot)
        if len(attempts) < 3:
            raise OSError("no space")

    scheduler = make(work)
    ran(scheduler)
    ran(scheduler)
    assert len(attempts) == 1, "not before its time"
    [run] = SQLiteJobRunRepository(database).history("work")
    assert (run.state, run.error) == ("failed", "OSError: no space")
    for _ in range(2):
        clock.now += 5 * MINUTE
        ran(scheduler)
    [run] = SQLiteJobRunRepository(database).history("work")
    assert (len(attempts), run.state, run.attempts, run.error) == (3, "succeeded", 3, None)


def test_a_claim_whose_holder_died_is_taken_over(make, clock, database):
    runs = SQLiteJobRunRepository(database)
    slot = NOON - 9 * 60 * MINUTE
    assert runs.claim("work", slot, "the dead", clock.now)
    done = []
    scheduler = make(lambda _, slot: done.append(slot))
    ran(scheduler)
    assert done == []
    clock.now += STALE_AFTER_MICROSECONDS + MINUTE
    ran(scheduler)
    assert done == [slot]


def test_a_job_that_takes_long_is_not_started_twice_and_holds_up_no_other(database, clock):
    gate, started, others = threading.Event(), [], []

    def slow(_, slot):
        started.append(slot)
        gate.wait(10)

    entries = {"slow": Entry("slow", "0 3 * * *", "", limit_seconds=0), "quick": Entry("quick", "* * * * *", "")}
    scheduler = Scheduler(database, entries, jobs={"slow": slow, "quick": lambda _, slot: others.append(slot)}, clock=clock)
    scheduler.tick()
    wait_until(lambda: started and others, "both run")
    clock.now += MINUTE

    def quick_ran_again():
        scheduler.tick()  # as the timer does: the first run of the quick one may not be written down yet
        return len(others) == 2

    wait_until(quick_ran_again, "the quick one runs again")
    assert len(started) == 1
    gate.set()


def test_slots_follow_the_clock_of_their_zone(database, clock):
    found = []
    entry = Entry("work", "0 3 * * *", "", every_missed=True)
    scheduler = Scheduler(database, {"work": entry}, zone="America/New_York", jobs={"work": lambda _, slot: found.append(slot)}, clock=clock)
    clock.now = to_instant(datetime(2026, 3, 7, 12, tzinfo=UTC))
    ran(scheduler)
    clock.now = to_instant(datetime(2026, 3, 9, 12, tzinfo=UTC))
    ran(scheduler)
    hours = [datetime.fromtimestamp(s / 1e6, UTC).hour for s in found]
    assert hours == [8, 7, 7], "the clocks went forward on the 8th"


def test_what_can_be_asked_for_is_what_the_timetable_has():
    assert set(JOB_NAMES) == set(TIMETABLE)
    zones = timetable({"rollup": ("9 0 * * *", True)}, ("UTC", "Asia/Tokyo"))
    assert (zones["rollup@Asia/Tokyo"].cron, zones["rollup@Asia/Tokyo"].zone, zones["rollup"].zone) == ("9 0 * * *", "Asia/Tokyo", "UTC")


def test_a_request_runs_with_its_arguments_once_and_takes_no_slot_of_the_timetable(make, clock, database):
    seen = []
    scheduler = make(lambda _, slot, **arguments: seen.append((slot, arguments)), every_missed=True)
    runs = SQLiteJobRunRepository(database)
    ran(scheduler)
    filed = runs.request("work", clock.now, {"account_id": "a"}, "me-1")
    assert runs.request("work", clock.now + 5, {"account_id": "a"}, "me-1") == filed, "the same request is the same run"
    second = runs.request("work", clock.now)
    assert second.scheduled_for != filed.scheduled_for
    clock.now += DAY
    ran(scheduler)
    assert seen[1:] == [(filed.scheduled_for, {"account_id": "a"}), (second.scheduled_for, {}), (NOON - 9 * 60 * MINUTE + DAY, {})]
    assert {r.state for r in runs.history("work")} == {"succeeded"}


def test_a_request_that_is_wrong_fails_once_and_is_not_tried_again(make, clock, database):
    def work(_, slot, account_id=None):
        if account_id is not None:
            raise Invalid(f"account {account_id} does not exist")

    scheduler = make(work)
    runs = SQLiteJobRunRepository(database)
    for arguments in ({"account_id": "nobody"}, {"colour": "red"}):
        filed = runs.request("work", clock.now, arguments)
        ran(scheduler)
        clock.now += DAY
        ran(scheduler)
        run = runs.find("work", filed.scheduled_for)
        assert (run.state, run.attempts, run.retry_at) == ("failed", 1, None)


def test_a_paused_job_waits_and_catches_up_once_it_is_resumed(make, clock, database):
    slots = []
    scheduler = make(lambda _, slot: slots.append(slot), every_missed=True)
    runs = SQLiteJobRunRepository(database)
    ran(scheduler)
    assert runs.pause("work", clock.now)
    assert not runs.pause("work", clock.now)
    clock.now += 3 * DAY
    ran(scheduler)
    assert [day(s) for s in slots] == [-1]
    assert runs.resume("work")
    ran(scheduler)
    assert [day(s) for s in slots] == [-1, 0, 1, 2]


def test_two_schedulers_never_run_one_job_at_the_same_time(database, clock):
    gate, started = threading.Event(), []

    def slow(_, slot):
        started.append(slot)
        gate.wait(10)

    entry = Entry("work", "* * * * *", "", every_missed=True)
    first, second = (Scheduler(database, {"work": entry}, jobs={"work": slow}, clock=clock) for _ in range(2))
    first.tick()
    wait_until(lambda: started, "the first runs")
    clock.now += MINUTE
    ran(second)
    assert len(started) == 1, "the last one is still under way"
    gate.set()
    wait_until(lambda: not first._running["work"][0].is_alive(), "it ends")
    ran(second)
    assert len(started) == 2


def test_whether_a_scheduler_runs_can_be_asked(make, clock, database):
    runs = SQLiteJobRunRepository(database)
    assert not runs.scheduler_alive(clock.now)
    scheduler = make(lambda _, slot: None)
    ran(scheduler)
    assert runs.scheduler_alive(clock.now)
    assert not runs.scheduler_alive(clock.now + STALE_AFTER_MICROSECONDS + 1)


def test_a_clock_that_was_ahead_for_a_moment_stops_nothing(make, clock):
    slots = []
    scheduler = make(lambda _, slot: slots.append(slot), every_missed=True)
    ran(scheduler)
    clock.now = NOON + 1000 * DAY
    ran(scheduler)
    slots.clear()
    for n in range(1, 4):
        clock.now = NOON + n * DAY
        ran(scheduler)
    assert [day(s) for s in slots] == [0, 1, 2]


def test_of_runs_that_coalesce_the_old_ones_are_closed_and_never_run(make, clock, database):
    done, broken = [], [True]

    def work(_, slot):
        if broken:
            raise OSError("no space")
        done.append(day(slot))

    scheduler = make(work)
    for n in range(4):
        clock.now = NOON + n * DAY
        ran(scheduler)
    broken.clear()
    for _ in range(5):
        clock.now += 2 * 60 * MINUTE
        ran(scheduler)
    assert done == [2]
    states = [(day(r.scheduled_for), r.state, "superseded" in (r.error or "")) for r in SQLiteJobRunRepository(database).history("work")]
    assert states == [(2, "succeeded", False), (1, "failed", True), (0, "failed", True), (-1, "failed", True)]


def test_missed_runs_wait_behind_one_that_is_to_be_tried_again(make, clock):
    order, broken = [], [True]

    def work(_, slot):
        if broken and day(slot) == 1:
            broken.pop()
            raise OSError("no space")
        order.append(day(slot))

    scheduler = make(work, every_missed=True)
    ran(scheduler)
    clock.now += 4 * DAY
    ran(scheduler)
    clock.now += MINUTE // 4
    ran(scheduler)
    assert order == [-1, 0]
    clock.now += MINUTE
    ran(scheduler)
    assert order == [-1, 0, 1, 2, 3]


def test_a_job_that_is_switched_off_still_runs_when_it_is_asked_for(make, clock, database):
    slots = []
    scheduler = make(lambda _, slot: slots.append(slot), enabled=False)
    ran(scheduler)
    assert slots == []
    filed = SQLiteJobRunRepository(database).request("work", clock.now)
    ran(scheduler)
    assert slots == [filed.scheduled_for]


def test_one_zone_s_rollup_can_be_paused_alone(database, clock):
    ran_jobs = []
    entries = {n: Entry(n, "0 3 * * *", "") for n in ("rollup", "rollup@Asia/Tokyo")}
    scheduler = Scheduler(database, entries, jobs={n: lambda _, slot, n=n: ran_jobs.append(n) for n in entries}, clock=clock)
    SQLiteJobRunRepository(database).pause("rollup@Asia/Tokyo", clock.now)
    ran(scheduler)
    assert ran_jobs == ["rollup"]
    SQLiteJobRunRepository(database).pause("rollup", clock.now)
    clock.now += DAY
    ran(scheduler)
    assert ran_jobs == ["rollup"]
