"""Connections to a SQLite file whose pages carry checksums."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache, reduce
from itertools import repeat
from operator import iconcat
from typing import Any

import apsw
import apsw.sqlite_extra

from persistence.engine.bound_values import storable
from persistence.engine.dialect import Dialect
from persistence.engine.sqlite.errors import reachable, translated

#: Every page ends with a checksum of 8 bytes, looked at with every read: SQLite's own checks miss a third of single flipped bits.
CHECKSUM_BYTES = 8
CHECKSUMS = "cksmvfs"

#: Rows per statement, most first. SQLite runs without the interpreter's lock, but every step gives it up and takes it again: beside
#: a thread that decodes, single rows spend most of their time waiting for it. Large steps leave decoding and writing side by side on
#: two cores; the smaller ones write what is left over. 200 rows keep the longest statement below the 16 KiB up to which APSW caches
#: statements.
ROWS_PER_STATEMENT = (200, 40, 8)
#: Keys that one statement looks up, most first: a third of the time of one statement a key, in books where nothing is found a seventh.
KEYS_PER_STATEMENT = (200, 20)
#: Steps of SQLite's machine between two looks at the clock: a fraction of a millisecond.
STEPS_BETWEEN_LOOKS = 10_000
_KEY = re.compile(r"WHERE ([\w.]+ = \?(?: AND [\w.]+ = \?)*)")
_ONE_ROW = re.compile(r"VALUES (\((?:\?, )*\?\))")


class SQLiteConnection(apsw.Connection):
    """A connection of the driver with the verbs of the contract."""

    dialect = Dialect("json_array({})", "json_group_array({0} ORDER BY {1})", "lower(hex({}))")
    now = 0
    #: Lent for reading: the driver refuses to write.
    reading = False

    def lend_for(self, *, reading: bool) -> None:
        if self.reading != reading:
            self.pragma("query_only", reading)
            self.reading = reading

    def stream(self, sql: str, bindings: Any = (), /) -> Iterator[Any]:
        return self.execute(sql, bindings)

    @contextmanager
    def at_most(self, seconds: float) -> Iterator[None]:
        """End a statement that still runs after so many seconds, and every one that is begun after them, by the driver's interruption."""
        until = time.monotonic() + seconds
        self.set_progress_handler(lambda: time.monotonic() > until, STEPS_BETWEEN_LOOKS, id="at most")
        try:
            yield
        finally:
            self.set_progress_handler(None, id="at most")

    def lookup(self, sql: str, keys: Sequence[Sequence[Any]], /) -> list[Any]:
        if len(keys) < 2:
            return list(self.executemany(sql, keys))
        most, few = KEYS_PER_STATEMENT
        found: list[Any] = []
        for at in range(0, len(keys), most):
            part = keys[at : at + most]
            size = few if len(part) <= few else most
            # Filled up with its last key, which a set holds once, so that two sizes of statement do.
            found += self.execute(_many_keys(sql, size), _flat([*part, *repeat(part[-1], size - len(part))]))
        return found

    def insert_many(self, sql: str, rows: Sequence[Sequence[Any]], /) -> int:
        before, written = self.total_changes(), 0
        for size in ROWS_PER_STATEMENT if _ONE_ROW.search(sql) else ():
            end = len(rows) - (len(rows) - written) % size
            if written < end:
                self.executemany(_many_rows(sql, size), (_flat(rows[n : n + size]) for n in range(written, end, size)))
                written = end
        if written < len(rows):
            self.executemany(sql, rows[written:])
        return self.total_changes() - before

    def changed(self, sql: str, bindings: Any = (), /) -> int:
        before = self.total_changes()
        self.execute(sql, bindings)
        return self.changes() if self.total_changes() != before else 0

    @contextmanager
    def row_changes(self, tables: Sequence[str], /) -> Iterator[list[tuple[str, Any, Any]]]:
        found: list[tuple[str, Any, Any]] = []
        of_interest = frozenset(tables)

        def changed(row: apsw.PreUpdate) -> None:
            if row.table_name in of_interest and row.database_name == "main":
                found.append((row.table_name, row.old, row.new))

        self.preupdate_hook(changed, id="row changes")
        try:
            yield found
        finally:
            self.preupdate_hook(None, id="row changes")

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        with translated("write to the books"), self:  # the driver's block is a savepoint
            yield

    def hold(self, name: str, /) -> None:
        """Nothing: only one commit is under way at a time."""

    def fact_numbers(self, count: int, /) -> range:
        first = int(self.execute("SELECT coalesce(max(fact_no), 0) + 1 FROM facts").get)
        return range(first, first + count)

    def has_table(self, name: str, /) -> bool:
        return bool(self.execute("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?", (name,)).get)

    def rows_came_over(self) -> None:
        """Nothing: a number is the highest one and one more."""


def _flat(rows: Sequence[Sequence[Any]]) -> list[Any]:
    # A third of the time of `chain.from_iterable`: rows are appended whole.
    return reduce(iconcat, rows, [])


@lru_cache(maxsize=64)
def _many_rows(sql: str, size: int) -> str:
    return _ONE_ROW.sub(lambda values: "VALUES " + ", ".join([values[1].replace(" ", "")] * size), sql)


@lru_cache(maxsize=64)
def _many_keys(sql: str, size: int) -> str:
    def one_of(key: re.Match[str]) -> str:
        columns = key[1].replace(" = ?", "").split(" AND ")
        values = f"({', '.join('?' * len(columns))})"
        return f"WHERE ({', '.join(columns)}) IN (VALUES {', '.join([values] * size)})"

    return _KEY.sub(one_of, sql, count=1)


@lru_cache(maxsize=1)
def _register_checksums() -> None:
    """Make the checksum VFS known to this process. It stays when the connection that brings it is closed."""
    loading = apsw.Connection(":memory:")
    apsw.sqlite_extra.load(loading, "cksumvfs")
    loading.close()


def connect(path: str, flags: int = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE) -> SQLiteConnection:
    _register_checksums()
    connection = SQLiteConnection(path, flags=flags, vfs=CHECKSUMS)
    connection.convert_binding = _bound
    return connection


def _bound(_cursor: apsw.Cursor, number: int, value: Any) -> Any:
    """What the driver asks about values that it does not take itself."""
    return storable(value, number)


def sqlite_version() -> str:
    return apsw.sqlite_lib_version()


def free_bytes_of(path: str) -> int:
    """Bytes that are free inside a database file, from its header alone, as of its last checkpoint; 0 where it cannot be read."""
    try:
        with open(path, "rb") as file:
            header = file.read(100)
    except OSError:
        return 0
    page_bytes = int.from_bytes(header[16:18], "big")
    return int.from_bytes(header[36:40], "big") * (65_536 if page_bytes == 1 else page_bytes)


#: What the books need of the driver's extensions.
EXTENSIONS = ("cksumvfs", "decimal")


def missing_extensions() -> list[str]:
    """Those of `EXTENSIONS` that this installation of the driver lacks or cannot load."""
    missing = []
    with closing(apsw.Connection(":memory:")) as connection:
        for name in EXTENSIONS:
            try:
                apsw.sqlite_extra.load(connection, name)
            except (apsw.Error, apsw.sqlite_extra.NotAvailable, LookupError, OSError):
                missing.append(name)
    return missing


def header_of(path: str) -> tuple[int, int]:
    """(bytes kept free on each page, schema version) from the header of the file, read without opening it as a database. What is
    newer may still be in its WAL."""
    with reachable(f"read {path}"), open(path, "rb") as file:
        header = file.read(100)
    return (header[20], int.from_bytes(header[60:64], "big")) if len(header) == 100 else (0, 0)
