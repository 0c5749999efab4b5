"""Filling tables from nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from persistence.engine.sqlite.connect import SQLiteConnection


@contextmanager
def emptied(connection: SQLiteConnection, tables: Sequence[str]) -> Iterator[None]:
    """Some tables without a row, for a block to fill; part of a commit. Their indexes and triggers are made once it has ended.

    A table is dropped in no time where deleting its rows takes as long as writing them, and an index is sorted once where every row would look
    for its place.
    """
    made: list[str] = []
    for table in tables:
        rows: list[Any] = connection.execute(
            "SELECT sql FROM sqlite_schema WHERE tbl_name = ? AND sql IS NOT NULL ORDER BY type <> 'table'", (table,)
        ).fetchall()
        of_table, *others = (sql for (sql,) in rows)
        connection.execute(f'DROP TABLE "{table}"')
        connection.execute(of_table)
        made += others
    yield
    for sql in made:
        connection.execute(sql)


__all__ = ["emptied"]
