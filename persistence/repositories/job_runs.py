"""The table of runs: which run of which job is due, asked for, taken, done. It decides; whatever ticks only asks."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jarvis_client.contract.instants import MOST_AHEAD, is_ahead, is_recent
from jarvis_client.contract.jobs import JobRequest
from persistence.books import verdicts
from persistence.books.job_requests import file_request
from persistence.engine.contract import Database
from persistence.repositories.asked import limit_of

#: A claim without a heartbeat for this long belongs to a process that died.
STALE_AFTER_MICROSECONDS = 90 * 1_000_000


@dataclass(frozen=True, slots=True)
class JobRun:
    """One run of a job. Instants are microseconds UTC; `state` is requested, claimed, succeeded or failed; a run that was asked
    for has a `request_id` and its `arguments`."""

    job: str
    scheduled_for: int
    state: str
    attempts: int
    owner: str | None
    claimed_at: int | None
    heartbeat_at: int | None
    retry_at: int | None
    finished_at: int | None
    error: str | None
    result: str | None
    request_id: str | None = None
    arguments: str | None = None
    #: 1 where a clock that was ahead wrote it.
    ahead: int = 0

    def is_alive(self, now: int) -> bool:
        """Whether somebody is at work on it, by its heartbeat."""
        return self.state == "claimed" and not self.ahead and is_recent(self.heartbeat_at, now, STALE_AFTER_MICROSECONDS)

    def waits_until(self, now: int) -> int | None:
        """When it is tried again; None where nothing has to be waited for. A pause counts from a failure that has happened: after one
        whose time lies in the future there is nothing to wait for."""
        if self.retry_at is None or self.retry_at <= now or (self.finished_at is not None and is_ahead(self.finished_at, now)):
            return None
        return self.retry_at


class SQLiteJobRunRepository:
    """Requests, claims, heartbeats and ends of job runs; pauses; who ticks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- runs --------------------------------------------------------------------------------------------------------

    def request(self, job: str, now: int, arguments: Mapping[str, Any] | None = None, request_id: str | None = None) -> JobRun:
        """File a run for the scheduler to execute; the same request id again is the same run."""
        request = JobRequest(request_id or uuid.uuid4().hex, job, json.dumps(dict(arguments or {}), sort_keys=True))
        with self._database.transaction() as connection:
            file_request(connection, request, now)
        return self._select("WHERE request_id = ?", (request.request_id,), 1)[0]

    def claim(self, job: str, scheduled_for: int, owner: str, now: int) -> bool:
        """Take a run that nobody has: a new or requested one, a failed one whose time to try again has come, or one whose holder
        died; and none while another run of the job is in living hands."""
        with self._database.transaction() as connection:
            connection.hold(f"job {job}")
            alive = "SELECT 1 FROM job_runs WHERE job = ? AND state = 'claimed' AND ahead = 0 AND heartbeat_at BETWEEN ? AND ? LIMIT 1"
            if connection.execute(alive, (job, now - STALE_AFTER_MICROSECONDS, now + MOST_AHEAD)).get is not None:
                return False
            taken = connection.changed(
                "INSERT INTO job_runs (job, scheduled_for, state, owner, claimed_at, heartbeat_at) VALUES (?1, ?2, 'claimed', ?3, ?4, ?4) "
                "ON CONFLICT (job, scheduled_for) DO UPDATE SET state = 'claimed', owner = ?3, claimed_at = ?4, heartbeat_at = ?4, "
                "attempts = CASE WHEN job_runs.ahead = 1 THEN 1 WHEN job_runs.state = 'requested' THEN job_runs.attempts ELSE job_runs.attempts + 1 END, "
                "error = NULL, result = NULL, retry_at = NULL, finished_at = NULL, ahead = 0 "
                "WHERE job_runs.ahead = 1 OR job_runs.state IN ('requested', 'claimed') "
                "OR (job_runs.state = 'failed' AND (coalesce(job_runs.retry_at, 0) <= ?4 OR job_runs.finished_at > ?4 + ?5))",
                (job, scheduled_for, owner, now, MOST_AHEAD),
            )
            return taken > 0

    def beat(self, job: str, scheduled_for: int, owner: str, now: int) -> None:
        self._database.execute_update(
            "UPDATE job_runs SET heartbeat_at = ? WHERE job = ? AND scheduled_for = ? AND owner = ? AND state = 'claimed'", (now, job, scheduled_for, owner)
        )

    def succeed(self, job: str, scheduled_for: int, owner: str, now: int, result: Any) -> None:
        """The last commit of a run: those before it can be repeated harmlessly."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE job_runs SET state = 'succeeded', finished_at = ?, result = ?, error = NULL, retry_at = NULL "
                "WHERE job = ? AND scheduled_for = ? AND owner = ?",
                (now, json.dumps(result), job, scheduled_for, owner),
            )
            verdicts.record(connection, job, scheduled_for, now)

    def fail(self, job: str, scheduled_for: int, owner: str, now: int, error: str, retry_at: int | None) -> None:
        """With `retry_at` None it is not tried again."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE job_runs SET state = 'failed', finished_at = ?, error = ?, retry_at = ? WHERE job = ? AND scheduled_for = ? AND owner = ?",
                (now, error[:1_000], retry_at, job, scheduled_for, owner),
            )
            verdicts.record(connection, job, scheduled_for, now)

    def find(self, job: str, scheduled_for: int) -> JobRun | None:
        return next(iter(self._select("WHERE job = ? AND scheduled_for = ?", (job, scheduled_for), 1)), None)

    def last_settled(self, job: str, now: int) -> int | None:
        """The newest slot of the timetable up to now that has a run, whatever became of it; what a clock that was ahead did never
        counts, also once its time has come."""
        sql = "SELECT max(scheduled_for) FROM job_runs WHERE job = ? AND request_id IS NULL AND ahead = 0 AND scheduled_for <= ?"
        return self._database.execute_query(sql, (job, now))[0][0]  # type: ignore[no-any-return]

    def disown_future(self, job: str, now: int) -> int:
        """Mark what a clock that was ahead did, while it can still be told by its time. What was asked for then and is not done yet
        stays: somebody wants it. Returns how many runs."""
        where = "job = ? AND scheduled_for > ? AND ahead = 0 AND (request_id IS NULL OR state = 'succeeded' OR (state = 'failed' AND retry_at IS NULL))"
        if not self._database.execute_query(f"SELECT 1 FROM job_runs WHERE {where} LIMIT 1", (job, now + MOST_AHEAD)):
            return 0
        return self._database.execute_update(f"UPDATE job_runs SET ahead = 1 WHERE {where}", (job, now + MOST_AHEAD))

    def supersede(self, job: str, newest: int, now: int) -> None:
        """Close the unfinished slots of the timetable before `newest`: only that one still matters."""
        with self._database.transaction() as connection:
            closed: list[Any] = connection.execute(
                "UPDATE job_runs SET state = 'failed', retry_at = NULL, finished_at = coalesce(finished_at, ?3), "
                "error = coalesce(error || '; ', '') || 'superseded by a later run' WHERE job = ?1 AND scheduled_for < ?2 AND request_id IS NULL "
                "AND ((state = 'failed' AND retry_at IS NOT NULL) OR (state = 'claimed' AND heartbeat_at NOT BETWEEN ?3 - ?4 AND ?3 + ?5)) "
                "RETURNING scheduled_for",
                (job, newest, now, STALE_AFTER_MICROSECONDS, MOST_AHEAD),
            ).fetchall()
            for (scheduled_for,) in closed:
                verdicts.record(connection, job, scheduled_for, now)

    def last_success(self, job: str, now: int) -> int | None:
        """When a run of the job last succeeded; where its end was noted by a clock that was ahead, when it was due."""
        sql = (
            "SELECT finished_at, scheduled_for FROM job_runs WHERE job = ? AND state = 'succeeded' AND ahead = 0 AND scheduled_for <= ? ORDER BY 2 DESC LIMIT 1"
        )
        for finished_at, scheduled_for in self._database.execute_query(sql, (job, now + MOST_AHEAD)):
            return int(scheduled_for if is_ahead(finished_at, now) else finished_at)
        return None

    def newest(self, job: str, now: int) -> JobRun | None:
        """The run that was filed or due last, those of a clock that was ahead apart."""
        return next(iter(self._select("WHERE job = ? AND ahead = 0 AND scheduled_for <= ?", (job, now + MOST_AHEAD), 1, "scheduled_for DESC")), None)

    def newest_ended(self, job: str, now: int) -> JobRun | None:
        """The newest run that has ended, well or not."""
        where = "WHERE job = ? AND ahead = 0 AND scheduled_for <= ? AND state IN ('succeeded', 'failed')"
        return next(iter(self._select(where, (job, now + MOST_AHEAD), 1, "scheduled_for DESC")), None)

    def asked_for(self, request_id: str) -> JobRun | None:
        """The run of a request."""
        return next(iter(self._select("WHERE request_id = ?", (request_id,), 1)), None)

    def unfinished(self, job: str) -> list[JobRun]:
        """Runs that are asked for, taken, or to be tried again; the oldest first."""
        return self._select("WHERE job = ? AND ahead = 0 AND state <> 'succeeded' AND NOT (state = 'failed' AND retry_at IS NULL)", (job,), 1_000)

    def history(self, job: str | None = None, limit: int = 50) -> list[JobRun]:
        """The newest first; after them those of a clock that was ahead."""
        where, params = ("WHERE job = ?", (job,)) if job else ("", ())
        return self._select(where, params, limit, "ahead, scheduled_for DESC")

    # -- pauses, schedulers ------------------------------------------------------------------------------------------

    def pause(self, job: str, now: int) -> bool:
        """False where it is paused already."""
        return self._database.execute_update("INSERT INTO job_pauses (job, paused_at) VALUES (?, ?) ON CONFLICT (job) DO NOTHING", (job, now)) > 0

    def resume(self, job: str) -> bool:
        """False where it is not paused."""
        return self._database.execute_update("DELETE FROM job_pauses WHERE job = ?", (job,)) > 0

    def paused(self) -> dict[str, int]:
        """Paused jobs, and since when."""
        return {row[0]: row[1] for row in self._database.execute_query("SELECT job, paused_at FROM job_pauses")}

    def ticked(self, owner: str, now: int) -> None:
        """A scheduler says that it is alive; those that have not for a day are forgotten, and those that say so in the future."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO schedulers (owner, started_at, ticked_at) VALUES (?1, ?2, ?2) ON CONFLICT (owner) DO UPDATE SET ticked_at = excluded.ticked_at",
                (owner, now),
            )
            connection.execute("DELETE FROM schedulers WHERE ticked_at NOT BETWEEN ? AND ?", (now - 86_400_000_000, now + MOST_AHEAD))

    def left(self, owner: str) -> None:
        self._database.execute_update("DELETE FROM schedulers WHERE owner = ?", (owner,))

    def scheduler_alive(self, now: int) -> bool:
        """Whether any scheduler has ticked lately."""
        return self.scheduler_since(now) is not None

    def scheduler_since(self, now: int) -> int | None:
        """When the scheduler that ticks was started, the earliest of several; None where none does."""
        sql = "SELECT min(started_at) FROM schedulers WHERE ticked_at BETWEEN ? AND ?"
        return self._database.execute_query(sql, (now - STALE_AFTER_MICROSECONDS, now + MOST_AHEAD))[0][0]  # type: ignore[no-any-return]

    def _select(self, where: str, params: tuple[Any, ...], limit: int, order: str = "scheduled_for") -> list[JobRun]:
        sql = (
            "SELECT job, scheduled_for, state, attempts, owner, claimed_at, heartbeat_at, retry_at, finished_at, error, result, request_id, arguments, ahead "
            f"FROM job_runs {where} ORDER BY {order} LIMIT ?"
        )
        return [JobRun(*row) for row in self._database.execute_query(sql, (*params, limit_of(limit)))]
