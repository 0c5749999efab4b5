"""How the daemon stands, for people: overview, queues, jobs, backups."""

from __future__ import annotations

import json
import shlex
from typing import Any

from jarvis.hours import entries_of
from jarvis.reading.copies import listed
from jarvis.said import words
from jarvis.status.alarms import raised
from jarvis.status.gathering import gather
from jarvis.status.jobs import read_jobs
from jarvis.status.words import in_a_line, job_stands, lasting_for, parts
from jarvis.web import asking
from jarvis.web.desk import Reading
from jarvis.web.pages.asking import Jobs
from persistence.books.book import book_id
from persistence.copies import backups
from persistence.repositories.job_runs import JobRun, SQLiteJobRunRepository

#: Runs listed below the jobs.
RUNS = 50


def overview(reading: Reading, _asked: asking.Asked) -> dict[str, Any]:
    found = gather(reading.settings, now=reading.now, database=reading.books)
    alarms = raised(found, reading.settings.monitoring.thresholds)
    lasting = [None if alarm.since is None else lasting_for(found.taken_at - alarm.since) for alarm in alarms]
    # What is wrong stands below one by one.
    head = in_a_line(found, alarms) if not alarms else in_a_line(found, alarms).partition(":")[0]
    return {"status": found, "alarms": [*zip(alarms, lasting, strict=True)], "head": head, "parts": parts(found)}


def queues(reading: Reading, _asked: asking.Asked) -> dict[str, Any]:
    found = gather(reading.settings, now=reading.now, database=reading.books)
    unread = found.unread.get("queues") or (found.broker and found.broker.problem) or "the broker does not answer"
    return {"status": found, "unread": None if found.queues is not None else unread}


def jobs(reading: Reading, asked: Jobs) -> dict[str, Any]:
    runs, now, settings = SQLiteJobRunRepository(reading.books), reading.now, reading.settings
    found = [*read_jobs(runs, entries_of(settings), settings.scheduler.time_zone, now)]
    history = [(run, _said(run)) for run in runs.history(asked.job, RUNS)]
    return {"jobs": [(job, job_stands(job, now)) for job in found], "history": history, "most": RUNS, "ticks": runs.scheduler_alive(now)}


def _said(run: JobRun) -> str:
    """What a run did, or why it failed, and what it was asked with."""
    return ", ".join(said for said in (run.error or words(json.loads(run.result or "null")), words(json.loads(run.arguments or "{}"))) if said)


def copies(reading: Reading, _asked: asking.Asked) -> dict[str, Any]:
    backup = reading.settings.database.backup
    with reading.books.get_connection() as connection:
        present = book_id(connection)
    places = [(backup.path, False), *([(backup.second.path, True)] if backup.second.path is not None else [])]
    return {"enabled": backup.enabled, "places": [
        {"folder": folder, "second": second, "backups": [
            (listed(b, present, reading.now), f"jarvis backup verify {shlex.quote(str(b.path))}") for b in backups.present(folder)
        ]} for folder, second in places
    ]}  # fmt: skip


__all__ = ["copies", "jobs", "overview", "queues"]
