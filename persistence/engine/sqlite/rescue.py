"""A file that was deleted while it was open: this process holds the only copy, and writes it to a name of its own.

Nothing is closed before that copy stands: the last handle that goes takes the pages along.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import apsw

from jarvis_client.contract.errors import BooksError, Unavailable
from jarvis_client.contract.instants import to_datetime
from persistence.engine.sqlite.connect import SQLiteConnection, connect
from persistence.engine.sqlite.copying import copy_to
from persistence.files import nearest_folder, open_or_make, remove

PATTERN = "rescued-*.db"


class Standing(NamedTuple):
    """Whose books a file holds, and how far they go."""

    book_id: str
    epoch: str
    commit_no: int

    def holds(self, other: Standing) -> bool:
        """Whether nothing is lost by going on here instead: the same books, as far or further. Another epoch is one that a restore gave
        on purpose."""
        return self.book_id == other.book_id and (self.epoch != other.epoch or self.commit_no >= other.commit_no)


def standing_of(connection: apsw.Connection) -> Standing:
    return Standing(*connection.execute("SELECT book_id, epoch, commit_no FROM book").get)


def standing_at(path: str | Path) -> Standing | None:
    """The same of a file that is not open here; None where it holds no books that can be read."""
    with suppress(apsw.Error, OSError, TypeError), closing(connect(str(path), apsw.SQLITE_OPEN_READWRITE)) as other:
        # Its log is not ours to move, nor is it moved under anybody's lock here.
        other.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        return standing_of(other)
    return None


def links_of(device: int, inode: int) -> int | None:
    """How many names a file has that this process holds open; None where it holds no such file.

    Without opening anything: closing a second descriptor of a database would drop SQLite's locks on it.
    """
    for name in os.listdir("/dev/fd"):
        with suppress(OSError, ValueError):
            status = os.fstat(int(name))
            if (status.st_dev, status.st_ino) == (device, inode):
                return status.st_nlink
    return None


def rescue(connection: SQLiteConnection, database: Path, backup_folder: Path, clock: Callable[[], int]) -> Path:
    """Write everything that a connection sees into a plain database of its own, fsynced, beside the backups where that is possible.

    Returns the copy, or that of another process that holds as much. Raises `Unavailable` where it can be written nowhere.
    """
    ours, problems = standing_of(connection), []
    for folder in _folders(database, backup_folder):
        try:
            with _one_at_a_time(folder):
                for path in sorted(folder.glob(PATTERN)):
                    there = standing_at(path)
                    if there is not None and there.epoch == ours.epoch and there.holds(ours):
                        return path
                target = _free_name(folder, clock())
                copy_to(connection, str(target))
                return target
        except (BooksError, OSError) as error:
            problems.append(f"{folder}: {error}")
    raise Unavailable(
        f"{database} was deleted while it was open, and what it held could not be written anywhere yet ({'; '.join(problems)}). "
        f"Process {os.getpid()} keeps it and tries again: make room in one of these folders, and do not end it before"
    )


def _folders(database: Path, backup_folder: Path) -> list[Path]:
    """Where a copy may go, the best place first. None is made: what is missing may be a disk that is not mounted."""
    wanted = [backup_folder.absolute(), database.absolute().parent, nearest_folder(database), Path(tempfile.gettempdir())]
    return [folder for folder in dict.fromkeys(wanted) if folder.is_dir()]


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Worker and scheduler find the deletion at the same moment; the second one shall find the copy of the first."""
    lock = folder / ".rescuing"
    descriptor = open_or_make(lock)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        remove(lock)
        os.close(descriptor)


def _free_name(folder: Path, now: int) -> Path:
    names = (folder / f"rescued-{to_datetime(now):%Y%m%dT%H%M%SZ}{f'-{n}' if n else ''}.db" for n in range(1_000))
    return next(name for name in names if not name.exists())


__all__ = ["PATTERN", "Standing", "links_of", "rescue", "standing_at", "standing_of"]
