"""The processes of the daemon: those over this data folder by their locks, workers also by what they say, here and on the broker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from jarvis.embedded_broker import LAUNCHER_LOCK
from jarvis.locks import scheduler_lock, supervisor_lock, worker_lock, worker_names
from jarvis.settings import Settings
from jarvis.status.broker import Spoken
from jarvis.status.model import Process, State
from jarvis.stopped import is_stopped
from persistence.domain.showing import moment
from persistence.files import is_seen_locked
from persistence.holders import noted_holder
from persistence.repositories.job_runs import STALE_AFTER_MICROSECONDS
from workers.ownership import place_of
from workers.word import Word, kept_word, path_of_word

#: A worker says how it is every three seconds, or every thirteen while its broker stalls.
SILENT_SECONDS = 30
#: A process that ended longer ago is shown only where the settings name it.
_DAY = 86_400_000_000


def read_processes(settings: Settings, spoken: Mapping[str, Spoken], ticks: bool | None, now: int) -> tuple[Process, ...]:
    """Everything that should run over this folder or does, then workers that live elsewhere. `ticks`: whether a scheduler does, by the books; None
    where they do not tell."""
    here = list(_local(settings, spoken, ticks, now))
    names = {process.name for process in here if process.kind == "worker"}
    return *here, *elsewhere({name: found for name, found in spoken.items() if name not in names}, now)


def elsewhere(spoken: Mapping[str, Spoken], now: int) -> Iterator[Process]:
    """Workers by what they say on the broker alone."""
    for found in spoken.values():
        if found.alive_at is not None:
            yield _speaking(found.word, found.alive_at)
        elif now - found.word.said_at < _DAY:
            yield _ended(found.word.name, found.word)


def broker_since(folder: Path | None, spoken: Mapping[str, Spoken], *, reachable: bool, now: int) -> int | None:
    """Since when the broker is reached, or is not, by the newest word of a worker that lives: on the broker, or in a data folder."""
    kept = [word for path in sorted(folder.glob("worker-*.json")) if (word := kept_word(path)) is not None] if folder is not None else []
    told = [found.word for found in spoken.values() if found.alive_at is not None] + [w for w in kept if now - w.said_at <= SILENT_SECONDS * 1_000_000]
    agreeing = [word for word in told if word.broker_reachable is reachable and word.state != State.STOPPED]
    return max(agreeing, key=lambda word: word.said_at).broker_since if agreeing else None


def _local(settings: Settings, spoken: Mapping[str, Spoken], ticks: bool | None, now: int) -> Iterator[Process]:
    folder, place = settings.data_folder, place_of(settings.data_folder)
    supervisor = _holder(supervisor_lock(settings), "jarvis up", "supervisor", place)
    if supervisor.state is not State.STOPPED or supervisor.problem is not None:
        yield supervisor
    if settings.broker.url is None:
        yield _holder(folder / "broker" / LAUNCHER_LOCK, "broker", "broker", place)
    expected = worker_names(settings)
    for name in dict.fromkeys([*expected, *sorted(path.stem.removeprefix("worker-") for path in folder.glob("worker-*.lock"))]):
        worker = _worker(settings, name, spoken.get(name), place, now)
        if name in expected or worker.state is not State.STOPPED:
            yield worker
    yield _scheduler(settings, place, ticks, now)


def _holder(lock: Path, name: str, kind: str, place: str) -> Process:
    """A process that says nothing but that it is there."""
    noted = noted_holder(lock)
    if not is_seen_locked(lock):
        return Process(name=name, kind=kind, state=State.STOPPED, place=place, problem=None if noted is None else "it ended without a word")
    if noted is None:
        return Process(name=name, kind=kind, state=State.RUNNING, place=place)
    process = noted.process
    still = None if process is None else _standing_still(process.pid)
    return Process(
        name=name, kind=kind, state=State.NOT_READY if still else State.DRAINING if noted.going else State.RUNNING, place=place, pid=noted.pid,
        version=noted.version, since=None if process is None else process.since, problem=still,
    )  # fmt: skip


def _scheduler(settings: Settings, place: str, ticks: bool | None, now: int) -> Process:
    process = _holder(scheduler_lock(settings), "scheduler", "scheduler", place)
    young = process.since is None or now - process.since < STALE_AFTER_MICROSECONDS
    if process.state is not State.RUNNING or ticks is not False or young:
        return process
    return replace(process, state=State.NOT_READY, problem="it does not tick: its log says why")


def _worker(settings: Settings, name: str, spoken: Spoken | None, place: str, now: int) -> Process:
    """A worker of this folder: alive by its lock, and as it says itself, in its file or on the broker, whichever is newer."""
    lock = worker_lock(settings, name)
    process = _holder(lock, name, "worker", place)
    kept = kept_word(path_of_word(settings.data_folder, name))
    words = [word for word in (kept, spoken.word if spoken is not None and _is_ours(spoken.word, kept, place) else None) if word is not None]
    word = max(words, key=lambda word: word.said_at, default=None)
    if process.state is State.STOPPED:
        return _ended(name, word, place)
    if word is None or (process.pid is not None and word.pid != process.pid):
        return replace(process, state=State.NOT_READY, problem=process.problem or "it is starting", not_ready_since=process.since)
    said = _speaking(word, word.said_at)
    if process.state is State.NOT_READY:
        said = replace(said, state=State.NOT_READY, problem=process.problem, not_ready_since=word.said_at)
    elif now - word.said_at > SILENT_SECONDS * 1_000_000:
        problem = f"it has said nothing since {moment(word.said_at)}: its log says why"
        said = replace(said, state=State.NOT_READY, problem=problem, not_ready_since=word.said_at)
    elif process.state is State.DRAINING:
        said = replace(said, state=State.DRAINING)
    return replace(said, place=place)


def _is_ours(word: Word, kept: Word | None, place: str) -> bool:
    return word.place == place if kept is None else word.home == kept.home


def _speaking(word: Word, seen_at: int) -> Process:
    known = {str(state): state for state in State}
    return Process(
        name=word.name, kind="worker", state=known.get(word.state, State.NOT_READY), place=word.place, pid=word.pid, since=word.started_at, seen_at=seen_at,
        version=word.version, problem=word.problem, not_ready_since=word.not_ready_since, in_flight=word.in_flight,
        counts={"messages": word.messages, "applied": word.applied, "duplicates": word.duplicates, "quarantined": word.quarantined},
        last_commit_at=word.last_commit_at, lag_seconds=word.lag_seconds, last_minute=word.last_minute, last_hour=word.last_hour,
    )  # fmt: skip


def _ended(name: str, word: Word | None, place: str | None = None) -> Process:
    if word is None:
        return Process(name=name, kind="worker", state=State.STOPPED, place=place)
    said = _speaking(word, word.said_at)
    problem = None if word.state == State.STOPPED else "it ended without a word"
    said = replace(said, state=State.STOPPED, place=place or word.place, problem=problem, not_ready_since=None)
    return replace(said, last_minute=None, last_hour=None, in_flight=None)


def _standing_still(pid: int | None) -> str | None:
    return f"process {pid} is stopped; `kill -CONT {pid}` sets it going again" if pid is not None and is_stopped(pid) else None
