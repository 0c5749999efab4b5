"""What is wrong by a status, and from when on it counts.

One catalogue: `jarvis status` shows these, `--check` fails by them, the notifier tells them, deploy/prometheus/alerts.yml has a rule and
docs/runbook.md an entry of each name. tests/test_house.py holds the four against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from jarvis.settings_monitoring import Thresholds
from jarvis.status.model import State, Status
from jarvis.status.processes import SILENT_SECONDS
from jarvis_client.contract.showing import first_few
from persistence.domain.showing import count_of, moment, size
from persistence.domain.strays import StrayKind

_MINUTE, _HOUR, _DAY = 60_000_000, 3_600_000_000, 86_400_000_000


class Found(NamedTuple):
    """What holds of one subject. `remedy`: where it is known better than the alarm's own. `quoted`: what an error or a finding has to say,
    which may hold an account or an amount."""

    subject: str
    says: str
    since: int | None = None
    remedy: str | None = None
    quoted: str | None = None


class Severity(StrEnum):
    CRITICAL = "critical"
    """Records wait, or could be lost: somebody is woken."""
    WARNING = "warning"
    """Somebody looks at it in the morning."""


@dataclass(frozen=True, slots=True)
class Raised:
    """An alarm that holds now. `subject` tells two of one name apart: a job, a process, a folder; it never has anything of a record.

    `says` is for who sits at this machine, and may quote an error or a finding. `tells` is the same without what it quotes, for what leaves
    the machine.
    """

    name: str
    severity: Severity
    subject: str
    says: str
    remedy: str
    since: int | None = None
    tells: str = ""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One kind of alarm. `find` gives each that holds."""

    name: str
    severity: Severity
    means: str
    remedy: str
    find: Callable[[Status, Thresholds], Iterator[Found]]

    def raised(self, status: Status, thresholds: Thresholds) -> Iterator[Raised]:
        for found in self.find(status, thresholds):
            says = found.says if found.quoted is None else f"{found.says}: {found.quoted}"
            yield Raised(self.name, self.severity, found.subject, says, found.remedy or self.remedy, found.since, found.says)


def raised(status: Status, thresholds: Thresholds) -> list[Raised]:
    """Every alarm that holds, the critical ones first. What could not be read raises nothing but its own alarm."""
    found = [one for alarm in ALARMS for one in alarm.raised(status, thresholds)]
    return sorted(found, key=lambda one: one.severity is not Severity.CRITICAL)


def unknown(status: Status) -> set[str]:
    """The names of the alarms of which this status can say neither that they hold nor that they are over: what they look at was not read."""
    return {name for name, part in PARTS.items() if getattr(status, part) is None} if status.unread else set()


def _broker_away(status: Status, thresholds: Thresholds) -> Iterator[Found]:
    broker = status.broker
    if broker is not None and not broker.reachable and _lasts(status, broker.since, thresholds.broker_away_seconds):
        yield Found(broker.place, f"{broker.place} cannot be used: {broker.problem}", broker.since, broker.remedy)


def _worker_not_ready(status: Status, thresholds: Thresholds) -> Iterator[Found]:
    broker = status.broker
    for process in status.processes or ():
        if process.kind != "worker" or process.state is not State.NOT_READY:
            continue
        since, seconds = process.not_ready_since, thresholds.not_ready_seconds
        if broker is not None and (process.problem or "").startswith("the broker"):
            if not broker.reachable:
                continue  # the same cause, told once
            if since is not None and broker.since is not None:
                # It is back: the worker has yet to notice, and to say so.
                since, seconds = max(since, broker.since), max(seconds, SILENT_SECONDS)
        if _lasts(status, since, seconds):
            yield Found(process.name, f"{process.name} records nothing", process.not_ready_since, quoted=process.problem or "it does not say why")


def _no_worker(status: Status, thresholds: Thresholds) -> Iterator[Found]:
    if status.processes is not None and not any(p.kind == "worker" and p.state is not State.STOPPED for p in status.processes):
        yield Found("worker", "no worker is running, so nothing is recorded", None)


def _no_scheduler(status: Status, thresholds: Thresholds) -> Iterator[Found]:
    if status.jobs is None or status.processes is None:
        return
    schedulers = [process for process in status.processes if process.kind == "scheduler" and process.state is not State.STOPPED]
    if not schedulers:
        yield Found("scheduler", "no scheduler is running, so no backup, rollup or verification is", None)
    for process in schedulers:
        if process.state is State.NOT_READY:
            remedy = "do what it says; jobs that are missed are made up for"
            yield Found("scheduler", "the scheduler stands still, so no backup, rollup or verification runs", None, remedy, process.problem)


def _queue_waits(status: Status, thresholds: Thresholds) -> Iterator[Found]:
    for queue in status.queues or ():
        if queue.oldest_at is not None and status.taken_at - queue.oldest_at > thresholds.oldest_message_seconds * 1_000_000:
            waiting = count_of("message", queue.waiting + queue.held)
            yield Found(queue.name, f"{waiting} on {queue.name} not recorded yet, the oldest published at {moment(queue.oldest_at)}", queue.oldest_at)


def _quarantine(status: Status, thresholds: Thresholds) -> Iterator[Found]:
    held = status.quarantine
    if held is not None and held.held > thresholds.quarantine_held:
        reasons = first_few([f"{count:,} {reason}" for reason, count in sorted(held.by_reason.items(), key=lambda item: -item[1])])
        yield Found("quarantine", f"quarantine holds {held.held:,}: {reasons}", held.oldest_at)


def _gaps(status: Status, thresholds: Thresholds) -> Iterator[Found]:
    gaps = status.gaps
    if gaps is not None and gaps.missing > thresholds.gaps:
        said = f"{count_of('sequence number', gaps.missing)} of {count_of('producer', gaps.producers)} never arrived"
        yield Found("gaps", said, gaps.first_noticed_at)


def _broker_lost(status: Status, thresholds: Thresholds) -> Iterator[Found]:
    for stray in status.strays or ():
        if stray.kind in (StrayKind.BROKER_EMPTIED, StrayKind.BROKER_WENT_BACK):
            yield Found(stray.kind, f"{stray.kind}: publish again what engines sent lately", stray.since)


def _unclaimed(status: Status, thresholds: Thresholds) -> Iterator[Found]:
    for stray in status.strays or ():
        if stray.kind not in (StrayKind.BROKER_EMPTIED, StrayKind.BROKER_WENT_BACK):
            yield Found(f"{stray.kind} {stray.subject}", f"{stray.kind}: {stray.count:,} on {stray.subject}", stray.since)


def _job_failed(status: Status, thresholds: Thresholds) -> Iterator[Found]:
    found = status.proof is not None and bool(status.proof.findings)
    for job in status.jobs or ():
        if job.failed and not (found and job.name == "verification"):
            again = "" if job.next_try_at is None else f"; tried again at {moment(job.next_try_at)}"
            yield Found(job.name, f"job {job.name} failed{again}", job.last_ended_at, f"`jarvis jobs history {job.name}`", job.result)


def _job_missed(status: Status, thresholds: Thresholds) -> Iterator[Found]:
    if any(_no_scheduler(status, thresholds)):
        return  # the same cause, told once
    for job in status.jobs or ():
        if job.late_since is not None and status.taken_at - job.late_since > thresholds.job_late_minutes * _MINUTE:
            yield Found(job.name, f"job {job.name} was due at {moment(job.late_since)} and has not begun", job.late_since)


def _findings(status: Status, thresholds: Thresholds) -> Iterator[Found]:
    proof = status.proof
    if proof is not None and proof.findings:
        yield Found("verification", f"the last verification has {count_of('finding', proof.findings)}", proof.verified_at, quoted=proof.found)


def _backup_stale(status: Status, thresholds: Thresholds) -> Iterator[Found]:
    yield from _stale_copies(status, thresholds.backup_age_hours, second=False)


def _copy_stale(status: Status, thresholds: Thresholds) -> Iterator[Found]:
    yield from _stale_copies(status, thresholds.copy_age_hours, second=True)


def _stale_copies(status: Status, hours: float, *, second: bool) -> Iterator[Found]:
    records = status.records
    for copies in status.copies or ():
        # Books without a backup are as old as their first record; empty ones need none.
        begun = copies.newest_at if copies.newest_at is not None or records is None else records.begun_at
        empty = records is not None and begun is None
        old = not empty and (begun is None or status.taken_at - begun > hours * _HOUR)
        if copies.second is second and (old or copies.problem is not None):
            newest = "has no proved backup" if copies.newest_at is None else f"has no proved backup since {moment(copies.newest_at)}"
            yield Found(copies.place, f"{copies.place} {newest if copies.problem is None else copies.problem}", copies.newest_at)


def _verification_stale(status: Status, thresholds: Thresholds) -> Iterator[Found]:
    proof = status.proof
    if proof is not None and proof.verified_at is not None and status.taken_at - proof.verified_at > thresholds.verification_age_hours * _HOUR:
        yield Found("verification", f"nothing was verified since {moment(proof.verified_at)}", proof.verified_at)


def _drill_stale(status: Status, thresholds: Thresholds) -> Iterator[Found]:
    proof = status.proof
    if proof is not None and proof.drilled_at is not None and status.taken_at - proof.drilled_at > thresholds.drill_age_days * _DAY:
        yield Found("restore_drill", f"no restore was rehearsed since {moment(proof.drilled_at)}", proof.drilled_at)


def _disk_low(status: Status, thresholds: Thresholds) -> Iterator[Found]:
    for disk in status.storage.disks if status.storage is not None else ():
        if disk.free_bytes < thresholds.disk_free_bytes or disk.free_bytes < disk.total_bytes * thresholds.disk_free_percent / 100:
            share = 100 * disk.free_bytes / (disk.total_bytes or 1)
            yield Found(disk.folders[0], f"{size(disk.free_bytes)} of {size(disk.total_bytes)} ({share:.0f} %) free for {first_few(disk.folders)}", None)


def _log_long(status: Status, thresholds: Thresholds) -> Iterator[Found]:
    if status.storage is not None and status.storage.log_bytes > thresholds.log_bytes:
        yield Found(status.storage.path, f"the write-ahead log has {size(status.storage.log_bytes)}: a reader has held its snapshot for long", None)


def _unread(status: Status, thresholds: Thresholds) -> Iterator[Found]:
    for part, why in status.unread.items():
        if part in ("records", "storage", "jobs"):
            yield Found("books", "the books cannot be read", quoted=why)
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
    Alarm(
        "JarvisVerificationFindings", _C, "the last verification found something",
        "`jarvis verify`; once it is mended, `jarvis jobs run verification --wait`", _findings,
    ),
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

#: The part of a status that each alarm looks at; that of the books looks at what is unread.
PARTS = {
    "JarvisBrokerAway": "broker",
    "JarvisNoWorker": "processes",
    "JarvisWorkerNotReady": "processes",
    "JarvisNoScheduler": "processes",
    "JarvisQueueWaits": "queues",
    "JarvisBrokerLostMessages": "strays",
    "JarvisVerificationFindings": "proof",
    "JarvisDiskLow": "storage",
    "JarvisBackupStale": "copies",
    "JarvisCopyStale": "copies",
    "JarvisJobFailed": "jobs",
    "JarvisJobMissed": "jobs",
    "JarvisQuarantineHeld": "quarantine",
    "JarvisGaps": "gaps",
    "JarvisUnclaimedMessages": "strays",
    "JarvisVerificationStale": "proof",
    "JarvisDrillStale": "proof",
    "JarvisLogLong": "storage",
}
