"""Verdicts: how runs ended of those jobs that say whether the books are sound. Each is an event of the hash chain."""

from __future__ import annotations

from persistence.books import events
from persistence.domain.texts import canonical_text, digest_of
from persistence.engine.contract import Connection

#: Jobs whose word on the books must stand.
SEALED = frozenset({"verification", "restore_drill"})
ENDED = ("succeeded", "failed")


def said(state: str, result: str | None, error: str | None) -> str:
    """The digest of how a run ended."""
    return digest_of(canonical_text([state, result, error])).hex()


def record(connection: Connection, job: str, scheduled_for: int, now: int) -> None:
    """Note how a run ended, in the commit in which it ends."""
    if job not in SEALED:
        return
    row = connection.execute("SELECT state, result, error FROM job_runs WHERE job = ? AND scheduled_for = ?", (job, scheduled_for)).get
    if row is not None and row[0] in ENDED:
        events.record(connection, events.JOB_ENDED, now, {"job": job, "scheduled_for": scheduled_for, "state": row[0], "said": said(*row)})
