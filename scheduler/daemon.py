"""The scheduler: APScheduler ticks, the table of runs decides.

Each tick asks for every job which slots are due and not yet done, claims them one by one and runs them in threads of their
own. A slot is claimed once, over restarts and over several schedulers; a failure is tried again with back-off; a claim whose
holder died is taken over.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger

from persistence.database import DatabaseManager
from persistence.domain import instants
from persistence.domain.errors import Unavailable
from persistence.domain.instants import to_datetime, to_instant, to_text
from persistence.repositories.job_runs import SQLiteJobRunRepository
from scheduler.jobs import JOBS, Job
from scheduler.timetable import Entry, cron_trigger

log = structlog.get_logger("scheduler")

HEARTBEAT_SECONDS = 15.0
FIRST_RETRY_SECONDS = 30
LONGEST_RETRY_SECONDS = 3600


class Scheduler:
    """Runs the timetable over one database until it is stopped. `clock` gives microseconds UTC."""

    def __init__(
        self,
        database: DatabaseManager,
        entries: Mapping[str, Entry],
        *,
        zone: str = "UTC",
        tick_seconds: float = 15.0,
        catchup_days: int = 30,
        jobs: Mapping[str, Job] = JOBS,
        clock: Callable[[], int] = instants.now,
    ) -> None:
        self._database = database
        self._runs = SQLiteJobRunRepository(database)
        self._entries = {name: entry for name, entry in entries.items() if entry.enabled and name in jobs}
        self._triggers = {name: cron_trigger(entry.cron, zone) for name, entry in self._entries.items()}
        self._jobs = jobs
        self._clock = clock
        self._catchup = timedelta(days=catchup_days)
        self._tick_seconds = tick_seconds
        self._owner = f"{socket.gethostname()}:{os.getpid()}"
        self._running: dict[str, tuple[threading.Thread, float]] = {}
        self._reported: set[str] = set()
        self._lock = threading.Lock()
        self._ticker = BackgroundScheduler(timezone=UTC)
        self.last_tick = time.monotonic()

    def start(self) -> None:
        """Tick at once, then regularly."""
        self._ticker.add_job(
            self.tick, "interval", seconds=self._tick_seconds, next_run_time=datetime.now(UTC), misfire_grace_time=None, coalesce=True, max_instances=1
        )
        self._ticker.start()
        log.info("scheduler started", jobs=", ".join(self._entries) or "none")

    def stop(self, timeout: float = 30.0) -> None:
        """No further runs; those under way may end within `timeout` seconds, or are taken over after the next start."""
        self._ticker.shutdown(wait=False)
        deadline = time.monotonic() + timeout
        for thread, _ in list(self._running.values()):
            thread.join(max(0.0, deadline - time.monotonic()))
        log.info("scheduler stopped")

    @property
    def alive(self) -> bool:
        """False when the ticking has stopped."""
        return time.monotonic() - self.last_tick < max(60.0, 4 * self._tick_seconds)

    def tick(self) -> None:
        """Start whatever is due and not under way."""
        self.last_tick = time.monotonic()
        for name, entry in self._entries.items():
            try:
                self._report_if_hanging(name, entry)
                self._start_due(name, entry)
            except Unavailable as error:
                log.warning("cannot look for due runs now", job=name, error=str(error))

    def due(self, name: str, now: int) -> list[int]:
        """The slots of a job that should have run by `now` and have not succeeded, the oldest first; one that is waiting for
        its next try is not due yet."""
        entry, trigger = self._entries[name], self._triggers[name]
        unfinished = {run.scheduled_for: run for run in self._runs.unfinished(name)}
        last = self._runs.last_settled(name)
        earliest = now - int(self._catchup.total_seconds()) * 1_000_000
        # A job that never ran begins with its newest slot: there is no downtime to catch up with.
        fresh = _slots(trigger, max(last, earliest) if last is not None else earliest, now)
        if not entry.every_missed or last is None:
            fresh = fresh[-1:]
        waiting = [slot for slot, run in unfinished.items() if run.retry_at is None or run.retry_at <= now]
        if not entry.every_missed and fresh:
            waiting = []
        return sorted({*waiting, *fresh})

    def _start_due(self, name: str, entry: Entry) -> None:
        with self._lock:
            if name in self._running and self._running[name][0].is_alive():
                return
            slots = self.due(name, self._clock())
            if not slots:
                return
            thread = threading.Thread(target=self._run_all, args=(name, slots), name=f"job-{name}", daemon=True)
            self._running[name] = thread, time.monotonic()
            self._reported.discard(name)
        thread.start()

    def _run_all(self, name: str, slots: list[int]) -> None:
        for slot in slots:
            try:
                if not self._runs.claim(name, slot, self._owner, self._clock()) or not self._run(name, slot):
                    return
            except Exception as error:
                log.warning("run could not be recorded, it will be taken over", job=name, error=str(error))
                return

    def _run(self, name: str, slot: int) -> bool:
        beating = threading.Event()
        beat = threading.Thread(target=self._beat, args=(name, slot, beating), daemon=True)
        beat.start()
        started = time.monotonic()
        try:
            result = self._jobs[name](self._database, slot)
        except Exception as error:
            run = self._runs.find(name, slot)
            attempts = run.attempts if run else 1
            pause = min(FIRST_RETRY_SECONDS * 2 ** (attempts - 1), LONGEST_RETRY_SECONDS)
            now = self._clock()
            self._runs.fail(name, slot, self._owner, now, f"{type(error).__name__}: {error}", now + pause * 1_000_000)
            log.error("job failed", job=name, slot=to_text(slot), attempt=attempts, again_in_seconds=pause, error=f"{type(error).__name__}: {error}")
            return False
        finally:
            beating.set()
            beat.join()
        self._runs.succeed(name, slot, self._owner, self._clock(), result)
        log.info("job done", job=name, slot=to_text(slot), seconds=round(time.monotonic() - started, 2))
        return True

    def _beat(self, name: str, slot: int, ended: threading.Event) -> None:
        while not ended.wait(HEARTBEAT_SECONDS):
            try:
                self._runs.beat(name, slot, self._owner, self._clock())
            except Unavailable as error:
                log.warning("no heartbeat for a run", job=name, error=str(error))

    def _report_if_hanging(self, name: str, entry: Entry) -> None:
        running = self._running.get(name)
        if running and running[0].is_alive() and time.monotonic() - running[1] > entry.limit_seconds and name not in self._reported:
            self._reported.add(name)
            log.error("job takes longer than its limit", job=name, limit_seconds=entry.limit_seconds)


def _slots(trigger: CronTrigger, after: int, until: int) -> list[int]:
    """The instants at which a trigger fires in (after, until]."""
    found: list[int] = []
    previous: datetime | None = to_datetime(after)
    while True:
        fires = trigger.get_next_fire_time(previous, (previous or to_datetime(after)) + timedelta(microseconds=1))
        if fires is None or (slot := to_instant(fires.astimezone(UTC))) > until:
            return found
        if slot > after:
            found.append(slot)
        previous = fires
