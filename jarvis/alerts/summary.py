"""How the day was, in ten lines: what a status says to somebody who has half a minute for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date, time, timedelta
from zoneinfo import ZoneInfo

from jarvis.alerts.memory import Counted
from jarvis.alerts.message import Kind, Message, Origin
from jarvis.status.alarms import Raised
from jarvis.status.model import Job, State, Status
from jarvis_client.contract.instants import DaysEndingAt, start_of_day, to_datetime
from jarvis_client.contract.showing import first_few
from persistence.domain.showing import count_of, moment, size

#: A summary that was missed is still sent within this; after it, the next one is nearer.
LATEST_MICROSECONDS = 12 * 3_600_000_000


def newest_slot(at: str, zone: str, now: int) -> int:
    """The newest instant, not after `now`, at which clocks of the zone showed `at` (HH:MM)."""
    ends = DaysEndingAt(ZoneInfo(zone), time.fromisoformat(at))
    today = to_datetime(now).astimezone(ends.zone).date()
    # The days of `DaysEndingAt` end at that time, so each instant that is looked for is the beginning of one.
    return max(slot for days in (0, 1, 2) if (slot := start_of_day(today + timedelta(days=days), ends)) <= now)


def counted_at(slot: int, records: int, now: int, before: Counted | None) -> Counted:
    """The count for a slot: made once, whenever it is asked for. Records that were deleted since are no new ones."""
    if before is not None and before.slot == slot:
        return before
    return Counted(slot, now, records) if before is None else Counted(slot, now, records, max(0, records - before.records), before.at)


def summary_of(origin: Origin, status: Status, standing: Iterable[Raised], counted: Counted | None, day: date) -> Message:
    """The message. `standing`: the alarms that stand; `day`: what the calendar says where it is read."""
    alarms = [f"{alarm.name} ({alarm.subject})" for alarm in standing]
    headline = f"{day.day} {day:%B %Y}: {count_of('alarm', len(alarms)) if alarms else 'all is well'}"
    lines = (
        f"alarms: {first_few(alarms) or 'none'}",
        f"records: {_records(status, counted)}",
        f"jobs: {_jobs(status)}",
        *(f"backups: {line}" for line in _copies(status)),
        f"proof: {_proof(status)}",
        f"quarantine: {_count(status, None if status.quarantine is None else status.quarantine.held)}",
        f"gaps: {_count(status, None if status.gaps is None else status.gaps.missing)}; notes: {_count(status, status.notes)}",
        f"broker: {_broker(status)}",
        f"processes: {_processes(status)}",
        f"disk: {_disks(status)}",
    )
    return Message(origin, Kind.SUMMARY, headline=headline, lines=lines)


def _unread(status: Status) -> str:
    # Not why: that may quote what no message holds.
    return "could not be read: `jarvis status`" if status.unread else "none"


def _count(status: Status, number: int | None) -> str:
    return _unread(status) if number is None else f"{number:,}" if number else "none"


def _records(status: Status, counted: Counted | None) -> str:
    records = status.records
    if records is None:
        return _unread(status)
    new = "" if counted is None or counted.new is None or counted.since is None else f"{counted.new:,} since {moment(counted.since)}, "
    newest = "" if records.last_commit_at is None else f", the last commit at {moment(records.last_commit_at)}"
    return f"{new}{f'{records.total:,} in all' if records.total is not None else 'uncounted'}{newest}"


def _jobs(status: Status) -> str:
    if status.jobs is None:
        return _unread(status)
    told = [*_named("failed", status.jobs, lambda job: job.failed), *_named("late", status.jobs, lambda job: job.late_since is not None)]
    told += _named("paused", status.jobs, lambda job: job.paused_since is not None)
    return "; ".join(told) or f"{count_of('job', sum(job.enabled for job in status.jobs))}, all as planned"


def _named(what: str, jobs: Iterable[Job], is_so: Callable[[Job], bool]) -> list[str]:
    names = [job.name for job in jobs if is_so(job)]
    return [f"{what}: {first_few(names)}"] if names else []


def _copies(status: Status) -> Iterator[str]:
    if not status.copies:
        yield _unread(status)
    for copies in status.copies or ():
        newest = "none is proved" if copies.newest_at is None else f"the newest of {moment(copies.newest_at)}"
        yield f"{copies.count:,} in {copies.place}, {newest}, {size(copies.bytes)}"


def _proof(status: Status) -> str:
    proof = status.proof
    if proof is None:
        return _unread(status)
    verified = "never verified" if proof.verified_at is None else f"verified {moment(proof.verified_at)}, {count_of('finding', proof.findings or 0)}"
    drilled = "no restore was rehearsed yet" if proof.drilled_at is None else f"restore rehearsed {moment(proof.drilled_at)}"
    return f"{verified}; {drilled}"


def _broker(status: Status) -> str:
    if status.broker is None:
        return _unread(status)
    state = "reachable" if status.broker.reachable else "AWAY"
    since = "" if status.broker.since is None else f" since {moment(status.broker.since)}"
    waiting = sum(queue.waiting + queue.held for queue in status.queues or ())
    return f"{status.broker.place}, {state}{since}; {count_of('message', waiting)} waiting"


def _processes(status: Status) -> str:
    if status.processes is None:
        return _unread(status)
    return first_few([f"{process.name} {process.state}" for process in status.processes if process.state is not State.STOPPED], 10) or "none is running"


def _disks(status: Status) -> str:
    if status.storage is None:
        return _unread(status)
    free = [f"{size(disk.free_bytes)} of {size(disk.total_bytes)} free for {first_few(disk.folders, 2)}" for disk in status.storage.disks]
    return "; ".join([f"the database has {size(status.storage.database_bytes)}", *free])
