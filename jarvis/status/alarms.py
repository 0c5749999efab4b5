"""What is wrong by a status, and from when on it counts.

One catalogue: `jarvis status` shows these, `--check` fails by them, the notifier tells them, deploy/prometheus/alerts.yml has a rule and
docs/runbook.md an entry of each name. tests/test_house.py holds the four against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from jarvis.settings_monitoring import Thresholds
from jarvis.status.model import State, Status
from jarvis_client.contract.instants import to_text
from jarvis_client.contract.showing import first_few
from persistence.domain.strays import StrayKind

_MINUTE, _HOUR, _DAY = 60_000_000, 3_600_000_000, 86_400_000_000


class Severity(StrEnum):
    CRITICAL = "critical"
    """Records wait, or could be lost: somebody is woken."""
    WARNING = "warning"
    """Somebody looks at it in the morning."""


@dataclass(frozen=True, slots=True)
class Raised:
    """An alarm that holds now. `subject` tells two of one name apart: a job, a process, a folder; it never has anything of a record."""

    name: str
    severity: Severity
    subject: str
    says: str
    remedy: str
    since: int | None = None


@dataclass(frozen=True, slots=True)
class Alarm:
    """One kind of alarm. `find` gives (subject, what is said, since when) for each that holds."""

    name: str
    severity: Severity
    means: str
    remedy: str
    find: Callable[[Status, Thresholds], Iterator[tuple[str, str, int | None]]]

    def raised(self, status: Status, thresholds: Thresholds) -> Iterator[Raised]:
        for subject, says, since in self.find(status, thresholds):
            yield Raised(self.name, self.severity, subject, says, self.remedy, since)


def raised(status: Status, thresholds: Thresholds) -> list[Raised]:
    """Every alarm that holds, the critical ones first. What could not be read raises nothing but its own alarm."""
    found = [one for alarm in ALARMS for one in alarm.raised(status, thresholds)]
    return sorted(found, key=lambda one: one.severity is not Severity.CRITICAL)


_Found = Iterator[tuple[str, str, int | None]]


def _broker_away(status: Status, thresholds: Thresholds) -> _Found:
    broker = status.broker
    if broker is not None and not broker.reachable and _lasts(status, broker.since, thresholds.broker_away_seconds):
        yield broker.place, f"the broker {broker.place} cannot be used: {broker.problem}", broker.since


def _worker_not_ready(status: Status, thresholds: Thresholds) -> _Found:
    for process in status.processes or ():
        if process.kind == "worker" and process.state is State.NOT_READY and _lasts(status, process.not_ready_since, thresholds.not_ready_seconds):
            yield process.name, f"{process.name} records nothing: {process.problem or 'it does not say why'}", process.not_ready_since


def _no_worker(status: Status, thresholds: Thresholds) -> _Found:
    if status.processes is not None and not any(p.kind == "worker" and p.state is not State.STOPPED for p in status.processes):
        yield "worker", "no worker is running, so nothing is recorded", None


def _no_scheduler(status: Status, thresholds: Thresholds) -> _Found:
    if status.jobs is not None and status.processes is not None and not any(p.kind == "scheduler" and p.state is not State.STOPPED for p in status.processes):
        yield "scheduler", "no scheduler is running, so no backup, rollup or verification is", None


def _queue_waits(status: Status, thresholds: Thresholds) -> _Found:
    for queue in status.queues or ():
        if queue.oldest_at is not None and status.taken_at - queue.oldest_at > thresholds.oldest_message_seconds * 1_000_000:
            yield queue.name, f"{queue.waiting + queue.held:,} messages on {queue.name} wait, the oldest since {to_text(queue.oldest_at)}", queue.oldest_at


def _quarantine(status: Status, thresholds: Thresholds) -> _Found:
    held = status.quarantine
    if held is not None and held.held > thresholds.quarantine_held:
        reasons = first_few([f"{count:,} {reason}" for reason, count in sorted(held.by_reason.items(), key=lambda item: -item[1])])
        yield "quarantine", f"quarantine holds {held.held:,}: {reasons}", held.oldest_at


def _gaps(status: Status, thresholds: Thresholds) -> _Found:
    gaps = status.gaps
    if gaps is not None and gaps.missing > thresholds.gaps:
        yield "gaps", f"{gaps.missing:,} sequence numbers of {gaps.producers:,} producers never arrived", gaps.first_noticed_at


def _broker_lost(status: Status, thresholds: Thresholds) -> _Found:
    for stray in status.strays or ():
        if stray.kind in (StrayKind.BROKER_EMPTIED, StrayKind.BROKER_WENT_BACK):
            yield stray.kind, f"{stray.kind}: publish again what engines sent lately", stray.since


def _unclaimed(status: Status, thresholds: Thresholds) -> _Found:
    for stray in status.strays or ():
        if stray.kind not in (StrayKind.BROKER_EMPTIED, StrayKind.BROKER_WENT_BACK):
            yield f"{stray.kind} {stray.subject}", f"{stray.kind}: {stray.count:,} on {stray.subject}", stray.since


def _job_failed(status: Status, thresholds: Thresholds) -> _Found:
    for job in status.jobs or ():
        if job.failed and job.name != "verification":
            again = "" if job.next_try_at is None else f"; tried again at {to_text(job.next_try_at)}"
            yield job.name, f"job {job.name} failed: {job.result}{again}", job.last_ended_at


def _job_missed(status: Status, thresholds: Thresholds) -> _Found:
    for job in status.jobs or ():
        if job.late_since is not None and status.taken_at - job.late_since > thresholds.job_late_minutes * _MINUTE:
            yield job.name, f"job {job.name} was due at {to_text(job.late_since)} and has not begun", job.late_since


def _findings(status: Status, thresholds: Thresholds) -> _Found:
    proof = status.proof
    if proof is not None and proof.findings:
        yield "verification", f"the last verification has {proof.findings:,} findings: {proof.found}", proof.verified_at


def _backup_stale(status: Status, thresholds: Thresholds) -> _Found:
    yield from _stale_copies(status, thresholds.backup_age_hours, second=False)


def _copy_stale(status: Status, thresholds: Thresholds) -> _Found:
    yield from _stale_copies(status, thresholds.copy_age_hours, second=True)


def _stale_copies(status: Status, hours: float, *, second: bool) -> _Found:
    for copies in status.copies or ():
        if copies.second is second and (copies.newest_at is None or status.taken_at - copies.newest_at > hours * _HOUR):
            newest = "has no proved backup" if copies.newest_at is None else f"has no proved backup since {to_text(copies.newest_at)}"
            yield copies.place, f"{copies.place} {newest}{'' if copies.problem is None else f': {copies.problem}'}", copies.newest_at


def _verification_stale(status: Status, thresholds: Thresholds) -> _Found:
    proof = status.proof
    if proof is not None and proof.verified_at is not None and status.taken_at - proof.verified_at > thresholds.verification_age_hours * _HOUR:
        yield "verification", f"nothing was verified since {to_text(proof.verified_at)}", proof.verified_at


def _drill_stale(status: Status, thresholds: Thresholds) -> _Found:
    proof = status.proof
    if proof is not None and proof.drilled_at is not None and status.taken_at - proof.drilled_at > thresholds.drill_age_days * _DAY:
        yield "restore_drill", f"no restore was rehearsed since {to_text(proof.drilled_at)}", proof.drilled_at


def _disk_low(status: Status, thresholds: Thresholds) -> _Found:
    for disk in status.storage.disks if status.storage is not None else ():
        if disk.free_bytes < thresholds.disk_free_bytes or disk.free_bytes < disk.total_bytes * thresholds.disk_free_percent / 100:
            share = 100 * disk.free_bytes / (disk.total_bytes or 1)
            yield disk.folders[0], f"{disk.free_bytes:,} bytes ({share:.0f} %) are free for {first_few(disk.folders)}", None


def _log_long(status: Status, thresholds: Thresholds) -> _Found:
    if status.storage is not None and status.storage.log_bytes > thresholds.log_bytes:
        yield status.storage.path, f"the write-ahead log has {status.storage.log_bytes:,} bytes: a reader has held its snapshot for long", None


def _unread(status: Status, thresholds: Thresholds) -> _Found:
    for part, why in status.unread.items():
        if part in ("records", "storage", "jobs"):
            yield "books", f"the books cannot be read: {why}", None
            return


def _lasts(status: Status, since: int | None, seconds: float) -> bool:
    """Whether something lasts that long; what nobody watched from its beginning counts as having lasted."""
    return since is None or status.taken_at - since >= seconds * 1_000_000


_C, _W = Severity.CRITICAL, Severity.WARNING

#: Every alarm there is. The names are Prometheus' too.
ALARMS = (
    Alarm("JarvisBrokerAway", _C, "the broker cannot be reached or used", "start it, or do what the log line says; recording goes on by itself", _broker_away),
    Alarm("JarvisNoWorker", _C, "no worker is running", "start `jarvis up`, or the unit jarvis-worker", _no_worker),
    Alarm("JarvisWorkerNotReady", _C, "a worker is up and records nothing", "its log line says why: `jarvis status`", _worker_not_ready),
    Alarm("JarvisNoScheduler", _C, "no scheduler is running", "start `jarvis up`, or the unit jarvis-scheduler", _no_scheduler),
    Alarm("JarvisBooksUnreadable", _C, "the books cannot be read", "`jarvis db check`", _unread),
    Alarm("JarvisQueueWaits", _C, "a message waits too long in its queue", "`jarvis status`: is a worker running and ready?", _queue_waits),
    Alarm(
        "JarvisBrokerLostMessages", _C, "the broker was emptied, or came back without its last writes",
        "publish again what engines sent lately, then `jarvis notes accept`", _broker_lost,
    ),
    Alarm("JarvisVerificationFindings", _C, "the last verification found something", "`jarvis verify`", _findings),
    Alarm("JarvisDiskLow", _C, "a disk that we write to is nearly full", "free space, or move what is there", _disk_low),
    Alarm("JarvisBackupStale", _C, "there is no recent proved backup", "`jarvis jobs history backup`, then `jarvis backup create`", _backup_stale),
    Alarm("JarvisCopyStale", _W, "the second place has no recent copy", "`jarvis jobs history backup`: is its disk mounted?", _copy_stale),
    Alarm("JarvisJobFailed", _W, "the newest run of a job failed", "`jarvis jobs history NAME`", _job_failed),
    Alarm("JarvisJobMissed", _W, "a job is over due and has not begun", "`jarvis jobs list`: does the scheduler run, and is the job paused?", _job_missed),
    Alarm("JarvisQuarantineHeld", _W, "records could not be applied", "`jarvis quarantine list`", _quarantine),
    Alarm("JarvisGaps", _W, "records of a producer never arrived", "`jarvis gaps`: publish them again, or `jarvis gaps accept`", _gaps),
    Alarm("JarvisUnclaimedMessages", _W, "messages lie in the broker that no worker records", "`jarvis notes`", _unclaimed),
    Alarm("JarvisVerificationStale", _W, "nothing was verified lately", "`jarvis jobs history verification`", _verification_stale),
    Alarm("JarvisDrillStale", _W, "no restore was rehearsed lately", "`jarvis jobs run restore_drill --wait`", _drill_stale),
    Alarm("JarvisLogLong", _W, "the write-ahead log does not shrink", "end the reader that holds it: `lsof` on the database names it", _log_long),
)  # fmt: skip
