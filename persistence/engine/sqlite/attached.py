"""Two SQLite files of one schema side by side: what one holds and the other does not, and taking rows over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from persistence.engine.sqlite.connect import SQLiteConnection
from persistence.engine.sqlite.database import SQLiteDatabase


class Derived(NamedTuple):
    """A derived table: its key, and the columns that are compared besides."""

    table: str
    key: str
    columns: str


class Difference(NamedTuple):
    """A row that two files hold otherwise; None where a file has no such row."""

    table: str
    key: tuple[Any, ...]
    columns: tuple[str, ...]
    expected: tuple[Any, ...] | None
    found: tuple[Any, ...] | None


@contextmanager
def _attached(connection: SQLiteConnection, path: str) -> Iterator[None]:
    connection.execute("ATTACH ? AS other", (path,))
    try:
        yield
    finally:
        connection.execute("DETACH other")


def facts_missing_in(connection: SQLiteConnection, path: str) -> list[tuple[int, int]]:
    """(number, instant of recording) of the facts that are recorded here and not in another file of these books, by identity: histories
    may have parted."""
    with _attached(connection, path):
        rows: list[Any] = connection.execute(
            "SELECT f.fact_no, f.recorded_at FROM main.facts f WHERE f.state <> 2 AND NOT EXISTS (SELECT 1 FROM other.facts o "
            "WHERE o.record_id = f.record_id AND o.account_id = f.account_id AND o.kind = f.kind AND o.state <> 2) ORDER BY f.fact_no"
        ).fetchall()
    return rows


def held_missing_in(connection: SQLiteConnection, path: str) -> int:
    """How many records are in quarantine here and not in another file of these books."""
    sql = "SELECT count(*) FROM main.quarantine q WHERE q.state = 'held' AND NOT EXISTS (SELECT 1 FROM other.quarantine o WHERE o.raw_digest = q.raw_digest)"
    with _attached(connection, path):
        return int(connection.execute(sql).get)


def differences(stored: SQLiteDatabase, path: str, tables: Sequence[Derived]) -> Iterator[Difference]:
    """The rows of some tables that the books hold otherwise than another file."""
    with stored.get_connection() as connection, _attached(connection, path):
        for table, key, rest in tables:
            names = f"{key}, {rest}"
            differing: list[Any] = connection.execute(
                f"SELECT {key} FROM (SELECT {names} FROM main.{table} EXCEPT SELECT {names} FROM other.{table}) "
                f"UNION SELECT {key} FROM (SELECT {names} FROM other.{table} EXCEPT SELECT {names} FROM main.{table}) ORDER BY {key}"
            ).fetchall()
            where = " AND ".join(f"{name} = ?" for name in key.split(", "))
            for keys in differing:
                expected, found = (connection.execute(f"SELECT {rest}, 0 FROM {schema}.{table} WHERE {where}", keys).get for schema in ("other", "main"))
                yield Difference(table, tuple(keys), tuple(rest.split(", ")), expected, found)


def as_many(stored: SQLiteDatabase, path: str, tables: Sequence[Derived]) -> bool:
    """Whether some tables have as many rows as another file's: of rows that are there twice no difference tells."""
    with stored.get_connection() as connection, _attached(connection, path):
        names = [derived.table for derived in tables]
        return all(connection.execute(f"SELECT (SELECT count(*) FROM main.{name}) = (SELECT count(*) FROM other.{name})").get for name in names)


@contextmanager
def taking_over(database: SQLiteDatabase, path: str, replaced: Sequence[Derived], updated: Sequence[Derived]) -> Iterator[SQLiteConnection]:
    """One commit in which some tables are replaced by another file's and single columns of others updated; the block may add to it."""
    # Attaching is for outside of transactions, and stays with the connection.
    with database.get_connection(writing=True) as connection, _attached(connection, path), database.transaction_on(connection):
        for table, key, rest in replaced:
            connection.execute(f"DELETE FROM main.{table}")
            names = f"{key}, {rest}"
            connection.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM other.{table} ORDER BY {key}")
        for table, key, column in updated:
            differs = f"r.{key} = {table}.{key} AND r.{column} IS NOT {table}.{column}"
            connection.execute(f"UPDATE main.{table} SET {column} = r.{column} FROM other.{table} r WHERE {differs}")
        yield connection


__all__ = ["Derived", "Difference", "as_many", "differences", "facts_missing_in", "held_missing_in", "taking_over"]
