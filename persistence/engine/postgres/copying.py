"""Whole books out of a server into a SQLite file, and back: a copy is a SQLite file, whichever engine keeps the live books."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from persistence.engine.postgres.connect import PostgresConnection, PostgresCursor
from persistence.engine.sqlite.connect import SQLiteConnection
from persistence.engine.sqlite.copying import copy_to
from persistence.engine.sqlite.database import SQLiteDatabase
from persistence.engine.sqlite.digests import table_names
from persistence.files import scratch_folder

#: Rows that are written at a time.
ROWS_AT_ONCE = 5_000
#: What other tables refer to comes first.
REFERRED_TO = ("facts", "accounts", "producers")
_TYPES = {"INTEGER": "int8", "TEXT": "text", "BLOB": "bytea", "REAL": "float8"}


class Table(NamedTuple):
    """A table as both engines have it: its columns but for those that are computed, their types on the server, and its key."""

    name: str
    columns: tuple[str, ...]
    types: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def named(self) -> str:
        return ", ".join(self.columns)

    @property
    def selected(self) -> str:
        """In the order of the key, which is the order in which a SQLite file keeps them."""
        names, table, key = self.named, self.name, ", ".join(self.key)
        return f"SELECT {names} FROM {table} ORDER BY {key}"


def write_file(connection: PostgresConnection, target: str, *, check: bool) -> None:
    """Write what a snapshot sees into a new SQLite file, fsynced, put in place whole or not at all."""
    with (
        scratch_folder(Path(target).parent, "filling") as scratch,
        closing(SQLiteDatabase(scratch / "filling.db", 1, wal_mode=False, durable=False)) as filling,
    ):
        filling.open_up()
        with filling.get_connection(writing=True) as file:
            with _filled(file):
                for table in tables_of(file):
                    _take(connection, file, table)
            copy_to(file, target, check=check)


def read_file(connection: PostgresConnection, source: str) -> None:
    """Put what a SQLite file holds in the place of everything, as part of a commit that is alone."""
    with closing(SQLiteDatabase.copy_of(source, 1)) as copy, copy.get_connection() as file:
        tables = tables_of(file)
        connection.run(f"TRUNCATE {', '.join(table.name for table in tables)}", ())
        for table in tables:
            _give(file, connection, table)
    connection.rows_came_over()


def tables_of(file: SQLiteConnection) -> list[Table]:
    """Every table of the books, those that others refer to first."""
    found = []
    for name in sorted(table_names(file), key=lambda name: (name not in REFERRED_TO, name)):
        rows: list[Any] = file.execute(f"PRAGMA table_xinfo({name})").fetchall()
        kept = [row for row in rows if row[6] == 0]
        key = sorted((row for row in kept if row[5]), key=lambda row: row[5])
        found.append(Table(name, tuple(row[1] for row in kept), tuple(_TYPES[row[2]] for row in kept), tuple(row[1] for row in key)))
    return found


@contextmanager
def _filled(file: SQLiteConnection) -> Iterator[None]:
    """One step in which a new file is filled; its references are those of the server, which has checked them."""
    file.pragma("foreign_keys", False)
    file.execute("BEGIN IMMEDIATE; DELETE FROM book")
    yield
    file.execute("COMMIT")
    file.pragma("foreign_keys", True)


def _take(connection: PostgresConnection, file: SQLiteConnection, table: Table) -> None:
    names, placeholders = table.named, ", ".join("?" * len(table.columns))
    insert = f"INSERT INTO {table.name} ({names}) VALUES ({placeholders})"
    cursor = PostgresCursor(connection)
    with cursor.copy(f"COPY ({table.selected}) TO STDOUT".encode()) as copy:
        copy.set_types(table.types)
        rows: list[tuple[Any, ...]] = []
        for row in copy.rows():
            rows.append(row)
            if len(rows) == ROWS_AT_ONCE:
                file.insert_many(insert, rows)
                rows.clear()
        file.insert_many(insert, rows)


def _give(file: SQLiteConnection, connection: PostgresConnection, table: Table) -> None:
    cursor = PostgresCursor(connection)
    with cursor.copy(f"COPY {table.name} ({table.named}) FROM STDIN".encode()) as copy:
        for row in file.execute(table.selected):
            copy.write_row(row)


__all__ = ["read_file", "write_file"]
