"""Gathering a status from all its sources. It reads and changes nothing: no lock is taken, no file made, nothing waited for that is down."""

from __future__ import annotations

import platform
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from typing import Any, TypeVar

from jarvis import __version__
from jarvis.embedded_broker import EmbeddedBroker
from jarvis.hours import entries_of
from jarvis.opening import open_database
from jarvis.settings import Settings
from jarvis.status.books import read_gaps, read_notes, read_proof, read_quarantine, read_records, read_strays
from jarvis.status.broker import NOT_RUNNING, BrokerLook, Seen
from jarvis.status.copies import read_copies
from jarvis.status.jobs import read_jobs
from jarvis.status.model import Process, Records, State, Status
from jarvis.status.patience import Patience
from jarvis.status.processes import broker_since, elsewhere, read_processes
from jarvis.status.storage import read_storage
from jarvis_client.contract.errors import BooksError
from persistence.books.book import book_id
from persistence.engine.contract import LiveBooks
from persistence.repositories.job_runs import SQLiteJobRunRepository

T = TypeVar("T")

#: What only the books tell.
OF_THE_BOOKS = ("records", "quarantine", "gaps", "notes", "strays", "jobs", "proof")


class Watcher:
    """Looks again and again, at the same cost however much was recorded. It keeps its connection to the broker, but one to the database only
    where it is given one: whoever holds a file that was deleted holds its last copy, and a watcher should not."""

    def __init__(self, settings: Settings, database: LiveBooks | None = None, *, broker_only: bool = False) -> None:
        """`broker_only`: ask the broker alone, as on a machine that has neither the books nor the daemon."""
        self._settings = settings
        self._database = database
        self._broker_only = broker_only
        self._patience = Patience()
        #: Whether the broker was reachable at the last look, and since which look it is as it was then.
        self._broker_stands: tuple[bool, int | None] | None = None
        url, namespace = settings.broker.url, settings.broker.namespace
        embedded = EmbeddedBroker(settings.data_folder, settings.broker.socket_folder)
        self._broker = (
            BrokerLook(embedded.url, namespace, log_of_embedded=embedded.log.absolute()) if url is None else BrokerLook(url.get_secret_value(), namespace)
        )

    def look(self, now: int) -> Status:
        """How everything stands at this instant. What cannot be read is None, and `unread` says why."""
        settings, seen = self._settings, self._broker.look(now)
        status = Status(
            taken_at=now, version=__version__, host=platform.node(), folder=str(settings.data_folder), namespace=settings.broker.namespace, broker=seen.broker,
            queues=seen.queues, unread={} if seen.unread is None else {"queues": seen.unread},
        )  # fmt: skip
        status = self._of_the_broker(status, seen) if self._broker_only else self._of_everything(status, seen)
        told = broker_since(None if self._broker_only else settings.data_folder, seen.spoken, reachable=seen.broker.reachable, now=now)
        watched = self._watched(seen.broker.reachable, now)
        broker = replace(seen.broker, since=watched if told is None else told)
        supervised = any(process.kind == "supervisor" and process.state is not State.STOPPED for process in status.processes or ())
        if supervised and broker.problem == NOT_RUNNING:
            broker = replace(broker, remedy=f"`jarvis up` starts it again; its log says why: {EmbeddedBroker(settings.data_folder).log.absolute()}")
        return replace(status, broker=broker)

    def close(self) -> None:
        self._broker.close()

    # -- details -----------------------------------------------------------------------------------------------------

    def _watched(self, reachable: bool, now: int) -> int | None:
        """Since when the broker is reachable, or is not, where this watcher saw it come or go."""
        if self._broker_stands is None:
            self._broker_stands = reachable, None
        elif self._broker_stands[0] is not reachable:
            self._broker_stands = reachable, now
        return self._broker_stands[1]

    def _of_the_broker(self, status: Status, seen: Seen) -> Status:
        if seen.queues is None:
            return status
        processes = tuple(elsewhere(seen.spoken, status.taken_at))
        return replace(status, processes=processes, records=_as_workers_say(processes))

    def _of_everything(self, status: Status, seen: Seen) -> Status:
        settings, now, unread = self._settings, status.taken_at, dict(status.unread)

        def read(part: str, of: Callable[[], T]) -> T | None:
            try:
                return of()
            except (BooksError, OSError) as error:
                unread[part] = str(error)
                return None

        found: dict[str, Any] = {}
        ticks, book = None, None
        with self._opened() as database:
            book = read("records", lambda: _book_of(database))
            if book is None:
                unread |= dict.fromkeys(OF_THE_BOOKS, unread["records"])
            else:
                runs = SQLiteJobRunRepository(database)
                ticks = read("jobs", lambda: runs.scheduler_alive(now))
                found = {
                    "records": read("records", lambda: read_records(database, now)),
                    "quarantine": read("quarantine", lambda: read_quarantine(database)),
                    "gaps": read("gaps", lambda: read_gaps(database)),
                    "notes": read("notes", lambda: read_notes(database)),
                    "strays": read("strays", lambda: read_strays(database)),
                    "jobs": read("jobs", lambda: tuple(read_jobs(runs, entries_of(settings), settings.scheduler.time_zone, now))),
                    "proof": read("proof", lambda: read_proof(database, now)),
                }
            found["copies"] = read("copies", lambda: tuple(read_copies(settings, None if book is None else database, book, now, self._patience)))
            found["storage"] = read("storage", lambda: read_storage(settings, database, self._patience))
        found["processes"] = read("processes", lambda: read_processes(settings, seen.spoken, ticks, now))
        if found.get("records") is not None and found["processes"] is not None:
            found["records"] = replace(found["records"], lag_seconds=_newest_lag(found["processes"]))
        return replace(status, **found, unread=unread)

    def _opened(self) -> AbstractContextManager[LiveBooks]:
        return nullcontext(self._database) if self._database is not None else closing(open_database(self._settings, looking=True))


def gather(settings: Settings, *, now: int, database: LiveBooks | None = None, broker_only: bool = False) -> Status:
    """How everything stands, once. `database`: open books to ask; without them they are opened for a moment."""
    with closing(Watcher(settings, database, broker_only=broker_only)) as watcher:
        return watcher.look(now)


def is_elsewhere(settings: Settings) -> bool:
    """Whether nothing of the daemon lies here, while the settings name a broker: then only that can be asked. A database that is missing beside
    its locks or its log is another matter."""
    path = settings.database.path
    if settings.database.url is not None:
        return False
    return settings.broker.url is not None and not any(settings.data_folder.glob(f"{path.name}*")) and not any(settings.data_folder.glob("*.lock"))


def _book_of(database: LiveBooks) -> str:
    with database.get_connection() as connection:
        return book_id(connection)


def _alive(processes: tuple[Process, ...]) -> list[Process]:
    return [process for process in processes if process.kind == "worker" and process.state is not State.STOPPED]


def _newest_lag(processes: tuple[Process, ...]) -> float | None:
    committed = [process for process in _alive(processes) if process.last_commit_at is not None]
    return max(committed, key=lambda process: process.last_commit_at or 0).lag_seconds if committed else None


def _as_workers_say(processes: tuple[Process, ...]) -> Records | None:
    """What was recorded lately, where there are no books to ask."""
    alive = _alive(processes)
    if not alive:
        return None
    return Records(
        total=None, begun_at=None, last_minute=sum(p.last_minute or 0 for p in alive), last_hour=sum(p.last_hour or 0 for p in alive),
        last_commit_at=max((p.last_commit_at for p in alive if p.last_commit_at is not None), default=None), lag_seconds=_newest_lag(processes),
    )  # fmt: skip
