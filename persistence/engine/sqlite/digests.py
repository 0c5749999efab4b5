"""What every table of a file holds, in one digest each: how a copy is compared with what was copied."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import apsw
import apsw.sqlite_extra

from persistence.engine.sqlite.connect import SQLiteConnection


def table_names(connection: SQLiteConnection) -> list[str]:
    found: list[Any] = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").fetchall()
    return [name for (name,) in found]


def page_counts(connection: SQLiteConnection) -> dict[str, int]:
    """How many pages the database has, and how large they are."""
    return {"pages": int(connection.pragma("page_count")), "page_size": int(connection.pragma("page_size"))}


def table_digest(connection: SQLiteConnection, name: str, until: float | None = None) -> dict[str, Any] | None:
    """A table's number of rows and the digest of them all; None where that would take longer."""
    apsw.sqlite_extra.load(connection, "shathree")
    table = f'"{name}"'
    if until is not None:
        connection.set_progress_handler(lambda: time.monotonic() > until, 100_000)
    rows, digest = 0, ""
    with suppress(apsw.InterruptError):
        rows = connection.execute(f"SELECT count(*) FROM {table}").get
        # Without an index the rows come in the order of the table itself.
        digest = connection.execute("SELECT lower(hex(sha3_query(?, 256)))", (f"SELECT * FROM {table} NOT INDEXED",)).get
    connection.set_progress_handler(None)
    # An interrupted sha3_query is no error, it returns the digest of what it had read.
    return None if until is not None and time.monotonic() > until else {"rows": rows, "sha3": digest}
