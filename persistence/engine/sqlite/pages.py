"""The pages of the file: whether they are what was written to them, and whether tables, indexes and references fit."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import apsw
import apsw.sqlite_extra

from persistence.domain.errors import Damaged, WrongDatabase
from persistence.domain.finding import Finding
from persistence.engine.sqlite.connect import SQLiteConnection, connect


def refuse_damaged(connection: SQLiteConnection, path: str) -> None:
    """Raises `WrongDatabase` where SQLite's own checks of a database find something."""
    problems = [text for (text,) in connection.execute("PRAGMA integrity_check(5)") if text != "ok"]
    problems += [f"row {row[1]} of {row[0]} refers to nothing in {row[2]}" for row in connection.execute("PRAGMA foreign_key_check")][:5]
    if problems:
        raise WrongDatabase(f"{path} is damaged: {'; '.join(problems)}")


#: Problems that SQLite is asked for: their number tells an index that lacks a row from a file that is gone.
PROBLEMS = 1_000
#: And those of them that are told.
TOLD = 3


def file_is_sound(connection: SQLiteConnection) -> Iterator[Finding]:
    if problems := _problems(connection):
        yield _unsound(problems)


def _problems(connection: SQLiteConnection) -> list[str]:
    """What SQLite's own check of a database says, a line each; a page that it cannot read ends it."""
    found: list[str] = []
    try:
        for (text,) in connection.execute(f"PRAGMA integrity_check({PROBLEMS})"):
            found.append(" ".join(text.split()))
    except apsw.Error as error:
        if not found:
            raise
        found.append(str(error))
    return [text for text in found if text != "ok"]


def _unsound(problems: list[str]) -> Finding:
    more = len(problems) - TOLD
    rest = "" if more <= 0 else f"; and {more:,} more" + (", at least" if len(problems) == PROBLEMS else "")
    remedy = "jarvis rebuild --stop makes indexes anew; else jarvis restore --latest, or jarvis db salvage NEW-FILE"
    return Finding("file is sound", "database file", "ok", "; ".join(problems[:TOLD]) + rest, remedy)


#: SQLite locks bytes from here on, so the page that holds them is never used.
LOCK_BYTE = 1 << 30
#: SQLite's default, and that of every database of ours.
PAGE_BYTES = 4096


def damaged_pages(path: str, *, wal_is_in_use: bool = False) -> list[int]:
    """Numbers of the pages of a file that do not match their checksum, free ones included; the WAL is not looked at.

    Reads around SQLite's cache, so that it sees what the disk holds.
    """
    # A connection of its own, to nothing: the header of the file may be what is damaged.
    with closing(connect(":memory:")) as connection, open(path, "rb") as file:
        header = os.pread(file.fileno(), 100, 0)
        size = int.from_bytes(header[16:18], "big") or PAGE_BYTES
        size = size if size in (1 << n for n in range(9, 16)) else PAGE_BYTES

        def is_sound(number: int) -> bool:
            page = os.pread(file.fileno(), size, (number - 1) * size)
            return len(page) == size and bool(connection.execute("SELECT verify_checksum(?)", (page,)).get)

        count = -(-os.fstat(file.fileno()).st_size // size)
        suspect = [n for n in range(1, count + 1) if n != LOCK_BYTE // size + 1 and not is_sound(n)]
        if header[20:21] == b"\0" and len(suspect) > count // 2:
            return []  # written without checksums, as where checkpoints are left to Litestream
        # A checkpoint may have been writing just then.
        for _ in range(5 if suspect and wal_is_in_use else 0):
            time.sleep(0.05)
            suspect = [n for n in suspect if not is_sound(n)]
        return suspect


def owners_of(connection: SQLiteConnection, pages: list[int]) -> dict[int, str]:
    """The table or index that each of these pages belongs to, as far as their trees can be followed."""
    found: dict[int, str] = {}
    lost: list[str] = []
    wanted = set(pages)
    trees: list[Any] = [("sqlite_schema", "table", "sqlite_schema")]
    with suppress(apsw.Error):
        trees += connection.execute("SELECT name, type, tbl_name FROM sqlite_schema WHERE rootpage > 0").fetchall()
    for name, kind, table in trees:
        said = f"table {name}" if kind == "table" else f"index {name} of {table}"
        try:
            for (number,) in connection.execute("SELECT pageno FROM dbstat WHERE name = ?", (name,)):
                if number in wanted:
                    found[number] = said
        except apsw.Error:
            lost.append(said)
    rest = f"of no table that can be followed to it; not followed to their end: {', '.join(lost)}" if lost else "free, or of nothing that is read"
    return {number: found.get(number, rest) for number in pages}


def references_hold(connection: SQLiteConnection) -> Iterator[Finding]:
    for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        yield Finding("references hold", f"{table} row {row}", f"a row of {parent}", "none", f"jarvis db check  # then look at {table} with any SQLite tool")


def rewrite(connection: SQLiteConnection, reserve: int, *, verify: bool) -> None:
    """Write every page of a database anew, with `reserve` bytes for its checksum."""
    connection.pragma("checksum_verification", "OFF")
    try:
        connection.pragma("journal_mode", "delete")
        connection.reserve_bytes("main", reserve)
        connection.execute("VACUUM")
    finally:
        connection.pragma("checksum_verification", "ON" if verify else "OFF")


def mend_indexes(connection: SQLiteConnection) -> list[Finding]:
    """Make every index anew from its table, within a commit, if the file is not sound. Returns what that mended.

    Raises `Damaged` where an index cannot be made: then it is not only the indexes.
    """
    before = _problems(connection)
    if not before:
        return []
    try:
        connection.execute("REINDEX")
    except apsw.Error as error:
        said = f"{before[0]}: it is not only the indexes ({error})"
        raise Damaged(f"{said}; `jarvis db check` says what can be read, `jarvis db salvage` recovers it") from error
    left = _problems(connection)
    mended = [problem for problem in before if problem not in left]
    return [_unsound(mended)] if mended else []
