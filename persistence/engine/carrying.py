"""The rows of whole books from one engine to another, table by table in the order of their keys: so a run that ended goes on where it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import cache
from typing import Any, NamedTuple

from persistence.engine.contract import Connection
from persistence.engine.sqlite.database import SQLiteDatabase

#: Rows at a time: some megabytes of the widest table.
ROWS = 5_000


class Table(NamedTuple):
    """A table of the books: its columns but the computed ones, their types in SQLite's words, and its primary key."""

    name: str
    columns: tuple[str, ...]
    types: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def named(self) -> str:
        return ", ".join(self.columns)

    @property
    def ordered(self) -> str:
        """By the key, which is the order in which a SQLite file keeps the rows."""
        return f"ORDER BY {', '.join(self.key)}"

    @property
    def insert(self) -> str:
        return f"INSERT INTO {self.name} ({self.named}) VALUES ({', '.join('?' * len(self.columns))})"

    def key_of(self, row: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(row[self.columns.index(name)] for name in self.key)


class Differs(NamedTuple):
    """The first place where two books are not the same: the key of a row, and what each has there; None for nothing."""

    table: str
    key: tuple[Any, ...]
    expected: tuple[Any, ...] | None
    found: tuple[Any, ...] | None


@cache
def tables() -> tuple[Table, ...]:
    """Every table, each after those that it refers to."""
    with closing(SQLiteDatabase(":memory:")) as fresh:
        fresh.open_up()
        with fresh.get_connection() as connection:
            names = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid")]
            return tuple(_table(connection, name) for name in names)


def _table(connection: Connection, name: str) -> Table:
    found = connection.execute(f"PRAGMA table_xinfo({name})").fetchall()
    kept = [(column, kind) for _, column, kind, _, _, _, hidden in found if not hidden]
    key = sorted((place, column) for _, column, _, _, _, place, _ in found if place)
    return Table(name, tuple(column for column, _ in kept), tuple(kind for _, kind in kept), tuple(column for _, column in key))


def rows_of(connection: Connection, table: Table, after: Sequence[Any] | None = None) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of a table in the order of its key, some at a time, from behind a key on."""
    select, order = f"SELECT {table.named} FROM {table.name}", f"{table.ordered} LIMIT ?"
    beyond = f"WHERE ({', '.join(table.key)}) > ({', '.join('?' * len(table.key))})"
    while True:
        sql = f"{select} {order}" if after is None else f"{select} {beyond} {order}"
        rows = connection.execute(sql, (*(after or ()), ROWS)).fetchall()
        if not rows:
            return
        yield rows
        after = table.key_of(rows[-1])


def last_key(connection: Connection, table: Table) -> tuple[Any, ...] | None:
    """The greatest key of a table; None where it has no row."""
    order = ", ".join(f"{name} DESC" for name in table.key)
    found = connection.execute(f"SELECT {', '.join(table.key)} FROM {table.name} ORDER BY {order} LIMIT 1").fetchall()
    return tuple(found[0]) if found else None


def first_difference(one: Connection, other: Connection, table: Table) -> Differs | None:
    """Where a table of two books is not the same, value by value."""
    theirs = (row for rows in rows_of(other, table) for row in rows)
    for rows in rows_of(one, table):
        for row in rows:
            found = next(theirs, None)
            if found is None or tuple(found) != tuple(row):
                return Differs(table.name, table.key_of(row), tuple(row), None if found is None else tuple(found))
    extra = next(theirs, None)
    return None if extra is None else Differs(table.name, table.key_of(extra), None, tuple(extra))


__all__ = ["ROWS", "Differs", "Table", "first_difference", "last_key", "rows_of", "tables"]
