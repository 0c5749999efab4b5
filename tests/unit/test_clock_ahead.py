"""A clock that was a year ahead and is right again: every job runs as planned, whatever state the jump caught it in."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jarvis_client.contract.instants import MOST_AHEAD, is_ahead, is_recent, to_instant
from persistence.books import housekeeping
from persistence.database import DatabaseManager
from persistence.repositories.job_runs import SQLiteJobRunRepository
from scheduler.daemon import Scheduler
from scheduler.timetable import Entry

pytestmark = pytest.mark.every_engine

MINUTE = 60_000_000
DAY = 24 * 60 * MINUTE
NOON = to_instant(datetime(2026, 3, 10, 12, tzinfo=UTC))
YEAR = 365 * DAY
SLOT = NOON - 9 * 60 * MINUTE
DAYS = 39


class World:
    """A job at 03:00, its scheduler, and a clock that the test turns."""

    def __init__(self, database: DatabaseManager, *, every_missed: bool) -> None:
        self.database = database
        self.runs = SQLiteJobRunRepository(database)
        self.now = NOON
        self.broken = False
        self.done: list[tuple[int, int]] = []
        self._entry = Entry("work", "0 3 * * *", "", every_missed=every_missed)

    def tick(self) -> None:
        """One tick of a scheduler that was just started, to the end of what it began."""
        scheduler = Scheduler(self.database, {"work": self._entry}, jobs={"work": self._work}, clock=lambda: self.now)
        scheduler.tick()
        for thread, _ in scheduler._running.values():
            thread.join(10)

    def _work(self, _: DatabaseManager, slot: int) -> None:
        if self.broken:
            raise OSError("no space")
        self.done.append((self.now, slot))


def killed_with_a_run_of_that_time(world: World) -> None:
    world.now += YEAR
    assert world.runs.claim("work", SLOT + YEAR, "the dead", world.now)


def killed_after_a_heartbeat_of_that_time(world: World) -> None:
    assert world.runs.claim("work", SLOT + DAY, "the dead", world.now + DAY)
    world.runs.beat("work", SLOT + DAY, "the dead", world.now + DAY + YEAR)


def failed_by_that_time(world: World) -> None:
    world.now += YEAR
    world.broken = True
    world.tick()
    world.broken = False


def failed_at_the_right_slot_by_that_time(world: World) -> None:
    assert world.runs.claim("work", SLOT + DAY, "me", world.now + DAY)
    world.runs.fail("work", SLOT + DAY, "me", world.now + DAY + YEAR, "OSError: no space", world.now + DAY + YEAR + 30_000_000)


def succeeded_by_that_time(world: World) -> None:
    world.now += YEAR
    world.tick()


def asked_for_by_that_time(world: World) -> None:
    world.runs.request("work", world.now + YEAR, request_id="me")


def a_failed_request_of_that_time(world: World) -> None:
    world.runs.request("work", world.now + YEAR, request_id="me")
    failed_by_that_time(world)


def paused_by_that_time(world: World) -> None:
    world.runs.pause("work", world.now + YEAR)
    world.runs.resume("work")


def ticked_at_that_time(world: World) -> None:
    world.runs.ticked("another", world.now + YEAR)


STATES: list[Callable[[World], None]] = [
    killed_with_a_run_of_that_time, killed_after_a_heartbeat_of_that_time, failed_by_that_time, failed_at_the_right_slot_by_that_time,
    succeeded_by_that_time, asked_for_by_that_time, a_failed_request_of_that_time, paused_by_that_time, ticked_at_that_time,
]  # fmt: skip


@pytest.mark.parametrize("every_missed", [True, False], ids=["every missed run", "only the newest"])
@pytest.mark.parametrize("caught", STATES, ids=lambda state: state.__name__)
def test_after_a_year_forth_and_back_a_job_runs_every_day(database, caught, every_missed):
    # given: a job that has run, and a clock that is a year ahead for a moment
    world = World(database, every_missed=every_missed)
    world.tick()
    caught(world)
    world.done.clear()
    # when: thirty-nine days pass by the right clock
    for n in range(1, DAYS + 1):
        world.now = NOON + n * DAY
        world.tick()
        world.now += 2 * MINUTE  # what failed once is tried again after half a minute
        world.tick()
    # then: each day's run was done, once, and nothing was done for a day that had not come
    slots = sorted(slot for _, slot in world.done)
    assert set(slots) >= {SLOT + n * DAY for n in range(1, DAYS + 1)}
    assert len(slots) <= DAYS + 1, "a request adds one"
    assert all(slot <= now for now, slot in world.done)
    assert world.runs.last_success("work", world.now) == world.done[-1][0]


@pytest.mark.parametrize("caught", [killed_with_a_run_of_that_time, failed_by_that_time, succeeded_by_that_time], ids=lambda state: state.__name__)
def test_when_that_time_comes_the_run_is_done_as_any_other(database, caught):
    world = World(database, every_missed=False)
    world.tick()
    caught(world)
    world.now = NOON + DAY
    world.tick()
    world.done.clear()
    for n in (364, 365, 366):
        world.now = NOON + n * DAY
        world.tick()
    assert [slot for _, slot in world.done] == [SLOT + n * DAY for n in (364, 365, 366)]


def test_a_job_that_is_paused_when_the_clock_comes_back_misses_nothing_once_it_is_resumed(database):
    world = World(database, every_missed=True)
    world.tick()
    world.now = NOON + DAY
    world.tick()
    world.now = NOON
    world.runs.pause("work", world.now)
    world.tick()
    world.done.clear()
    world.now = NOON + 3 * DAY
    world.runs.resume("work")
    world.tick()
    assert [slot for _, slot in world.done] == [SLOT + n * DAY for n in (1, 2, 3)]


def test_what_a_clock_that_was_ahead_did_is_no_last_success_and_no_newest_run(database):
    world = World(database, every_missed=True)
    world.tick()
    world.now += YEAR
    world.tick()
    world.now = NOON + DAY
    assert world.runs.last_success("work", world.now) == NOON
    assert world.runs.newest("work", world.now).scheduled_for == SLOT
    world.tick()
    ahead = [run.ahead for run in world.runs.history("work")]
    assert (ahead[:2], set(ahead[2:])) == ([0, 0], {1}), "those of the right time come first"


def test_a_scheduler_that_ticked_in_the_future_is_not_alive_now(database):
    runs = SQLiteJobRunRepository(database)
    runs.ticked("one", NOON + YEAR)
    assert not runs.scheduler_alive(NOON)
    runs.ticked("two", NOON)
    assert not runs.scheduler_alive(NOON + YEAR), "nor when that time comes"


def test_a_clean_up_by_a_clock_that_was_ahead_keeps_the_newest_runs_and_reports(database):
    world = World(database, every_missed=True)
    kept = housekeeping.KEPT_ALWAYS
    for n in range(kept + 5):
        world.now = NOON + n * DAY
        world.tick()
        housekeeping.record_statistics(database, world.now)
    assert housekeeping.clean_up(database, world.now + 3 * YEAR) == {"job_runs": 5, "statistics_reports": 5}
    assert world.runs.last_settled("work", world.now) == SLOT + (kept + 4) * DAY


@pytest.mark.parametrize(("stored", "ahead", "recent"), [
    (NOON + YEAR, True, False), (NOON + MOST_AHEAD + 1, True, False), (NOON + MOST_AHEAD, False, True), (NOON, False, True),
    (NOON - MINUTE, False, True), (NOON - MINUTE - 1, False, False),
])  # fmt: skip
def test_an_instant_that_lies_more_than_a_minute_ahead_says_nothing(stored, ahead, recent):
    assert is_ahead(stored, NOON) is ahead
    assert is_recent(stored, NOON, MINUTE) is recent


HOUSE = Path(__file__).parents[2]
#: A comparison of an instant that our own clock wrote with now, in Python or in SQL.
HELD_AGAINST_NOW = re.compile(
    r"\b(heartbeat|ticked|started|retry|finished|claimed|received|taken|recorded|paused|verified|rolled|noticed|seen|sealed)_at\b\W{0,12}(?<!-)[<>]=? ?(now|\?)"
)
#: What makes one safe: the rule itself, or a bound in the same condition.
SAFE = re.compile(r"is_ahead|is_recent|MOST_AHEAD|BETWEEN|\?4 \+ \?5")
#: Comparisons for which a stored instant that lies ahead does no harm, and why.
HARMLESS = {
    "finished_at < ?2 AND scheduled_for": "a run that says it ended in the future is kept longer; the newest are kept whatever they say",
    "taken_at < ?1 AND taken_at < (": "the same of reports",
    "received_at >= ?": "a filter that somebody typed",
    "oldest < now": "what lies ahead is told by the finding before it",
}


def test_no_stored_instant_is_held_against_now_without_asking_whether_it_lies_ahead():
    for package in ("persistence", "scheduler", "workers", "jarvis"):
        for path in (HOUSE / package).rglob("*.py"):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                if HELD_AGAINST_NOW.search(line) and not SAFE.search(line) and not any(known in line for known in HARMLESS):
                    pytest.fail(
                        f"{path.relative_to(HOUSE)}:{number} believes a stored instant that may lie in the future; ask instants.is_ahead: {line.strip()}"
                    )
