"""Whole books out of a server into a SQLite file, and back: a copy is a SQLite file, whichever engine keeps the live books."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from persistence.engine.carrying import ROWS, Table, tables
from persistence.engine.postgres.connect import PostgresConnection, PostgresCursor
from persistence.engine.sqlite.connect import SQLiteConnection
from persistence.engine.sqlite.copying import copy_to
from persistence.engine.sqlite.database import SQLiteDatabase
from persistence.files import scratch_folder

#: The server's words for the types of columns.
_TYPES = {"INTEGER": "int8", "TEXT": "text", "BLOB": "bytea", "REAL": "float8"}


def write_file(connection: PostgresConnection, target: str, *, check: bool) -> None:
    """Write what a snapshot sees into a new SQLite file, fsynced, put in place whole or not at all."""
    with (
        scratch_folder(Path(target).parent, "filling") as scratch,
        closing(SQLiteDatabase(scratch / "filling.db", 1, wal_mode=False, durable=False)) as filling,
    ):
        filling.open_up()
        with filling.get_connection(writing=True) as file:
            with _filled(file):
                for table in tables():
                    _take(connection, file, table)
            copy_to(file, target, check=check)


def read_file(connection: PostgresConnection, source: str) -> None:
    """Put what a SQLite file holds in the place of everything, as part of a commit that is alone."""
    with closing(SQLiteDatabase.copy_of(source, 1)) as copy, copy.get_connection() as file:
        connection.run(f"TRUNCATE {', '.join(table.name for table in tables())}", ())
        for table in tables():
            _give(file, connection, table)
    connection.rows_came_over()


@contextmanager
def _filled(file: SQLiteConnection) -> Iterator[None]:
    """One step in which a new file is filled; its references are those of the server, which has checked them."""
    file.pragma("foreign_keys", False)
    file.execute("BEGIN IMMEDIATE; DELETE FROM book")
    yield
    file.execute("COMMIT")
    file.pragma("foreign_keys", True)


def _take(connection: PostgresConnection, file: SQLiteConnection, table: Table) -> None:
    cursor = PostgresCursor(connection)
    with cursor.copy(f"COPY ({_selected(table)}) TO STDOUT".encode()) as copy:
        copy.set_types([_TYPES[kind] for kind in table.types])
        rows: list[tuple[Any, ...]] = []
        for row in copy.rows():
            rows.append(row)
            if len(rows) == ROWS:
                file.insert_many(table.insert, rows)
                rows.clear()
        file.insert_many(table.insert, rows)


def _give(file: SQLiteConnection, connection: PostgresConnection, table: Table) -> None:
    cursor = PostgresCursor(connection)
    with cursor.copy(f"COPY {table.name} ({table.named}) FROM STDIN".encode()) as copy:
        for row in file.execute(_selected(table)):
            copy.write_row(row)


def _selected(table: Table) -> str:
    return f"SELECT {table.named} FROM {table.name} {table.ordered}"


__all__ = ["read_file", "write_file"]
