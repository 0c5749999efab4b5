"""The server's errors, as families of the books."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout

from jarvis_client.contract.errors import BooksError, Invalid, Unavailable
from persistence.domain.errors import Damaged, Overtaken, RuleBroken, TookTooLong, WrongDatabase

#: Another commit was faster: a row that both made first, a lock that both wanted, a snapshot that is too old. Never the fault of a fact.
FASTER = frozenset({"23505", "40001", "40P01", "55P03"})
#: These rows break a rule for ever: of the schema (23), of a type (22, 21), or of what the server can hold (54).
CONTENT = ("23", "22", "21", "54")
#: Passing troubles of the server: connections (08), resources (53), somebody stops it (57), its disk (58).
PASSING = ("08", "53", "57", "58")
#: Prepared statements that are there already or no longer, or whose tables changed: a connection that somebody else had meanwhile.
OF_THE_CONNECTION = frozenset({"42P05", "26000", "0A000"})
#: Columns, functions, types and keys that are not there: the schema is not this program's, whatever the facts are.
SCHEMA = frozenset({"42703", "42883", "42704", "42804", "42P10", "42P13"})
#: Passwords and users, and databases that are not there.
REFUSED = ("28", "3D")


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise the driver's errors as the books' own, with what was being done."""
    try:
        yield
    except BooksError:
        raise
    except psycopg.Error as error:
        raise as_ours(error, doing) from error
    except UnicodeEncodeError as error:
        raise Invalid(f"{error.object!r:.60} holds half a character (a lone surrogate); decode it anew, or leave it out") from error


def as_ours(error: psycopg.Error, doing: str) -> BooksError:
    """The books' own error for one of the driver's."""
    code, said = error.sqlstate, said_by(error)
    if isinstance(error, PoolTimeout | PoolClosed):
        return Unavailable(f"could not {doing}: {said}; close a stream or raise database.performance.max_connections")
    if code is None:
        if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            return Unavailable(f"could not {doing}: {said}; check that the server of database.url runs and can be reached")
        return Invalid(f"could not {doing}: {said}")
    if code in FASTER:
        return Overtaken(f"could not {doing}: another commit was faster ({said}); nothing was recorded, the same call may succeed now")
    if code == "25006":
        return Invalid("this connection is for reading; write inside `with database.transaction()`, or with execute_update")
    if code == "57014":
        return TookTooLong(f"could not {doing}: it took longer than it may; ask for less at a time")
    if code in ("XX001", "XX002"):
        return Damaged(f"could not {doing}: {said}; the server's files are damaged: stop it, and bring a backup of the server back")
    if code == "42501":
        return WrongDatabase(f"could not {doing}: {said}; let the user of database.url own the schema, or grant it what is missing")
    if code in ("42P01", "3F000"):
        return WrongDatabase(f"could not {doing}: {said}; run `jarvis db init`, or check the database and the search_path of database.url")
    if code.startswith(REFUSED):
        return WrongDatabase(f"could not {doing}: {said}; check the user, the password and the name of the database in database.url")
    if code in SCHEMA and doing.startswith("write"):
        return WrongDatabase(f"could not {doing}: {said}; the schema is not this program's: run `jarvis verify`, or install the jarvis-trading that made it")
    if code in OF_THE_CONNECTION or code.startswith(PASSING):
        return Unavailable(f"could not {doing}: {said}; the same call may succeed later")
    if code.startswith(CONTENT):
        return RuleBroken(f"the store refuses it: {said}")
    return Invalid(f"could not {doing}: {type(error).__name__}: {said}")


def said_by(error: BaseException) -> str:
    """What an error says, in one line and without the addresses that the driver repeats."""
    found = getattr(getattr(error, "diag", None), "message_primary", None) or str(error) or type(error).__name__
    return re.sub(r"\s+", " ", found).strip()


__all__ = ["as_ours", "said_by", "translated"]
