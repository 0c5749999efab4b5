"""A watchdog that slept itself blames nobody; the ticker that a clock set back would let sleep for a year is woken."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from parts import wait_until

from jarvis.stopped import is_stopped
from persistence.domain.stillness import LONGEST_LOOK_SECONDS, Stillness
from scheduler import daemon
from scheduler.daemon import Scheduler, _Every


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


def test_what_does_not_move_while_it_is_watched_is_still(clock):
    stillness = Stillness(clock=clock)
    stillness.seconds("a")
    for _ in range(140):
        clock.passes(0.5)
        found = stillness.seconds("a")
    assert found == 70
    assert stillness.seconds("b") == 0, "it moved"


def test_a_pause_of_the_watcher_counts_for_nothing(clock):
    stillness = Stillness(clock=clock)
    stillness.seconds("a")
    for pause in (0.5, 70, 0.5, 86_400, 0.5):
        clock.passes(pause)
        found = stillness.seconds("a")
    assert found == 1.5


def test_a_watcher_that_looks_rarely_for_good_reason_can_say_so(clock):
    stillness = Stillness(longest_look=30, clock=clock)
    stillness.seconds("a")
    clock.passes(2 * LONGEST_LOOK_SECONDS)
    assert stillness.seconds("a") == 2 * LONGEST_LOOK_SECONDS


def test_what_is_forgiven_begins_anew(clock):
    stillness = Stillness(clock=clock)
    stillness.seconds("a")
    clock.passes(4)
    assert stillness.seconds("a") == 4
    stillness.forgive()
    assert stillness.seconds("a") == 0


def test_a_stopped_process_is_told_from_one_that_sleeps():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        assert not is_stopped(process.pid)
        os.kill(process.pid, signal.SIGSTOP)
        wait_until(lambda: is_stopped(process.pid), "it is stopped")
        os.kill(process.pid, signal.SIGCONT)
        wait_until(lambda: not is_stopped(process.pid), "it goes on")
    finally:
        process.kill()
        process.wait()
    assert not is_stopped(process.pid), "one that is gone is not stopped"


def test_a_scheduler_that_was_paused_does_not_call_itself_dead_and_one_that_hangs_does(database, clock):
    scheduler = Scheduler(database, {})
    scheduler._ticks = Stillness(clock=clock)
    scheduler._ticking = True  # in a tick that does not come back
    scheduler.look()
    clock.passes(3_600)
    assert scheduler.look() == 0
    for _ in range(130):
        clock.passes(0.5)
        still = scheduler.look()
    assert still > scheduler.patience_seconds == daemon.SILENT_SECONDS
    scheduler.tick()
    assert scheduler.look() == 0


def test_the_next_tick_follows_from_now_however_far_the_clock_jumped():
    now = datetime(2026, 3, 10, tzinfo=UTC)
    for previous in (None, now, now - timedelta(days=400), now + timedelta(days=400)):
        assert _Every(2.0).get_next_fire_time(previous, now) == now + timedelta(seconds=2)


def test_a_ticker_that_waits_for_next_year_is_woken(database):
    scheduler = Scheduler(database, {}, tick_seconds=0.05)
    scheduler.start()
    try:
        ticked = scheduler.last_tick
        wait_until(lambda: scheduler.last_tick > ticked, "it ticks")
        # As after the clock was a year ahead: what comes next lies there.
        scheduler._ticker.modify_job("tick", next_run_time=datetime.now(UTC) + timedelta(days=365))
        wait_until(lambda: not scheduler._ticking, "the last tick is over")
        ticked = scheduler.last_tick
        wait_until(lambda: scheduler.look() == 0 and scheduler.last_tick > ticked, "it ticks again", seconds=5)
    finally:
        scheduler.stop(1)
