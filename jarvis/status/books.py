"""What the books tell: what was recorded and how fast, what waits in quarantine, what never arrived, what is odd, what the last proofs found."""

from __future__ import annotations

from jarvis.status.model import Gaps, Proof, Quarantine, Records, Stray
from jarvis_client.contract.instants import to_instant
from persistence.engine.contract import Database
from persistence.proof.notes import count_open
from persistence.repositories.gaps import SQLiteGapRepository
from persistence.repositories.job_runs import SQLiteJobRunRepository
from persistence.repositories.quarantine import SQLiteQuarantineRepository
from persistence.repositories.recorded import SQLiteRecordedRepository
from persistence.repositories.strays import SQLiteStrayRepository
from scheduler.findings import findings_in

_MINUTE, _HOUR = 60_000_000, 3_600_000_000


def read_records(database: Database, now: int) -> Records:
    recorded = SQLiteRecordedRepository(database)
    newest, oldest = recorded.newest(), recorded.oldest()
    return Records(
        total=0 if newest is None else newest[0], begun_at=None if oldest is None else oldest[1], last_minute=recorded.since(now - _MINUTE),
        last_hour=recorded.since(now - _HOUR), last_commit_at=None if newest is None else newest[1],
    )  # fmt: skip


def read_quarantine(database: Database) -> Quarantine:
    quarantine = SQLiteQuarantineRepository(database)
    by_reason = quarantine.held_by_reason()
    oldest, newest = quarantine.held_span() or (None, None)
    return Quarantine(held=sum(by_reason.values()), by_reason=by_reason, oldest_at=oldest, newest_at=newest)


def read_gaps(database: Database) -> Gaps:
    missing = SQLiteGapRepository(database).missing()
    return Gaps(missing=missing.numbers, producers=missing.producers, first_noticed_at=missing.noticed_at)


def read_notes(database: Database) -> int:
    return sum(count_open(database).values())


def read_strays(database: Database) -> tuple[Stray, ...]:
    found = SQLiteStrayRepository(database).find_open()
    return tuple(Stray(kind=str(s.kind), subject=s.subject, count=s.count, since=to_instant(s.first_seen)) for s in found)


def read_proof(database: Database, now: int) -> Proof:
    """By the newest verification that came to its end, and the last drill that succeeded."""
    runs = SQLiteJobRunRepository(database)
    drilled_at = runs.last_success("restore_drill", now)
    ended = runs.newest_ended("verification", now)
    if ended is not None and ended.state == "failed" and (found := findings_in(ended.error or "")) is not None:
        return Proof(verified_at=ended.finished_at, findings=found[0], found=found[1], drilled_at=drilled_at)
    verified_at = runs.last_success("verification", now)
    return Proof(verified_at=verified_at, findings=None if verified_at is None else 0, found=None, drilled_at=drilled_at)
