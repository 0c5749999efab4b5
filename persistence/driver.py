"""The driver: connections whose pages carry checksums, and its errors as families of ours. The one place that knows them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import apsw
import apsw.sqlite_extra

from persistence.domain.errors import BooksError, Damaged, Unavailable, WrongDatabase
from persistence.marks import Mark

#: Wrong for now: the same commit may succeed once the disk, the lock or the folder is there again.
PASSING = (
    apsw.BusyError, apsw.LockedError, apsw.FullError, apsw.IOError, apsw.CantOpenError, apsw.ReadOnlyError, apsw.NoMemError,
    apsw.ProtocolError, apsw.InterruptError, apsw.SchemaChangeError, apsw.PermissionsError,
)  # fmt: skip

#: After these a connection is not used again: what it knows of the file may no longer be so.
REOPEN = (apsw.IOError, apsw.ReadOnlyError, apsw.CantOpenError)

#: Wrong for ever: these rows break a rule of the schema or of SQLite.
CONTENT = (apsw.ConstraintError, apsw.MismatchError, apsw.TooBigError, apsw.RangeError)

#: Every page ends with a checksum of 8 bytes, looked at with every read: SQLite's own checks miss a third of single flipped bits.
CHECKSUM_BYTES = 8
CHECKSUMS = "cksmvfs"


@lru_cache(maxsize=1)
def _register_checksums() -> None:
    """Make the checksum VFS known to this process. It stays when the connection that brings it is closed."""
    loading = apsw.Connection(":memory:")
    apsw.sqlite_extra.load(loading, "cksumvfs")
    loading.close()


def connect(path: str, flags: int = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE) -> apsw.Connection:
    _register_checksums()
    return apsw.Connection(path, flags=flags, vfs=CHECKSUMS)


def found_mark(connection: apsw.Connection) -> Mark:
    """Where the books stand: their epoch, their last commit, and the newest numbers in it. `at` is when the newest fact was recorded."""
    row = connection.execute(
        "SELECT epoch, commit_no, coalesce((SELECT max(fact_no) FROM facts), 0), coalesce((SELECT max(quarantine_no) FROM quarantine), 0), "
        "coalesce((SELECT recorded_at FROM facts ORDER BY fact_no DESC LIMIT 1), 0) FROM book"
    ).get
    return Mark(*row)


def header_of(path: str) -> tuple[int, int]:
    """(bytes kept free on each page, schema version) as the header of the file says, without opening it as a database: what is newer may
    still be in its WAL."""
    with reachable(f"read {path}"), open(path, "rb") as file:
        header = file.read(100)
    return (header[20], int.from_bytes(header[60:64], "big")) if len(header) == 100 else (0, 0)


def renew_epoch(connection: apsw.Connection) -> None:
    """From here on the marks of what was made durable before say nothing about these books."""
    connection.execute("UPDATE book SET epoch = lower(hex(randomblob(8)))")


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """The driver's errors and the system's, as families of ours."""
    try:
        yield
    except BooksError:
        raise
    except apsw.NotADBError as error:
        raise WrongDatabase(f"could not {doing}: the file is no SQLite database; name another one in database.path") from error
    except apsw.CorruptError as error:
        raise Damaged(f"could not {doing}: {error}; run `jarvis db check`, then restore the newest backup") from error
    except apsw.FullError as error:
        raise Unavailable(f"could not {doing}: the disk is full; free some space, writing resumes by itself") from error
    except apsw.BusyError as error:
        raise Unavailable(f"could not {doing}: another program holds the database; it is tried again") from error
    except apsw.ReadOnlyError as error:
        raise Unavailable(f"could not {doing}: the file or its file system is read-only; mount it writable, or give the file back to its owner") from error
    except apsw.CantOpenError as error:
        raise Unavailable(f"could not {doing}: the file, its -wal or its -shm cannot be opened; check the folder, its owner and its mode") from error
    except PASSING as error:
        if getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_DATA:
            raise Damaged(
                f"could not {doing}: a page of the file does not match its checksum, so it is not what was written; "
                "run `jarvis db check`, then restore the newest backup"
            ) from error
        # What a copy stumbled over comes without its reason.
        said = type(error).__name__ if str(error) == "not an error" else f"{type(error).__name__}: {error}"
        raise Unavailable(f"could not {doing}: {said}; check the disk, its free space, and `ulimit -f`") from error


@contextmanager
def reachable(doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"could not {doing}: {error.strerror or error}; check the folder, its owner and the free space") from error


def refuse_damaged(connection: apsw.Connection, path: str) -> None:
    """Raises `WrongDatabase` where SQLite's own checks of a database find something."""
    problems = [text for (text,) in connection.execute("PRAGMA integrity_check(5)") if text != "ok"]
    problems += [f"row {row[1]} of {row[0]} refers to nothing in {row[2]}" for row in connection.execute("PRAGMA foreign_key_check")][:5]
    if problems:
        raise WrongDatabase(f"{path} is damaged: {'; '.join(problems)}")
