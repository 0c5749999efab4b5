"""How the jobs stand: the one rule for `jarvis jobs list`, `jarvis status` and the alarms."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from jarvis.said import words
from jarvis.status.model import Job
from persistence.repositories.job_runs import JobRun, SQLiteJobRunRepository
from scheduler.timetable import Cron, Entry

#: How far ahead a next slot is looked for: beyond a year, for the 29th of February.
_FARTHEST = 5 * 366 * 86_400_000_000


def read_jobs(runs: SQLiteJobRunRepository, entries: Mapping[str, Entry], zone: str, now: int) -> Iterator[Job]:
    """Every job of a timetable, in its order; `zone` is that of the entries without one."""
    paused, ticking_since = runs.paused(), runs.scheduler_since(now)
    for entry in entries.values():
        cron = Cron(entry.cron, entry.zone or zone)
        newest, ended = runs.newest(entry.name, now), runs.newest_ended(entry.name, now)
        unfinished = runs.unfinished(entry.name)
        paused_since = paused.get(entry.name) or paused.get(entry.name.partition("@")[0])
        state = _state(entry, newest, now)
        is_tried_again = newest is not None and newest.state == "claimed" and newest.attempts > 1
        waits = not entry.enabled or paused_since is not None or state == "running"
        yield Job(
            name=entry.name, says=entry.says, cron=entry.cron, zone=entry.zone or zone, enabled=entry.enabled, paused_since=paused_since, state=state,
            last_started_at=None if newest is None else newest.claimed_at, last_ended_at=None if ended is None else ended.finished_at,
            last_success_at=runs.last_success(entry.name, now), last_seconds=_seconds(ended),
            result=f"it failed and is tried again now, try {newest.attempts}" if newest is not None and is_tried_again else _result(ended),
            failed=newest is not None and (newest.state == "failed" or is_tried_again),
            next_at=next(cron.slots(now, now + _FARTHEST), None) if entry.enabled else None,
            next_try_at=min([run.waits_until(now) or now for run in unfinished if run.state == "failed"], default=None),
            late_since=None if waits else _late_since(cron, runs.last_settled(entry.name, now), unfinished, ticking_since, now),
        )  # fmt: skip


def _state(entry: Entry, newest: JobRun | None, now: int) -> str:
    if newest is None:
        return ""
    if newest.state != "claimed":
        return newest.state
    if not newest.is_alive(now):
        return "left by a scheduler that died"
    over = now - (newest.claimed_at or now) > entry.limit_seconds * 1_000_000
    return "running" + (", beyond its limit" if over else "")


def _result(run: JobRun | None) -> str | None:
    return None if run is None else run.error or words(json.loads(run.result or "null")) or None


def _seconds(run: JobRun | None) -> float | None:
    if run is None or run.claimed_at is None or run.finished_at is None:
        return None
    return max(0, run.finished_at - run.claimed_at) / 1_000_000


def _late_since(cron: Cron, settled: int | None, unfinished: list[JobRun], ticking_since: int | None, now: int) -> int | None:
    """Since when a run could have begun and has not. A scheduler that has just started is not late with what was due before; one that never ran
    a job begins with it at once."""
    due = [run.scheduled_for for run in unfinished if run.state == "requested" and run.scheduled_for <= now]
    if settled is not None:
        due += [slot for slot in [next(cron.slots(settled, now), None)] if slot is not None]
    elif ticking_since is not None:
        due.append(ticking_since)
    if not due:
        return None
    return min(due) if ticking_since is None else max(min(due), ticking_since)
