"""The driver's errors, as families of the books."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import apsw.sqlite_extra

from jarvis_client.contract.errors import BooksError, Invalid, Unavailable
from persistence.domain.errors import Damaged, RuleBroken, TookTooLong, WrongDatabase

#: Wrong for now: the same commit may succeed once the disk, the lock or the folder is there again.
PASSING = (
    apsw.BusyError, apsw.LockedError, apsw.FullError, apsw.IOError, apsw.CantOpenError, apsw.ReadOnlyError, apsw.NoMemError,
    apsw.ProtocolError, apsw.InterruptError, apsw.SchemaChangeError, apsw.PermissionsError,
)  # fmt: skip
#: After these a connection is not used again: what it knows of the file may no longer be so.
REOPEN = (apsw.IOError, apsw.ReadOnlyError, apsw.CantOpenError)
#: Wrong for ever: these rows break a rule of the schema or of SQLite.
CONTENT = (apsw.ConstraintError, apsw.MismatchError, apsw.TooBigError, apsw.RangeError)


@contextmanager
def translated(doing: str, *, reading: str | None = None) -> Iterator[None]:
    """Raise the driver's errors as the books' own, with what was being done. `reading`: the file that it is done from, where a damaged page of
    another one is met."""
    damaged = f"could not {doing if reading is None else f'read {reading}'}"
    try:
        yield
    except BooksError:
        raise
    except apsw.NotADBError as error:
        raise WrongDatabase(f"could not {doing}: the file is no SQLite database; name another one in database.path") from error
    except apsw.CorruptError as error:
        raise Damaged(f"{damaged}: {error}; run `jarvis db check`, then restore the newest backup") from error
    except apsw.FullError as error:
        raise Unavailable(f"could not {doing}: the disk is full; free some space, writing resumes by itself") from error
    except apsw.BusyError as error:
        raise Unavailable(f"could not {doing}: another program holds the database; the same call may succeed later") from error
    except apsw.ReadOnlyError as error:
        raise Unavailable(f"could not {doing}: the file or its file system is read-only; mount it writable, or give the file back to its owner") from error
    except apsw.CantOpenError as error:
        raise Unavailable(f"could not {doing}: the file, its -wal or its -shm cannot be opened; check the folder, its owner and its mode") from error
    except apsw.InterruptError as error:
        raise TookTooLong(f"could not {doing}: it took longer than it may; ask for less at a time") from error
    except PASSING as error:
        if getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_DATA:
            raise Damaged(
                f"{damaged}: a page of the file does not match its checksum, so it is not what was written; "
                "run `jarvis db check`, then restore the newest backup"
            ) from error
        # SQLite reports an error during a copy without its cause.
        said = type(error).__name__ if str(error) == "not an error" else f"{type(error).__name__}: {error}"
        raise Unavailable(f"could not {doing}: {said}; check the disk, its free space, and `ulimit -f`") from error
    except CONTENT as error:
        raise RuleBroken(f"the store refuses it: {error}") from error
    except apsw.Error as error:
        raise Invalid(f"could not {doing}: {type(error).__name__}: {error}") from error
    except (OverflowError, UnicodeEncodeError) as error:
        if isinstance(error, OverflowError) and "too big to convert" not in str(error):
            raise
        raise _refused(error) from error


@contextmanager
def taken() -> Iterator[None]:
    """Raise what the driver says of a statement's parameters in Python's own errors as `Invalid`."""
    try:
        yield
    except BooksError:
        raise
    except KeyError as error:
        raise Invalid(f"the statement names the parameter {error}, which is not given") from error
    except (TypeError, OverflowError, UnicodeEncodeError) as error:
        raise _refused(error) from error


def _refused(error: Exception) -> Invalid:
    if isinstance(error, UnicodeEncodeError):
        return Invalid(f"{error.object!r:.60} holds half a character (a lone surrogate); decode it anew, or leave it out")
    if isinstance(error, OverflowError):
        return Invalid("a whole number is beyond 64 bits; give smaller ones, and amounts as Decimal or text")
    return Invalid(f"these parameters are not taken: {error}; give a tuple, or a dict for named ones")


@contextmanager
def reachable(doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"could not {doing}: {error.strerror or error}; check the folder, its owner and the free space") from error
