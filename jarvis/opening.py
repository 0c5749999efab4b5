"""Opening the books as the settings say: apart from the processes, so that a command that only reads starts quickly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from jarvis.settings import Settings
from persistence.database import DatabaseManager
from persistence.engine.contract import Connection, LiveBooks
from persistence.engine.sqlite.peek import peeked
from persistence.opening import of_a_file, open_books


def open_database(settings: Settings, *, looking: bool = False) -> LiveBooks:
    """The books as configured. `looking`: refuse neither damaged pages nor missing commits, for the commands that tell of them."""
    performance, backup = settings.database.performance, settings.database.backup
    return open_books(
        settings.database.place, performance.max_connections, wal_mode=performance.wal_mode, checkpoints=performance.checkpoints == "jarvis",
        folder=settings.data_folder, backup_folder=backup.path, second_folder=backup.second.path, looking=looking,
    )  # fmt: skip


@contextmanager
def reading_books(settings: Settings) -> Iterator[Connection]:
    """A connection that sees the books of one moment and leaves no trace of it. Raises as `peeked`."""
    if settings.database.url is None:
        with peeked(settings.database.path) as connection:
            yield connection
        return
    with closing(open_database(settings, looking=True)) as database, database.snapshot() as connection:
        yield connection


def open_file(settings: Settings, doing: str, instead: str, *, looking: bool = False) -> DatabaseManager:
    """The same where a file holds the books. Raises `Invalid`, with what to do `instead`, where a server does."""
    return of_a_file(open_database(settings, looking=looking), doing, instead)
