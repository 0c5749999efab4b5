"""The table of runs: which run of which job is due, taken, done. It decides; whatever ticks only asks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from persistence.database import DatabaseManager

#: A claim without a heartbeat for this long belongs to a process that died.
STALE_AFTER_MICROSECONDS = 90 * 1_000_000


@dataclass(frozen=True, slots=True)
class JobRun:
    """One run of a job. Instants are microseconds UTC; `state` is claimed, succeeded or failed."""

    job: str
    scheduled_for: int
    state: str
    attempts: int
    owner: str | None
    claimed_at: int
    heartbeat_at: int
    retry_at: int | None
    finished_at: int | None
    error: str | None
    result: str | None


class SQLiteJobRunRepository:
    """Claims, heartbeats and ends of job runs."""

    def __init__(self, database: DatabaseManager) -> None:
        self._database = database

    def claim(self, job: str, scheduled_for: int, owner: str, now: int) -> bool:
        """Take a run that nobody has: a new one, a failed one whose time to try again has come, or one whose holder died."""
        sql = (
            "INSERT INTO job_runs (job, scheduled_for, state, owner, claimed_at, heartbeat_at) VALUES (?1, ?2, 'claimed', ?3, ?4, ?4) "
            "ON CONFLICT DO UPDATE SET state = 'claimed', owner = ?3, claimed_at = ?4, heartbeat_at = ?4, attempts = attempts + 1, error = NULL "
            "WHERE (state = 'failed' AND coalesce(retry_at, 0) <= ?4) OR (state = 'claimed' AND heartbeat_at < ?4 - ?5)"
        )
        return self._database.execute_update(sql, (job, scheduled_for, owner, now, STALE_AFTER_MICROSECONDS)) > 0

    def is_running(self, job: str, now: int) -> bool:
        """Whether a run of the job is in somebody's living hands."""
        sql = "SELECT 1 FROM job_runs WHERE job = ? AND state = 'claimed' AND heartbeat_at >= ? LIMIT 1"
        return bool(self._database.execute_query(sql, (job, now - STALE_AFTER_MICROSECONDS)))

    def beat(self, job: str, scheduled_for: int, owner: str, now: int) -> None:
        self._database.execute_update(
            "UPDATE job_runs SET heartbeat_at = ? WHERE job = ? AND scheduled_for = ? AND owner = ? AND state = 'claimed'", (now, job, scheduled_for, owner)
        )

    def succeed(self, job: str, scheduled_for: int, owner: str, now: int, result: Any) -> None:
        self._database.execute_update(
            "UPDATE job_runs SET state = 'succeeded', finished_at = ?, result = ?, error = NULL, retry_at = NULL "
            "WHERE job = ? AND scheduled_for = ? AND owner = ?",
            (now, json.dumps(result), job, scheduled_for, owner),
        )

    def fail(self, job: str, scheduled_for: int, owner: str, now: int, error: str, retry_at: int) -> None:
        self._database.execute_update(
            "UPDATE job_runs SET state = 'failed', finished_at = ?, error = ?, retry_at = ? WHERE job = ? AND scheduled_for = ? AND owner = ?",
            (now, error[:1_000], retry_at, job, scheduled_for, owner),
        )

    def find(self, job: str, scheduled_for: int) -> JobRun | None:
        return next(iter(self._select("WHERE job = ? AND scheduled_for = ?", (job, scheduled_for), 1)), None)

    def last_settled(self, job: str) -> int | None:
        """The newest slot of a job that has a run, whatever became of it."""
        return self._database.execute_query("SELECT max(scheduled_for) FROM job_runs WHERE job = ?", (job,))[0][0]  # type: ignore[no-any-return]

    def unfinished(self, job: str) -> list[JobRun]:
        """Failed and claimed runs, the oldest first."""
        return self._select("WHERE job = ? AND state <> 'succeeded'", (job,), 1_000)

    def history(self, job: str | None = None, limit: int = 50) -> list[JobRun]:
        """The newest first."""
        where, params = ("WHERE job = ?", (job,)) if job else ("", ())
        return self._select(where, params, limit, "DESC")

    def _select(self, where: str, params: tuple[Any, ...], limit: int, order: str = "") -> list[JobRun]:
        sql = (
            "SELECT job, scheduled_for, state, attempts, owner, claimed_at, heartbeat_at, retry_at, finished_at, error, result "
            f"FROM job_runs {where} ORDER BY scheduled_for {order} LIMIT ?"
        )
        return [JobRun(*row) for row in self._database.execute_query(sql, (*params, limit))]
