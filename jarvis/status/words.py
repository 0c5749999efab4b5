"""A status in words, part by part: what `jarvis status` prints and the overview of `jarvis web` shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from jarvis.cli.times import ago
from jarvis.status.alarms import Raised, Severity
from jarvis.status.model import Copies, Job, Process, State, Status
from jarvis_client.contract.showing import first_few
from persistence.domain.showing import count_of, length, size
from persistence.domain.strays import StrayKind


class Row(NamedTuple):
    """A line of several cells. `state_at`: which of them says the state; `loud`: something is wrong with it."""

    cells: tuple[str, ...]
    state_at: int
    loud: bool


def in_a_line(status: Status, alarms: Sequence[Raised]) -> str:
    """The sentence that says it all."""
    if not alarms:
        return f"all is well: {_recorded(status)}"
    critical = [alarm for alarm in alarms if alarm.severity is Severity.CRITICAL]
    counted = count_of("alarm", len(critical)) if len(critical) == len(alarms) else count_of("warning", len(alarms) - len(critical))
    if critical and len(critical) < len(alarms):
        counted = f"{count_of('alarm', len(critical))}, {counted}"
    return f"{counted}: {'; '.join(alarm.says for alarm in alarms)}"


def parts(status: Status) -> Iterator[tuple[str, list[str] | list[Row]]]:
    """Each part that could be read by its name, as lines or as rows; last, what could not be read."""
    now = status.taken_at
    if status.processes is not None:
        yield "processes", [process_row(process, status.version, now) for process in status.processes]
    if status.broker is not None:
        yield "broker", [_of_broker(status)]
    if status.queues is not None:
        yield "queues", [*_of_queues(status)]
    if status.records is not None:
        yield "records", [*_of_records(status)]
    if status.quarantine is not None:
        held = status.quarantine
        reasons = first_few(f"{count:,} {reason}" for reason, count in sorted(held.by_reason.items(), key=lambda item: -item[1]))
        yield "quarantine", [f"{held.held:,} held: {reasons}; the oldest {ago(held.oldest_at, now)}" if held.held else "nothing held"]
    if status.gaps is not None:
        gaps = status.gaps
        missing = f"{count_of('number', gaps.missing)} of {count_of('producer', gaps.producers)} missing, first noticed {ago(gaps.first_noticed_at, now)}"
        yield "gaps", [missing if gaps.missing else "none"]
    if status.notes is not None:
        yield "notes", [f"{status.notes:,} open: `jarvis notes`" if status.notes else "none open"]
    if status.strays:
        yield "unclaimed", [f"{stray.kind}: {stray.count:,} on {stray.subject}, since {ago(stray.since, now)}" for stray in status.strays[:5]]
    if status.jobs is not None:
        yield "jobs", [job_row(job, now) for job in status.jobs]
    if status.copies is not None:
        yield "backups", [_of_copies(copies, now) for copies in status.copies] or ["off"]
    if status.proof is not None:
        yield "proof", [_of_proof(status)]
    if status.storage is not None:
        yield "storage", [*_of_storage(status)]
    for named, why in _of_unread(status):
        yield "not read", [f"{named}: {why}"]


def process_row(process: Process, installed: str, now: int) -> Row:
    """Name, state and the rest of a process; `installed` is the version that it ought to run."""
    bad = process.state is State.NOT_READY or (process.state is State.STOPPED and process.problem is not None)
    return Row((process.name, str(process.state), ", ".join(_of_process(process, installed, now))), 1, bad)


def job_row(job: Job, now: int) -> Row:
    """Name of a job, when it was last done, when it is next due, and what of its state is worth a word."""
    # A look takes its time where a broker does not answer, and a job may have ended meanwhile.
    done = f"done {ago(min(job.last_success_at, now), now)}" if job.last_success_at is not None else "never done"
    upcoming = min((at for at in (job.next_at, job.next_try_at) if at is not None), default=None)
    following = "" if upcoming is None else f"next {ago(upcoming, now) if upcoming > now else 'now'}"
    return Row((job.name, done, following, _state(job, now)), 3, job.failed or job.late_since is not None)


def job_stands(job: Job, now: int) -> str:
    """How a job stands, in a few words."""
    state = job.state
    if job.next_try_at is not None and state in ("failed", "succeeded"):
        state = f"failed, next try {ago(job.next_try_at, now) if job.next_try_at > now else 'now'}"
    if not job.enabled:
        state = f"off, runs when asked for{_last_run(state)}"
    return state if job.paused_since is None else f"paused{_last_run(state)}"


def _last_run(state: str) -> str:
    return f"; last run {state}" if state else ""


def lasting_for(microseconds: int) -> str:
    return f"for {length(max(0, microseconds) / 1_000_000)}"


def _of_process(process: Process, installed: str, now: int) -> Iterator[str]:
    if process.problem is not None:
        yield process.problem if process.not_ready_since is None else f"{lasting_for(now - process.not_ready_since)}: {process.problem}"
    if process.state is State.STOPPED:
        if process.seen_at is not None:
            yield f"last heard of {ago(process.seen_at, now)}"
        return
    if process.since is not None:
        yield f"up {length(max(0, now - process.since) / 1_000_000)}"
    if process.counts is not None:
        yield f"{process.counts['applied']:,} recorded since, {f'{process.in_flight:,}' if process.in_flight else 'nothing'} in hand"
    if process.version not in (None, installed):
        yield f"runs {process.version}, installed is {installed}: restart it"


def _of_broker(status: Status) -> str:
    broker = status.broker
    assert broker is not None
    since = "" if broker.since is None else f" for {length(max(0, status.taken_at - broker.since) / 1_000_000)}"
    place = broker.place.removeprefix("the ").removesuffix(" broker")
    if not broker.reachable:
        return f"{place}: {broker.problem}{since}; {broker.remedy}"
    trip = "" if broker.round_trip_seconds is None else f", answers in {_short(broker.round_trip_seconds)}"
    return f"{place}{'' if broker.server is None else f', {broker.server}'}{trip}{f', in use{since}' if since else ''}"


def _of_queues(status: Status) -> Iterator[str]:
    filled = [queue for queue in status.queues or () if queue.waiting or queue.held]
    for queue in filled:
        oldest = "" if queue.oldest_at is None else f", the oldest published {ago(queue.oldest_at, status.taken_at)}"
        yield f"{queue.name}: {queue.waiting:,} waiting, {queue.held:,} in hand{oldest}"
    if not filled:
        yield "nothing waits"
    for stray in status.strays or ():
        if stray.kind == StrayKind.UNREAD_QUEUE:
            yield f"{stray.subject}: {stray.count:,}, and nobody reads it"


def _of_records(status: Status) -> Iterator[str]:
    records = status.records
    assert records is not None
    total = "" if records.total is None else f"{records.total:,} in all, "
    yield f"{total}{records.last_hour:,} in the last hour, {records.last_minute:,} in the last minute"
    if records.last_commit_at is not None:
        lag = "" if records.lag_seconds is None else f", durable {_short(records.lag_seconds)} after it was published"
        yield f"the newest {ago(records.last_commit_at, status.taken_at)}{lag}"


def _recorded(status: Status) -> str:
    records = status.records
    waiting = sum(queue.waiting for queue in status.queues or ())
    recorded = "nothing is known of what is recorded" if records is None else f"{count_of('record', records.last_hour)} in the last hour"
    return f"{recorded}, {f'{waiting:,} waiting' if waiting else 'nothing waits'}"


def _state(job: Job, now: int) -> str:
    """What is worth a word: that a job has succeeded is said by when it did, and why one has failed by its alarm."""
    said = [] if job.state in ("", "succeeded", "failed") else [job.state]
    if not job.enabled:
        said.append("off")
    if job.paused_since is not None:
        said.append(f"paused {ago(job.paused_since, now)}")
    if job.late_since is not None:
        said.append(f"late by {length((now - job.late_since) / 1_000_000)}")
    if job.failed:
        said.append("failed")
    return ", ".join(said)


def _of_copies(copies: Copies, now: int) -> str:
    if copies.problem is not None:
        return f"{copies.place}: {copies.problem}"
    newest = f"{copies.count:,} proved, {size(copies.bytes)}, the newest {ago(copies.newest_at, now)}" if copies.newest_at is not None else "none is proved yet"
    return f"{copies.place}: {newest}{' (second place)' if copies.second else ''}"


def _of_proof(status: Status) -> str:
    proof, now = status.proof, status.taken_at
    assert proof is not None
    if proof.verified_at is None:
        verified = "never verified"
    else:
        found = f"{count_of('finding', proof.findings)}: {proof.found}" if proof.findings else "no findings"
        verified = f"verified {ago(proof.verified_at, now)}, {found}"
    return f"{verified}; {'no restore rehearsed yet' if proof.drilled_at is None else f'restore rehearsed {ago(proof.drilled_at, now)}'}"


def _of_storage(status: Status) -> Iterator[str]:
    storage = status.storage
    assert storage is not None
    inside = f", {size(storage.free_bytes_inside)} free inside" if storage.free_bytes_inside else ""
    yield f"{size(storage.database_bytes)}, log {size(storage.log_bytes)}{inside}: {storage.path}"
    for disk in storage.disks:
        where = "on its disk" if len(storage.disks) == 1 else f"for {first_few(disk.folders)}"
        yield f"{size(disk.free_bytes)} of {size(disk.total_bytes)} free {where}"


def _of_unread(status: Status) -> Iterator[tuple[str, str]]:
    """Each reason once, with the parts that it keeps from being read."""
    for why in dict.fromkeys(status.unread.values()):
        yield first_few([part for part, said in status.unread.items() if said == why], most=10), why


def _short(seconds: float) -> str:
    return length(seconds) if seconds >= 1 else f"{seconds * 1_000:.0f} ms" if seconds >= 0.01 else f"{seconds * 1_000:.1f} ms"


__all__ = ["Row", "in_a_line", "job_row", "job_stands", "lasting_for", "parts", "process_row"]
