"""The daemon's status as series: what is read from the books, the broker and the disks, not counted by a process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import structlog
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from jarvis.monitoring.series import counter, gauge, seconds
from jarvis.settings_monitoring import Thresholds
from jarvis.status.alarms import ALARMS, raised
from jarvis.status.model import State, Status
from jarvis_client.contract.outcome import Reason
from persistence.domain.strays import StrayKind

log = structlog.get_logger("monitoring")

#: However many scrape at once, the daemon is looked at so often.
CACHE_SECONDS = 5.0
#: Queues that are told of: more than ours and any strays; whoever may write to the broker could make up any number of names.
MOST_QUEUES = 50
#: The parts of a status that may be missing, each of which then has a reason.
PARTS = ("processes", "broker", "queues", "records", "quarantine", "gaps", "notes", "strays", "jobs", "copies", "proof", "storage")
SAY_AGAIN_SECONDS = 600.0


class StatusSeries(Collector):
    """Gathers by `source`, at most once in `cache_seconds`; while one thread gathers, others are told what was there before."""

    def __init__(
        self, source: Callable[[], Status], thresholds: Thresholds, process: str = "scheduler", *,
        cache_seconds: float = CACHE_SECONDS, clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._source = source
        self._thresholds = thresholds
        self._process = process
        self._cache_seconds = cache_seconds
        self._clock = clock
        self._gathering = threading.Lock()
        self._last: tuple[float, list[Metric]] | None = None
        self._failures = 0
        self._say_next = 0.0

    def collect(self) -> Iterator[Metric]:
        yield from self._families()
        yield counter("jarvis_status_failures_total", "How often the status could not be gathered at all.", ("process",), [((self._process,), self._failures)])

    def _families(self) -> list[Metric]:
        last = self._last
        if last is not None and self._clock() - last[0] < self._cache_seconds:
            return last[1]
        if not self._gathering.acquire(blocking=last is None):
            return [] if last is None else last[1]
        try:
            last = self._last
            if last is None or self._clock() - last[0] >= self._cache_seconds:
                self._last = last = self._clock(), self._gathered()
            return last[1]
        finally:
            self._gathering.release()

    def _gathered(self) -> list[Metric]:
        try:
            status = self._source()
            return [*families_of(status, self._thresholds, self._process)]
        except Exception as error:  # the figures of the process itself are told all the same
            self._failures += 1
            if self._clock() >= self._say_next:
                self._say_next = self._clock() + SAY_AGAIN_SECONDS
                log.warning("the status could not be gathered, so its figures are missing", error=f"{type(error).__name__}: {error}")
            return []


def families_of(status: Status, thresholds: Thresholds, process: str) -> Iterator[Metric]:
    """Every series of a status. A part that could not be read has none but its `jarvis_status_unread`."""
    yield gauge("jarvis_status_timestamp_seconds", "When the status was gathered.", (), [((), seconds(status.taken_at))])
    yield gauge("jarvis_status_unread", "1 where that part of the status could not be read.", ("part",), [((p,), p in status.unread) for p in PARTS])
    yield from _alarms(status, thresholds)
    yield from _processes(status, process)
    yield from _broker(status)
    yield from _books(status)
    yield from _jobs(status)
    yield from _copies(status)
    yield from _storage(status)


def _alarms(status: Status, thresholds: Thresholds) -> Iterator[Metric]:
    holding = [one.name for one in raised(status, thresholds)]
    yield gauge(
        "jarvis_alarm", "How many alarms of a name hold by monitoring.thresholds.", ("name", "severity"),
        [((alarm.name, alarm.severity), holding.count(alarm.name)) for alarm in ALARMS],
    )  # fmt: skip


def _processes(status: Status, process: str) -> Iterator[Metric]:
    if status.processes is not None:
        # The name by which the process calls itself in its own figures.
        states = {(p.name.removeprefix("jarvis "), p.kind): p.state for p in status.processes}
        labels = ("process", "kind")
        yield gauge(
            "jarvis_process_up", "1 while a process of the daemon runs, on whatever host.", labels, [(k, s is not State.STOPPED) for k, s in states.items()]
        )
        yield gauge("jarvis_process_ready", "1 while a process of the daemon runs and is ready.", labels, [(k, s is State.RUNNING) for k, s in states.items()])
    if status.broker is not None:
        yield gauge("jarvis_broker_up", "1 while the broker can be reached and used.", ("process",), [((process,), status.broker.reachable)])
        if status.broker.round_trip_seconds is not None:
            yield gauge("jarvis_broker_round_trip_seconds", "Time from a call of the broker to its answer.", (), [((), status.broker.round_trip_seconds)])


def _broker(status: Status) -> Iterator[Metric]:
    if status.queues is not None:
        queues = status.queues[:MOST_QUEUES]
        yield gauge(
            "jarvis_queue_messages", "Messages in a queue (waiting), or with workers that have not committed them yet (held).", ("queue", "state"),
            [((q.name, state), figure) for q in queues for state, figure in (("waiting", q.waiting), ("held", q.held))],
        )  # fmt: skip
        yield gauge(
            "jarvis_queue_oldest_message_age_seconds", "Age of the message that waits longest, by its publisher's clock; 0 where none waits.", ("queue",),
            [((q.name,), 0 if q.oldest_at is None else max(0.0, seconds(status.taken_at - q.oldest_at))) for q in queues],
        )  # fmt: skip
    if status.strays is not None:
        kinds = [StrayKind(stray.kind) for stray in status.strays]
        yield gauge(
            "jarvis_strays", "What lies in the broker and nobody claims, or what a broker lost, by kind.", ("kind",),
            [((kind.name.lower(),), kinds.count(kind)) for kind in StrayKind],
        )  # fmt: skip


def _books(status: Status) -> Iterator[Metric]:
    if status.records is not None and status.records.total is not None:
        yield gauge("jarvis_books_records", "Records in the books.", (), [((), status.records.total)])
        if status.records.begun_at is not None:
            yield gauge("jarvis_books_first_commit_timestamp_seconds", "When the first record was recorded.", (), [((), seconds(status.records.begun_at))])
        yield gauge("jarvis_books_last_commit_timestamp_seconds", "When a record was last recorded.", (), [((), seconds(status.records.last_commit_at))])
    if (held := status.quarantine) is not None:
        reasons = dict.fromkeys(map(str, Reason), 0) | held.by_reason
        yield gauge("jarvis_quarantine_held_records", "Records that quarantine holds, by reason.", ("reason",), [((r,), n) for r, n in reasons.items()])
    if status.gaps is not None:
        yield gauge("jarvis_gap_missing_records", "Sequence numbers that never arrived.", (), [((), status.gaps.missing)])
        yield gauge("jarvis_gap_producers", "Producers of which some never arrived.", (), [((), status.gaps.producers)])
    if status.notes is not None:
        yield gauge("jarvis_notes", "Notes that nobody has accepted.", (), [((), status.notes)])


def _jobs(status: Status) -> Iterator[Metric]:
    jobs, label = status.jobs, ("name",)  # `job` is what Prometheus calls the target
    if jobs is None:
        return
    yield gauge(
        "jarvis_job_last_success_timestamp_seconds",
        "When a run of a job last succeeded; 0 for never.",
        label,
        [((j.name,), seconds(j.last_success_at)) for j in jobs],
    )
    yield gauge(
        "jarvis_job_last_duration_seconds", "Time that the newest finished run of a job took.", label,
        [((j.name,), j.last_seconds) for j in jobs if j.last_seconds is not None],
    )  # fmt: skip
    yield gauge("jarvis_job_failed", "1 where the newest finished run of a job failed.", label, [((j.name,), j.failed) for j in jobs])
    yield gauge(
        "jarvis_job_next_run_timestamp_seconds", "When a job is next due.", label, [((j.name,), seconds(j.next_at)) for j in jobs if j.next_at is not None]
    )
    yield gauge(
        "jarvis_job_late_seconds", "For how long a job has been due without having begun.", label,
        [((j.name,), 0 if j.late_since is None else max(0.0, seconds(status.taken_at - j.late_since))) for j in jobs],
    )  # fmt: skip
    yield gauge("jarvis_job_paused", "1 while a job is paused.", label, [((j.name,), j.paused_since is not None) for j in jobs])


def _copies(status: Status) -> Iterator[Metric]:
    if status.copies is not None:
        places = {("second" if copies.second else "first", copies.place): copies for copies in status.copies}
        labels = ("copy", "place")
        yield gauge(
            "jarvis_backup_newest_timestamp_seconds", "When the newest proved backup in a place was taken.", labels,
            [(place, seconds(c.newest_at)) for place, c in places.items() if c.newest_at is not None],
        )  # fmt: skip
        yield gauge("jarvis_backups", "Proved backups of these books in a place.", labels, [(place, c.count) for place, c in places.items()])
        yield gauge("jarvis_backups_bytes", "What the proved backups in a place take.", labels, [(place, c.bytes) for place, c in places.items()])
    if (proof := status.proof) is not None:
        if proof.verified_at is not None:
            yield gauge("jarvis_verification_timestamp_seconds", "When the books were last verified.", (), [((), seconds(proof.verified_at))])
        if proof.findings is not None:
            yield gauge("jarvis_verification_findings", "Findings of the last verification.", (), [((), proof.findings)])
        if proof.drilled_at is not None:
            yield gauge("jarvis_restore_drill_timestamp_seconds", "When a restore was last rehearsed.", (), [((), seconds(proof.drilled_at))])


def _storage(status: Status) -> Iterator[Metric]:
    storage = status.storage
    if storage is None:
        return
    yield gauge("jarvis_database_bytes", "Size of the database.", (), [((), storage.database_bytes)])
    yield gauge("jarvis_database_log_bytes", "Size of its write-ahead log.", (), [((), storage.log_bytes)])
    yield gauge("jarvis_database_free_bytes", "What inside the database is free for what comes next.", (), [((), storage.free_bytes_inside)])
    folders = {folder: disk for disk in storage.disks for folder in disk.folders}
    yield gauge("jarvis_disk_free_bytes", "Free on the disk of a folder that is written to.", ("folder",), [((f,), d.free_bytes) for f, d in folders.items()])
    yield gauge("jarvis_disk_total_bytes", "Size of the disk of a folder that is written to.", ("folder",), [((f,), d.total_bytes) for f, d in folders.items()])
