"""The scheduler: APScheduler ticks, the table of runs decides.

Each tick asks for every job which slots are due and not yet done, claims them one by one and runs them in threads of their
own. A slot is claimed once, over restarts and over several schedulers; a failure is tried again with back-off; a claim whose
holder died is taken over.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from jarvis_client.contract import instants
from jarvis_client.contract.errors import Invalid, Unavailable
from jarvis_client.contract.instants import to_text
from persistence.domain.errors import WrongDatabase
from persistence.domain.stillness import LONGEST_LOOK_SECONDS, Stillness
from persistence.engine.contract import LiveBooks
from persistence.repositories.job_runs import SQLiteJobRunRepository
from scheduler.jobs import JOBS, Job
from scheduler.timetable import Cron, Entry

log = structlog.get_logger("scheduler")

HEARTBEAT_SECONDS = 15.0
FIRST_RETRY_SECONDS = 30
LONGEST_RETRY_SECONDS = 3600
#: A scheduler that has not ticked for this long, or for some ticks, hangs.
SILENT_SECONDS = 60.0


class _Every(BaseTrigger):  # type: ignore[misc]
    """So many seconds after now, whatever the clock did: the trigger of APScheduler counts every second of a jump."""

    def __init__(self, seconds: float) -> None:
        self._pause = timedelta(seconds=seconds)

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        return now + self._pause


class Scheduler:
    """Runs the timetable over one database until it is stopped. `clock` gives microseconds UTC; `hint` may add to the log line of a
    failed run what will help."""

    def __init__(
        self,
        database: LiveBooks,
        entries: Mapping[str, Entry],
        *,
        zone: str = "UTC",
        tick_seconds: float = 2.0,
        catchup_days: int = 30,
        jobs: Mapping[str, Job] = JOBS,
        clock: Callable[[], int] = instants.now,
        hint: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._database = database
        self._runs = SQLiteJobRunRepository(database)
        self._entries = {name: entry for name, entry in entries.items() if name in jobs}
        self._triggers = {name: Cron(entry.cron, entry.zone or zone) for name, entry in self._entries.items()}
        self._jobs = jobs
        self._clock = clock
        self._hint = hint
        self._catchup_microseconds = catchup_days * 86_400_000_000
        self._tick_seconds = tick_seconds
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{id(self):x}"
        self._longest_look = max(LONGEST_LOOK_SECONDS, 3 * tick_seconds)
        self._running: dict[str, tuple[threading.Thread, Stillness]] = {}
        self._reported: set[str] = set()
        self._lock = threading.Lock()
        self._ticker = BackgroundScheduler(timezone=UTC)
        self._ticks = Stillness()
        self._ticking = False
        self.last_tick = time.monotonic()
        self._told_alive = -HEARTBEAT_SECONDS

    def start(self) -> None:
        """Tick at once, then regularly."""
        self._ticker.add_job(
            self.tick, _Every(self._tick_seconds), id="tick", next_run_time=datetime.now(UTC), misfire_grace_time=None, coalesce=True, max_instances=1
        )
        self._ticker.start()
        log.info("scheduler started", jobs=", ".join(n for n, e in self._entries.items() if e.enabled) or "none")

    def stop(self, timeout: float = 30.0) -> None:
        """No further runs; those under way may end within `timeout` seconds, or are taken over after the next start."""
        self._ticker.shutdown(wait=False)
        deadline = time.monotonic() + timeout
        with self._lock:
            running = list(self._running.values())
        for thread, _ in running:
            thread.join(max(0.0, deadline - time.monotonic()))
        with suppress(Unavailable, WrongDatabase):
            self._runs.left(self._owner)
        log.info("scheduler stopped")

    def look(self) -> float:
        """Seconds without a tick, counted while whoever asks was awake; to be asked about twice a second. A ticker that would sleep
        until a moment which lies ahead, because the clock was set back, is woken."""
        still = self._ticks.seconds(self.last_tick)
        if still > 2 * self._tick_seconds and not self._ticking:
            self._ticker.modify_job("tick", next_run_time=datetime.now(UTC))
        return still

    @property
    def patience_seconds(self) -> float:
        """A scheduler that is still for longer hangs."""
        return max(SILENT_SECONDS, 4 * self._tick_seconds)

    @property
    def entries(self) -> list[Entry]:
        """The jobs this scheduler runs."""
        return list(self._entries.values())

    def next_slot(self, name: str, now: int) -> int | None:
        """When a job is next due by the timetable."""
        return next(self._triggers[name].slots(now, now + 400 * 86_400_000_000), None)

    def run_now(self, name: str, slot: int) -> bool:
        """Run a filed slot in this thread. False where somebody else has it, or it failed."""
        return self._runs.claim(name, slot, self._owner, self._clock()) and self._run(name, slot)

    def tick(self) -> None:
        """Start whatever is due and not under way."""
        self.last_tick = time.monotonic()
        self._ticking = True
        try:
            self._tick()
        finally:
            self._ticking = False

    def _tick(self) -> None:
        try:
            if self.last_tick - self._told_alive >= HEARTBEAT_SECONDS:
                self._runs.ticked(self._owner, self._clock())
                self._told_alive = self.last_tick
            paused = self._runs.paused()
        except (Unavailable, WrongDatabase) as error:
            log.warning("the table of runs cannot be reached now", error=str(error))
            return
        for name, entry in self._entries.items():
            try:
                self._report_if_hanging(name, entry)
                if gone := self._runs.disown_future(name, self._clock()):
                    log.warning("the clock was ahead: what ran by it counts for nothing and is done at its time", job=name, runs=gone)
                if not {name, name.partition("@")[0]} & set(paused):
                    self._start_due(name, entry)
            except (Unavailable, WrongDatabase) as error:
                log.warning("cannot look for due runs now", job=name, error=str(error))

    def due(self, name: str, now: int) -> list[int]:
        """The slots of a job that should have run by `now` and have not succeeded, the oldest first; one that is waiting for
        its next try is not due yet, and where each missed run counts, none after it."""
        entry, cron = self._entries[name], self._triggers[name]
        unfinished = self._runs.unfinished(name)
        requested = [r.scheduled_for for r in unfinished if r.request_id is not None and r.waits_until(now) is None]
        if not entry.enabled:
            return sorted(requested)
        last = self._runs.last_settled(name, now)
        earliest = now - self._catchup_microseconds
        # A job that never ran begins with its newest slot: there is no downtime to catch up with.
        fresh = list(cron.slots(max(last, earliest) if last is not None else earliest, now))
        waiting = [r for r in unfinished if r.request_id is None and r.scheduled_for <= now]
        if not entry.every_missed or last is None:
            fresh = fresh[-1:]
        if not entry.every_missed and (newest := max([*fresh, *([] if last is None else [last])], default=None)) is not None:
            if any(r.scheduled_for < newest for r in waiting):
                self._runs.supersede(name, newest, now)
            waiting = [r for r in waiting if r.scheduled_for == newest]
        later = min((r.scheduled_for for r in waiting if r.waits_until(now) is not None), default=now + 1)
        slots = [s for s in (*fresh, *(r.scheduled_for for r in waiting)) if s < later]
        return sorted({*requested, *slots})

    def _start_due(self, name: str, entry: Entry) -> None:
        with self._lock:
            if name in self._running and self._running[name][0].is_alive():
                return
            slots = self.due(name, self._clock())
            if not slots:
                return
            thread = threading.Thread(target=self._run_all, args=(name, slots), name=f"job-{name}", daemon=True)
            self._running[name] = thread, Stillness(self._longest_look)
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
            run = self._runs.find(name, slot)
            arguments = json.loads(run.arguments) if run is not None and run.arguments else {}
            # What was asked for while the clock was ahead is not done for a day that has not come.
            result = self._jobs[name](self._database, min(slot, self._clock()), **arguments)
        except Exception as error:
            run = self._runs.find(name, slot)
            attempts = run.attempts if run else 1
            pause = min(FIRST_RETRY_SECONDS * 2 ** (attempts - 1), LONGEST_RETRY_SECONDS)
            now = self._clock()
            # What was asked for wrongly will not come right by itself.
            again = None if isinstance(error, Invalid | TypeError) or not getattr(error, "try_again", True) else now + pause * 1_000_000
            self._runs.fail(name, slot, self._owner, now, f"{type(error).__name__}: {error}", again)
            told = {"hint": hint} if (hint := self._hint()) is not None else {}
            log.error(
                "job failed", job=name, slot=to_text(slot), attempt=attempts, again_in_seconds=None if again is None else pause,
                error=f"{type(error).__name__}: {error}", **told,
            )  # fmt: skip
            return False
        finally:
            beating.set()
            beat.join()
        self._runs.succeed(name, slot, self._owner, self._clock(), result)
        seconds = round(time.monotonic() - started, 2)
        if isinstance(result, dict) and (warning := result.get("warning")):
            log.warning("job done, with a warning", job=name, slot=to_text(slot), seconds=seconds, warning=warning)
        else:
            log.info("job done", job=name, slot=to_text(slot), seconds=seconds)
        return True

    def _beat(self, name: str, slot: int, ended: threading.Event) -> None:
        while not ended.wait(HEARTBEAT_SECONDS):
            try:
                self._runs.beat(name, slot, self._owner, self._clock())
            except (Unavailable, WrongDatabase) as error:
                log.warning("no heartbeat for a run", job=name, error=str(error))

    def _report_if_hanging(self, name: str, entry: Entry) -> None:
        running = self._running.get(name)
        if running and running[0].is_alive() and running[1].seconds(name) > entry.limit_seconds and name not in self._reported:
            self._reported.add(name)
            log.error("job takes longer than its limit", job=name, limit_seconds=entry.limit_seconds)
