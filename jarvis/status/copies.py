"""The backups by their manifests: none is opened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from jarvis.settings import Settings
from jarvis.status.model import Copies
from jarvis.status.patience import PATIENCE_SECONDS, Patience
from jarvis_client.contract.errors import BooksError, Unavailable
from jarvis_client.contract.instants import to_instant
from persistence.copies import backups
from persistence.copies.places import refuse_strange
from persistence.engine.contract import Database


def read_copies(settings: Settings, database: Database | None, book: str | None, now: int, patience: Patience) -> Iterator[Copies]:
    """The folder of backups and the second place, where the settings have them. `book`: whose backups count; None: anybody's."""
    backup = settings.database.backup
    if not backup.enabled:
        return
    yield _copies(backup.path, database, book, now, patience, second=False)
    if backup.second.path is not None:
        yield _copies(backup.second.path, database, book, now, patience, second=True)


def _copies(folder: Path, database: Database | None, book: str | None, now: int, patience: Patience, *, second: bool) -> Copies:
    def look() -> tuple[int, int, int | None]:
        if database is not None:
            with database.get_connection() as connection:
                refuse_strange(connection, folder)
        if second and not folder.is_dir():
            raise Unavailable("does not exist; is its disk mounted?")
        ours = [b for b in backups.present(folder) if b.proved and book in (None, b.book)]
        newest = max((to_instant(b.taken_at) for b in ours if not b.is_ahead(now)), default=None)
        return len(ours), sum(b.size for b in ours), newest

    try:
        count, size, newest = patience.within(PATIENCE_SECONDS, str(folder), look)
    except (BooksError, OSError) as error:
        return Copies(place=str(folder), second=second, count=0, bytes=0, newest_at=None, problem=str(error).removeprefix(f"{folder}").lstrip(": "))
    return Copies(place=str(folder), second=second, count=count, bytes=size, newest_at=newest)
