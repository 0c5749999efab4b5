"""How the daemon stands: status, backlog, jobs."""

from __future__ import annotations

from typing import Any

from jarvis.hours import entries_of
from jarvis.reading.status import plain
from jarvis.reading.status import status as plain_status
from jarvis.status.alarms import raised
from jarvis.status.gathering import gather
from jarvis.status.jobs import read_jobs
from jarvis.web import asking
from jarvis.web.desk import Reading
from jarvis.web.paging import page
from persistence.repositories.job_runs import SQLiteJobRunRepository


def status(reading: Reading, _asked: asking.Asked) -> Any:
    found = gather(reading.settings, now=reading.now, database=reading.books)
    return plain_status(found, raised(found, reading.settings.monitoring.thresholds))


def backlog(reading: Reading, _asked: asking.Asked) -> Any:
    found = gather(reading.settings, now=reading.now, broker_only=True)
    queues = found.queues
    return {
        "queues": None if queues is None else [plain({"name": q.name, "waiting": q.waiting, "held": q.held, "oldest_at": q.oldest_at}) for q in queues],
        "waiting": None if queues is None else sum(q.waiting for q in queues),
        "held": None if queues is None else sum(q.held for q in queues),
        **plain({"oldest_at": min((q.oldest_at for q in queues or () if q.oldest_at is not None), default=None)}),
        "unread": None if queues is not None else found.unread.get("queues") or (found.broker and found.broker.problem) or "the broker does not answer",
    }


def jobs(reading: Reading, asked: asking.Paged) -> Any:
    settings = reading.settings
    found = read_jobs(SQLiteJobRunRepository(reading.books), entries_of(settings), settings.scheduler.time_zone, reading.now)
    return page((plain({name: getattr(job, name) for name in job.__dataclass_fields__}) for job in found), asked)
