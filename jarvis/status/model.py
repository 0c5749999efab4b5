"""What there is to say of a daemon. A part is None where it could not be read, or where there is nothing of its kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class State(StrEnum):
    """Of a process."""

    RUNNING = "running"
    NOT_READY = "not ready"
    DRAINING = "draining"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process of the daemon. `name` is that of a worker, or `scheduler`, `broker`, `jarvis up`."""

    name: str
    kind: str
    """worker, scheduler, broker or supervisor."""
    state: State
    place: str | None = None
    """host:folder, where it tells."""
    pid: int | None = None
    since: int | None = None
    seen_at: int | None = None
    version: str | None = None
    problem: str | None = None
    """Why it is not ready."""
    not_ready_since: int | None = None
    in_flight: int | None = None
    """Of a worker, as it says itself: messages fetched and not settled yet, what became of the records since its start, its newest commit, the
    records of the last minute and hour."""
    counts: dict[str, int] | None = None
    last_commit_at: int | None = None
    lag_seconds: float | None = None
    last_minute: int | None = None
    last_hour: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    place: str
    reachable: bool
    since: int | None = None
    """Since when it is reachable, or is not, as far as anybody watched."""
    problem: str | None = None
    remedy: str | None = None
    server: str | None = None
    """valkey 9.1.2, redis 7.0.15 …; None where its user may not ask."""
    round_trip_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """`waiting` messages are in the queue, `held` ones with workers that have not committed them yet."""

    name: str
    waiting: int
    held: int
    oldest_at: int | None = None
    """When the message that waits longest was published, by its publisher's clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """What was recorded, from the books; where there are none here, what the workers say."""

    total: int | None
    begun_at: int | None
    """When the first record was recorded."""
    last_minute: int
    last_hour: int
    last_commit_at: int | None
    lag_seconds: float | None = None
    """From publishing to durable, of the newest batch; None where no worker tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    held: int
    by_reason: dict[str, int]
    oldest_at: int | None
    newest_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    missing: int
    """Sequence numbers."""
    producers: int
    first_noticed_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job of the timetable. `late_since`: its slot was due then, or its request filed, and nobody has begun with it."""

    name: str
    says: str
    """What it does."""
    cron: str
    zone: str
    enabled: bool
    paused_since: int | None
    state: str
    """How its newest run stands: requested, running, succeeded, failed …; empty where there is none."""
    last_started_at: int | None
    last_ended_at: int | None
    last_success_at: int | None
    last_seconds: float | None
    result: str | None
    """What the newest finished run said: what it did, or why it failed."""
    failed: bool
    """Whether the newest run failed, also while it is tried again."""
    next_at: int | None
    next_try_at: int | None
    late_since: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """The proved backups of these books in one place."""

    place: str
    second: bool
    count: int
    bytes: int
    newest_at: int | None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Of what was recorded: the last verification, the last restore drill."""

    verified_at: int | None
    findings: int | None
    """Of the last verification; None where none was run."""
    found: str | None
    drilled_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """One file system that we write to."""

    folders: tuple[str, ...]
    free_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    path: str
    database_bytes: int
    log_bytes: int
    free_bytes_inside: int
    disks: tuple[Disk, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """What lies in the broker and nobody claims."""

    kind: str
    subject: str
    count: int
    since: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Everything at one instant."""

    taken_at: int
    version: str
    host: str
    folder: str
    namespace: str
    processes: tuple[Process, ...] | None = None
    broker: Broker | None = None
    queues: tuple[Queue, ...] | None = None
    records: Records | None = None
    quarantine: Quarantine | None = None
    gaps: Gaps | None = None
    notes: int | None = None
    strays: tuple[Stray, ...] | None = None
    jobs: tuple[Job, ...] | None = None
    copies: tuple[Copies, ...] | None = None
    proof: Proof | None = None
    storage: Storage | None = None
    unread: dict[str, str] = field(default_factory=dict)
    """Parts that could not be read, and why."""
