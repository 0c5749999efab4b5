"""A damaged database: what of it can be read, and recovering that into a new file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from jarvis_client.contract.errors import Invalid
from persistence.domain.errors import WrongDatabase
from persistence.domain.progress import Progress, silent
from persistence.engine.sqlite import migrations
from persistence.engine.sqlite.connect import connect
from persistence.engine.sqlite.database import SQLiteDatabase
from persistence.files import fsync_folder


@dataclass(slots=True)
class SalvagedTable:
    """How much of a table came over; `lost` says where reading it failed."""

    name: str
    read: int = 0
    refused: int = 0
    lost: list[str] = field(default_factory=list)


def readable(path: Path, progress: Progress = silent) -> list[SalvagedTable]:
    """Read every table of a database as far as it goes."""
    with closing(_looking(path)) as source:
        return _walk_all(source, None, progress)


def salvage(path: Path, target: Path, progress: Progress = silent) -> list[SalvagedTable]:
    """Recover what can be read into a new database of the same schema. Returns what came over, and what did not, per table.

    Raises `Invalid` where the target exists, `WrongDatabase` where not even the header can be read.
    """
    if target.exists():
        raise Invalid(f"{target} exists already; name a new file")
    partial = target.with_name(f".{target.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        with closing(SQLiteDatabase(partial, 1, wal_mode=False)) as made:
            made.open_up()
            with closing(_looking(path)) as source, made.transaction() as connection:
                connection.pragma("defer_foreign_keys", True)
                connection.execute("DELETE FROM book")
                found = _walk_all(source, connection, progress)
                if connection.execute("SELECT count(*) FROM book").get == 0:
                    migrations.name_the_book(connection)
                _name_what_facts_name(connection)
                _drop_orphans(connection, found)
        os.replace(partial, target)
        fsync_folder(target.absolute().parent)
        return found
    finally:
        partial.unlink(missing_ok=True)
        Path(f"{partial}-mark").unlink(missing_ok=True)


def _looking(path: Path) -> apsw.Connection:
    """A connection that takes pages as they are. Only reads."""
    if not path.is_file():
        raise WrongDatabase(f"{path} does not exist")
    connection = connect(str(path), apsw.SQLITE_OPEN_READWRITE)
    connection.pragma("checksum_verification", "OFF")
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    connection.pragma("query_only", True)
    # A damaged schema is no reason to give up the tables that it still shows.
    connection.pragma("writable_schema", True)
    return connection


def _tables() -> list[str]:
    """The tables of the schema, each after those it refers to."""
    made = apsw.Connection(":memory:")
    for migration in migrations.migrations():
        made.execute(migration.sql)
    names = [name for (name,) in made.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]
    first = ("book", "facts", "accounts", "producers")
    return [*first, *(n for n in names if n not in first)]


def _walk_all(source: apsw.Connection, target: apsw.Connection | None, progress: Progress) -> list[SalvagedTable]:
    found = []
    for number, name in enumerate(names := _tables()):
        progress(f"reading table {name}", number, len(names))
        found.append(_walk(source, name, target))
    return found


def _walk(source: apsw.Connection, name: str, target: apsw.Connection | None) -> SalvagedTable:
    """Read a table from its beginning until a row cannot be read, then from its end backwards until a row cannot be read."""
    table = SalvagedTable(name)
    try:
        columns = [c[1] for c in source.execute(f"PRAGMA table_info({name})")]
        has_rowid = not source.execute("SELECT wr FROM pragma_table_list(?)", (name,)).get
    except apsw.Error as error:
        table.lost.append(f"all of it: {error}")
        return table
    if not columns:
        table.lost.append("all of it: the schema does not show it")
        return table
    names = ", ".join(columns)
    placeholders = ", ".join("?" * len(columns))
    insert = f"INSERT OR IGNORE INTO {name} ({names}) VALUES ({placeholders})"

    def keep(row: tuple[Any, ...]) -> None:
        table.read += 1
        if target is not None:
            try:
                before = target.total_changes()
                target.execute(insert, row)
                table.refused += target.total_changes() == before
            except (apsw.ConstraintError, apsw.MismatchError):
                table.refused += 1

    key = "rowid" if has_rowid else "NULL"
    last_up = _read_on(source, f"SELECT {key}, {names} FROM {name} NOT INDEXED", keep)
    if last_up.error is None:
        return table
    if not has_rowid:
        table.lost.append(f"what follows its first {table.read} rows: {last_up.error}")
        return table
    down = f"SELECT rowid, {names} FROM {name} NOT INDEXED WHERE rowid > ? ORDER BY rowid DESC"
    last_down = _read_on(source, down, keep, last_up.key if last_up.key is not None else -(2**62))
    table.lost.append(f"rows between number {last_up.key or 'first'} and {last_down.key or 'last'}: {last_up.error}")
    return table


@dataclass(slots=True)
class _Reached:
    key: int | None = None
    error: str | None = None


def _read_on(source: apsw.Connection, sql: str, keep: Any, *params: Any) -> _Reached:
    reached = _Reached()
    try:
        rows: Iterator[Any] = iter(source.execute(sql, params))
        for key, *row in rows:
            keep(tuple(row))
            reached.key = key
    except (apsw.Error, UnicodeDecodeError) as error:
        reached.error = f"{type(error).__name__}: {error}"
    return reached


def _name_what_facts_name(connection: apsw.Connection) -> None:
    """Accounts and producers that did not come over are made anew from the facts, which name them: their records must not go with them."""
    connection.execute(
        "INSERT OR IGNORE INTO accounts (account_id, name, opened_at) SELECT account_id, account_id, min(occurred_at) FROM facts "
        "WHERE account_id <> '' AND state <> 2 GROUP BY account_id"
    )
    connection.execute(
        "INSERT OR IGNORE INTO producers (producer, lowest, highest, seen_at) SELECT producer, min(sequence), max(sequence), max(recorded_at) FROM facts "
        "WHERE producer IS NOT NULL AND sequence IS NOT NULL GROUP BY producer"
    )


def _drop_orphans(connection: apsw.Connection, found: list[SalvagedTable]) -> None:
    """Rows whose parents did not come over could not be committed."""
    tables = {table.name: table for table in found}
    while orphans := {(name, table, number) for name, _, table, number in connection.execute("PRAGMA foreign_key_check")}:
        for name, table, number in orphans:
            [(column, to)] = [row[3:5] for row in connection.execute(f"PRAGMA foreign_key_list({name})") if row[0] == number]
            [key] = [to] if to else [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[5] == 1]
            before = connection.total_changes()
            connection.execute(f"DELETE FROM {name} WHERE {column} IS NOT NULL AND {column} NOT IN (SELECT {key} FROM {table})")
            tables[name].refused += connection.total_changes() - before
