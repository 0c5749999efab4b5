"""Going back to a copy where a server keeps the books: the same steps as with a file (restoring.py), in one commit of the server."""

from __future__ import annotations

from pathlib import Path

from jarvis_client.contract.errors import BooksError
from jarvis_client.contract.instants import to_datetime
from persistence.copies.backups import Backup
from persistence.copies.choosing import present_books
from persistence.copies.going_back import take_back_on_purpose
from persistence.copies.restoring import Restored, compare, generation_of, newest_instant, origin_of, refuse_other_books
from persistence.domain.progress import Progress, silent
from persistence.engine.contract import LiveBooks
from persistence.proof.books_checks import check_books


def bring_back_to_server(
    database: LiveBooks, plain: Path, now: int, *, source: Backup, later_folder: Path, until: int | None = None, progress: Progress = silent
) -> Restored:
    """Replace the books by `plain`, a sound copy, which is used up; otherwise as `restoring.bring_back`. The present books are kept as a SQLite
    file in `later_folder`."""
    done = Restored()
    stamp = f"{to_datetime(now):%Y%m%dT%H%M%SZ}"
    database.initialize()
    present = present_books(database)
    progress("comparing with the present books", 0, 0)
    with database.copied(later_folder) as copy:
        empty = not copy.execute_query("SELECT 1 FROM facts LIMIT 1")
        if present is not None and not empty:
            refuse_other_books(database.path, source.path, plain, present[0])
        life = generation_of(copy)
        if not empty:
            since = newest_instant(plain)
            later = later_folder / f"after-{stamp}{'' if since is None else f'-since-{to_datetime(since):%Y%m%dT%H%M%SZ}'}.ndjson"
            compare(copy, plain, later, until, done)
    done.recorded_until = newest_instant(plain)
    progress("putting the backup in its place", 0, 0)
    done.missing_notes = take_back_on_purpose(
        plain, now, database.backup_folder, instead_of=None if present is None or empty else present[1], least_generation=life, content=origin_of(source)
    )
    done.aside = database.replaced_from(plain, None if empty else later_folder / f"server.before-restore-{stamp}.db")
    if findings := check_books(database, progress):
        first = findings[0]
        raise BooksError(f"the restored books have findings, the first: {first.check}, {first.where}; the former books are {done.aside}")
    return done


__all__ = ["bring_back_to_server"]
