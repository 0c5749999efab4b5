"""The timetable, and what is due according to the table of runs."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from parts import wait_until

from persistence.domain.instants import to_instant
from persistence.repositories.job_runs import STALE_AFTER_MICROSECONDS, SQLiteJobRunRepository
from scheduler.daemon import Scheduler
from scheduler.timetable import TIMETABLE, Entry, _weekdays, cron_trigger, timetable

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
    ("text", "days"),
    [
        ("*", "*"),
        ("0", "sun"),
        ("7", "sun"),
        ("1-5", "mon,tue,wed,thu,fri"),
        ("5-7", "fri,sat,sun"),
        ("6-1", "sat,sun,mon"),
        ("*/2", "sun,tue,thu,sat"),
        ("sat,sun", "sat,sun"),
    ],
)
def test_weekdays_are_meant_as_cron_means_them(text, days):
    assert _weekdays(text) == days


@pytest.mark.parametrize("wrong", ["", "* * * *", "61 * * * *", "* * * * 8", "* * * * x", "* * * * */0", "a b c d e"])
def test_what_is_no_cron_expression_is_refused_with_its_text(wrong):
    with pytest.raises(ValueError, match="cron|fields"):
        cron_trigger(wrong, "UTC")


def test_every_job_of_the_timetable_has_a_readable_hour():
    for entry in TIMETABLE.values():
        cron_trigger(entry.cron, "UTC")
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
    scheduler.tick()
    wait_until(lambda: len(others) == 2, "the quick one runs again")
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
